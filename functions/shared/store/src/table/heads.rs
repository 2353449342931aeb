//! The head of a package: its stamp, and the changes that led to it.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use nupkg::{PackageId, Version};
use time::OffsetDateTime;
use ulid::Ulid;

use super::rows::{Stamp, stamp_key};
use super::writes::update_item;
use super::{Item, Table, TableError, text, unreadable};

/// The changes that a head names. Where versions have up to some 25 characters the row stays
/// below 1 KB, which is the least that a write is billed for.
const CHANGES: usize = 16;

/// The attributes that hold them, the newest first.
static NAMES: LazyLock<[String; CHANGES]> =
    LazyLock::new(|| std::array::from_fn(|number| format!("c{number}")));

/// The row that every change of a package updates in its transaction. Stored at
/// `PACKAGE#<id>`, `VERSION`, where a query reads it before the versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The package's stamp, which is the name of its last change.
    pub stamp: Stamp,
    /// The last changes, the newest first. Fewer than there were, or none, where a version
    /// of the feed wrote the row that named no changes in it.
    changes: Vec<HeadChange>,
}

/// A change that a head names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeadChange {
    pub(super) ulid: Ulid,
    pub(super) version: Version,
}

impl Head {
    /// The names of its attributes.
    pub(super) fn attributes() -> impl Iterator<Item = &'static str> {
        std::iter::once("stamp").chain(NAMES.iter().map(String::as_str))
    }

    pub(super) fn read(item: &Item) -> Result<Self, TableError> {
        let stamp = Stamp::read(&text(item, "stamp")?).map_err(unreadable)?;
        let texts = NAMES.iter().map_while(|name| item.get(name)?.as_s().ok());
        let changes = texts.take_while(|text| !text.is_empty()).map(|text| HeadChange::read(text));
        Ok(Self { stamp, changes: changes.collect::<Result<_, _>>()? })
    }

    /// The last change of each version that was changed since the package had `stamp`; `None`
    /// where there may be more than the head names.
    pub(super) fn since(&self, stamp: Stamp) -> Option<Vec<&HeadChange>> {
        let known = self.changes.iter().position(|change| stamp.name() == change.ulid)?;
        Some(last_of_each(self.changes.iter().take(known)))
    }

    /// The last change of each version that was changed so shortly before `now` that not all
    /// of it may be readable yet; `None` where there may be more than the head names.
    pub(super) fn young(&self, now: OffsetDateTime) -> Option<Vec<&HeadChange>> {
        let is_young = |change: &HeadChange| !Stamp::from(change.ulid).is_settled_at(now);
        // Clocks differ, so a young one may stand behind one with an older name.
        match self.changes.iter().rposition(is_young) {
            Some(last) if last + 1 < self.changes.len() => {
                Some(last_of_each(self.changes.iter().take(last + 1)))
            }
            Some(_) => None,
            None => self.stamp.is_settled_at(now).then(Vec::new),
        }
    }
}

fn last_of_each<'a>(newest_first: impl Iterator<Item = &'a HeadChange>) -> Vec<&'a HeadChange> {
    let mut seen = HashSet::new();
    newest_first.filter(|change| seen.insert(change.version.key())).collect()
}

impl HeadChange {
    fn read(text: &str) -> Result<Self, TableError> {
        let (ulid, version) = text.split_once(' ').unwrap_or((text, ""));
        let ulid = Ulid::from_string(ulid).map_err(unreadable)?;
        Ok(Self { ulid, version: version.parse().map_err(unreadable)? })
    }
}

/// The young changes that were not found in the rows of their versions so far.
pub(super) struct Unseen {
    /// Their names by the versions' keys; `None` where not all are known.
    ulids: Option<HashMap<String, Ulid>>,
}

impl Unseen {
    /// The changes of a package that are young at `now`.
    pub(super) fn of(head: &Head, now: OffsetDateTime) -> Self {
        let by_version = |change: &HeadChange| (change.version.key(), change.ulid);
        let young = head.young(now);
        Self { ulids: young.map(|young| young.into_iter().map(by_version).collect()) }
    }

    /// Takes in the row of a version, whose last change is `changed`.
    pub(super) fn see(&mut self, version: &str, changed: Option<Ulid>) {
        if let Some(ulids) = &mut self.ulids
            && ulids.get(version).copied() == changed
        {
            ulids.remove(version);
        }
    }

    /// Whether all were found.
    pub(super) fn is_none(&self) -> bool {
        self.ulids.as_ref().is_some_and(HashMap::is_empty)
    }
}

impl Table {
    /// The package's head; none where the feed never had the package. One call.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn head(&self, id: &PackageId) -> Result<Option<Head>, TableError> {
        let item = self.item("give out a package's head", stamp_key(id)).await?;
        item.as_ref().map(Head::read).transpose()
    }

    /// The write that names a change of `version` in the package's head.
    pub(super) fn headed(
        &self,
        ulid: Ulid,
        id: &PackageId,
        version: &Version,
    ) -> Result<TransactWriteItem, TableError> {
        // Each is set to the one before as it was; the last is first, for engines that set one
        // after the other.
        static MOVES: LazyLock<String> = LazyLock::new(|| {
            let pairs = NAMES.iter().zip(NAMES.iter().skip(1)).rev();
            let moves = pairs.map(|(from, to)| format!("{to} = if_not_exists({from}, :none)"));
            format!("SET {}, c0 = :change, #stamp = :stamp", moves.collect::<Vec<_>>().join(", "))
        });
        let change = format!("{ulid} {}", version.key());
        update_item(
            self.updating(stamp_key(id))
                .update_expression(MOVES.as_str())
                .expression_attribute_names("#stamp", "stamp")
                .expression_attribute_values(":none", AttributeValue::S(String::new()))
                .expression_attribute_values(":change", AttributeValue::S(change))
                .expression_attribute_values(":stamp", AttributeValue::S(ulid.to_string())),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a package whose versions were changed so many seconds before 1970-01-02,
    /// the newest first.
    fn head(changes: &[(&str, u64)]) -> Head {
        let ulid = |seconds: u64| Ulid::from_parts(86_400_000 - seconds * 1_000, seconds.into());
        let change = |(version, seconds): &(&str, u64)| HeadChange {
            ulid: ulid(*seconds),
            version: version.parse().unwrap(),
        };
        let stamp = Stamp::read(&ulid(changes[0].1).to_string()).unwrap();
        Head { stamp, changes: changes.iter().map(change).collect() }
    }

    fn named(changes: Option<Vec<&HeadChange>>) -> Option<String> {
        let name =
            |change: &HeadChange| format!("{} {}", change.version.key(), change.ulid.random());
        changes.map(|changes| changes.into_iter().map(name).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn a_head_names_each_changed_version_once_with_its_last_change() {
        let head = head(&[("1.0.0", 1), ("2.0.0", 2), ("1.0.0", 3), ("3.0.0", 4)]);
        let stamp = |change: usize| head.changes[change].ulid.to_string();
        let since = |change| named(head.since(Stamp::read(&stamp(change)).unwrap()));
        assert_eq!(since(0).as_deref(), Some(""));
        assert_eq!(since(1).as_deref(), Some("1.0.0 1"));
        assert_eq!(since(3).as_deref(), Some("1.0.0 1, 2.0.0 2"));
        assert_eq!(named(head.since(Stamp::read("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap())), None);
    }

    #[test]
    fn changes_are_young_for_a_minute() {
        let now = OffsetDateTime::UNIX_EPOCH + time::Duration::DAY;
        let young = |changes| named(head(changes).young(now));
        assert_eq!(young(&[("1.0.0", 61), ("2.0.0", 62)]).as_deref(), Some(""));
        assert_eq!(young(&[("1.0.0", 61)]).as_deref(), Some(""));
        assert_eq!(young(&[("1.0.0", 60), ("2.0.0", 62)]).as_deref(), Some("1.0.0 60"));
        let many = [("1.0.0", 20), ("2.0.0", 70), ("1.0.0", 40), ("3.0.0", 50), ("4.0.0", 80)];
        assert_eq!(young(&many).as_deref(), Some("1.0.0 20, 2.0.0 70, 3.0.0 50"));
        // There may be young ones that it does not name.
        assert_eq!(young(&[("1.0.0", 20), ("2.0.0", 50)]), None);
        assert_eq!(young(&[("1.0.0", 20)]), None);
    }
}
