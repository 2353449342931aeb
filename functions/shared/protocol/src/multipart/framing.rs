//! A multipart body from a client, mended so that multer can read it.
//!
//! The beginning is mended (a preamble, line feeds without CR, a first part without a head),
//! and the end (a line feed without CR before the closing delimiter: NuGet 2.8 on mono).
//! Everything between them passes through unchanged.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_util::stream::Stream;

use super::{Boundary, LONGEST_HEAD, MultipartError};
use crate::BoxError;

/// The most bytes handed on at once: multer copies them into a buffer of its own.
const PIECE: usize = 16 * 1024;
/// The most bytes in which multer looks for the end of a head. This is more than a head may
/// have, because a delimiter and the bytes that arrived with it also count.
const SEARCHED: usize = 32 * 1024;
/// The head of a first part that came without one.
const HEAD: &[u8] = b"Content-Type: application/octet-stream\r\n";

/// The mended body. It returns pending after each piece, because multer reads from a stream
/// until the stream is pending, and keeps everything that it has read.
#[derive(Debug)]
pub(super) struct Framing<S> {
    body: S,
    boundary: Boundary,
    stage: Stage,
    /// Bytes that have arrived but have not been handed on.
    pending: VecDeque<Bytes>,
    budget: Budget,
    gave_last_time: bool,
}

/// The number of bytes that may still be handed on: without this limit, an endless head
/// would pile up in memory.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<AtomicUsize>);

#[derive(Debug)]
enum Stage {
    /// Gathers the lines up to the end of the first part's head.
    Beginning(BytesMut),
    Parts,
    End,
}

impl Budget {
    fn unlimited() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }

    pub(super) fn limit_to_a_head(&self) {
        self.0.store(SEARCHED, Ordering::Relaxed);
    }

    pub(super) fn lift(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }
}

impl<S> Framing<S> {
    pub(super) fn new(body: S, boundary: Boundary) -> Self {
        Self {
            body,
            boundary,
            stage: Stage::Beginning(BytesMut::new()),
            pending: VecDeque::new(),
            budget: Budget::unlimited(),
            gave_last_time: false,
        }
    }

    pub(super) fn budget(&self) -> Budget {
        self.budget.clone()
    }

    fn receive(&mut self, mut chunk: Bytes) -> Result<(), MultipartError> {
        if let Stage::Beginning(gathered) = &mut self.stage {
            let room = LONGEST_HEAD - gathered.len();
            gathered.extend_from_slice(&chunk.split_to(room.min(chunk.len())));
            let Some(beginning) = Beginning::find(gathered, &self.boundary)? else {
                let has_room = gathered.len() < LONGEST_HEAD;
                return match self.boundary.begins_a_part_in(gathered) {
                    _ if has_room => Ok(()),
                    true => Err(MultipartError::HeadTooLong),
                    false => Err(MultipartError::NoPart),
                };
            };
            self.pending.push_back(beginning.mended.into());
            self.pending.push_back(gathered.split_off(beginning.length).freeze());
            self.stage = Stage::Parts;
        }
        if !chunk.is_empty() {
            self.pending.push_back(chunk);
        }
        Ok(())
    }

    /// The next piece of the bytes that have arrived, except the last ones, whose line
    /// break may need mending.
    fn piece(&mut self) -> Result<Option<Bytes>, MultipartError> {
        let held = match self.stage {
            Stage::End => 0,
            _ => self.boundary.closing().len() + "\r\n".len() + "\r\n".len(),
        };
        let pending: usize = self.pending.iter().map(Bytes::len).sum();
        let budget = self.budget.0.load(Ordering::Relaxed);
        while self.pending.front().is_some_and(Bytes::is_empty) {
            self.pending.pop_front();
        }
        let Some(front) = self.pending.front_mut().filter(|_| pending > held) else {
            return Ok(None);
        };
        let most = front.len().min(pending - held).min(PIECE).min(budget);
        if most == 0 {
            return Err(MultipartError::HeadTooLong);
        }
        self.budget.0.store(budget - most, Ordering::Relaxed);
        Ok(Some(front.split_to(most)))
    }

    /// Mends the last bytes of the body.
    fn end(&mut self) -> Result<(), MultipartError> {
        if let Stage::Beginning(gathered) = &self.stage {
            let has_begun = self.boundary.begins_a_part_in(gathered);
            return Err(if has_begun { MultipartError::NotClosed } else { MultipartError::NoPart });
        }
        self.stage = Stage::End;
        let last: Vec<u8> = self.pending.drain(..).flatten().collect();
        let closing = format!("\n{}", self.boundary.closing());
        let content = without_line_end(&last).strip_suffix(closing.as_bytes());
        let last = match content {
            Some(content) if !content.ends_with(b"\r") => {
                [content, b"\r", closing.as_bytes()].concat()
            }
            _ => last,
        };
        self.pending.push_back(last.into());
        Ok(())
    }
}

impl<S> Stream for Framing<S>
where
    S: Stream<Item = Result<Bytes, BoxError>> + Unpin,
{
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let framing = self.get_mut();
        if std::mem::take(&mut framing.gave_last_time) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some(piece) = framing.piece()? {
                framing.gave_last_time = true;
                return Poll::Ready(Some(Ok(piece)));
            }
            if matches!(framing.stage, Stage::End) {
                return Poll::Ready(None);
            }
            match ready!(Pin::new(&mut framing.body).poll_next(context)) {
                Some(chunk) => framing.receive(chunk?)?,
                None => framing.end()?,
            }
        }
    }
}

/// The first delimiter and the head after it.
struct Beginning {
    /// In the form that multer reads.
    mended: Vec<u8>,
    /// How many bytes of the body they take, with the preamble.
    length: usize,
}

impl Beginning {
    /// Finds the beginning in the first bytes of a body; `None` where it does not end there.
    fn find(bytes: &[u8], boundary: &Boundary) -> Result<Option<Self>, MultipartError> {
        let delimiter = boundary.delimiter();
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let mut lines = lines.take_while(|line| line.ends_with(b"\n"));
        let mut length = 0;
        loop {
            let Some(line) = lines.next() else { return Ok(None) };
            length += line.len();
            match line.strip_prefix(delimiter.as_bytes()) {
                Some(rest) if rest.trim_ascii().is_empty() => break,
                Some(rest) if rest.starts_with(b"--") => return Err(MultipartError::NoFile),
                _ => {}
            }
        }
        let mut head = Vec::new();
        for line in lines {
            length += line.len();
            let line = without_line_end(line);
            if line.is_empty() {
                let head = if head.is_empty() { HEAD } else { &head };
                let mended = [delimiter.as_bytes(), b"\r\n", head, b"\r\n"].concat();
                return Ok(Some(Self { mended, length }));
            }
            // A header may continue on the next line, which begins with white space (RFC 5322).
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                head.truncate(head.len().saturating_sub(b"\r\n".len()));
            }
            head.extend_from_slice(line);
            head.extend_from_slice(b"\r\n");
        }
        Ok(None)
    }
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
