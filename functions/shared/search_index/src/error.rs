//! Why search cannot answer.

use protocol::{BoxError, Refusal};
use store::{ObjectError, TableError};

/// Search cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchIndexError {
    /// The table did not do what it was asked to.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The bucket did not do what it was asked to.
    #[error(transparent)]
    Objects(#[from] ObjectError),
    /// The text index failed.
    #[error("the text index failed")]
    Engine(#[source] BoxError),
    /// The snapshot is not one that this version of the feed writes.
    #[error("the snapshot cannot be read: {0}")]
    Snapshot(&'static str),
    /// There are more changes to read than one request has time for.
    #[error("the index has not read all changes yet")]
    CatchingUp,
}

impl From<tantivy::TantivyError> for SearchIndexError {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<SearchIndexError> for Refusal {
    fn from(error: SearchIndexError) -> Self {
        match error {
            SearchIndexError::Table(error) => error.into(),
            SearchIndexError::Objects(error) => error.into(),
            SearchIndexError::CatchingUp => Self::Unavailable(error.into()),
            SearchIndexError::Engine(_) | SearchIndexError::Snapshot(_) => {
                Self::Broken(error.into())
            }
        }
    }
}
