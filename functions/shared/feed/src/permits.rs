//! Limits on the number and the rate of arriving packages: each takes a file of its own
//! size, and each is a change that search has to follow.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::KeyName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How long a push waits for a permit.
const LONGEST: Duration = Duration::from_secs(30);
/// The number of keys above which idle ones are forgotten.
const MANY: usize = 1_000;

/// Permits to send a package. Clones share them.
#[derive(Debug, Clone)]
pub struct Permits {
    in_all: Arc<Semaphore>,
    per_key: usize,
    /// The pushes of a key per minute. A key may use a minute's pushes all at once.
    per_minute: Option<u32>,
    keys: Arc<Mutex<HashMap<KeyName, Key>>>,
}

/// The permits that a key has left.
#[derive(Debug)]
struct Key {
    permits: Arc<Semaphore>,
    /// The time up to which its pushes are used up.
    paid_until: Instant,
}

/// A permit, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    _of_key: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Permits {
    /// `in_all` permits, of which one key may hold `per_key`.
    #[must_use]
    pub fn new(in_all: usize, per_key: usize) -> Self {
        let in_all = Arc::new(Semaphore::new(in_all.min(Semaphore::MAX_PERMITS)));
        let per_key = per_key.min(Semaphore::MAX_PERMITS);
        Self { in_all, per_key, per_minute: None, keys: Arc::default() }
    }

    /// The same permits, with so many pushes per minute for one key.
    #[must_use]
    pub fn per_minute(self, pushes: u32) -> Self {
        Self { per_minute: Some(pushes.max(1)), ..self }
    }

    /// Any number of permits.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(usize::MAX, usize::MAX)
    }

    /// A permit for `key`, in the order of the requests; `None` if it takes more than half
    /// a minute.
    pub async fn take(&self, key: &KeyName) -> Option<Permit> {
        tokio::time::timeout(LONGEST, self.wait(key)).await.ok()?
    }

    async fn wait(&self, key: &KeyName) -> Option<Permit> {
        let (permits, turn) = self.turn(key);
        if let Some(turn) = turn {
            tokio::time::sleep_until(turn).await;
        }
        let of_key = permits.acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.in_all).acquire_owned().await.ok()?;
        Some(Permit { _of_key: of_key, _of_all: of_all })
    }

    /// The permits of `key`, and when its turn comes.
    fn turn(&self, key: &KeyName) -> (Arc<Semaphore>, Option<Instant>) {
        const MINUTE: Duration = Duration::from_mins(1);
        let now = Instant::now();
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() > MANY {
            keys.retain(|_, key| Arc::strong_count(&key.permits) > 1 || key.paid_until > now);
        }
        let key = keys.entry(key.clone()).or_insert_with(|| Key {
            permits: Arc::new(Semaphore::new(self.per_key)),
            paid_until: now,
        });
        let turn = self.per_minute.and_then(|pushes| {
            // A minute's pushes may come at once.
            let turn = key.paid_until.checked_sub(MINUTE).filter(|turn| *turn > now);
            // A caller whose turn would come too late is not charged.
            if turn.is_none_or(|turn| turn < now + LONGEST) {
                key.paid_until = key.paid_until.max(now) + MINUTE / pushes;
            }
            turn
        });
        (Arc::clone(&key.permits), turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn permits_run_out_for_a_key_and_for_all_and_come_back() {
        let (ci, other) = ("ci".parse().unwrap(), "other".parse().unwrap());
        let permits = Permits::new(3, 2);
        let mut held = [permits.take(&ci).await.unwrap(), permits.take(&ci).await.unwrap()];
        assert!(permits.take(&ci).await.is_none());
        let last = permits.take(&other).await.unwrap();
        assert!(permits.take(&other).await.is_none());
        drop(last);
        held[0] = permits.take(&other).await.unwrap();
        assert!(permits.take(&ci).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_push_waits_for_its_place_in_order() {
        let ci: KeyName = "ci".parse().unwrap();
        let permits = Permits::new(1, 16);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..10)
            .map(|number| {
                let (permits, ci, order) = (permits.clone(), ci.clone(), Arc::clone(&order));
                tokio::spawn(async move {
                    let _permit = permits.take(&ci).await.unwrap();
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    order.lock().unwrap().push(number);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_pushes_no_faster_than_it_may() {
        let (ci, other) = ("ci".parse().unwrap(), "other".parse().unwrap());
        let permits = Permits::unlimited().per_minute(60);
        let began = Instant::now();
        for _ in 0..60 {
            assert!(permits.take(&ci).await.is_some());
        }
        assert!(began.elapsed() < Duration::from_secs(2));
        for _ in 0..20 {
            assert!(permits.take(&ci).await.is_some());
        }
        let taken = began.elapsed();
        assert!((18..=21).contains(&taken.as_secs()), "{taken:?}");
        let began = Instant::now();
        assert!(permits.take(&other).await.is_some());
        assert!(began.elapsed() < Duration::from_millis(5));
    }
}
