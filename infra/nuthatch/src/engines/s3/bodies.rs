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

/// Bytes of a file after which the disk is told to begin, so that little is left to wait for
/// at the end.
const FLUSHED: u64 = 8 * 1024 * 1024;

/// The length and the checksum that a request declares for its body.
pub(super) struct Declared {
    pub(super) length: Option<u64>,
    /// SHA-256, Base64.
    checksum: Option<String>,
}

impl Declared {
    pub(super) fn new(length: Option<i64>, checksum: Option<String>) -> Self {
        Self { length: length.and_then(|length| length.try_into().ok()), checksum }
    }

    /// Whether the body that came is the one that was declared.
    pub(super) fn check(&self, size: u64, sha256: &str) -> S3Result<()> {
        if self.length.is_some_and(|length| length != size) {
            return Err(s3_error!(IncompleteBody));
        }
        if self.checksum.as_ref().is_some_and(|checksum| checksum != sha256) {
            return Err(s3_error!(BadDigest));
        }
        Ok(())
    }
}

/// Receives a body of `size` bytes into memory, but no more than that.
pub(super) async fn small(body: Option<StreamingBlob>, size: u64) -> S3Result<Bytes> {
    let (mut pieces, mut rest) = (Vec::new(), size);
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| s3_error!(IncompleteBody))?;
            let more = rest.checked_sub(piece.len() as u64);
            rest = more.ok_or_else(|| s3_error!(IncompleteBody))?;
            pieces.push(piece);
        }
    }
    // Most come as one piece, which is not copied.
    Ok(match (pieces.pop(), pieces.is_empty()) {
        (None, _) => Bytes::new(),
        (Some(piece), true) => piece,
        (Some(last), false) => pieces.into_iter().chain([last]).flatten().collect(),
    })
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
