//! The central directory, checked against the local headers.

use std::collections::BTreeMap;
use std::ops::Range;

use rawzip::extra_fields::{ExtraFieldId, ExtraFields};
use rawzip::{
    CompressionMethod, EntryFlags, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder,
    ZipFileHeaderRecord,
};
use time::OffsetDateTime;

use super::end;
use super::error::from_rawzip;
use super::name::EntryName;
use super::{ArchiveError, PackageError};
use crate::source::Positioned;
use crate::{Limits, Source};

/// Deflate cannot pack more tightly than this (1,032:1 in theory).
const DEFLATE_RATIO: u64 = 1_040;

/// The same limit for Deflate64: 65,538 bytes take at least 18 bits.
const DEFLATE64_RATIO: u64 = 29_200;

/// The kind of a file in its Unix mode, and the kinds that a package may hold.
const FILE_KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// A data descriptor: a signature, a checksum and two 64-bit sizes.
const LONGEST_DESCRIPTOR: u64 = 24;

/// An entry of the archive, as its directory declares it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: EntryName,
    pub(super) wayfinder: ZipArchiveEntryWayfinder,
    pub(super) method: CompressionMethod,
    /// Bytes in the archive.
    pub(super) packed: u64,
    /// Bytes once inflated.
    pub(super) inflated: u64,
    pub(super) crc: u32,
    raw_name: Vec<u8>,
    flags: EntryFlags,
    offset: u64,
}

/// The entries of an archive that matches its own declarations.
#[derive(Debug)]
pub(crate) struct Directory {
    entries: Vec<Entry>,
}

impl Directory {
    pub(super) fn read<S: Source>(
        archive: &ZipArchive<Positioned<S>>,
        buffer: &mut [u8],
        limits: &Limits,
        now: OffsetDateTime,
    ) -> Result<Self, PackageError> {
        let latest = now + time::Duration::hours(limits.hours_ahead.into());
        let directory_end = end::check(archive, limits)?;
        let part = archive.directory_offset()..directory_end;
        archive.get_ref().0.announce(&[part]).map_err(PackageError::Unreadable)?;
        let mut entries = Vec::new();
        let mut last = None;
        let mut records = archive.entries(buffer);
        while let Some(record) = records.next_entry().map_err(from_rawzip)? {
            last = Some(record.central_directory_offset());
            entries.push(Entry::of(&record, limits.name_bytes, latest)?);
            check_count(archive.entries_hint(), entries.len(), u64::gt)?;
        }
        check_count(archive.entries_hint(), entries.len(), u64::ne)?;
        let end = match last {
            Some(record) => end::end_of_record(archive, record)?,
            None => archive.directory_offset(),
        };
        // Some readers allow a signature after the directory, and anything can hide in it.
        if end != directory_end {
            return Err(ArchiveError::EndDisagrees.into());
        }
        let directory = Self { entries };
        directory.check_names()?;
        directory.check_inflation(archive.end_offset(), limits)?;
        directory.check_layout(archive, buffer)?;
        Ok(directory)
    }

    /// The one nuspec, in the root.
    pub(super) fn nuspec(&self) -> Result<&Entry, ArchiveError> {
        let mut nuspecs = self.entries.iter().filter(|entry| entry.name.is_nuspec());
        match (nuspecs.next(), nuspecs.next()) {
            (Some(entry), None) if entry.name.is_in_root() => Ok(entry),
            (Some(first), Some(second)) => Err(ArchiveError::MultipleNuspecs(
                first.name.written.clone(),
                second.name.written.clone(),
            )),
            _ => Err(ArchiveError::NoNuspec),
        }
    }

    /// The place, the name and the inflated size of every file.
    pub(crate) fn files(&self) -> impl Iterator<Item = (usize, &str, u64)> {
        let files = self.entries.iter().enumerate().filter(|(_, entry)| !entry.name.is_folder());
        files.map(|(place, entry)| (place, entry.name.written.as_str(), entry.inflated))
    }

    /// The file at `path`. Case counts, as it does for clients on Linux.
    pub(super) fn file(&self, path: &str) -> Option<&Entry> {
        let path = path.trim_start_matches("./");
        self.entries.iter().find(|entry| entry.name.is_at(path))
    }

    /// Checks that no two names are the same file, and that no name is both a file and a
    /// folder.
    fn check_names(&self) -> Result<(), ArchiveError> {
        // In this order a folder is followed by all that is in it.
        let by_folder = |path: String| path.replace('/', "\0");
        let mut seen: BTreeMap<String, &EntryName> = BTreeMap::new();
        for Entry { name, .. } in &self.entries {
            for path in name.folded().map(by_folder) {
                let first = seen.insert(path, name).filter(|first| !std::ptr::eq(*first, name));
                if let Some(first) = first {
                    return Err(ArchiveError::DuplicateEntry {
                        first: first.written.clone(),
                        second: name.written.clone(),
                    });
                }
            }
        }
        let mut before: Option<(&String, &EntryName)> = None;
        for (path, name) in &seen {
            if let Some((file, first)) = before
                && !first.is_folder()
                && path.strip_prefix(file.as_str()).is_some_and(|rest| rest.starts_with('\0'))
            {
                let (file, inside) = (first.written.clone(), name.written.clone());
                return Err(ArchiveError::FileAndFolder { file, inside });
            }
            before = Some((path, name));
        }
        Ok(())
    }

    fn check_inflation(&self, size: u64, limits: &Limits) -> Result<(), ArchiveError> {
        let bytes =
            self.entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.inflated));
        if bytes > limits.inflated_bytes {
            return Err(ArchiveError::InflatesTooFar { bytes, limit: limits.inflated_bytes });
        }
        let ratio = bytes / size.max(1);
        if bytes > limits.inflated_bytes_without_ratio && ratio > limits.inflation_ratio {
            return Err(ArchiveError::InflationRatio { ratio, limit: limits.inflation_ratio });
        }
        Ok(())
    }

    /// Walks the entries in the order of their offsets, from the first byte to the
    /// directory. They may not overlap, nothing may lie between them, and each local header
    /// must agree.
    fn check_layout<S: Source>(
        &self,
        archive: &ZipArchive<Positioned<S>>,
        buffer: &mut [u8],
    ) -> Result<(), PackageError> {
        let mut in_order: Vec<&Entry> = self.entries.iter().collect();
        in_order.sort_by_key(|entry| entry.offset);
        let heads: Vec<Range<u64>> = in_order.iter().map(|entry| entry.surroundings()).collect();
        archive.get_ref().0.announce(&heads).map_err(PackageError::Unreadable)?;
        let first = in_order.first().map_or(archive.directory_offset(), |entry| entry.offset);
        if first != 0 {
            return Err(ArchiveError::DataBefore { bytes: first }.into());
        }
        let mut previous: Option<(&Entry, u64)> = None;
        for entry in in_order {
            if let Some((first, end)) = previous {
                if entry.offset < end {
                    return Err(ArchiveError::Overlap {
                        first: first.name.written.clone(),
                        second: entry.name.written.clone(),
                    }
                    .into());
                }
                first.check_gap(archive.get_ref(), end..entry.offset)?;
            }
            let end = entry.check_local_header(archive, buffer)?;
            if end > archive.directory_offset() {
                return Err(ArchiveError::PastTheEnd(entry.name.written.clone()).into());
            }
            previous = Some((entry, end));
        }
        match previous {
            Some((last, end)) => last.check_gap(archive.get_ref(), end..archive.directory_offset()),
            None => Ok(()),
        }
    }
}

/// Compares the number of entries found so far with the declared number.
fn check_count(
    declared: u64,
    found: usize,
    wrong: impl Fn(&u64, &u64) -> bool,
) -> Result<(), ArchiveError> {
    let found = found as u64;
    if wrong(&found, &declared) {
        return Err(ArchiveError::EntryCount { declared, found });
    }
    Ok(())
}

impl Entry {
    fn of(
        record: &ZipFileHeaderRecord<'_>,
        name_bytes: usize,
        latest: OffsetDateTime,
    ) -> Result<Self, ArchiveError> {
        let path = record.file_path();
        let raw_name = path.as_ref();
        let flags = record.flags();
        let name = EntryName::parse(raw_name, flags.is_utf8(), name_bytes)?;
        let written = || name.written.clone();
        if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
            return Err(ArchiveError::Encrypted(written()));
        }
        let (packed, inflated) = (record.compressed_size_hint(), record.uncompressed_size_hint());
        let method = record.compression_method();
        let honest = match method {
            CompressionMethod::STORE => packed == inflated,
            CompressionMethod::DEFLATE => inflated <= packed.saturating_mul(DEFLATE_RATIO),
            CompressionMethod::DEFLATE64 => inflated <= packed.saturating_mul(DEFLATE64_RATIO),
            method => {
                let method = method.as_u16();
                return Err(ArchiveError::CompressionMethod { name: written(), method });
            }
        };
        if !honest {
            return Err(ArchiveError::DishonestSize(written()));
        }
        if renames(record.extra_fields(), raw_name) {
            return Err(ArchiveError::HeadersDisagree { name: written(), field: "name" });
        }
        match record.mode().value() & FILE_KIND {
            0 | REGULAR | FOLDER => {}
            // The library adds a folder's kind to whatever its mode says.
            _ if name.is_folder() => {}
            _ if record.mode().is_symlink() => return Err(ArchiveError::SymbolicLink(written())),
            _ => return Err(ArchiveError::SpecialFile(written())),
        }
        if is_after(record, latest) {
            return Err(ArchiveError::FromTheFuture(written()));
        }
        Ok(Self {
            raw_name: raw_name.to_vec(),
            wayfinder: record.wayfinder(),
            method,
            packed,
            inflated,
            crc: record.crc32(),
            flags,
            offset: record.local_header_offset(),
            name,
        })
    }

    /// The range from the data descriptor before the entry to the end of its local header,
    /// with room for extra fields.
    fn surroundings(&self) -> Range<u64> {
        const FIXED: u64 = 30;
        const FIELDS: u64 = 64;
        let end = self.offset.saturating_add(FIXED + self.raw_name.len() as u64 + FIELDS);
        self.offset.saturating_sub(LONGEST_DESCRIPTOR)..end
    }

    /// Checks that nothing but a matching data descriptor lies between the entry's end and
    /// whatever comes next.
    fn check_gap(&self, reader: &impl ReaderAt, gap: Range<u64>) -> Result<(), PackageError> {
        let bytes = gap.end.saturating_sub(gap.start);
        let hidden = |bytes| {
            let after = self.name.written.clone();
            PackageError::from(ArchiveError::HiddenData { bytes, after })
        };
        if !self.flags.has_data_descriptor() {
            return if bytes > 0 { Err(hidden(bytes)) } else { Ok(()) };
        }
        if bytes > LONGEST_DESCRIPTOR {
            return Err(hidden(bytes));
        }
        let mut found = vec![0; usize::try_from(bytes).unwrap_or_default()];
        reader.read_exact_at(&mut found, gap.start).map_err(PackageError::Unreadable)?;
        let descriptors = self.descriptors();
        if descriptors.contains(&found) {
            return Ok(());
        }
        if let Some(descriptor) = descriptors.iter().find(|known| found.starts_with(known)) {
            return Err(hidden((found.len() - descriptor.len()) as u64));
        }
        let name = self.name.written.clone();
        Err(ArchiveError::HeadersDisagree { name, field: "descriptor" }.into())
    }

    /// The descriptors that agree with the directory: with and without signature, with
    /// sizes of four and of eight bytes (APPNOTE 4.3.9).
    fn descriptors(&self) -> Vec<Vec<u8>> {
        const SIGNATURE: &[u8] = b"PK\x07\x08";
        let sizes = [self.packed, self.inflated];
        let long: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        let short: Result<Vec<u32>, _> = sizes.into_iter().map(u32::try_from).collect();
        let short = short.map(|sizes| sizes.iter().flat_map(|size| size.to_le_bytes()).collect());
        let crc = self.crc.to_le_bytes();
        let sizes = short.ok().into_iter().chain([long]);
        sizes
            .flat_map(|sizes: Vec<u8>| {
                [[SIGNATURE, &crc, &sizes].concat(), [crc.as_slice(), &sizes].concat()]
            })
            .collect()
    }

    /// Checks the local header against the directory; returns the end of the entry.
    fn check_local_header<S: Source>(
        &self,
        archive: &ZipArchive<Positioned<S>>,
        buffer: &mut [u8],
    ) -> Result<u64, PackageError> {
        let entry = archive.get_entry(self.wayfinder).map_err(from_rawzip)?;
        let local = entry.local_header(buffer).map_err(from_rawzip)?;
        let streamed = self.flags.has_data_descriptor();
        let same = |declared: u64, local: u64| local == declared || (streamed && local == 0);
        let (packed, inflated) = (local.compressed_size_hint(), local.uncompressed_size_hint());
        let is_renamed = local.file_path().as_ref() != self.raw_name.as_slice()
            || renames(local.extra_fields(), &self.raw_name);
        let disagreement = if is_renamed {
            Some("name")
        } else if local.compression_method() != self.method {
            Some("compression method")
        } else if local.flags().is_encrypted()
            || local.flags().has_data_descriptor() != streamed
            || (local.flags().is_utf8() != self.flags.is_utf8() && !self.raw_name.is_ascii())
        {
            Some("flag")
        } else if !same(self.packed, packed) || !same(self.inflated, inflated) {
            Some("size")
        } else if !same(self.crc.into(), local.crc32().into()) {
            Some("checksum")
        } else {
            None
        };
        if let Some(field) = disagreement {
            let name = self.name.written.clone();
            return Err(ArchiveError::HeadersDisagree { name, field }.into());
        }
        let (_, end) = entry.compressed_data_range();
        Ok(end)
    }
}

/// Whether the fields hold another name, which some readers take.
fn renames(mut fields: ExtraFields<'_>, name: &[u8]) -> bool {
    fields.any(|(id, field)| {
        id == ExtraFieldId::INFO_ZIP_UNICODE_PATH && field.get(5..) != Some(name)
    })
}

/// Whether the entry's date, which has no time zone, is after `latest`.
fn is_after(record: &ZipFileHeaderRecord<'_>, latest: OffsetDateTime) -> bool {
    let date = record.last_modified_dos();
    let entry = (
        i32::from(date.year()),
        (date.month(), date.day(), date.hour(), date.minute(), date.second()),
    );
    let (hour, minute, second) = latest.to_hms();
    let latest = (latest.year(), (u8::from(latest.month()), latest.day(), hour, minute, second));
    entry > latest
}
