//! Changes of versions as usage counts them, and the bytes that are stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The kind of a change to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was pushed.
    Pushed,
    /// It was unlisted.
    Unlisted,
    /// It was listed again.
    Relisted,
    /// It was deleted.
    Deleted,
    /// It got symbols, or other ones.
    Symbols,
}

/// A change of a version, and the bytes that came and went with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// When it was made.
    pub at: OffsetDateTime,
    /// The package, in lower case.
    pub id: String,
    /// The kind of change.
    pub change: Change,
    /// The key that made it.
    pub by: String,
    /// The bytes that came: those of a package or of a symbols package.
    pub taken: u64,
    /// The bytes that went, by the keys that had pushed them.
    pub freed: BTreeMap<String, u64>,
}

/// The owner of stored bytes: the package that they belong to, and the key that pushed them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The package, in lower case.
    pub id: String,
    /// The key.
    pub key: String,
}

/// The bytes that are stored at some moment, by their owners.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Held>", into = "Vec<Held>")]
pub struct Stock(BTreeMap<Owner, i64>);

/// An entry of a stock, as it is written.
#[derive(Serialize, Deserialize)]
struct Held {
    id: String,
    key: String,
    bytes: i64,
}

impl Movement {
    /// The bytes that each owner got, or lost.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (Owner, i64)> {
        let owner = |key: &String| Owner { id: self.id.clone(), key: key.clone() };
        let taken = (self.taken > 0).then(|| (owner(&self.by), signed(self.taken)));
        let freed = self.freed.iter().map(move |(key, bytes)| (owner(key), -signed(*bytes)));
        taken.into_iter().chain(freed)
    }
}

/// `bytes`, to be added and subtracted: no feed stores more than 9 exabytes.
pub(crate) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl Stock {
    /// Takes in a change.
    pub fn apply(&mut self, movement: &Movement) {
        for (owner, bytes) in movement.changes() {
            let held = self.0.entry(owner.clone()).or_default();
            *held = held.saturating_add(bytes);
            if *held == 0 {
                self.0.remove(&owner);
            }
        }
    }

    /// Its entries.
    pub fn iter(&self) -> impl Iterator<Item = (&Owner, i64)> {
        self.0.iter().map(|(owner, bytes)| (owner, *bytes))
    }
}

impl From<Vec<Held>> for Stock {
    fn from(held: Vec<Held>) -> Self {
        Self(held.into_iter().map(|Held { id, key, bytes }| (Owner { id, key }, bytes)).collect())
    }
}

impl From<Stock> for Vec<Held> {
    fn from(stock: Stock) -> Self {
        let held = stock.0.into_iter();
        held.map(|(Owner { id, key }, bytes)| Held { id, key, bytes }).collect()
    }
}
