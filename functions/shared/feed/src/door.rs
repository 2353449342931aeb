//! The door: whose key is it, and is it good?

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{ApiKey, Caller, KeyRecord, Scope, Table, TableError};

/// How long a key is remembered.
const MEMORY: Duration = Duration::from_mins(1);

/// Judges keys. At most one AWS call each: a key once seen is remembered for a
/// minute, so a revoked one stops within that.
#[derive(Debug)]
pub struct Door {
    table: Table,
    remembered: Mutex<HashMap<String, Remembered>>,
}

/// A key, and when it was looked up.
#[derive(Debug)]
struct Remembered {
    record: KeyRecord,
    /// By a clock that nobody sets.
    ticked: Instant,
    /// By the wall, for that clock stands still while a sandbox is frozen.
    seen: OffsetDateTime,
}

impl Remembered {
    fn is_fresh(&self) -> bool {
        let age = OffsetDateTime::now_utc() - self.seen;
        let by_the_wall = !age.is_negative() && age < MEMORY;
        by_the_wall && self.ticked.elapsed() < MEMORY
    }
}

impl Door {
    /// A door that has seen no key yet, to the feed in `table`.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table, remembered: Mutex::default() }
    }

    /// Whom the presented key stands for; or, for the log, why it does not open
    /// what needs `scope`.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn judge(
        &self,
        presented: &str,
        scope: Scope,
    ) -> Result<Result<Caller, &'static str>, TableError> {
        let Ok(key) = presented.parse::<ApiKey>() else { return Ok(Err("it is none")) };
        let Some(record) = self.record(&key).await? else { return Ok(Err("it is unknown")) };
        if !record.is_valid_at(OffsetDateTime::now_utc()) {
            return Ok(Err("it is expired or revoked"));
        }
        if !record.allows(scope) {
            return Ok(Err("it lacks the scope"));
        }
        Ok(Ok(Caller::Key { name: record.name, ids: record.ids }))
    }

    async fn record(&self, key: &ApiKey) -> Result<Option<KeyRecord>, TableError> {
        let hash = key.hash();
        if let Some(record) = self.remembered(hash.as_str()) {
            return Ok(Some(record));
        }
        let record = self.table.key(&hash).await?;
        // Only keys that exist are remembered, so guesses fill no memory, and
        // a key just made works at once.
        if let Some(record) = &record {
            let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            let (ticked, seen) = (Instant::now(), OffsetDateTime::now_utc());
            let entry = Remembered { record: record.clone(), ticked, seen };
            remembered.insert(hash.as_str().to_owned(), entry);
        }
        Ok(record)
    }

    fn remembered(&self, hash: &str) -> Option<KeyRecord> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = remembered.get(hash).filter(|remembered| remembered.is_fresh())?;
        Some(remembered.record.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_is_remembered_for_a_minute_by_whichever_clock_is_ahead() {
        let seen = |seconds_ago| Remembered {
            record: KeyRecord {
                hash: ApiKey::generate().unwrap().hash(),
                name: crate::KeyName::owner(),
                scopes: Vec::new(),
                ids: Vec::new(),
                created: String::new(),
                expires: None,
                revoked: None,
            },
            ticked: Instant::now(),
            seen: OffsetDateTime::now_utc() - Duration::from_secs(seconds_ago),
        };
        assert!(seen(0).is_fresh() && seen(58).is_fresh());
        assert!(!seen(60).is_fresh());
        let set_back = Remembered { seen: OffsetDateTime::now_utc() + MEMORY, ..seen(0) };
        assert!(!set_back.is_fresh());
        let (before, after) = (seen(0), seen(0));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(before.is_fresh());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!after.is_fresh());
    }
}
