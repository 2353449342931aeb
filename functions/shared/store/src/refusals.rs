//! The refusals that errors of table and bucket become.

use protocol::{Lifetime, Refusal, Reply, tagged};

use crate::{ObjectError, Stamp, TableError};

impl From<TableError> for Refusal {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Unavailable { .. } => Self::Unavailable(error.into()),
            TableError::Unreadable { .. } => Self::Broken(error.into()),
        }
    }
}

impl From<ObjectError> for Refusal {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Unavailable { .. } => Self::Unavailable(error.into()),
            ObjectError::Missing(_) => Self::Broken(error.into()),
        }
    }
}

/// `reply`, which says what a package was at `stamp`, tagged with it. Not within
/// a minute of the change, when it may not say all of it yet.
#[must_use]
pub fn stamped(reply: Reply, stamp: Stamp) -> Reply {
    if stamp.is_settled() { tagged(reply, &stamp, Lifetime::Checked) } else { reply }
}
