//! Receiving: from the request's body to a package in a spool, hashed on the
//! way.

use std::io;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use protocol::{Body, BoxError, FirstFile, MultipartError, Refusal};
use sha2::{Digest, Sha256};
use store::{Content, Spool, Spooling};

/// Bytes that a multipart framing may add to a package's size.
const FRAMING: u64 = 64 * 1024;
/// Bytes that are written and hashed in one go, while the next ones arrive.
const BATCH: usize = 256 * 1024;
/// Pieces of a batch: small ones may each keep a larger buffer alive.
const PIECES: usize = 256;

/// A package that has arrived whole.
#[derive(Debug)]
pub struct Received {
    /// Its bytes.
    pub content: Content,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// Receives the package that `body` carries: the first file of a multipart
/// body, or a raw body whole.
///
/// # Errors
/// The body is cut off, too slow, too large or not framed as it says; or the
/// spool cannot take it.
pub async fn receive(
    headers: &HeaderMap,
    mut body: Body,
    spooling: &Spooling,
    limit: u64,
) -> Result<Received, Refusal> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let mut part = FirstFile::of(header(CONTENT_TYPE).unwrap_or_default()).map_err(unreadable)?;
    let declared = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let most = limit.saturating_add(FRAMING);
    if declared.is_some_and(|length| length > most) {
        return Err(Refusal::TooLarge { limit });
    }
    let mut intake = Intake::new(spooling.start().await.map_err(unavailable)?);
    let (mut total, mut size) = (0, 0);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(broken_off)?.into_data() else { continue };
        // The framing around the package has to end, too.
        total += chunk.len() as u64;
        if total > most {
            return Err(Refusal::TooLarge { limit });
        }
        let piece: Bytes = match &mut part {
            Some(part) => part.next(chunk).map_err(unreadable)?,
            None => chunk,
        };
        size += piece.len() as u64;
        if size > limit {
            return Err(Refusal::TooLarge { limit });
        }
        intake.take(piece).await.map_err(unavailable)?;
    }
    if let Some(part) = part {
        part.finish().map_err(unreadable)?;
    }
    intake.finish().await.map_err(unavailable)
}

/// Writes and hashes batches of pieces off the runtime, while the next batch gathers. Holds
/// two batches at most.
struct Intake {
    gathered: Vec<Bytes>,
    bytes: usize,
    /// None while a batch is handed over.
    progress: Option<Progress>,
}

/// A package that is written and hashed as far as it came.
struct Written {
    spool: Spool,
    sha256: Sha256,
}

/// The batches before the one that gathers: done, or under way.
enum Progress {
    Done(Written),
    Working(tokio::task::JoinHandle<io::Result<Written>>),
}

impl Intake {
    fn new(spool: Spool) -> Self {
        let progress = Progress::Done(Written { spool, sha256: Sha256::new() });
        Self { gathered: Vec::new(), bytes: 0, progress: Some(progress) }
    }

    async fn take(&mut self, piece: Bytes) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        self.bytes += piece.len();
        self.gathered.push(piece);
        if self.bytes < BATCH && self.gathered.len() < PIECES {
            return Ok(());
        }
        self.work().await
    }

    /// Begins with the batch that has gathered, once the one before is done.
    async fn work(&mut self) -> io::Result<()> {
        let Some(progress) = self.progress.take() else { return Err(io::ErrorKind::Other.into()) };
        let written = progress.done().await?;
        self.bytes = 0;
        let pieces = std::mem::take(&mut self.gathered);
        let working = tokio::task::spawn_blocking(move || written.and(pieces));
        self.progress = Some(Progress::Working(working));
        Ok(())
    }

    async fn finish(mut self) -> io::Result<Received> {
        self.work().await?;
        let Some(progress) = self.progress else { return Err(io::ErrorKind::Other.into()) };
        let Written { spool, sha256 } = progress.done().await?;
        Ok(Received { content: spool.finish(), sha256: sha256.finalize().into() })
    }
}

impl Written {
    fn and(mut self, pieces: Vec<Bytes>) -> io::Result<Self> {
        for piece in pieces {
            self.sha256.update(&piece);
            self.spool.append(&piece)?;
        }
        Ok(self)
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

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn unreadable(error: MultipartError) -> Refusal {
    Refusal::UnreadableUpload(error.to_string())
}

/// The client went away, or sent nothing for too long.
fn broken_off(error: BoxError) -> Refusal {
    match error.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::TimedOut) => Refusal::TooSlow(error),
        _ => Refusal::CutOff(error),
    }
}

/// The spool cannot take more.
fn unavailable(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Refusal::DiskFull(error.into())
        }
        _ => Refusal::Unavailable(error.into()),
    }
}
