//! The snapshot: the index as one object of the bucket, and how far it has
//! followed the log.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Changes, LoggedChange};
use time::OffsetDateTime;
use ulid::Ulid;

use crate::SearchIndexError;
use crate::engine::Engine;

/// Raised when the snapshot's shape, or what it means, changes.
const FORMAT: u32 = 2;

/// The head of the snapshot: a line of JSON. The files follow, one after the other.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    format: u32,
    #[serde(flatten)]
    position: Position,
    files: Vec<File>,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    name: String,
    size: usize,
}

impl Snapshot {
    /// The snapshot of `engine`.
    pub(crate) fn take(engine: &Engine, position: Position) -> Result<Bytes, SearchIndexError> {
        let files = engine.files()?;
        let head = Self {
            format: FORMAT,
            position,
            files: files
                .iter()
                .map(|(name, content)| File {
                    name: name.to_string_lossy().into_owned(),
                    size: content.len(),
                })
                .collect(),
        };
        let mut bytes =
            serde_json::to_vec(&head).map_err(|error| SearchIndexError::Engine(error.into()))?;
        bytes.push(b'\n');
        for (_, content) in files {
            bytes.extend(content);
        }
        Ok(bytes.into())
    }

    /// The engine that `bytes` are a snapshot of.
    pub(crate) fn open(bytes: &[u8]) -> Result<(Engine, Position), SearchIndexError> {
        let line = bytes.iter().position(|byte| *byte == b'\n');
        let (head, mut rest) = line
            .and_then(|end| Some((bytes.get(..end)?, bytes.get(end + 1..)?)))
            .ok_or(SearchIndexError::Snapshot("it has no head"))?;
        let head: Self = serde_json::from_slice(head)
            .map_err(|_| SearchIndexError::Snapshot("its head cannot be parsed"))?;
        if head.format != FORMAT {
            return Err(SearchIndexError::Snapshot("it is of another format"));
        }
        let mut files = Vec::with_capacity(head.files.len());
        for File { name, size } in &head.files {
            let (content, after) =
                rest.split_at_checked(*size).ok_or(SearchIndexError::Snapshot("it is cut off"))?;
            files.push((name.as_str(), content));
            rest = after;
        }
        Ok((Engine::open(&files)?, head.position))
    }

    /// An empty engine, which has read nothing.
    pub(crate) fn none() -> Result<(Engine, Position), SearchIndexError> {
        Ok((Engine::open(&[])?, Position::start()))
    }
}

/// How far the log was followed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The youngest change that was read.
    cursor: Option<Ulid>,
    /// Where to read from.
    from: Ulid,
    /// The changes from there on that need not be looked at again.
    applied: BTreeSet<Ulid>,
}

impl Position {
    /// Before the first change.
    pub(crate) fn start() -> Self {
        Self { cursor: None, from: Changes::beginning(), applied: BTreeSet::new() }
    }

    /// The youngest change that was read.
    pub(crate) fn cursor(&self) -> Option<Ulid> {
        self.cursor
    }

    /// Where to read from.
    pub(crate) fn from(&self) -> Ulid {
        self.from
    }

    /// The changes that are still to be applied.
    pub(crate) fn fresh(&self, mut changes: Vec<LoggedChange>) -> Vec<LoggedChange> {
        changes.retain(|change| !self.applied.contains(&change.ulid));
        changes
    }

    /// Records changes that were applied in their state at `read_at`, each with whether all
    /// of it was there.
    pub(crate) fn applied(&mut self, changes: Vec<(Ulid, bool)>, read_at: OffsetDateTime) {
        for (change, was_whole) in changes {
            // A change with a time in the future, from a wrong clock, must not hide earlier
            // changes.
            if Changes::is_past(change, read_at) {
                self.cursor = self.cursor.max(Some(change));
            }
            if was_whole || Changes::was_settled(change, read_at) {
                self.applied.insert(change);
            }
        }
    }

    /// Notes that the log was read up to the youngest change, as it was at
    /// `read_at`.
    pub(crate) fn advance(&mut self, read_at: OffsetDateTime) {
        if let Some(cursor) = self.cursor {
            self.from = self.from.max(Changes::after(cursor, read_at));
            self.applied = self.applied.split_off(&self.from);
        }
    }
}
