//! Receiving: from the request's body to a package in a spool, hashed on the
//! way.

use std::io;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use protocol::{Body, BoxError, FirstFile, MultipartError, Refusal};
use sha2::{Digest, Sha256, Sha512};
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
    /// Their SHA-512.
    pub sha512: [u8; 64],
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

/// Writes and hashes batches of pieces off the runtime, on two threads, while
/// the next batch gathers. Holds two batches at most.
struct Intake {
    gathered: Vec<Bytes>,
    bytes: usize,
    progress: Option<Progress>,
}

type Handle<T> = tokio::task::JoinHandle<io::Result<T>>;
type Written = (Spool, Sha256);

/// The pieces that have been written and hashed, or are being.
enum Progress {
    Done(Box<(Written, Sha512)>),
    Working { written: Handle<Written>, hashed: Handle<Sha512> },
}

impl Intake {
    fn new(spool: Spool) -> Self {
        let progress = Progress::Done(Box::new(((spool, Sha256::new()), Sha512::new())));
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

    /// Begins with what has gathered once the batch before is done.
    async fn work(&mut self) -> io::Result<()> {
        let Some(progress) = self.progress.take() else { return Err(io::ErrorKind::Other.into()) };
        let (written, sha512) = progress.done().await?;
        self.bytes = 0;
        self.progress = Some(Progress::on(std::mem::take(&mut self.gathered), written, sha512));
        Ok(())
    }

    async fn finish(mut self) -> io::Result<Received> {
        self.work().await?;
        let Some(progress) = self.progress else { return Err(io::ErrorKind::Other.into()) };
        let ((spool, sha256), sha512) = progress.done().await?;
        Ok(Received {
            content: spool.finish(),
            sha256: sha256.finalize().into(),
            sha512: sha512.finalize().into(),
        })
    }
}

impl Progress {
    fn on(pieces: Vec<Bytes>, (mut spool, mut sha256): Written, mut sha512: Sha512) -> Self {
        let same = pieces.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            for piece in same {
                sha512.update(piece);
            }
            Ok(sha512)
        });
        let written = tokio::task::spawn_blocking(move || {
            for piece in pieces {
                sha256.update(&piece);
                spool.append(&piece)?;
            }
            Ok((spool, sha256))
        });
        Self::Working { written, hashed }
    }

    async fn done(self) -> io::Result<(Written, Sha512)> {
        match self {
            Self::Done(done) => Ok(*done),
            Self::Working { written, hashed } => {
                let written = written.await.map_err(io::Error::other)??;
                let hashed = hashed.await.map_err(io::Error::other)??;
                Ok((written, hashed))
            }
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
