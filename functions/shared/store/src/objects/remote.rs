//! A package that stays in the bucket while it is inspected: only what is asked
//! for is read.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::BodyExt;
use nupkg::Source;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::{ObjectKey, Objects};

/// Bytes of the end that are read at once: most directories are in them.
const TAIL: u64 = 32 * 1024;
/// Bytes of a read that was not announced.
const BLOCK: u64 = 8 * 1024;
/// The gap between two parts that is as cheap to read as to skip: this much at first, and
/// more if there would otherwise be more than [`MANY`] requests.
const GAP: u64 = 16 * 1024;
const LARGEST_GAP: u64 = 512 * 1024;
const MANY: usize = 2_000;
/// Bytes of one request, and requests at once.
const REQUEST: u64 = 1024 * 1024;
const AT_ONCE: usize = 32;

/// An object of the bucket, read in ranges. Blocks, so it needs a thread that may be
/// blocked.
#[derive(Debug)]
pub struct RemoteObject {
    objects: Objects,
    key: ObjectKey,
    size: u64,
    runtime: Handle,
    /// The bytes that were read, by their offset.
    held: Mutex<BTreeMap<u64, Bytes>>,
}

impl RemoteObject {
    /// The object at `key`, which has `size` bytes. Must be created on the runtime that
    /// will read it.
    #[must_use]
    pub fn new(objects: Objects, key: ObjectKey, size: u64) -> Self {
        Self { objects, key, size, runtime: Handle::current(), held: Mutex::default() }
    }

    /// The bytes that are held from `offset` on.
    fn held(&self, offset: u64) -> Option<Bytes> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (start, bytes) = held.range(..=offset).next_back()?;
        let at = usize::try_from(offset - start).ok()?;
        (at < bytes.len()).then(|| bytes.slice(at..))
    }

    fn hold(&self, offset: u64, bytes: Bytes) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        // A piece that begins inside the new one would hide the new one's end.
        let hidden: Vec<u64> =
            held.range(offset..offset + bytes.len() as u64).map(|(at, _)| *at).collect();
        for at in hidden {
            held.remove(&at);
        }
        held.insert(offset, bytes);
    }

    /// Reads requests, each for some parts, and holds the parts.
    fn fetch(&self, requests: Vec<Request>) -> io::Result<()> {
        let (objects, key) = (self.objects.clone(), self.key.clone());
        let fetched = self.runtime.block_on(async move {
            let (mut rest, mut fetching) = (requests.into_iter(), JoinSet::new());
            let mut fetched = Vec::new();
            loop {
                while fetching.len() < AT_ONCE
                    && let Some(request) = rest.next()
                {
                    fetching.spawn(request.send(objects.clone(), key.clone()));
                }
                let Some(done) = fetching.join_next().await else { break };
                fetched.extend(done.map_err(io::Error::other)??);
            }
            Ok::<_, io::Error>(fetched)
        })?;
        for (offset, bytes) in fetched {
            self.hold(offset, bytes);
        }
        Ok(())
    }
}

impl Source for RemoteObject {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size {
            return Ok(0);
        }
        if let Some(bytes) = self.held(offset) {
            return bytes.as_ref().read_at(buffer, 0);
        }
        let tail = self.size.saturating_sub(TAIL);
        let part = if offset >= tail { tail..self.size } else { offset..offset + BLOCK };
        self.announce(&[part])?;
        let bytes = self.held(offset).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.as_ref().read_at(buffer, 0)
    }

    fn announce(&self, parts: &[Range<u64>]) -> io::Result<()> {
        let missing = parts.iter().filter_map(|part| {
            let end = part.end.min(self.size);
            let mut start = part.start;
            while let Some(bytes) = self.held(start).filter(|_| start < end) {
                start += bytes.len() as u64;
            }
            (start < end).then_some(start..end)
        });
        self.fetch(few_requests(&missing.collect::<Vec<_>>()))
    }

    fn forget(&self, part: Range<u64>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|start, bytes| {
            let end = start + bytes.len() as u64;
            *start < part.start || end > part.end
        });
    }
}

/// One ranged GET, and the parts of it that are wanted.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    range: Range<u64>,
    parts: Vec<Range<u64>>,
}

impl Request {
    async fn send(self, objects: Objects, key: ObjectKey) -> io::Result<Vec<(u64, Bytes)>> {
        let body = objects.get(&key, Some(self.range.clone())).await.map_err(io::Error::other)?;
        let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let at = |offset: u64| usize::try_from(offset - self.range.start).unwrap_or(usize::MAX);
        let whole = self.parts == [self.range.clone()];
        let parts = self.parts.iter().map(|part| {
            let piece =
                bytes.get(at(part.start)..at(part.end)).ok_or(io::ErrorKind::UnexpectedEof)?;
            // Copied, because a slice would keep the bytes between the parts alive.
            let piece = if whole { bytes.clone() } else { Bytes::copy_from_slice(piece) };
            Ok((part.start, piece))
        });
        parts.collect()
    }
}

/// The requests that read all `parts`; at most [`MANY`], if the gaps between the parts are
/// not too large to read.
fn few_requests(parts: &[Range<u64>]) -> Vec<Request> {
    let mut gap = GAP;
    loop {
        let requests = requests(parts, gap);
        if requests.len() <= MANY || gap >= LARGEST_GAP {
            return requests;
        }
        gap *= 2;
    }
}

/// The requests that read all `parts`: neighbours together, long ones in
/// pieces.
fn requests(parts: &[Range<u64>], gap: u64) -> Vec<Request> {
    let mut pieces: Vec<Range<u64>> = parts
        .iter()
        .cloned()
        .flat_map(|part| {
            let step = usize::try_from(REQUEST).unwrap_or(usize::MAX);
            let end = part.end;
            part.step_by(step).map(move |start| start..(start + REQUEST).min(end))
        })
        .collect();
    pieces.sort_by_key(|piece| piece.start);
    let mut requests: Vec<Request> = Vec::new();
    for piece in pieces {
        match requests.last_mut() {
            Some(last)
                if piece.start <= last.range.end.saturating_add(gap)
                    && piece.end.saturating_sub(last.range.start) <= REQUEST =>
            {
                last.range.end = last.range.end.max(piece.end);
                last.parts.push(piece);
            }
            _ => requests.push(Request { range: piece.clone(), parts: vec![piece] }),
        }
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_read_together_and_long_parts_in_pieces() {
        let read: Vec<_> = few_requests(&[50_000..50_100, 0..100, 1_000..1_100])
            .into_iter()
            .map(|request| (request.range, request.parts.len()))
            .collect();
        assert_eq!(read, [(0..1_100, 2), (50_000..50_100, 1)]);
        let whole = 0..REQUEST * 2 + 5;
        let long = few_requests(std::slice::from_ref(&whole));
        assert_eq!(long.len(), 3);
        assert_eq!(
            long.last().map(|request| request.range.clone()),
            Some(REQUEST * 2..REQUEST * 2 + 5)
        );
    }

    #[test]
    fn very_many_parts_are_read_with_what_lies_between_them() {
        let parts = |count: u64| -> Vec<_> {
            (0..count).map(|part| part * 40_000..part * 40_000 + 100).collect()
        };
        assert_eq!(few_requests(&parts(1_000)).len(), 1_000);
        let many = few_requests(&parts(25_000));
        assert!(many.len() <= MANY, "{}", many.len());
        assert!(many.iter().all(|request| request.range.end - request.range.start <= REQUEST));
        assert_eq!(many.iter().map(|request| request.parts.len()).sum::<usize>(), 25_000);
    }
}
