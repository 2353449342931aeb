//! The refusals that result from errors of table and bucket.

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

/// `reply`, which describes a package at `stamp`, tagged with it. There is no tag within a
/// minute of the change, because the reply may not include all of the change yet.
#[must_use]
pub fn stamped(reply: Reply, stamp: Stamp) -> Reply {
    if stamp.is_settled() { tagged(reply, &stamp, Lifetime::Checked) } else { reply }
}
