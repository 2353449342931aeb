//! Receiving: a package goes from the request's body to a spool and is hashed on the way.

use std::io;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyDataStream, BodyExt, LengthLimitError, Limited};
use protocol::{Body, Boundary, BoxError, FirstFile, MultipartError, Refusal};
use sha2::{Digest, Sha256};
use store::{Content, Spool, Spooling};

use crate::Permit;

/// Bytes that a multipart framing may add to a package's size.
const FRAMING: u64 = 64 * 1024;
/// Bytes that are written and hashed in one go, while the next ones arrive; fewer of a small
/// package, as there may be hundreds at once.
const BATCH: usize = 256 * 1024;
const SMALL_BATCH: usize = 32 * 1024;
/// The size of the blocks that pieces are copied to: each piece keeps alive the buffer of up to
/// 64 KiB that it was read into, and blocks of one size leave no holes in the heap.
const BLOCK: usize = 16 * 1024;

/// A package that has arrived whole.
#[derive(Debug)]
pub struct Received {
    /// Its bytes.
    pub content: Content,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// The length in bytes that a request declares for its body.
#[must_use]
pub fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Receives the package that `body` carries: the first file of a multipart
/// body, or a raw body whole.
///
/// # Errors
/// The body is cut off, too slow, too large or not framed as it says; or the
/// spool cannot take it, or there is no room for a large one.
pub async fn receive(
    headers: &HeaderMap,
    body: Body,
    spooling: &Spooling,
    limit: u64,
    permit: &mut Permit,
) -> Result<Received, Refusal> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let boundary = Boundary::of(header(CONTENT_TYPE).unwrap_or_default());
    let boundary = boundary.map_err(|error| unreadable(error, limit))?;
    let declared = declared_length(headers);
    // The limit leaves room for the framing around the package.
    let most = limit.saturating_add(FRAMING);
    if declared.is_some_and(|length| length > most) {
        return Err(Refusal::TooLarge { limit });
    }
    let mut body = Limited::new(body, usize::try_from(most).unwrap_or(usize::MAX));
    let mut intake = Intake::new(spooling.start(declared), limit, permit);
    match boundary {
        Some(boundary) => receive_file(&mut body, boundary, &mut intake).await?,
        None => {
            while let Some(chunk) = next_chunk(&mut body, limit).await? {
                intake.take(chunk).await?;
            }
        }
    }
    intake.finish().await.map_err(unavailable)
}

/// Receives the first file of a multipart body, and reads the body to its end.
async fn receive_file(
    body: &mut Limited<Body>,
    boundary: Boundary,
    intake: &mut Intake<'_>,
) -> Result<(), Refusal> {
    let limit = intake.limit;
    let unreadable = |error| unreadable(error, limit);
    let chunks = BodyDataStream::new(&mut *body);
    let mut file = FirstFile::find(chunks, boundary).await.map_err(unreadable)?;
    while let Some(piece) = file.next().await.map_err(unreadable)? {
        intake.take(piece).await?;
    }
    drop(file);
    while next_chunk(body, limit).await?.is_some() {}
    Ok(())
}

async fn next_chunk(body: &mut Limited<Body>, limit: u64) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_off(error, limit))?;
        if let Ok(chunk) = frame.into_data() {
            return Ok(Some(chunk));
        }
    }
    Ok(None)
}

/// Hands blocks to a spool in memory at once. For a file, writes and hashes batches of them off
/// the runtime, while the next batch gathers; holds two batches at most.
struct Intake<'a> {
    gathered: Vec<Bytes>,
    /// The block after those, which is not full.
    block: BytesMut,
    /// The bytes of both.
    bytes: usize,
    size: u64,
    /// The most bytes of a package.
    limit: u64,
    permit: &'a mut Permit,
    /// None while a batch is handed over.
    progress: Option<Progress>,
}

/// The part of a package that is written and hashed so far.
pub(crate) struct Written {
    spool: Spool,
    sha256: Sha256,
}

/// The batches before the current one: written, or being written.
enum Progress {
    Done(Written),
    Working(tokio::task::JoinHandle<io::Result<Written>>),
}

impl<'a> Intake<'a> {
    fn new(spool: Spool, limit: u64, permit: &'a mut Permit) -> Self {
        let progress = Some(Progress::Done(Written::to(spool)));
        let (gathered, block) = (Vec::new(), BytesMut::new());
        Self { gathered, block, bytes: 0, size: 0, limit, permit, progress }
    }

    async fn take(&mut self, piece: Bytes) -> Result<(), Refusal> {
        self.size += piece.len() as u64;
        if self.size > self.limit {
            return Err(Refusal::TooLarge { limit: self.limit });
        }
        self.permit.make_room(self.size).await?;
        self.gather(piece);
        let batch = if self.permit.is_large() { BATCH } else { SMALL_BATCH };
        match self.memory_left() {
            Some(left) if self.bytes <= left => self.spool_in_memory(),
            None if self.bytes < batch => Ok(()),
            _ => self.work().await,
        }
        .map_err(unavailable)
    }

    fn memory_left(&self) -> Option<usize> {
        match &self.progress {
            Some(Progress::Done(written)) => written.spool.memory_left(),
            _ => None,
        }
    }

    fn gather(&mut self, mut piece: Bytes) {
        self.bytes += piece.len();
        // Large packages are few.
        if self.permit.is_large() && piece.len() >= BLOCK {
            self.end_block();
            self.gathered.push(piece);
            return;
        }
        while !piece.is_empty() {
            if self.block.is_empty() {
                self.block.reserve(BLOCK);
            }
            let free = BLOCK - self.block.len();
            self.block.extend_from_slice(&piece.split_to(free.min(piece.len())));
            if self.block.len() == BLOCK {
                self.end_block();
            }
        }
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block).freeze();
        self.gathered.extend(Some(block).filter(|block| !block.is_empty()));
    }

    /// Hands over the full blocks.
    fn spool_in_memory(&mut self) -> io::Result<()> {
        let Some(Progress::Done(written)) = &mut self.progress else { return Ok(()) };
        for block in self.gathered.drain(..) {
            self.bytes -= block.len();
            written.append(block)?;
        }
        Ok(())
    }

    /// Starts on the gathered batch once the previous one is done.
    async fn work(&mut self) -> io::Result<()> {
        let Some(progress) = self.progress.take() else { return Err(io::ErrorKind::Other.into()) };
        let written = progress.done().await?;
        self.bytes = 0;
        self.end_block();
        let pieces = std::mem::take(&mut self.gathered);
        let working = tokio::task::spawn_blocking(move || written.and(pieces));
        self.progress = Some(Progress::Working(working));
        Ok(())
    }

    async fn finish(mut self) -> io::Result<Received> {
        self.end_block();
        match self.memory_left() {
            Some(left) if self.bytes <= left => self.spool_in_memory()?,
            _ => self.work().await?,
        }
        let Some(progress) = self.progress else { return Err(io::ErrorKind::Other.into()) };
        Ok(progress.done().await?.finish())
    }
}

impl Written {
    pub(crate) fn to(spool: Spool) -> Self {
        Self { spool, sha256: Sha256::new() }
    }

    pub(crate) fn finish(self) -> Received {
        Received { content: self.spool.finish(), sha256: self.sha256.finalize().into() }
    }

    fn and(mut self, pieces: Vec<Bytes>) -> io::Result<Self> {
        for piece in pieces {
            self.append(piece)?;
        }
        Ok(self)
    }

    fn append(&mut self, piece: Bytes) -> io::Result<()> {
        self.sha256.update(&piece);
        self.spool.append(piece)
    }
}

impl io::Write for Written {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.append(Bytes::copy_from_slice(piece))?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Progress {
    async fn done(self) -> io::Result<Written> {
        match self {
            Self::Done(written) => Ok(written),
            Self::Working(working) => working.await.map_err(io::Error::other)?,
        }
    }
}

fn unreadable(error: MultipartError, limit: u64) -> Refusal {
    match error {
        MultipartError::BrokenOff(error) => broken_off(error, limit),
        error => Refusal::UnreadableUpload(error.to_string()),
    }
}

/// The body is too long, or the client went away or sent nothing for too long.
fn broken_off(error: BoxError, limit: u64) -> Refusal {
    if error.is::<LengthLimitError>() {
        return Refusal::TooLarge { limit };
    }
    match error.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::TimedOut) => Refusal::TooSlow(error),
        _ => Refusal::CutOff(error),
    }
}

/// The spool cannot take more.
pub(crate) fn unavailable(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Refusal::DiskFull(error.into())
        }
        _ => Refusal::Unavailable(error.into()),
    }
}
