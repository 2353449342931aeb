//! A memory of the releases of packages, which registration and pages show.

use std::sync::Arc;

use nupkg::PackageId;

use crate::{ChangedVersion, Memory, Release, Remembered, Stamped, Table, TableError};

/// Packages with all that is shown of their versions. Clones share the memory.
#[derive(Debug, Clone)]
pub struct Releases {
    table: Table,
    memory: Arc<Memory<Vec<Arc<Release>>>>,
}

impl Releases {
    /// A memory of the packages in `table`, still empty.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table, memory: Arc::new(Memory::of(64 << 20, 16 << 10)) }
    }

    /// The visible versions of a package, ascending, listed and unlisted; none where the
    /// feed never had the package. One call while the package is remembered and unchanged,
    /// one more where it was changed; otherwise one per MB of rows.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn of(
        &self,
        id: &PackageId,
    ) -> Result<Option<Arc<Stamped<Vec<Arc<Release>>>>>, TableError> {
        self.memory.get(&self.table, id).await
    }
}

impl Remembered for Vec<Arc<Release>> {
    async fn read(table: &Table, id: &PackageId) -> Result<Option<Stamped<Self>>, TableError> {
        let package = table.releases(id).await?;
        let share = |releases: Vec<Release>| releases.into_iter().map(Arc::new).collect();
        Ok(package.map(|package| package.map(share)))
    }

    fn changed(&self, versions: Vec<ChangedVersion>) -> Self {
        let mut releases = self.clone();
        for ChangedVersion { version, release } in versions {
            let place = releases.binary_search_by(|known| known.version.cmp(&version));
            let place = place.map_or_else(|place| place..place, |place| place..place + 1);
            releases.splice(place, release.map(Arc::new));
        }
        releases
    }

    fn bytes(&self) -> usize {
        self.iter().map(|release| release.bytes()).sum()
    }
}
