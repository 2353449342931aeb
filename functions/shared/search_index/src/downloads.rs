//! The counts of downloads that search and pages show: those until the end of the last day that
//! was written down.

use std::sync::Arc;
use std::time::Duration;

use feed::Context;
use protocol::{ConfigError, with_causes};
use store::{DownloadCounts, Objects};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long counts are shown before they are read again.
const MEMORY: Duration = Duration::from_hours(1);

/// How long an answer waits for the counts.
const MOMENT: Duration = Duration::from_secs(1);

/// The counts of downloads. Clones share them.
#[derive(Debug, Clone)]
pub struct Downloads {
    objects: Objects,
    held: Arc<Mutex<Option<Held>>>,
}

#[derive(Debug)]
struct Held {
    at: Instant,
    counts: Arc<DownloadCounts>,
}

impl Downloads {
    /// The counts of the feed, one memory per process.
    ///
    /// # Errors
    /// A setting is missing.
    pub fn of(context: &Context) -> Result<Self, ConfigError> {
        context.shared(|| Ok(Self { objects: context.objects()?, held: Arc::default() }))
    }

    /// The counts. One call an hour. Where the bucket does not answer within a second, they are
    /// the last ones: no answer fails without them.
    pub async fn counts(&self) -> Arc<DownloadCounts> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| held.at.elapsed() < MEMORY) {
            return Arc::clone(&held.counts);
        }
        let last = || held.as_ref().map(|held| Arc::clone(&held.counts)).unwrap_or_default();
        let reading = self.objects.read_download_counts();
        let counts = match tokio::time::timeout(MOMENT, reading).await {
            Ok(Ok(counts)) => Arc::new(counts.unwrap_or_default()),
            Ok(Err(error)) => {
                tracing::warn!("cannot read the counts of downloads: {}", with_causes(&error));
                last()
            }
            Err(_) => {
                tracing::warn!("cannot read the counts of downloads: the bucket takes too long");
                last()
            }
        };
        *held = Some(Held { at: Instant::now(), counts: Arc::clone(&counts) });
        counts
    }
}
