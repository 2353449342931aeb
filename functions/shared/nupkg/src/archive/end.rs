//! The end of the archive: readers rely on different fields of it, so all of them must be
//! correct.

use rawzip::{ReaderAt, ZipArchive};

use super::{ArchiveError, PackageError};
use crate::Limits;

/// Bytes of the record without its comment.
const RECORD: usize = 22;
const LOCATOR: usize = 20;
const RECORD_64: usize = 56;

/// The directory as one of the end records describes it.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    entries: u64,
    bytes: u64,
    offset: u64,
}

/// Checks the archive's end; returns the offset where the directory has to end.
pub(super) fn check<R: ReaderAt>(
    archive: &ZipArchive<R>,
    limits: &Limits,
) -> Result<u64, PackageError> {
    check_bounds(archive, limits)?;
    let reader = archive.get_ref();
    let at = archive.eocd_offset();
    let record: [u8; RECORD] = read(reader, at)?;
    let claim = Claim {
        entries: field::<2>(&record, 10),
        bytes: field::<4>(&record, 12),
        offset: field::<4>(&record, 16),
    };
    // One disk, and all entries on it.
    let mut is_true = field::<4>(&record, 4) == 0 && field::<2>(&record, 8) == claim.entries;
    let (claim, end) = match locator(reader, at)? {
        None => (claim, at),
        Some(locator) => {
            let (large, end) = claim_64(reader, locator, at)?;
            is_true &= end + RECORD_64 as u64 <= at
                && stands_for(claim.entries, large.entries, u16::MAX.into())
                && stands_for(claim.bytes, large.bytes, u32::MAX.into())
                && stands_for(claim.offset, large.offset, u32::MAX.into());
            (large, end)
        }
    };
    is_true &= claim.entries == archive.entries_hint()
        && claim.offset == archive.directory_offset()
        && claim.offset.checked_add(claim.bytes) == Some(end);
    if is_true { Ok(end) } else { Err(ArchiveError::EndDisagrees.into()) }
}

/// Checks the declared sizes against the limits, and that nothing follows the end.
fn check_bounds<R: ReaderAt>(archive: &ZipArchive<R>, limits: &Limits) -> Result<(), PackageError> {
    let entries = archive.entries_hint();
    if entries > limits.entries {
        return Err(ArchiveError::TooManyEntries { entries, limit: limits.entries }.into());
    }
    let bytes = archive.eocd_offset().saturating_sub(archive.directory_offset());
    if bytes > limits.directory_bytes {
        let limit = limits.directory_bytes;
        return Err(ArchiveError::DirectoryTooLarge { bytes, limit }.into());
    }
    let mut rest = [0; 1];
    let end = archive.end_offset();
    if archive.get_ref().read_at(&mut rest, end).map_err(PackageError::Unreadable)? > 0 {
        return Err(ArchiveError::DataAfter { bytes: rest_of(archive.get_ref(), end)? }.into());
    }
    Ok(())
}

/// How many bytes follow `offset`, counted up to the longest comment a zip can
/// have.
fn rest_of(reader: &impl ReaderAt, offset: u64) -> Result<u64, PackageError> {
    let mut buffer = vec![0; usize::from(u16::MAX)];
    let mut rest = 0;
    while let Some(free) = buffer.get_mut(rest..).filter(|free| !free.is_empty()) {
        match reader.read_at(free, offset + rest as u64).map_err(PackageError::Unreadable)? {
            0 => break,
            read => rest += read,
        }
    }
    Ok(rest as u64)
}

/// The offset of the zip64 record, from the locator before the end, if there is one. It is
/// checked even if some readers ignore it.
fn locator(reader: &impl ReaderAt, end: u64) -> Result<Option<u64>, PackageError> {
    let Some(at) = end.checked_sub(LOCATOR as u64) else { return Ok(None) };
    let locator: [u8; LOCATOR] = read(reader, at)?;
    Ok(locator.starts_with(b"PK\x06\x07").then(|| field::<8>(&locator, 8)))
}

/// The claims of the zip64 record at `at`, and its offset. The record has to fill the space
/// up to its locator.
fn claim_64(reader: &impl ReaderAt, at: u64, end: u64) -> Result<(Claim, u64), PackageError> {
    let record: [u8; RECORD_64] = read(reader, at)?;
    // The size field counts neither the signature nor itself.
    let next = at.checked_add(12).and_then(|at| at.checked_add(field::<8>(&record, 4)));
    let is_whole = record.starts_with(b"PK\x06\x06")
        && next.and_then(|next| next.checked_add(LOCATOR as u64)) == Some(end)
        && field::<8>(&record, 16) == 0
        && field::<8>(&record, 24) == field::<8>(&record, 32);
    if !is_whole {
        return Err(ArchiveError::EndDisagrees.into());
    }
    let claim = Claim {
        entries: field::<8>(&record, 32),
        bytes: field::<8>(&record, 40),
        offset: field::<8>(&record, 48),
    };
    Ok((claim, at))
}

/// Whether a small field equals the large one, or says that the value does not fit.
fn stands_for(small: u64, large: u64, sentinel: u64) -> bool {
    small == large || small == sentinel
}

/// The little-endian number of `N` bytes at `at`.
fn field<const N: usize>(record: &[u8], at: usize) -> u64 {
    let bytes = record.get(at..at + N).unwrap_or_default();
    bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

fn read<const N: usize>(reader: &impl ReaderAt, at: u64) -> Result<[u8; N], PackageError> {
    let mut bytes = [0; N];
    reader.read_exact_at(&mut bytes, at).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => ArchiveError::EndDisagrees.into(),
        _ => PackageError::Unreadable(error),
    })?;
    Ok(bytes)
}

/// Where the directory's record at `at` ends, by the lengths it declares.
pub(super) fn end_of_record<R: ReaderAt>(
    archive: &ZipArchive<R>,
    at: u64,
) -> Result<u64, PackageError> {
    const FIXED: usize = 46;
    let record: [u8; FIXED] = read(archive.get_ref(), at)?;
    let name_extra_comment =
        field::<2>(&record, 28) + field::<2>(&record, 30) + field::<2>(&record, 32);
    Ok(at + FIXED as u64 + name_extra_comment)
}
