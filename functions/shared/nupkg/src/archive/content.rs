//! The content of entries, never more of it than was asked for.

use std::io::{self, Read};

use deflate64::InflaterManaged;
use flate2::{Crc, read::DeflateDecoder};
use rawzip::{CompressionMethod, ZipArchive};

use super::directory::Entry;
use super::error::from_rawzip;
use super::{ArchiveError, PackageError};
use crate::Source;
use crate::source::Positioned;

/// The entry's content, of at most `limit` bytes. Its length and its checksum must be those
/// in the directory.
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
    // One byte more than declared reveals a false size without inflating everything.
    let most = entry.inflated + 1;
    let (content, used) = match entry.method {
        CompressionMethod::STORE => read_at_most(packed, most).map(|content| {
            let used = content.len() as u64;
            (content, used)
        }),
        CompressionMethod::DEFLATE64 => {
            read_at_most(packed, entry.packed).and_then(|packed| inflate_64(&packed, most))
        }
        _ => {
            let mut inflate = DeflateDecoder::new(packed);
            read_at_most(&mut inflate, most).map(|content| (content, inflate.total_in()))
        }
    }
    .map_err(|error| unreadable(error, entry))?;
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

/// More bytes than any packer makes of `inflated`, even one that flushes all the time.
/// Without this limit, an entry could hold any number of empty blocks.
fn longest_packed(inflated: u64) -> u64 {
    const FLUSHES: u64 = 4096;
    inflated.saturating_mul(2).saturating_add(FLUSHES)
}

/// At most `most` bytes out of `packed`, and the number of packed bytes that they took.
fn inflate_64(packed: &[u8], most: u64) -> io::Result<(Vec<u8>, u64)> {
    let mut content = vec![0; usize::try_from(most).map_err(io::Error::other)?];
    let inflated = InflaterManaged::new().inflate(packed, &mut content);
    if inflated.data_error {
        return Err(io::ErrorKind::InvalidData.into());
    }
    content.truncate(inflated.bytes_written);
    Ok((content, inflated.bytes_consumed as u64))
}

fn read_at_most(reader: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    reader.take(most).read_to_end(&mut content)?;
    Ok(content)
}

/// The decoder reports broken deflate data as invalid input; any other error comes from the
/// storage under it.
fn unreadable(error: io::Error, entry: &Entry) -> PackageError {
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            ArchiveError::Corrupt(entry.name.written.clone()).into()
        }
        _ => PackageError::Unreadable(error),
    }
}
