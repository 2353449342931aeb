//! The memory of packages between requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use nupkg::PackageId;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use tokio::sync::Semaphore;

use crate::{Stamped, Table, TableError};

/// The most packages that are read at once: each may take many MB during the read.
const READS: usize = 2;

/// Packages that were read before; those in demand are kept. An answer from memory takes
/// one small read of the table, which says whether the package is still the same. A package
/// that was read before its last change had settled is not remembered.
///
/// All requests for a package share a read that began after they asked, so a crowd costs
/// two reads: the one under way, and the next.
#[derive(Debug)]
pub struct Memory<T> {
    known: Cache<String, Remembered<T>, Weights>,
    /// The reads under way, by the package's id.
    reads: Mutex<HashMap<String, Weak<Read<T>>>>,
    turns: Semaphore,
}

/// The last read of a package, as long as anybody waits for one.
type Read<T> = tokio::sync::Mutex<Option<Done<T>>>;

/// A read that was finished.
#[derive(Debug)]
struct Done<T> {
    began: Instant,
    package: Option<Arc<Stamped<T>>>,
}

/// A package, and about how many bytes it takes.
type Remembered<T> = (Arc<Stamped<T>>, usize);

#[derive(Debug, Clone)]
struct Weights;

impl<T> Weighter<String, Remembered<T>> for Weights {
    fn weight(&self, id: &String, (_, bytes): &Remembered<T>) -> u64 {
        // Bytes that the maps around it take.
        const ENTRY: usize = 200;
        (id.len() + bytes + ENTRY) as u64
    }
}

impl<T> Memory<T> {
    /// A memory of about `bytes`, each package taking about `usual`.
    #[must_use]
    pub fn of(bytes: u32, usual: u32) -> Self {
        let packages = usize::try_from(bytes / usual.max(1)).unwrap_or(usize::MAX);
        // One shard: a package cannot be larger than a shard.
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
            // This cannot happen: both capacities are set.
            Err(_) => Cache::with_weighter(packages, bytes.into(), Weights),
        };
        Self { known: cache, reads: Mutex::default(), turns: Semaphore::new(READS) }
    }

    /// The package as it is now, from memory or from `read`, with its approximate size in
    /// bytes from `weigh`. One call if the memory is current.
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
        let (key, asked) = (id.key(), Instant::now());
        if let Some((package, _)) = self.known.get(&key) {
            match table.stamp(id).await? {
                None => return Ok(None),
                Some(stamp) if stamp == package.stamp => return Ok(Some(package)),
                Some(_) => {}
            }
        }
        let shared = self.read_of(&key);
        let mut last = shared.lock().await;
        if let Some(done) = last.as_ref().filter(|done| done.began > asked) {
            return Ok(done.package.clone());
        }
        // Never closed.
        let _turn = self.turns.acquire().await;
        let began = Instant::now();
        let package = read().await?.map(Arc::new);
        if let Some(package) = package.as_ref().filter(|package| package.is_settled) {
            self.known.insert(key, (Arc::clone(package), weigh(&package.value)));
        }
        *last = Some(Done { began, package: package.clone() });
        Ok(package)
    }

    /// The read that all current requests for the package share.
    fn read_of(&self, key: &str) -> Arc<Read<T>> {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = reads.get(key).and_then(Weak::upgrade) {
            return read;
        }
        reads.retain(|_, read| read.strong_count() > 0);
        let read = Arc::new(Read::default());
        reads.insert(key.to_owned(), Arc::downgrade(&read));
        read
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
            let package = Arc::new(Stamped { stamp, is_settled: true, value: () });
            memory.known.insert(id.to_string(), (package, 1_000));
        }
        assert!(memory.known.weight() <= 100_000);
        // Their bytes, their ids, and what the maps around them take.
        assert!(memory.known.weight() >= memory.known.len() as u64 * 1_201);
        assert!(memory.known.len() > 10);
        let package = Arc::new(Stamped { stamp, is_settled: true, value: () });
        memory.known.insert("large".to_owned(), (package, 60_000));
        assert!(memory.known.get("large").is_some());
    }
}
