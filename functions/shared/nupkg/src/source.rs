//! Where a package is kept while it is inspected.

use std::io;
use std::ops::Range;

use rawzip::ReaderAt;

/// The bytes of a package, wherever they are: read a piece at a time, in any
/// order.
pub trait Source {
    /// Bytes in all.
    fn size(&self) -> u64;

    /// Reads what stands at `offset` into `buffer`, and as much of it as is
    /// convenient; gives how many bytes, 0 only at the end.
    ///
    /// # Errors
    /// The bytes cannot be had.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Hears which parts are read next, so that a source far away can get them
    /// together. They may reach past the end, and nobody has to listen.
    ///
    /// # Errors
    /// The bytes cannot be had.
    fn announce(&self, _parts: &[Range<u64>]) -> io::Result<()> {
        Ok(())
    }
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
}

/// A source as the zip library reads it.
#[derive(Debug)]
pub(crate) struct Positioned<S>(pub(crate) S);

impl<S: Source> ReaderAt for Positioned<S> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}
