//! The refusals that result from errors of table and bucket.

use protocol::{Lifetime, Refusal, Reply, tagged};

use crate::{ObjectError, Stamped, TableError};

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

/// `reply`, which describes `package`, tagged with its stamp. There is no tag where the last
/// changes may not all be in the reply yet.
#[must_use]
pub fn stamped<T>(reply: Reply, package: &Stamped<T>) -> Reply {
    if package.is_settled { tagged(reply, &package.stamp, Lifetime::Checked) } else { reply }
}
