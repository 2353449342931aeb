//! List prices of us-east-1 in dollars, for a million unless they say otherwise
//! (<https://aws.amazon.com/pricing/>).

use crate::Bill;

/// Requests of a REST API.
pub const API: f64 = 3.50;
/// Requests of Lambda.
pub const LAMBDA: f64 = 0.20;
/// GB-s of Lambda on arm64.
pub const GB_SECONDS: f64 = 13.3334;
/// Read units on demand.
pub const READS: f64 = 0.125;
/// Write units on demand.
pub const WRITES: f64 = 0.625;
/// GETs of S3.
pub const GETS: f64 = 0.40;
/// PUTs of S3.
pub const PUTS: f64 = 5.00;
/// A GB in S3, a month.
pub const STORED: f64 = 0.023;
/// A GB in a table, a month, with its backup by the second.
pub const IN_TABLE: f64 = 0.25 + 0.20;
/// A GB of logs of the class `STANDARD`.
pub const LOGS: f64 = 0.50;

impl Bill {
    /// Dollars for a million times these units and requests of table and bucket.
    #[must_use]
    pub fn price(self) -> f64 {
        self.reads * READS
            + self.writes * WRITES
            + f64::from(self.gets) * GETS
            + f64::from(self.puts) * PUTS
    }
}
