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

    /// The counts. One call an hour. Where the bucket does not answer, they are the last ones:
    /// nobody has to wait for them, and no answer fails without them.
    pub async fn counts(&self) -> Arc<DownloadCounts> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| held.at.elapsed() < MEMORY) {
            return Arc::clone(&held.counts);
        }
        let counts = match self.objects.read_download_counts().await {
            Ok(counts) => Arc::new(counts.unwrap_or_default()),
            Err(error) => {
                tracing::warn!("cannot read the counts of downloads: {}", with_causes(&error));
                held.take().map(|held| held.counts).unwrap_or_default()
            }
        };
        *held = Some(Held { at: Instant::now(), counts: Arc::clone(&counts) });
        counts
    }
}
