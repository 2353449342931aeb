//! On a schedule: writes down the downloads of each day, which the log of changes cannot tell,
//! and counts in quotas the changes that were made without them.
//!
//! Once a day it reads the whole table; else it makes four AWS calls, and with quotas two and
//! one for each more, besides the changes since its last run. It may be ended at any call, and run
//! twice at once: a book holds the counts that its days come from, and a quota the change up to
//! which it was counted.

use feed::Context;
use lambda::EventFunction;
use protocol::ConfigError;
use serde::{Deserialize, Serialize};
use store::Ledger;

/// The function, with all it may touch.
#[derive(Debug, Clone)]
pub struct Meter {
    /// The ledger.
    pub ledger: Ledger,
}

/// The schedule's event; nothing in it matters.
#[derive(Debug, Deserialize)]
pub struct Event {}

/// The outcome.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Done {
    /// The last day whose downloads are written down, like `2026-12-31`.
    pub through: Option<String>,
}

impl EventFunction for Meter {
    type Event = Event;
    type Answer = Done;

    fn new(context: &Context) -> Result<Self, ConfigError> {
        let (table, objects) = (context.table()?, context.objects()?);
        Ok(Self { ledger: Ledger { table, objects } })
    }

    /// Answers the schedule.
    ///
    /// # Errors
    /// The table or the bucket does not answer. The next run goes on.
    async fn handle(&self, _: Event) -> Result<Done, lambda::Error> {
        let through = self.ledger.close_days().await?.map(|day| day.to_string());
        tracing::info!(through, "metered");
        Ok(Done { through })
    }
}
