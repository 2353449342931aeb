//! The contents of an archive that was judged before, as the zip library reads them.

use std::borrow::Cow;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use zip::ZipArchive;
use zip::result::ZipError;

use crate::{ArchiveError, PackageError, Source};

/// The part of a source that is read at once, if it is far away.
const WINDOW: u64 = 1024 * 1024;

/// The entries of an archive. Clones share the directory.
#[derive(Debug, Clone)]
pub(crate) struct Contents<S> {
    archive: ZipArchive<Windowed<S>>,
}

impl<S: Source> Contents<S> {
    /// The contents of the archive in `source`.
    ///
    /// # Errors
    /// The source cannot be read; or the library does not take the archive, which it may do
    /// with a package that the rules allow.
    pub(crate) fn open(source: S) -> Result<Self, PackageError> {
        let archive = ZipArchive::new(Windowed { source, at: 0, window: 0..0 });
        Ok(Self { archive: archive.map_err(|error| unreadable(error, ""))? })
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.archive.len()
    }

    /// The name of an entry; empty where it has none that can be read.
    pub(crate) fn name(&self, index: usize) -> String {
        let entry = self.archive.by_index_data(index).ok();
        let name = entry.as_ref().and_then(|entry| entry.name().ok());
        name.map(Cow::into_owned).unwrap_or_default()
    }

    /// The size that an entry declares to inflate to.
    pub(crate) fn size(&self, index: usize) -> u64 {
        self.archive.by_index_data(index).map_or(0, |entry| entry.size())
    }

    /// Lets `work` read the content of an entry: at most one byte more than it declares, and
    /// an error at its end if its checksum is wrong.
    ///
    /// # Errors
    /// The entry is broken, the source cannot be read, or those of `work`.
    pub(crate) fn read<T, E: From<PackageError>>(
        &mut self,
        index: usize,
        work: impl FnOnce(&mut dyn Read) -> Result<T, E>,
    ) -> Result<T, E> {
        let name = self.name(index);
        let entry = self.archive.by_index(index).map_err(|error| unreadable(error, &name))?;
        let most = entry.size().saturating_add(1);
        work(&mut entry.take(most))
    }
}

/// An error of the zip library about the entry called `name`, or about the whole archive.
fn unreadable(error: ZipError, name: &str) -> PackageError {
    match error {
        ZipError::Io(error) => read_error(error, name),
        error if name.is_empty() => ArchiveError::NotAnArchive(error.to_string()).into(),
        _ => ArchiveError::Corrupt(name.to_owned()).into(),
    }
}

/// An error while the entry called `name` was read: of the entry, or of its source.
pub(crate) fn read_error(error: io::Error, name: &str) -> PackageError {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            ArchiveError::Corrupt(name.to_owned()).into()
        }
        _ => PackageError::Unreadable(error),
    }
}

/// A source as a file with a position, read in windows.
#[derive(Debug, Clone)]
struct Windowed<S> {
    source: S,
    at: u64,
    /// The part that was announced.
    window: Range<u64>,
}

impl<S: Source> Read for Windowed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.window.contains(&self.at) {
            self.source.forget(self.window.clone());
            self.window = self.at..self.at.saturating_add(WINDOW).min(self.source.size());
            self.source.announce(std::slice::from_ref(&self.window))?;
        }
        let read = self.source.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl<S: Source> Seek for Windowed<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.source.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
