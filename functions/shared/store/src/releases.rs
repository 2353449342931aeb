//! A memory of the releases of packages, which registration and pages show.

use std::sync::Arc;

use nupkg::PackageId;

use crate::{Memory, Release, Stamped, Table, TableError};

/// Packages with all that is shown of their versions. Clones share the memory.
#[derive(Debug, Clone)]
pub struct Releases {
    table: Table,
    memory: Arc<Memory<Vec<Release>>>,
}

impl Releases {
    /// A memory of the packages in `table`, still empty.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table, memory: Arc::new(Memory::of(64 << 20, 16 << 10)) }
    }

    /// The visible versions of a package, ascending, listed and unlisted; none where the
    /// feed never had the package. One call while the package is remembered and unchanged;
    /// otherwise one per MB of rows, and one more where it was changed.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn of(
        &self,
        id: &PackageId,
    ) -> Result<Option<Arc<Stamped<Vec<Release>>>>, TableError> {
        let read = || self.table.releases(id);
        let weigh = |releases: &Vec<Release>| releases.iter().map(Release::bytes).sum();
        self.memory.get(&self.table, id, read, weigh).await
    }
}
