//! The content of entries, never more of it than was asked for.

use std::io::{self, Read};

use flate2::{Crc, read::DeflateDecoder};
use rawzip::{CompressionMethod, ZipArchive};

use super::directory::Entry;
use super::error::from_rawzip;
use super::{ArchiveError, PackageError};
use crate::Source;
use crate::source::Positioned;

/// The entry's content, of at most `limit` bytes, whose length and checksum
/// are what the directory declares.
pub(super) fn read<S: Source>(
    archive: &ZipArchive<Positioned<S>>,
    entry: &Entry,
    limit: u64,
) -> Result<Vec<u8>, PackageError> {
    let name = || entry.name.written.clone();
    if entry.inflated > limit {
        return Err(ArchiveError::EntryTooLarge { name: name(), limit }.into());
    }
    if entry.packed > longest_packed(entry.inflated) {
        return Err(ArchiveError::DishonestSize(name()).into());
    }
    let packed = archive.get_entry(entry.wayfinder).map_err(from_rawzip)?;
    let (start, end) = packed.compressed_data_range();
    let part = start..end;
    archive.get_ref().0.announce(std::slice::from_ref(&part)).map_err(PackageError::Unreadable)?;
    let packed = packed.reader();
    // One byte more than declared tells a lie without inflating all of it.
    let most = entry.inflated + 1;
    let (content, used) = if entry.method == CompressionMethod::STORE {
        let content = read_at_most(packed, most).map_err(|error| unreadable(error, entry))?;
        let used = content.len() as u64;
        (content, used)
    } else {
        let mut inflate = DeflateDecoder::new(packed);
        let content = read_at_most(&mut inflate, most).map_err(|error| unreadable(error, entry))?;
        (content, inflate.total_in())
    };
    if content.len() as u64 != entry.inflated || used != entry.packed {
        return Err(ArchiveError::DishonestSize(name()).into());
    }
    let mut crc = Crc::new();
    crc.update(&content);
    if crc.sum() != entry.crc {
        return Err(ArchiveError::Corrupt(name()).into());
    }
    Ok(content)
}

/// More bytes than a packer makes of `inflated`, even one that flushes all the
/// time. An entry could otherwise hold any number of empty blocks.
fn longest_packed(inflated: u64) -> u64 {
    const FLUSHES: u64 = 4096;
    inflated.saturating_mul(2).saturating_add(FLUSHES)
}

fn read_at_most(reader: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    reader.take(most).read_to_end(&mut content)?;
    Ok(content)
}

/// The decoder reports broken deflate data as invalid input; what else fails
/// is the storage under it.
fn unreadable(error: io::Error, entry: &Entry) -> PackageError {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            ArchiveError::Corrupt(entry.name.written.clone()).into()
        }
        _ => PackageError::Unreadable(error),
    }
}
