//! On a schedule: writes the snapshot that search starts from, where anything
//! was changed since the last one.
//!
//! It follows the log of changes as search does, so a new instance of search has
//! a few minutes of changes to read and not the feed's life. Two AWS calls when
//! nothing was changed, one of them an instance's first.

use std::time::Duration;

use feed::{Aws, BucketName, ConfigError, Environment, Objects, Table, TableName};
use finder::Finder;
use serde::{Deserialize, Serialize};

/// How long it may follow the log, of the 15 minutes that it has (template.yaml).
const LONGEST: Duration = Duration::from_mins(13);

/// The function, with all it may touch.
#[derive(Debug, Clone)]
pub struct Compact {
    /// Who keeps the index.
    pub finder: Finder,
}

/// What the schedule says; nothing that matters.
#[derive(Debug, Deserialize)]
pub struct Event {}

/// What was done.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Whether a snapshot was written.
    pub written: bool,
}

impl Compact {
    /// The function as its environment configures it.
    ///
    /// # Errors
    /// A setting is missing or wrong.
    pub fn from_environment(environment: &Environment<'_>, aws: Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb, environment.required(TableName::SETTING)?);
        let objects = Objects::new(aws.s3, environment.required(BucketName::SETTING)?);
        Ok(Self { finder: Finder::new(table, objects) })
    }

    /// Answers the schedule.
    ///
    /// # Errors
    /// Table or bucket do not answer, or the index fails; the next time finds out.
    pub async fn handle(&self, _: Event) -> Result<Done, feed::lambda::Error> {
        let written = self.finder.compact(LONGEST).await?;
        tracing::info!(written, "compacted");
        Ok(Done { written })
    }
}
