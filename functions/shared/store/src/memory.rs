//! The memory of packages between requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use nupkg::PackageId;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use tokio::sync::Semaphore;

use crate::{ChangedVersion, Head, Revision, Stamp, Stamped, Table, TableError};

/// The most packages that are read at once: each may take many MB during the read.
const READS: usize = 2;

/// Packages that were read before; those in demand are kept. An answer from memory takes
/// one small read of the table, the package's head, which says what was changed since. Only
/// that is read again. A package whose rows did not yet show its last changes is not
/// remembered. Where the table's engine counts revisions, not even the head is read until the
/// next one.
///
/// All requests for a package share a read of all its rows that began after they asked, so a
/// crowd costs two such reads: the one under way, and the next. What changed is read once.
#[derive(Debug)]
pub struct Memory<T> {
    known: Cache<String, Known<T>, Weights>,
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

/// A package, about how many bytes it takes, and the last revision of the table in which it was
/// seen to be so.
struct Known<T> {
    package: Arc<Stamped<T>>,
    bytes: usize,
    seen: Option<Revision>,
}

impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        Self { package: Arc::clone(&self.package), ..*self }
    }
}

/// A package in the form in which it is remembered.
pub trait Remembered: Sized + Send + Sync {
    /// Reads the package from all its rows; none where the feed never had it.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    fn read(
        table: &Table,
        id: &PackageId,
    ) -> impl Future<Output = Result<Option<Stamped<Self>>, TableError>> + Send;

    /// The package after these changes, at most one for each version.
    #[must_use]
    fn changed(&self, versions: Vec<ChangedVersion>) -> Self;

    /// About how many bytes it takes.
    fn bytes(&self) -> usize;
}

#[derive(Debug, Clone)]
struct Weights;

impl<T> Weighter<String, Known<T>> for Weights {
    fn weight(&self, id: &String, known: &Known<T>) -> u64 {
        // Bytes that the maps around it take.
        const ENTRY: usize = 200;
        (id.len() + known.bytes + ENTRY) as u64
    }
}

impl<T: Remembered> Memory<T> {
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

    /// The package as it is now; none where the feed never had it. No call in a revision in
    /// which the memory was seen to be current. One call if it is current, and one more for up to 15 changes. One for each MB of its rows where it is not
    /// remembered, where there were more changes, and where the rows do not show them yet.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn get(
        &self,
        table: &Table,
        id: &PackageId,
    ) -> Result<Option<Arc<Stamped<T>>>, TableError> {
        let (key, asked) = (id.key(), Instant::now());
        let mut seen = None;
        if let Some(Known { package, bytes, seen: last }) = self.known.get(&key) {
            // Asked before the head is read: a change between the two makes the next request
            // read it again.
            let revision = table.revision();
            if revision.is_some() && revision == last {
                return Ok(Some(package));
            }
            match table.head(id).await? {
                None => return Ok(None),
                Some(head) if head.stamp == package.stamp => {
                    if revision.is_some() {
                        let package = Arc::clone(&package);
                        self.known.insert(key, Known { package, bytes, seen: revision });
                    }
                    return Ok(Some(package));
                }
                Some(head) => seen = Some((package.stamp, head)),
            }
        }
        let shared = self.read_of(&key);
        let mut last = shared.lock().await;
        if let Some(done) = last.as_ref().filter(|done| done.began > asked) {
            return Ok(done.package.clone());
        }
        if let Some((stamp, head)) = seen
            && let Some(package) = self.update(table, id, stamp, head).await?
        {
            return Ok(Some(package));
        }
        // Never closed.
        let _turn = self.turns.acquire().await;
        let began = Instant::now();
        let package = T::read(table, id).await?.map(Arc::new);
        if let Some(package) = package.as_ref().filter(|package| package.is_settled) {
            self.remember(key, package);
        }
        *last = Some(Done { began, package: package.clone() });
        Ok(package)
    }

    /// The package that was remembered with `stamp`, with the changes since, which `head`
    /// names; `None` where all of it has to be read.
    async fn update(
        &self,
        table: &Table,
        id: &PackageId,
        stamp: Stamp,
        mut head: Head,
    ) -> Result<Option<Arc<Stamped<T>>>, TableError> {
        let Some(Known { package: known, .. }) = self.known.get(&id.key()) else { return Ok(None) };
        if known.stamp != stamp && known.stamp != head.stamp {
            // Another request has updated it by another head, maybe a later one.
            let Some(now) = table.head(id).await? else { return Ok(None) };
            head = now;
        }
        if known.stamp == head.stamp {
            return Ok(Some(known));
        }
        let Some(changes) = table.changed_since(id, known.stamp, &head).await? else {
            return Ok(None);
        };
        let value = known.value.changed(changes);
        let package = Arc::new(Stamped { stamp: head.stamp, is_settled: true, value });
        self.remember(id.key(), &package);
        Ok(Some(package))
    }

    fn remember(&self, key: String, package: &Arc<Stamped<T>>) {
        let (package, bytes) = (Arc::clone(package), package.value.bytes());
        self.known.insert(key, Known { package, bytes, seen: None });
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

    /// A package that takes so many bytes.
    struct Large(usize);

    impl Remembered for Large {
        async fn read(_: &Table, _: &PackageId) -> Result<Option<Stamped<Self>>, TableError> {
            Ok(None)
        }

        fn changed(&self, _: Vec<ChangedVersion>) -> Self {
            Self(self.0)
        }

        fn bytes(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn a_memory_stays_within_its_size() {
        let memory = Memory::of(100_000, 1_000);
        let stamp = Stamp::from(ulid::Ulid::nil());
        let package = |bytes| Arc::new(Stamped { stamp, is_settled: true, value: Large(bytes) });
        for id in 0..1_000 {
            memory.remember(id.to_string(), &package(1_000));
        }
        assert!(memory.known.weight() <= 100_000);
        // Their bytes, their ids, and what the maps around them take.
        assert!(memory.known.weight() >= memory.known.len() as u64 * 1_201);
        assert!(memory.known.len() > 10);
        memory.remember("large".to_owned(), &package(60_000));
        assert!(memory.known.get("large").is_some());
    }
}
