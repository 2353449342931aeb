//! Packages as search finds them.
//!
//! The index lives in memory. It starts from a snapshot in the bucket and is
//! brought up to date before every use, by reading the log of changes past its
//! cursor; a changed version is read anew, so applying a change twice does no
//! harm. So a package is found by the first request after its push, and a push
//! costs the same in a feed of ten packages and of a hundred thousand.
//!
//! tantivy does the text work: postings, relevance, merging. It holds all there
//! is to a package, and its files are the snapshot.

mod document;
mod engine;
mod error;
mod package;
mod query;
mod ranking;
mod snapshot;
mod words;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use feed::{Changes, LoggedChange, Objects, Table};
use tokio::sync::Mutex;

use engine::{Engine, Update};
pub use error::FinderError;
pub use package::{Description, Found, ListedVersion, Package};
pub use query::{Asked, Page, Results, Search, View};
use snapshot::{Snapshot, Unsettled};

/// How long one request may read changes, of the 28 seconds that it has
/// (template.yaml).
const LONGEST: Duration = Duration::from_secs(20);

/// The packages of a feed, to be searched. Clones share them.
#[derive(Debug, Clone)]
pub struct Finder {
    table: Table,
    objects: Objects,
    state: Arc<Mutex<Option<State>>>,
}

/// The index, and how far it has followed the log.
#[derive(Debug)]
struct State {
    engine: Engine,
    unsettled: Unsettled,
    /// When the reading of changes began that was last finished.
    followed: Option<Instant>,
    /// Changes that the snapshot does not have.
    news: usize,
    /// Whether the engine has failed: then it is not to be trusted any more.
    failed: bool,
}

impl Finder {
    /// The packages of the feed in `table`, whose snapshot is in `objects`;
    /// nothing is read yet.
    #[must_use]
    pub fn new(table: Table, objects: Objects) -> Self {
        Self { table, objects, state: Arc::default() }
    }

    /// The packages that match, with all that was changed before this call. One
    /// AWS call when nothing was; one more for every 50 changed versions; one
    /// more the first time, for the snapshot.
    ///
    /// # Errors
    /// Table or bucket do not answer, or the index fails.
    pub async fn search(&self, search: Search) -> Result<Results, FinderError> {
        let asked = Instant::now();
        let mut held = self.state.lock().await;
        let state = self.opened(&mut held).await?;
        // Who waited for somebody else's look at the log needs none of his own.
        if state.followed.is_none_or(|followed| followed < asked) {
            self.follow(state, asked + LONGEST).await?;
        }
        let engine = state.engine.clone();
        // Within a minute of a change, not all of it may be here yet.
        let generation = state.unsettled.cursor().filter(|ulid| Changes::is_settled(*ulid));
        drop(held);
        let mut results = blocking(move || engine.search(&search)).await?;
        results.generation = generation;
        Ok(results)
    }

    /// Writes the snapshot that the next instances start from, where anything
    /// was changed since the last one: whether it did. May take minutes for a
    /// feed without one.
    ///
    /// # Errors
    /// Table or bucket do not answer, or the index fails.
    pub async fn compact(&self, longest: Duration) -> Result<bool, FinderError> {
        let (engine, unsettled, news) = {
            let mut held = self.state.lock().await;
            let state = self.opened(&mut held).await?;
            self.follow(state, Instant::now() + longest).await?;
            (state.engine.clone(), state.unsettled.clone(), state.news)
        };
        if news == 0 {
            return Ok(false);
        }
        let bytes = blocking(move || Snapshot::take(&engine, &unsettled)).await?;
        self.objects.write_snapshot(bytes).await?;
        if let Some(state) = self.state.lock().await.as_mut() {
            state.news -= news;
        }
        Ok(true)
    }

    /// The state; read from the snapshot at its first use, and where it failed.
    async fn opened<'a>(&self, held: &'a mut Option<State>) -> Result<&'a mut State, FinderError> {
        if let Some(state) = held.take_if(|state| !state.failed) {
            return Ok(held.insert(state));
        }
        let bytes = self.objects.read_snapshot().await?;
        let (engine, unsettled) = blocking(move || match bytes {
            Some(bytes) => Snapshot::open(&bytes).or_else(|error| {
                // A new version of the feed may write it differently.
                tracing::warn!("the snapshot is of no use, so all changes are read: {error}");
                Snapshot::none()
            }),
            None => Snapshot::none(),
        })
        .await?;
        Ok(held.insert(State { engine, unsettled, followed: None, news: 0, failed: false }))
    }

    /// Applies what the log has past the cursor. What was read when an error
    /// comes stays read.
    async fn follow(&self, state: &mut State, until: Instant) -> Result<(), FinderError> {
        let started = Instant::now();
        let mut next = Some(Changes::start(state.unsettled.cursor()));
        while let Some(first) = next {
            if Instant::now() > until {
                return Err(FinderError::CatchingUp);
            }
            let page = self.table.changes(first).await?;
            let changes = state.unsettled.fresh(page.changes);
            // A version that was changed twice is read once.
            let mut places = HashMap::with_capacity(changes.len());
            let mut names = Vec::with_capacity(changes.len());
            for LoggedChange { id, version, .. } in &changes {
                let name = (id.clone(), version.clone());
                places.entry(name.clone()).or_insert_with(|| {
                    names.push(name);
                    names.len() - 1
                });
            }
            let rows = self.table.named(&names).await?;
            let applied = changes
                .into_iter()
                .map(|LoggedChange { ulid, id, version }| {
                    let row = places.get(&(id, version)).and_then(|place| rows.get(*place));
                    (ulid, row.and_then(Option::as_ref).and_then(|(row, _)| row.changed))
                })
                .collect();
            if !names.is_empty() {
                state.news += names.len();
                let engine = state.engine.clone();
                let applied = blocking(move || {
                    let updates = names.into_iter().zip(rows);
                    engine.apply(updates.map(|(name, row)| Update::new(name, row)))
                });
                // Until it is done, also where nobody waits for it any longer.
                state.failed = true;
                applied.await?;
                state.failed = false;
            }
            state.unsettled.applied(applied);
            next = page.next;
        }
        state.followed = Some(started);
        Ok(())
    }
}

/// Runs what computes and never waits off the runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FinderError> + Send + 'static,
) -> Result<T, FinderError> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| FinderError::Engine(panic.into()))?
}
