//! Usage: the bytes that are stored, pushed and downloaded, by whom, and their price.
//!
//! The log of changes says when bytes came and went ([`Movement`]). A [`Tally`] takes the
//! movements of a month, and gives a [`Report`]. All figures are integers, and the rows of a
//! report sum to its total, whatever they are grouped by.

mod book;
mod bytes;
mod month;
mod movement;
mod prices;
mod report;
mod tally;

pub use book::{Book, DayDownloads, Totals};
pub use bytes::{ByteSize, ByteSizeError};
pub use month::{Month, MonthError, hour_of};
pub use movement::{Change, Movement, Owner, Stock};
pub use prices::{Prices, PricesError};
pub use report::{Report, ReportRow};
pub use tally::{Figures, Grouping, GroupingError, Tally};
