//! Packages as search finds them.
//!
//! The index lives in memory. It starts from a snapshot in the bucket and is
//! brought up to date before every use, by reading the log of changes past its
//! cursor; a changed version is read anew, so applying a change twice does no
//! harm. So a package is found by the first request after its push, and a push
//! costs the same in a feed of ten packages and of a hundred thousand.
//!
//! tantivy does the text work: postings, relevance, merging. It stores all data about a
//! package, and its files are the snapshot.

mod document;
mod downloads;
mod engine;
mod error;
mod package;
mod query;
mod ranking;
mod snapshot;
mod words;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use feed::Context;
use protocol::ConfigError;
use store::{LoggedChange, Metadata, Objects, Revision, Table, VersionRow};
use time::OffsetDateTime;
use tokio::sync::{Mutex, Semaphore};
use ulid::Ulid;

pub use downloads::Downloads;
use engine::{Engine, Update};
pub use error::SearchIndexError;
pub use package::{Description, Found, IndexedPackage, ListedVersion};
pub use query::{Page, Question, Results, Search, View};
use snapshot::{Position, Snapshot};

/// How long one request may read changes: most of the 28 seconds that it has
/// (template.yaml).
const LONGEST: Duration = Duration::from_secs(20);
/// Results of searches that are held at once.
const RESULTS: usize = 3;
/// After this long, the changes of a revision are read again all the same: a wrong clock may have
/// dated one ahead.
const MEMORY: Duration = Duration::from_mins(1);
/// How long a search waits for the changes before it.
const SOON: Duration = Duration::from_secs(2);

/// The packages of a feed, to be searched. Clones share them.
#[derive(Debug, Clone)]
pub struct SearchIndex {
    table: Table,
    objects: Objects,
    state: Arc<Mutex<Option<Followed>>>,
    /// The engine of the state, for searches that wait no longer.
    shown: Arc<std::sync::Mutex<Option<Shown>>>,
    /// Results that may be held at once: each is of some MB at most.
    turns: Arc<Semaphore>,
}

/// The engine, and the last revision of the table of which it had all changes.
#[derive(Debug, Clone)]
struct Shown {
    engine: Engine,
    /// With the time when it was asked for.
    whole: Option<(Revision, Instant)>,
}

/// The index, and how far it has followed the log.
#[derive(Debug)]
struct Followed {
    engine: Engine,
    position: Position,
    /// The start of the last complete read of the changes.
    at: Option<Instant>,
    /// How far the snapshot in the bucket has followed the log.
    stored: Option<Ulid>,
    /// Whether the engine has failed, and so cannot be trusted any more.
    failed: bool,
}

/// The index, with the changes that were read.
#[derive(Debug)]
pub struct CurrentIndex {
    engine: Engine,
    /// Its state: as long as this is the same, so is every answer.
    pub generation: u64,
    /// Whether all changes are in it.
    pub is_current: bool,
    turns: Arc<Semaphore>,
}

impl CurrentIndex {
    /// The packages that match. No call.
    ///
    /// # Errors
    /// The index fails.
    pub async fn search(self, search: Search) -> Result<Results, SearchIndexError> {
        let Self { engine, is_current, turns, .. } = self;
        // Never closed.
        let turn = turns.acquire_owned().await.ok();
        let mut results = blocking(move || engine.search(&search)).await?;
        results.is_current = is_current;
        results.turn = turn.map(Arc::new);
        Ok(results)
    }
}

impl SearchIndex {
    /// The search index of the feed, one per process.
    ///
    /// # Errors
    /// A setting is missing.
    pub fn of(context: &Context) -> Result<Self, ConfigError> {
        context.shared(|| Ok(Self::new(context.table()?, context.objects()?)))
    }

    /// The packages of the feed in `table`, whose snapshot is in `objects`;
    /// nothing is read yet.
    #[must_use]
    pub fn new(table: Table, objects: Objects) -> Self {
        Self {
            table,
            objects,
            state: Arc::default(),
            shown: Arc::default(),
            turns: Arc::new(Semaphore::new(RESULTS)),
        }
    }

    /// The index with all changes made before this call. If reading those takes more than two
    /// seconds, for example in a flood of pushes, it has the changes read so far, and the rest is
    /// read in the background. One AWS call if nothing has changed, and none where the table's
    /// revision says so; one more for every 50 versions that are read again; one more the first
    /// time, for the snapshot.
    ///
    /// # Errors
    /// The table or the bucket does not answer, or the index fails.
    pub async fn now(&self) -> Result<CurrentIndex, SearchIndexError> {
        let (engine, is_current) = if let Some(engine) = self.whole() {
            (engine, true)
        } else {
            let is_current = self.catch_up().await?;
            (self.shown().ok_or(SearchIndexError::CatchingUp)?.engine, is_current)
        };
        let generation = engine.generation();
        Ok(CurrentIndex { engine, generation, is_current, turns: Arc::clone(&self.turns) })
    }

    /// The engine, if the table is as it was when all its changes were read. No call.
    fn whole(&self) -> Option<Engine> {
        let Shown { engine, whole } = self.shown()?;
        let (seen, at) = whole?;
        let is_whole = at.elapsed() < MEMORY && self.table.revision() == Some(seen);
        is_whole.then_some(engine)
    }

    /// Reads the changes made before this call; returns whether they are read, and not still
    /// being read.
    async fn catch_up(&self) -> Result<bool, SearchIndexError> {
        let mut following = tokio::spawn(self.clone().follow_since(Instant::now()));
        let mut followed = tokio::time::timeout(SOON, &mut following).await;
        // Before the first look there is nothing to answer from.
        if followed.is_err() && self.shown().is_none() {
            followed = tokio::time::timeout(LONGEST, following).await;
        }
        let Ok(followed) = followed else { return Ok(false) };
        followed.map_err(|panic| SearchIndexError::Engine(panic.into()))??;
        Ok(true)
    }

    /// Reads all changes made before `asked`. Goes on even if nobody waits for it.
    async fn follow_since(self, asked: Instant) -> Result<(), SearchIndexError> {
        let mut held = self.state.lock().await;
        let state = self.opened(&mut held).await?;
        // If another request has read the log since, there is no need to read it again.
        if state.at.is_none_or(|followed| followed < asked) {
            self.follow(state, Instant::now() + LONGEST).await?;
        }
        Ok(())
    }

    /// The engine, once there is one.
    fn shown(&self) -> Option<Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, engine: &Engine, whole: Option<(Revision, Instant)>) {
        let shown = Some(Shown { engine: engine.clone(), whole });
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }

    /// Writes the snapshot that the next instances start from, if anything has changed
    /// since the last one; returns whether it did. May take minutes for a feed without a
    /// snapshot.
    ///
    /// # Errors
    /// The table or the bucket does not answer, or the index fails.
    pub async fn compact(&self, longest: Duration) -> Result<bool, SearchIndexError> {
        let (engine, position) = {
            let mut held = self.state.lock().await;
            let state = self.opened(&mut held).await?;
            self.follow(state, Instant::now() + longest).await?;
            if state.position.cursor() == state.stored {
                return Ok(false);
            }
            (state.engine.clone(), state.position.clone())
        };
        let stored = position.cursor();
        let bytes = blocking(move || Snapshot::take(&engine, position)).await?;
        self.objects.write_snapshot(bytes).await?;
        if let Some(state) = self.state.lock().await.as_mut() {
            state.stored = stored;
        }
        Ok(true)
    }

    /// The state, read from the snapshot on first use and after a failure.
    async fn opened<'a>(
        &self,
        held: &'a mut Option<Followed>,
    ) -> Result<&'a mut Followed, SearchIndexError> {
        if let Some(state) = held.take_if(|state| !state.failed) {
            return Ok(held.insert(state));
        }
        let bytes = self.objects.read_snapshot().await?;
        let (engine, position) = blocking(move || match bytes {
            Some(bytes) => Snapshot::open(&bytes).or_else(|error| {
                // A new version of the feed may write it differently.
                tracing::warn!("the snapshot is of no use, so all changes are read: {error}");
                Snapshot::none()
            }),
            None => Snapshot::none(),
        })
        .await?;
        let stored = position.cursor();
        self.show(&engine, None);
        Ok(held.insert(Followed { engine, position, at: None, stored, failed: false }))
    }

    /// Applies the changes in the log past the cursor. Changes read before an error stay
    /// applied.
    async fn follow(&self, state: &mut Followed, until: Instant) -> Result<(), SearchIndexError> {
        // The number of versions whose rows are held at once, and shown together.
        const AT_ONCE: usize = 50;
        let started = Instant::now();
        // Asked before anything is read: a change meanwhile makes the next search read.
        let revision = self.table.revision();
        let mut next = Some(state.position.from());
        while let Some(first) = next {
            let read_at = OffsetDateTime::now_utc();
            let page = self.table.changes(first).await?;
            for changes in state.position.fresh(page.changes).chunks(AT_ONCE) {
                if Instant::now() > until {
                    return Err(SearchIndexError::CatchingUp);
                }
                self.take_in(state, changes, read_at).await?;
            }
            state.position.advance(read_at);
            next = page.next;
        }
        state.at = Some(started);
        self.show(&state.engine, revision.map(|revision| (revision, started)));
        Ok(())
    }

    /// Reads the changed versions again, plus those that become visible because a changed
    /// one no longer is, and updates the index.
    async fn take_in(
        &self,
        state: &mut Followed,
        changes: &[LoggedChange],
        read_at: OffsetDateTime,
    ) -> Result<(), SearchIndexError> {
        // A version that was changed twice is read once.
        let mut seen = HashSet::with_capacity(changes.len());
        let names = changes.iter().map(|change| (change.id.clone(), change.version.clone()));
        let mut names: Vec<_> = names.filter(|name| seen.insert(name.clone())).collect();
        let engine = state.engine.clone();
        names = blocking(move || engine.with_runners_up(names)).await?;
        let rows: HashMap<_, _> =
            names.iter().cloned().zip(self.table.named(&names).await?).collect();
        let settled: Vec<_> = changes
            .iter()
            .map(|LoggedChange { ulid, id, version }| {
                let row = rows.get(&(id.clone(), version.clone())).and_then(Option::as_ref);
                (*ulid, row.is_some_and(|row| has_whole(row, *ulid)))
            })
            .collect();
        let engine = state.engine.clone();
        let applied = blocking(move || {
            engine.apply(rows.into_iter().map(|(name, row)| Update::new(name, row)))
        });
        // Set until the update is done, even if nobody waits for it any longer.
        state.failed = true;
        applied.await?;
        state.failed = false;
        state.position.applied(settled, read_at);
        Ok(())
    }
}

/// Whether these rows are from the change called `ulid`. A transaction's rows become
/// visible one after the other: its change may appear before its version, and its version
/// before the metadata.
fn has_whole((row, metadata): &(VersionRow, Option<Metadata>), ulid: Ulid) -> bool {
    row.changed == Some(ulid) && (row.state == store::VersionState::Deleted || metadata.is_some())
}

/// Runs work that only computes and never waits, outside of the async runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SearchIndexError> + Send + 'static,
) -> Result<T, SearchIndexError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|panic| SearchIndexError::Engine(panic.into()))?
}
