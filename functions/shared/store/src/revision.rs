//! The revisions of a table in an engine that counts them, so that nothing has to be read to
//! learn that nothing was changed.

use std::fmt;
use std::sync::Arc;

/// A state of the table: as long as the revision is the same, so is every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(pub u64);

/// Tells the revision that the table has now, whichever process committed it; `None` if that
/// fails. Clones share it.
#[derive(Clone)]
pub struct Revisions(Arc<dyn Fn() -> Option<Revision> + Send + Sync>);

impl Revisions {
    /// The revisions that `now` tells.
    pub fn new(now: impl Fn() -> Option<Revision> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The revision of this moment.
    #[must_use]
    pub fn now(&self) -> Option<Revision> {
        (self.0)()
    }
}

impl fmt::Debug for Revisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revisions")
    }
}
