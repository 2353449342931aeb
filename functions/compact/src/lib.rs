//! On a schedule: writes the snapshot that search starts from, if anything has changed
//! since the last one.
//!
//! It follows the log of changes as search does, so a new instance of search has a few
//! minutes of changes to read, not the whole history of the feed. Two AWS calls when
//! nothing has changed, one of them only on an instance's first run.

use std::time::Duration;

use feed::Context;
use lambda::EventFunction;
use protocol::ConfigError;
use search_index::SearchIndex;
use serde::{Deserialize, Serialize};

/// How long it may follow the log: most of the 15 minutes that it has (template.yaml).
const LONGEST: Duration = Duration::from_mins(13);

/// The function, with all it may touch.
#[derive(Debug, Clone)]
pub struct Compact {
    /// The search index.
    pub index: SearchIndex,
}

/// The schedule's event; nothing in it matters.
#[derive(Debug, Deserialize)]
pub struct Event {}

/// The outcome.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Whether a snapshot was written.
    pub written: bool,
}

impl EventFunction for Compact {
    type Event = Event;
    type Answer = Done;

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self { index: SearchIndex::of(context)? })
    }

    /// Answers the schedule.
    ///
    /// # Errors
    /// The table or the bucket does not answer, or the index fails. The next run tries
    /// again.
    async fn handle(&self, _: Event) -> Result<Done, lambda::Error> {
        let written = self.index.compact(LONGEST).await?;
        tracing::info!(written, "compacted");
        Ok(Done { written })
    }
}
