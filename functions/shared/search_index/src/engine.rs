//! The text index: tantivy, in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nupkg::{PackageId, Version};
use protocol::BoxError;
use store::{Metadata, VersionRow, VersionState};
use tantivy::directory::{Directory, RamDirectory};
use tantivy::indexer::{IndexWriterOptions, MergeCandidate, NoMergePolicy};
use tantivy::merge_policy::{LogMergePolicy, MergePolicy};
use tantivy::query::TermQuery;
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{
    DocAddress, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, SegmentMeta,
    TantivyDocument, Term,
};

use crate::SearchIndexError;
use crate::document::Fields;
use crate::package::IndexedPackage;
use crate::query::{Results, Search};
use crate::ranking::Ranked;

/// The files in which tantivy keeps its list of segments and its list of files.
const META: &str = "meta.json";
const MANAGED: &str = ".managed.json";

/// The most bytes of a page's results, roughly: less than the limit of a function's answer
/// (Lambda quota: 6 MB, of which Base64 takes a quarter).
const LARGEST: usize = 2 * 1024 * 1024;

/// The text index. Clones share it.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) fields: Fields,
    index: Index,
    reader: IndexReader,
    writer: Arc<Mutex<IndexWriter>>,
    generation: Arc<AtomicU64>,
}

/// The next generation.
fn next() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}

/// The new state of a version.
#[derive(Debug)]
pub(crate) struct Update {
    id: PackageId,
    version: Version,
    /// Its rows, if search shows the version.
    listed: Option<(VersionRow, Metadata)>,
}

impl Update {
    pub(crate) fn new(
        (id, version): (PackageId, Version),
        row: Option<(VersionRow, Option<Metadata>)>,
    ) -> Self {
        let listed = match row {
            Some((row, Some(metadata))) if row.listed && row.state == VersionState::Visible => {
                Some((row, metadata))
            }
            _ => None,
        };
        Self { id, version, listed }
    }
}

impl Engine {
    /// An index of the given files; an empty index if there are none.
    pub(crate) fn open(files: &[(&str, &[u8])]) -> Result<Self, SearchIndexError> {
        let (schema, fields) = Fields::schema();
        let directory = RamDirectory::create();
        for (name, content) in files {
            directory
                .atomic_write(Path::new(name), content)
                .map_err(|error| SearchIndexError::Engine(error.into()))?;
        }
        let index = if files.is_empty() {
            Index::create(directory, schema, tantivy::IndexSettings::default())?
        } else {
            let index = Index::open(directory)?;
            if index.schema() != schema {
                return Err(SearchIndexError::Snapshot("it has other fields"));
            }
            index
        };
        let options = IndexWriterOptions::builder().num_merge_threads(1).build();
        let writer = index.writer_with_options(options)?;
        writer.set_merge_policy(Box::new(NoMergePolicy));
        let writer = Arc::new(Mutex::new(writer));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { fields, index, reader, writer, generation: Arc::new(AtomicU64::new(next())) })
    }

    /// `names`, plus the versions that are the newest in some view without them and whose
    /// descriptions the index does not have: each may be the newest once the named ones
    /// have changed.
    pub(crate) fn with_runners_up(
        &self,
        mut names: Vec<(PackageId, Version)>,
    ) -> Result<Vec<(PackageId, Version)>, SearchIndexError> {
        let mut changed: HashMap<&PackageId, Vec<&Version>> = HashMap::new();
        for (id, version) in &names {
            changed.entry(id).or_default().push(version);
        }
        let mut others = HashSet::new();
        for (id, versions) in changed {
            if let Some(package) = self.package(&id.key())? {
                let runners_up = package.runners_up(&versions);
                others.extend(runners_up.into_iter().map(|version| (id.clone(), version)));
            }
        }
        names.extend(others);
        Ok(names)
    }

    /// Applies the new states of versions, all at once. It writes nothing if nothing has
    /// changed, because every search within a minute of two changes to a version reads that
    /// version again.
    pub(crate) fn apply(
        &self,
        updates: impl Iterator<Item = Update>,
    ) -> Result<(), SearchIndexError> {
        let mut packages: BTreeMap<String, (IndexedPackage, IndexedPackage)> = BTreeMap::new();
        for Update { id, version, listed } in updates {
            let key = id.key();
            if !packages.contains_key(&key) {
                let known = self.package(&key)?.unwrap_or_default();
                packages.insert(key.clone(), (known.clone(), known));
            }
            let Some((_, package)) = packages.get_mut(&key) else { continue };
            match listed {
                Some((row, metadata)) => package.insert(&version, &row, &metadata),
                None => package.remove(&version),
            }
        }
        packages.retain(|_, (known, package)| {
            package.forget_unseen();
            known != package
        });
        if packages.is_empty() {
            return Ok(());
        }
        let mut writer = self.writer();
        for (key, (_, package)) in packages {
            writer.delete_term(Term::from_field_text(self.fields.key, &key));
            for document in self.fields.documents(&key, &package)? {
                writer.add_document(document)?;
            }
        }
        writer.commit()?;
        // Merged here, not in another thread: a function is frozen between requests.
        let merges = LogMergePolicy::default();
        for MergeCandidate(ids) in
            merges.compute_merge_candidates(&self.index.searchable_segment_metas()?)
        {
            writer.merge(&ids).wait()?;
        }
        self.reader.reload()?;
        self.generation.store(next(), Ordering::Release);
        Ok(())
    }

    /// The number of its state; no other engine of this process has it. It changes only after
    /// the index has: an answer may be newer than the number that was read before it.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The packages that match.
    pub(crate) fn search(&self, search: &Search) -> Result<Results, SearchIndexError> {
        let searcher = self.reader.searcher();
        let query = search.query(&self.fields)?;
        let wanted = Ranked { skip: search.page.skip, take: search.page.take };
        let (total, documents) = searcher.search(&query, &wanted)?;
        let mut results = Results { total, ..Results::default() };
        let mut bytes = 0;
        for document in documents {
            let package = self.stored(&searcher, document)?;
            let Some(found) = package.seen_in(search.view) else { continue };
            bytes += found.bytes();
            if bytes > LARGEST && !results.found.is_empty() {
                results.is_cut = true;
                break;
            }
            results.found.push(found);
        }
        Ok(results)
    }

    /// The index's entry of the package whose lower-cased id is `key`.
    fn package(&self, key: &str) -> Result<Option<IndexedPackage>, SearchIndexError> {
        let searcher = self.reader.searcher();
        let term = Term::from_field_text(self.fields.key, key);
        let query = TermQuery::new(term, IndexRecordOption::Basic);
        let (_, documents) = searcher.search(&query, &Ranked { skip: 0, take: 1 })?;
        documents.first().map(|document| self.stored(&searcher, *document)).transpose()
    }

    fn writer(&self) -> MutexGuard<'_, IndexWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stored(
        &self,
        searcher: &Searcher,
        at: DocAddress,
    ) -> Result<IndexedPackage, SearchIndexError> {
        let document: TantivyDocument = searcher.doc(at)?;
        let stored = document.get_first(self.fields.package);
        let bytes = stored.as_ref().and_then(Value::as_bytes).unwrap_or_default();
        serde_json::from_slice(bytes).map_err(|error| SearchIndexError::Engine(error.into()))
    }

    /// The files of the index, merged into one segment first.
    pub(crate) fn files(&self) -> Result<Vec<(PathBuf, Vec<u8>)>, SearchIndexError> {
        // Locked, so that all files are from the same moment.
        let mut writer = self.writer();
        let segments = self.index.searchable_segment_metas()?;
        if segments.len() > 1 || segments.iter().any(SegmentMeta::has_deletes) {
            let ids: Vec<_> = segments.iter().map(SegmentMeta::id).collect();
            writer.merge(&ids).wait()?;
            self.reader.reload()?;
        }
        let segments = self.index.searchable_segment_metas()?;
        let segments: Vec<_> = segments.iter().map(|segment| segment.id().uuid_string()).collect();
        let directory = self.index.directory();
        // The files of merged segments stay until nobody reads them any more.
        let is_current = |name: &PathBuf| {
            let name = name.to_string_lossy();
            name == META || segments.iter().any(|segment| name.starts_with(segment.as_str()))
        };
        let names: Vec<PathBuf> =
            directory.list_managed_files().into_iter().filter(is_current).collect();
        let engine = |error: BoxError| SearchIndexError::Engine(error);
        let list = serde_json::to_vec(&names).map_err(|error| engine(error.into()))?;
        let mut files = vec![(MANAGED.into(), list)];
        for name in names {
            let content = directory.atomic_read(&name).map_err(|error| engine(error.into()))?;
            files.push((name, content));
        }
        Ok(files)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packages of one version each, as if just pushed.
    fn pushed(names: std::ops::Range<u32>) -> impl Iterator<Item = Update> {
        names.map(|name| {
            let id = PackageId::parse(&format!("Acme.P{name}")).unwrap();
            let version: Version = "1.0.0".parse().unwrap();
            let row = serde_json::json!({
                "id": id.as_str(), "version": "1.0.0", "listed": true, "state": "visible",
                "object": "o", "size": 1, "sha256": "", "published": "", "pushed_by": "ci"
            });
            let row = serde_json::from_value(row).unwrap();
            Update::new((id, version), Some((row, Some(Metadata::default()))))
        })
    }

    #[test]
    fn what_the_index_holds_already_is_not_written_again() {
        let engine = Engine::open(&[]).unwrap();
        engine.apply(pushed(0..3)).unwrap();
        let written = engine.index.searchable_segment_ids().unwrap();
        engine.apply(pushed(0..3)).unwrap();
        let (id, version) = (PackageId::parse("Other").unwrap(), "1.0.0".parse().unwrap());
        engine.apply([Update::new((id, version), None)].into_iter()).unwrap();
        assert_eq!(engine.index.searchable_segment_ids().unwrap(), written);
        engine.apply(pushed(3..4)).unwrap();
        assert_ne!(engine.index.searchable_segment_ids().unwrap(), written);
    }

    #[test]
    fn a_snapshot_is_of_one_segment_and_opens() {
        let engine = Engine::open(&[]).unwrap();
        for batch in 0..30 {
            engine.apply(pushed(batch * 10..batch * 10 + 15)).unwrap();
        }
        assert!(engine.index.searchable_segment_ids().unwrap().len() < 12);
        let files = engine.files().unwrap();
        let count = |ending: &str| {
            let names = files.iter().map(|(name, _)| name.to_string_lossy());
            names.filter(|name| name.ends_with(ending)).count()
        };
        assert_eq!((count(".store"), count(".del")), (1, 0));
        let names: Vec<_> = files.iter().map(|(name, _)| name.to_string_lossy()).collect();
        let files: Vec<_> =
            names.iter().zip(&files).map(|(name, (_, content))| (&**name, &**content)).collect();
        let opened = Engine::open(&files).unwrap();
        assert!(opened.package("acme.p299").unwrap().is_some());
        opened.apply(pushed(1_000..1_001)).unwrap();
        assert!(opened.package("acme.p1000").unwrap().is_some());
    }
}
