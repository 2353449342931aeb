//! The time by which changes are made.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use ulid::Ulid;

/// The system's time; or, in tests, one that is set. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// A clock that stands still at `time`.
    #[must_use]
    pub fn at(time: OffsetDateTime) -> Self {
        let clock = Self(Some(Arc::default()));
        clock.set(time);
        clock
    }

    /// Sets a clock that stands still to `time`.
    pub fn set(&self, time: OffsetDateTime) {
        let milliseconds = time.unix_timestamp_nanos() / 1_000_000;
        if let Some(set) = &self.0 {
            set.store(i64::try_from(milliseconds).unwrap_or_default(), Ordering::SeqCst);
        }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.system_time().into()
    }

    /// A new ULID of this time.
    #[must_use]
    pub fn ulid(&self) -> Ulid {
        Ulid::from_datetime(self.system_time())
    }

    fn system_time(&self) -> SystemTime {
        let Some(set) = &self.0 else { return SystemTime::now() };
        let milliseconds = u64::try_from(set.load(Ordering::SeqCst)).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
    }
}
