//! The bodies of requests: small ones are received into memory, others into files.

use std::fs::File;
use std::io::{self, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, s3_error};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use super::super::Wait;
use super::super::files::SMALL;

/// Bytes of a file after which the disk is told to begin, so that little is left to wait for
/// at the end.
const FLUSHED: u64 = 8 * 1024 * 1024;

/// The length and the checksum that a request declares for its body.
pub(super) struct Declared {
    length: Option<i64>,
    /// SHA-256, Base64.
    checksum: Option<String>,
}

impl Declared {
    pub(super) fn new(length: Option<i64>, checksum: Option<String>) -> Self {
        Self { length, checksum }
    }

    pub(super) fn is_small(&self) -> bool {
        self.length.is_some_and(|length| u64::try_from(length).is_ok_and(|size| size <= SMALL))
    }

    /// Whether the body that came is the one that was declared.
    pub(super) fn check(&self, size: u64, sha256: &str) -> S3Result<()> {
        if self.length.is_some_and(|length| u64::try_from(length) != Ok(size)) {
            return Err(s3_error!(IncompleteBody));
        }
        if self.checksum.as_ref().is_some_and(|checksum| checksum != sha256) {
            return Err(s3_error!(BadDigest));
        }
        Ok(())
    }
}

/// Receives a small body into memory.
pub(super) async fn small(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(mut body) = body else { return Ok(Bytes::new()) };
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| s3_error!(IncompleteBody))?;
        if (bytes.len() + piece.len()) as u64 > SMALL {
            return Err(s3_error!(IncompleteBody));
        }
        // Copied: a piece of a byte may keep a buffer of some KB alive.
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.into())
}

/// A body in a file that is not synced yet.
pub(super) struct WrittenBody {
    pub(super) file: File,
    pub(super) size: u64,
    /// Base64.
    pub(super) sha256: String,
}

/// Writes a body to `file`. Each piece is written while the next one arrives, and the disk
/// works meanwhile.
pub(super) async fn write(
    file: File,
    body: Option<StreamingBlob>,
    wait: Wait,
) -> S3Result<WrittenBody> {
    let mut writing = Writing { file, size: 0, sha256: Sha256::new() };
    let mut flush = Flush { wait, before: 0, working: None };
    if let Some(mut body) = body {
        let mut next = body.next().await;
        while let Some(piece) = next {
            let piece = piece.map_err(|_| s3_error!(IncompleteBody))?;
            let (done, following) =
                tokio::join!(wait.on(move || writing.append(&piece)), body.next());
            next = following;
            let done = done.map_err(S3Error::internal_error)?;
            writing = done.map_err(S3Error::internal_error)?;
            flush.go_on(&writing).await.map_err(S3Error::internal_error)?;
        }
    }
    flush.done().await.map_err(S3Error::internal_error)?;
    let Writing { file, size, sha256 } = writing;
    Ok(WrittenBody { file, size, sha256: BASE64_STANDARD.encode(sha256.finalize()) })
}

struct Writing {
    file: File,
    size: u64,
    sha256: Sha256,
}

impl Writing {
    fn append(mut self, piece: &[u8]) -> io::Result<Self> {
        self.sha256.update(piece);
        self.file.write_all(piece)?;
        self.size += piece.len() as u64;
        Ok(self)
    }
}

/// Syncs a file while more is written to it. An error is told to one caller alone, so none
/// may be dropped.
struct Flush {
    wait: Wait,
    /// The size of the file when the last one began.
    before: u64,
    working: Option<JoinHandle<io::Result<()>>>,
}

impl Flush {
    async fn go_on(&mut self, writing: &Writing) -> io::Result<()> {
        let is_working = self.working.as_ref().is_some_and(|working| !working.is_finished());
        if is_working || writing.size - self.before < FLUSHED {
            return Ok(());
        }
        self.done().await?;
        let (file, wait) = (writing.file.try_clone()?, self.wait);
        self.before = writing.size;
        self.working = Some(tokio::spawn(async move {
            wait.on(move || file.sync_data()).await.map_err(io::Error::other)?
        }));
        Ok(())
    }

    async fn done(&mut self) -> io::Result<()> {
        match self.working.take() {
            Some(working) => working.await.map_err(io::Error::other)?,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::stream;

    use super::*;

    /// A piece that counts how many of its kind there are.
    struct Piece(Arc<AtomicUsize>);

    impl AsRef<[u8]> for Piece {
        fn as_ref(&self) -> &[u8] {
            b"x"
        }
    }

    impl Drop for Piece {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn the_pieces_of_a_small_body_are_not_kept() {
        let [kept, most] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&most);
        let pieces = stream::iter(0..1_000).map(move |_| {
            seen.fetch_max(kept.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            Ok::<_, io::Error>(Bytes::from_owner(Piece(Arc::clone(&kept))))
        });
        let bytes = small(Some(StreamingBlob::wrap(pieces))).await.unwrap();
        assert_eq!(bytes, "x".repeat(1_000));
        assert_eq!(most.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_body_longer_than_it_said_is_not_read_to_its_end() {
        let pieces = stream::repeat(Bytes::from_static(&[b'x'; 1_000])).map(Ok::<_, io::Error>);
        let error = small(Some(StreamingBlob::wrap(pieces))).await.unwrap_err();
        assert_eq!(error.code().as_str(), "IncompleteBody");
    }
}
