//! The memory of keys: whose key is it, and is it valid?

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use quick_cache::sync::Cache;
use time::OffsetDateTime;
use tokio::time::Instant;

use access::{ApiKey, KeyProblem, KeyRecord, Scope, presented_key};
use protocol::{Caller, Refusal, with_causes};
use store::{Table, TableError};

/// How long a key is remembered.
const MEMORY: Duration = Duration::from_mins(1);

/// Checks keys. At most one AWS call each: a key is remembered for a minute, so a revoked
/// key stops working within a minute. One more call at a key's first use of a day, which
/// notes the day. Clones share the memory.
#[derive(Debug, Clone)]
pub struct KeyCache {
    table: Table,
    known: Arc<KnownKeys>,
}

/// The key was refused, or could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum KeyCacheError {
    /// The key is not good for the request.
    #[error("the key was refused: {0:?}")]
    Refused(KeyProblem),
    /// The table does not answer.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// The keys that were looked up: those in demand, as the keys of workloads come and go.
struct KnownKeys(Cache<String, Remembered>);

impl KnownKeys {
    /// The most keys that are remembered.
    const MOST: usize = 10_000;

    fn new() -> Self {
        Self(Cache::new(Self::MOST))
    }

    fn remember(&self, record: &KeyRecord) {
        let (ticked, seen) = (Instant::now(), OffsetDateTime::now_utc());
        let remembered = Remembered { record: record.clone(), ticked, seen };
        self.0.insert(record.hash.as_str().to_owned(), remembered);
    }

    fn get(&self, hash: &str) -> Option<KeyRecord> {
        let remembered = self.0.get(hash).filter(Remembered::is_fresh)?;
        Some(remembered.record)
    }
}

impl fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KnownKeys({})", self.0.len())
    }
}

/// A key, and when it was looked up.
#[derive(Debug, Clone)]
struct Remembered {
    record: KeyRecord,
    /// By the monotonic clock, which nobody sets.
    ticked: Instant,
    /// By the wall clock, because the monotonic clock stops while a sandbox is frozen.
    seen: OffsetDateTime,
}

impl Remembered {
    fn is_fresh(&self) -> bool {
        let age = OffsetDateTime::now_utc() - self.seen;
        let by_the_wall = !age.is_negative() && age < MEMORY;
        by_the_wall && self.ticked.elapsed() < MEMORY
    }
}

impl KeyCache {
    /// An empty cache of the keys in `table`.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table, known: Arc::new(KnownKeys::new()) }
    }

    /// The caller that the presented key belongs to.
    ///
    /// # Errors
    /// The key is not good for `scope`, or the table does not answer.
    pub async fn judge(&self, presented: &str, scope: Scope) -> Result<Caller, KeyCacheError> {
        let known = |key: &ApiKey| self.known.get(key.hash().as_str());
        self.judge_by(known, presented, scope).await
    }

    /// The same by the table as it is now, for an answer that is remembered elsewhere: two
    /// memories would let a revoked key pass for two minutes. One AWS call.
    ///
    /// # Errors
    /// The key is not good for `scope`, or the table does not answer.
    pub async fn judge_now(&self, presented: &str, scope: Scope) -> Result<Caller, KeyCacheError> {
        self.judge_by(|_| None, presented, scope).await
    }

    async fn judge_by(
        &self,
        known: impl Fn(&ApiKey) -> Option<KeyRecord>,
        presented: &str,
        scope: Scope,
    ) -> Result<Caller, KeyCacheError> {
        let refused = |problem| Err(KeyCacheError::Refused(problem));
        let Ok(key) = presented.parse::<ApiKey>() else { return refused(KeyProblem::Unknown) };
        let record = match known(&key) {
            Some(record) => Some(record),
            None => self.record(&key).await?,
        };
        let Some(record) = record else { return refused(KeyProblem::Unknown) };
        let now = OffsetDateTime::now_utc();
        if !record.is_valid_at(now) {
            return refused(KeyProblem::Ended);
        }
        if !record.allows(scope) {
            return refused(KeyProblem::LacksScope);
        }
        Ok(Caller::Key {
            warning: record.warning_at(now),
            name: record.name,
            ids: record.ids,
            scopes: record.scopes,
            quotas: record.quotas,
        })
    }

    /// Checks the key of a long request once more. No call if the last answer is less than
    /// a minute old.
    ///
    /// # Errors
    /// The key is no longer valid, or the table does not answer.
    pub async fn ask_again(&self, headers: &HeaderMap, scope: Scope) -> Result<(), Refusal> {
        let judged = match presented_key(headers, scope) {
            Some(key) => self.judge(&key, scope).await,
            None => Err(KeyCacheError::Refused(KeyProblem::Missing)),
        };
        match judged {
            Ok(_) => Ok(()),
            Err(KeyCacheError::Refused(problem)) => Err(Refusal::Key { problem, scope }),
            Err(KeyCacheError::Table(error)) => Err(error.into()),
        }
    }

    /// Notes the day of a valid key's use, at its first use of a day. If that fails, the next
    /// look-up of the key tries again: its holder need not wait for a note.
    async fn note_use(&self, record: &mut KeyRecord) {
        let now = OffsetDateTime::now_utc();
        let today = now.date().to_string();
        if !record.is_valid_at(now) || record.used.as_ref() >= Some(&today) {
            return;
        }
        match self.table.note_key_use(&record.hash, &today).await {
            Ok(()) => record.used = Some(today),
            Err(error) => tracing::warn!(
                error = with_causes(&error),
                "the day of use of the key '{}' was not noted",
                record.name
            ),
        }
    }

    /// The key as the table has it now, which is remembered.
    async fn record(&self, key: &ApiKey) -> Result<Option<KeyRecord>, TableError> {
        let hash = key.hash();
        let mut record = self.table.key(&hash).await?;
        if let Some(record) = &mut record {
            self.note_use(record).await;
        }
        // Only existing keys are remembered, so guesses do not fill the memory, and a new
        // key works at once.
        if let Some(record) = &record {
            self.known.remember(record);
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> KeyRecord {
        let hash = ApiKey::generate().unwrap().hash();
        KeyRecord::new(hash, access::KeyName::owner(), String::new())
    }

    #[test]
    fn keys_that_come_and_go_are_forgotten() {
        let known = KnownKeys::new();
        for _ in 0..KnownKeys::MOST * 3 {
            known.remember(&record());
        }
        assert!(known.0.len() <= KnownKeys::MOST);
        let last = record();
        known.remember(&last);
        assert_eq!(known.get(last.hash.as_str()), Some(last));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_remembered_for_a_minute_by_whichever_clock_is_ahead() {
        let seen = |seconds_ago| Remembered {
            record: record(),
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
