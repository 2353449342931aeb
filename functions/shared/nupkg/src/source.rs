//! Where a package is kept while it is inspected.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use rawzip::ReaderAt;

/// The bytes of a package, wherever they are: read a piece at a time, in any
/// order.
pub trait Source {
    /// Bytes in all.
    fn size(&self) -> u64;

    /// Reads bytes at `offset` into `buffer`, as many as is convenient; returns their
    /// number, 0 only at the end.
    ///
    /// # Errors
    /// The bytes cannot be read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Learns which parts are read next, so that a remote source can fetch them together.
    /// They may extend past the end, and a source may ignore the call.
    ///
    /// # Errors
    /// The bytes cannot be read.
    fn announce(&self, _parts: &[Range<u64>]) -> io::Result<()> {
        Ok(())
    }

    /// Learns which part is not read again soon, so that a remote source need not hold it.
    fn forget(&self, _part: Range<u64>) {}
}

impl Source for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        ReaderAt::read_at(self, buffer, offset)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buffer, offset)
    }

    fn announce(&self, parts: &[Range<u64>]) -> io::Result<()> {
        (**self).announce(parts)
    }

    fn forget(&self, part: Range<u64>) {
        (**self).forget(part);
    }
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (**self).read_at(buffer, offset)
    }

    fn announce(&self, parts: &[Range<u64>]) -> io::Result<()> {
        (**self).announce(parts)
    }

    fn forget(&self, part: Range<u64>) {
        (**self).forget(part);
    }
}

/// A source as the zip library reads it.
#[derive(Debug)]
pub(crate) struct Positioned<S>(pub(crate) S);

impl<S: Source> ReaderAt for Positioned<S> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}
