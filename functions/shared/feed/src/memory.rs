//! What a function remembers of packages between requests.

use std::sync::Arc;

use nupkg::PackageId;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::{Stamped, Table, TableError};

/// Packages once read, the ones asked for kept: to answer from it takes one
/// small read of the table, which says whether the package is still the same. A
/// package that was changed within the last minute is not remembered.
#[derive(Debug)]
pub struct Memory<T>(Cache<String, Remembered<T>, Weights>);

/// A package, and about how many bytes it takes.
type Remembered<T> = (Arc<Stamped<T>>, usize);

#[derive(Debug, Clone)]
struct Weights;

impl<T> Weighter<String, Remembered<T>> for Weights {
    fn weight(&self, id: &String, (_, bytes): &Remembered<T>) -> u64 {
        // What the maps around it take besides.
        const ENTRY: usize = 200;
        (id.len() + bytes + ENTRY) as u64
    }
}

impl<T> Memory<T> {
    /// A memory of about `bytes`, each package taking about `usual`.
    #[must_use]
    pub fn of(bytes: u32, usual: u32) -> Self {
        let packages = usize::try_from(bytes / usual.max(1)).unwrap_or(usize::MAX);
        // In one piece, or a package could only be as large as a piece.
        let cache = match OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(packages)
            .weight_capacity(bytes.into())
            .build()
        {
            Ok(options) => Cache::with_options(
                options,
                Weights,
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            // Both capacities are set, so never.
            Err(_) => Cache::with_weighter(packages, bytes.into(), Weights),
        };
        Self(cache)
    }

    /// The package as it is now, from memory or from `read`, which gives about
    /// as many bytes as `weigh` says. One call where the memory is true.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn get<F>(
        &self,
        table: &Table,
        id: &PackageId,
        read: impl FnOnce() -> F,
        weigh: impl FnOnce(&T) -> usize,
    ) -> Result<Option<Arc<Stamped<T>>>, TableError>
    where
        F: Future<Output = Result<Option<Stamped<T>>, TableError>>,
    {
        let key = id.key();
        if let Some((package, _)) = self.0.get(&key) {
            match table.stamp(id).await? {
                None => return Ok(None),
                Some(stamp) if stamp == package.stamp => return Ok(Some(package)),
                Some(_) => {}
            }
        }
        let Some(package) = read().await? else { return Ok(None) };
        let bytes = weigh(&package.value);
        let package = Arc::new(package);
        if package.stamp.is_settled() {
            self.0.insert(key, (Arc::clone(&package), bytes));
        }
        Ok(Some(package))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_stays_within_its_size() {
        let memory: Memory<()> = Memory::of(100_000, 1_000);
        let stamp = crate::Stamp::read("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        for id in 0..1_000 {
            let package = Arc::new(Stamped { stamp, value: () });
            memory.0.insert(id.to_string(), (package, 1_000));
        }
        assert!(memory.0.weight() <= 100_000);
        // Their bytes, their ids, and what the maps around them take.
        assert!(memory.0.weight() >= memory.0.len() as u64 * 1_201);
        assert!(memory.0.len() > 10);
        let package = Arc::new(Stamped { stamp, value: () });
        memory.0.insert("large".to_owned(), (package, 60_000));
        assert!(memory.0.get("large").is_some());
    }
}
