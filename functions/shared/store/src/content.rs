//! A pushed package's bytes between the request and the bucket: in memory on Lambda, or if they
//! are few; in an unlinked file on a server. There is never a second copy.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use nupkg::Source;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

/// The most bytes of a package that is kept in memory where there is a folder for others.
const SMALL: usize = 128 * 1024;

/// Where packages are kept while they are received.
#[derive(Debug, Clone)]
pub enum Spooling {
    /// In memory, where a Lambda event has put them already.
    Memory,
    /// Small ones in memory, others in files of this folder that are unlinked as soon as they
    /// are created, so that no crash leaves one behind.
    Folder(PathBuf),
}

impl Spooling {
    /// A spool for one package, of `declared` bytes if they are known.
    #[must_use]
    pub fn start(&self, declared: Option<u64>) -> Spool {
        match self {
            Self::Memory => Spool::Memory(Vec::new()),
            Self::Folder(folder) => {
                let is_small = declared.is_none_or(|bytes| bytes <= SMALL as u64);
                let left = if is_small { SMALL } else { 0 };
                Spool::Small { pieces: Vec::new(), left, folder: folder.clone() }
            }
        }
    }
}

/// A package that is being received.
#[derive(Debug)]
pub enum Spool {
    /// The pieces so far. A Lambda event comes as one.
    Memory(Vec<Bytes>),
    /// The pieces so far, which are small together.
    Small {
        /// The pieces.
        pieces: Vec<Bytes>,
        /// The bytes that may still come before all of them go to a file.
        left: usize,
        /// The folder of the file that they are written to if more come.
        folder: PathBuf,
    },
    /// The file that holds it.
    File {
        /// The file, at its end.
        file: File,
        /// Bytes so far.
        size: u64,
    },
}

impl Spool {
    /// How many bytes can still be appended in memory, without blocking; none of a file.
    #[must_use]
    pub fn memory_left(&self) -> Option<usize> {
        match self {
            Self::Memory(_) => Some(usize::MAX),
            Self::Small { left, .. } => Some(*left),
            Self::File { .. } => None,
        }
    }

    /// Appends `piece`. Blocks, unless there is memory left for it.
    ///
    /// # Errors
    /// The file cannot be made or written, for example because the disk is full.
    pub fn append(&mut self, piece: Bytes) -> io::Result<()> {
        match self {
            Self::Memory(pieces) => pieces.push(piece),
            Self::Small { pieces, left, .. } if piece.len() <= *left => {
                *left -= piece.len();
                pieces.push(piece);
            }
            Self::Small { pieces, folder, .. } => {
                let (mut file, mut size) = (tempfile::tempfile_in(folder)?, 0);
                for piece in pieces.drain(..).chain([piece]) {
                    file.write_all(&piece)?;
                    size += piece.len() as u64;
                }
                *self = Self::File { file, size };
            }
            Self::File { file, size } => {
                file.write_all(&piece)?;
                *size += piece.len() as u64;
            }
        }
        Ok(())
    }

    /// The package, whole.
    #[must_use]
    pub fn finish(self) -> Content {
        match self {
            Self::Memory(mut pieces) | Self::Small { mut pieces, .. } => {
                Content::Memory(match pieces.as_mut_slice() {
                    [only] => std::mem::take(only),
                    pieces => pieces.concat().into(),
                })
            }
            Self::File { file, size } => Content::File { file: Arc::new(file), size },
        }
    }
}

/// A package that was received. Clones share its bytes.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Memory(Bytes),
    /// In a file without a name.
    File {
        /// The file.
        file: Arc<File>,
        /// Its size in bytes.
        size: u64,
    },
}

impl Content {
    /// Bytes of the package.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }

    /// The SHA-256 of a part of the package. Blocks.
    ///
    /// # Errors
    /// The part cannot be read, or ends too early.
    pub fn sha256(&self, part: Range<u64>) -> io::Result<[u8; 32]> {
        let mut buffer = vec![0; 256 * 1024];
        let (mut sha256, mut at) = (Sha256::new(), part.start);
        while at < part.end {
            let most = usize::try_from(part.end - at).unwrap_or(usize::MAX).min(buffer.len());
            let free = buffer.get_mut(..most).unwrap_or_default();
            let read = self.read_at(free, at)?;
            let Some(bytes) = free.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            sha256.update(bytes);
            at += read as u64;
        }
        Ok(sha256.finalize().into())
    }

    /// A part of the package as a stream, which the SDK can read again if it has to retry.
    #[must_use]
    pub fn to_byte_stream(&self, part: Range<u64>) -> ByteStream {
        match self {
            Self::Memory(bytes) => {
                let at =
                    |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                ByteStream::from(bytes.slice(at(part.start)..at(part.end)))
            }
            Self::File { file, .. } => {
                let file = Arc::clone(file);
                ByteStream::new(SdkBody::retryable(move || {
                    SdkBody::from_body_1_x(FileBody::new(Arc::clone(&file), part.clone()))
                }))
            }
        }
    }
}

impl Source for Content {
    fn size(&self) -> u64 {
        Content::size(self)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Memory(bytes) => bytes.as_ref().read_at(buffer, offset),
            Self::File { file, .. } => file.read_at(buffer, offset),
        }
    }
}

/// A part of a file as a body of known length, read a piece at a time off the
/// runtime.
#[derive(Debug)]
pub struct FileBody {
    file: Arc<File>,
    rest: Range<u64>,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    const PIECE: u64 = 256 * 1024;

    /// The bytes of `file` in `range`.
    #[must_use]
    pub fn new(file: Arc<File>, range: Range<u64>) -> Self {
        Self { file, rest: range, reading: None }
    }

    fn length(&self) -> u64 {
        self.rest.end.saturating_sub(self.rest.start)
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.length() == 0 {
            return Poll::Ready(None);
        }
        let (file, offset) = (Arc::clone(&self.file), self.rest.start);
        let length = self.length().min(Self::PIECE);
        let reading = self.reading.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
                file.read_exact_at(&mut piece, offset)?;
                Ok(Bytes::from(piece))
            })
        });
        let piece = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other)??;
        self.reading = None;
        self.rest.start += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length())
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;

    /// More than is read at once.
    fn bytes() -> Vec<u8> {
        (0..=250).cycle().take(300_000).collect()
    }

    #[tokio::test]
    async fn a_package_is_the_same_in_memory_and_in_a_file() {
        let whole = bytes();
        for spooling in [Spooling::Memory, Spooling::Folder(std::env::temp_dir())] {
            let mut spool = spooling.start(None);
            for piece in whole.chunks(130_000) {
                spool.append(Bytes::copy_from_slice(piece)).unwrap();
            }
            let content = spool.finish();
            assert_eq!(content.size(), 300_000);
            for part in [0..300_000, 1..3, 262_144..300_000, 5..5] {
                let expected = &whole[part.start..part.end];
                let part = part.start as u64..part.end as u64;
                assert_eq!(content.sha256(part.clone()).unwrap()[..], Sha256::digest(expected)[..]);
                let sent = content.to_byte_stream(part).collect().await.unwrap();
                assert!(sent.into_bytes() == expected);
            }
            let error = content.sha256(299_999..300_001).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn a_small_package_needs_no_file() {
        let nowhere = Spooling::Folder("/nowhere".into());
        let mut spool = nowhere.start(None);
        for size in [1, 65_535, 65_536] {
            spool.append(Bytes::from(vec![b'x'; size])).unwrap();
        }
        assert!(spool.append(Bytes::from_static(b"x")).is_err());
        assert!(matches!(spool.finish(), Content::Memory(bytes) if bytes.len() == SMALL));
        let mut spool = Spooling::Folder(std::env::temp_dir()).start(None);
        spool.append(Bytes::from(vec![b'x'; SMALL + 1])).unwrap();
        assert!(matches!(spool.finish(), Content::File { size: 131_073, .. }));
    }

    #[test]
    fn a_package_that_is_declared_to_be_large_takes_no_memory() {
        let mut spool = Spooling::Folder(std::env::temp_dir()).start(Some(131_073));
        assert_eq!(spool.memory_left(), Some(0));
        spool.append(Bytes::from_static(b"x")).unwrap();
        assert_eq!(spool.memory_left(), None);
        assert!(matches!(spool.finish(), Content::File { size: 1, .. }));
    }

    #[tokio::test]
    async fn a_part_of_a_file_knows_how_much_of_it_is_left() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes()).unwrap();
        let mut body = FileBody::new(Arc::new(file), 5..300_000);
        assert!(!body.is_end_stream());
        for (piece, left) in [(262_144, 37_851), (37_851, 0)] {
            assert_eq!(body.size_hint().exact(), Some(piece + left));
            let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(frame.len() as u64, piece);
        }
        assert!(body.is_end_stream());
        assert!(body.frame().await.is_none());
    }
}
