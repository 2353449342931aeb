//! Rules for the archive.

use nupkg::{ArchiveError, Limits, PackageError};
use packages::{Entry, PackageBuilder, nuspec};

use crate::{acme, judge, judge_with, refuses};

#[track_caller]
fn archive_error(package: &PackageBuilder) -> ArchiveError {
    match judge(package) {
        Err(PackageError::Archive(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn archive_error_with(package: &PackageBuilder, limits: &Limits) -> ArchiveError {
    match judge_with(&package.build(), limits) {
        Err(PackageError::Archive(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn archive_error_bytes(package: &[u8]) -> ArchiveError {
    match judge_with(package, &Limits::default()) {
        Err(PackageError::Archive(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// `outer` with the directory of `inner`, which begins with the same entry, as
/// its comment.
fn spliced(outer: &[u8], inner: &[u8]) -> Vec<u8> {
    let end = inner.len() - 22;
    let directory = |archive: &[u8]| {
        let end = archive.len() - 22;
        u32::from_le_bytes(archive[end + 16..end + 20].try_into().unwrap()) as usize
    };
    // The first record only: the other's content is not here.
    let record = &inner[directory(inner)..][..46 + "package.nuspec".len()];
    let mut spliced = outer.to_vec();
    let start = u32::try_from(spliced.len()).unwrap();
    spliced.extend(record);
    let mut tail = inner[end..].to_vec();
    tail[8..12].copy_from_slice(&[1, 0, 1, 0]);
    tail[12..16].copy_from_slice(&u32::try_from(record.len()).unwrap().to_le_bytes());
    tail[16..20].copy_from_slice(&start.to_le_bytes());
    spliced.extend(tail);
    spliced
}

/// A package with bytes behind its directory, and a field of its end changed.
fn with_end(behind: &[u8], field: usize, by: i8) -> Vec<u8> {
    let mut package = acme().file("a", b"").build();
    let end = package.len() - 22;
    package[end + field] = package[end + field].wrapping_add_signed(by);
    package.splice(end..end, behind.iter().copied());
    package
}

/// Midnight of a day, in the format of zip.
fn dos_date(year: u16, month: u16, day: u16) -> (u16, u16) {
    (((year - 1980) << 9) | (month << 5) | day, 0)
}

fn changed(change: impl FnOnce(&mut Entry)) -> PackageBuilder {
    let mut entry = Entry::file("lib/a.dll", &[7; 1000]);
    change(&mut entry);
    acme().entry(entry)
}

/// An entry whose name is in an old code page.
fn old_name(name: &[u8]) -> Entry {
    let mut entry = Entry::file("", b"old");
    entry.flags = 0;
    entry.name = name.to_vec();
    entry.local_name = name.to_vec();
    entry
}

/// The package with bytes after its last entry, and its directory moved by that many bytes.
fn with_bytes_behind(package: &PackageBuilder, hidden: &[u8]) -> Vec<u8> {
    let bytes = package.build();
    let directory = bytes.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    let mut bytes = [&bytes[..directory], hidden, &bytes[directory..]].concat();
    let at = bytes.len() - 6;
    let start = u32::try_from(directory + hidden.len()).unwrap();
    bytes[at..at + 4].copy_from_slice(&start.to_le_bytes());
    bytes
}

fn flag_for_utf8_in_one_header() -> Vec<u8> {
    let mut bytes = acme().file("caf\u{e9}", b"").build();
    let local = bytes.windows(4).rposition(|bytes| bytes == b"PK\x03\x04").unwrap();
    bytes[local + 7] ^= 1 << 3;
    bytes
}

#[test]
fn names_in_an_old_code_page_are_taken_and_shown_with_their_letters() {
    judge(&acme().entry(old_name(b"docs/\x81ber.md")).entry(old_name(b"\xe1.txt"))).unwrap();
    let mut link = old_name(b"\x81ber.md");
    link.mode = 0o120_777;
    let refused = archive_error(&acme().entry(link));
    assert!(refused.to_string().contains("'über.md'"), "{refused}");
}

#[test]
fn a_folder_may_be_named_beside_its_files() {
    let package = acme().entry(Entry::stored("lib/", b"")).file("lib/a.dll", b"");
    judge(&package.file("lib.txt", b"").file("lib-x/a", b"")).unwrap();
}

#[test]
fn descriptors_of_every_form_are_taken() {
    let [crc, size] = [crc32fast::hash(b"content").to_le_bytes(), 7_u32.to_le_bytes()];
    let long = 7_u64.to_le_bytes();
    for descriptor in [
        [crc, size, size].concat(),
        [*b"PK\x07\x08", crc, size, size].concat(),
        [&b"PK\x07\x08"[..], &crc, &long, &long].concat(),
        [&crc[..], &long, &long].concat(),
    ] {
        let mut entry = Entry::stored("a", b"content");
        entry.flags |= 1 << 3;
        judge_with(&with_bytes_behind(&acme().entry(entry), &descriptor), &Limits::default())
            .unwrap();
    }
}

#[test]
fn files_named_from_the_root_are_found() {
    for path in [
        "docs/README.md",
        r"docs\README.md",
        "./docs/README.md",
        r"\docs\README.md",
        "/docs/README.md",
    ] {
        let xml = nuspec("Acme", "1.0.0", &format!("<readme>{path}</readme>"));
        let package = PackageBuilder::default().nuspec(&xml).file("docs/README.md", b"# Acme");
        let attached = judge(&package).unwrap().attached;
        assert_eq!(attached.readme.as_deref(), Some(b"# Acme".as_slice()), "{path}");
    }
}

#[test]
fn what_explorer_packs_with_deflate64_is_read() {
    let xml = nuspec("Acme", "1.0.0", "");
    let length = u16::try_from(xml.len()).unwrap();
    // One block, stored.
    let mut packed = vec![1];
    packed.extend(length.to_le_bytes());
    packed.extend((!length).to_le_bytes());
    packed.extend(xml.as_bytes());
    let mut entry = Entry::stored("a.nuspec", xml.as_bytes());
    entry.method = 9;
    entry.declared_packed = u32::try_from(packed.len()).unwrap();
    entry.packed = packed;
    judge(&PackageBuilder::default().entry(entry.clone())).unwrap();
    entry.packed.extend(b"hidden");
    entry.declared_packed += 6;
    let refused = archive_error(&PackageBuilder::default().entry(entry));
    assert!(matches!(refused, ArchiveError::DishonestSize(_)), "{refused}");
}

#[test]
fn a_plain_package_is_taken() {
    let package = judge(&acme().file("lib/net8.0/Acme.dll", b"MZ")).unwrap();
    assert_eq!(package.nuspec.id.as_str(), "Acme");
    assert_eq!(package.nuspec.version.full(), "1.0.0");
}

#[test]
fn entries_may_be_stored_streamed_and_folders() {
    let mut streamed = Entry::file("b", b"streamed");
    streamed.streamed = true;
    streamed.local_inflated = streamed.declared_inflated;
    let package = acme().entry(Entry::stored("lib/", b"")).entry(Entry::stored("a", b"x"));
    judge(&package.entry(streamed).comment(b"packed by hand")).unwrap();
}

refuses! {
    bytes_that_are_no_zip_are_refused:
        archive_error(&PackageBuilder::default().before(b"no zip")) => ArchiveError::NoNuspec | ArchiveError::DataBefore { .. },
    an_empty_upload_is_refused:
        match judge_with(b"", &Limits::default()) { Err(PackageError::Archive(e)) => e, other => panic!("{other:?}") }
        => ArchiveError::NotAnArchive(_),
    data_before_the_archive_is_refused:
        archive_error(&acme().before(b"#!/bin/sh\n")) => ArchiveError::DataBefore { bytes: 10 },
    data_after_the_archive_is_refused:
        archive_error(&acme().after(b"more")) => ArchiveError::DataAfter { bytes: 4 },
    an_end_of_archive_in_the_comment_is_refused:
        archive_error(&acme().comment(b"PK\x05\x06")) => ArchiveError::NotAnArchive(_),
    a_second_directory_in_the_comment_is_refused: {
        // Readers that take the first end of archive see another package.
        let outer = acme().build();
        let inner = acme().file("lib/evil.dll", b"").build();
        archive_error_bytes(&spliced(&outer, &inner))
    } => ArchiveError::HiddenData { .. },
    a_directory_of_another_size_than_declared_is_refused:
        archive_error_bytes(&with_end(&[], 12, -1)) => ArchiveError::EndDisagrees,
    a_directory_on_another_disk_is_refused:
        archive_error_bytes(&with_end(&[], 6, 1)) => ArchiveError::EndDisagrees,
    entries_on_another_disk_are_refused:
        archive_error_bytes(&with_end(&[], 8, 1)) => ArchiveError::EndDisagrees,
    a_signature_behind_the_directory_is_refused:
        archive_error_bytes(&with_end(b"PK\x05\x05\x04\x00evil", 12, 10))
        => ArchiveError::EndDisagrees,
    a_locator_that_only_some_readers_believe_is_refused:
        archive_error_bytes(&with_end(b"PK\x06\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0", 12, 20))
        => ArchiveError::EndDisagrees,
    a_second_name_in_an_extra_field_is_refused:
        archive_error(&changed(|entry| {
            entry.extra = b"\x75\x70\x0a\x00\x01\0\0\0\0evil!".to_vec();
        })) => ArchiveError::HeadersDisagree { field: "name", .. },
    a_second_name_in_a_local_extra_field_is_refused:
        archive_error(&changed(|entry| {
            entry.local_extra = b"\x75\x70\x0a\x00\x01\0\0\0\0evil!".to_vec();
        })) => ArchiveError::HeadersDisagree { field: "name", .. },
    data_between_entries_is_refused: {
        let mut entry = Entry::stored("a", b"seenhidden");
        entry.declared_packed = 4;
        entry.declared_inflated = 4;
        entry.local_inflated = 4;
        archive_error(&acme().entry(entry).file("b", b""))
    } => ArchiveError::HiddenData { bytes: 6, .. },
    a_count_that_is_too_low_is_refused:
        archive_error(&acme().file("a", b"").declare_entries(1)) => ArchiveError::EntryCount { declared: 1, found: 2 },
    a_count_that_is_too_high_is_refused:
        archive_error(&acme().declare_entries(2)) => ArchiveError::EntryCount { declared: 2, found: 1 },
    an_encrypted_entry_is_refused:
        archive_error(&changed(|entry| entry.flags |= 1)) => ArchiveError::Encrypted(_),
    strong_encryption_is_refused:
        archive_error(&changed(|entry| entry.flags |= 1 << 6)) => ArchiveError::Encrypted(_),
    a_compression_that_clients_lack_is_refused:
        archive_error(&changed(|entry| entry.method = 14))
        => ArchiveError::CompressionMethod { method: 14, .. },
    data_behind_a_data_descriptor_is_refused: {
        let mut entry = Entry::stored("a", b"content");
        entry.streamed = true;
        archive_error_bytes(&with_bytes_behind(&acme().entry(entry), b"HIDDEN!!"))
    } => ArchiveError::HiddenData { bytes: 8, .. },
    a_name_that_only_says_it_is_utf8_is_refused:
        archive_error(&changed(|entry| {
            entry.name = b"lib/\xff.dll".to_vec();
            entry.local_name.clone_from(&entry.name);
        })) => ArchiveError::NameNotUtf8(_),
    a_flag_for_utf8_in_one_of_two_headers_is_refused:
        archive_error_bytes(&flag_for_utf8_in_one_header()) => ArchiveError::HeadersDisagree { field: "flag", .. },
    names_that_some_readers_take_for_one_are_refused:
        archive_error(&acme().entry(old_name(b"lib/\xff.dll")).entry(old_name(b"lib/\xfe.dll")))
        => ArchiveError::DuplicateEntry { .. },
    an_old_name_and_a_new_one_for_one_file_are_refused:
        archive_error(&acme().entry(old_name(b"\x81.txt")).file("\u{fc}.txt", b""))
        => ArchiveError::DuplicateEntry { .. },
    names_that_differ_in_the_form_of_an_accent_are_one_file:
        archive_error(&acme().file("caf\u{e9}.txt", b"").file("cafe\u{301}.txt", b""))
        => ArchiveError::DuplicateEntry { .. },
    names_that_differ_in_a_sharp_s_are_one_file:
        archive_error(&acme().file("stra\u{df}e", b"").file("strasse", b""))
        => ArchiveError::DuplicateEntry { .. },
    names_that_differ_in_a_long_s_are_one_file:
        archive_error(&acme().file("\u{17f}", b"").file("s", b"")) => ArchiveError::DuplicateEntry { .. },
    a_file_that_is_a_folder_too_is_refused:
        archive_error(&acme().file("lib/A.dll", b"").file("LIB", b"").file("lib-b", b""))
        => ArchiveError::FileAndFolder { .. },
    a_pipe_is_refused:
        archive_error(&changed(|entry| entry.mode = 0o010_644)) => ArchiveError::SpecialFile(_),
    a_device_is_refused:
        archive_error(&changed(|entry| entry.mode = 0o020_644)) => ArchiveError::SpecialFile(_),
    a_nuspec_whose_name_is_escaped_twice_is_one:
        archive_error(&acme().file("twin%252Enuspec", b"")) => ArchiveError::MultipleNuspecs(..),
    a_symbolic_link_is_refused:
        archive_error(&changed(|entry| entry.mode = 0o120_777)) => ArchiveError::SymbolicLink(_),
    an_entry_dated_two_days_ahead_is_refused:
        archive_error(&changed(|entry| entry.date = dos_date(2026, 11, 24)))
        => ArchiveError::FromTheFuture(_),
    a_name_beyond_the_limit_is_refused:
        archive_error(&acme().file(&"a".repeat(4097), b""))
        => ArchiveError::NameTooLong { bytes: 4097, limit: 4096 },
    a_double_backslash_is_refused:
        archive_error(&acme().file(r"lib\\a.dll", b"")) => ArchiveError::DoubleBackslash(_),
    a_control_character_in_a_name_is_refused:
        archive_error(&acme().file("lib/a\u{1}.dll", b"")) => ArchiveError::ControlCharacter(_),
    an_escaped_nul_in_a_name_is_refused:
        archive_error(&acme().file("lib/a%00.dll", b"")) => ArchiveError::ControlCharacter(_),
    a_path_out_of_the_package_is_refused:
        archive_error(&acme().file("../../etc/passwd", b"")) => ArchiveError::UnsafePath(_),
    a_backslashed_path_out_of_the_package_is_refused:
        archive_error(&acme().file(r"..\x", b"")) => ArchiveError::UnsafePath(_),
    a_drive_is_refused:
        archive_error(&acme().file("C:/x", b"")) => ArchiveError::UnsafePath(_),
    an_escaped_path_out_of_the_package_is_refused:
        archive_error(&acme().file("%252E%252E/x", b"")) => ArchiveError::UnsafePath(_),
    names_that_differ_in_case_are_one_file:
        archive_error(&acme().file("lib/A.dll", b"").file("LIB/a.DLL", b""))
        => ArchiveError::DuplicateEntry { .. },
    names_that_differ_in_separators_are_one_file:
        archive_error(&acme().file("lib/a.dll", b"").file(r"lib\a.dll", b""))
        => ArchiveError::DuplicateEntry { .. },
    names_that_differ_in_escapes_are_one_file:
        archive_error(&acme().file("lib/a b", b"").file("lib/a%20b", b""))
        => ArchiveError::DuplicateEntry { .. },
    names_that_differ_in_slashes_are_one_file:
        archive_error(&acme().file("lib/a", b"").file("lib//a", b""))
        => ArchiveError::DuplicateEntry { .. },
    another_name_in_the_local_header_is_refused:
        archive_error(&changed(|entry| entry.local_name = b"lib/b.dll".to_vec()))
        => ArchiveError::HeadersDisagree { field: "name", .. },
    another_size_in_the_local_header_is_refused:
        archive_error(&changed(|entry| entry.local_inflated = 999))
        => ArchiveError::HeadersDisagree { field: "size", .. },
    another_size_in_the_data_descriptor_is_refused:
        archive_error(&changed(|entry| { entry.streamed = true; entry.local_inflated = 999; }))
        => ArchiveError::HeadersDisagree { field: "descriptor", .. },
    entries_that_share_bytes_are_refused:
        archive_error(&changed(|entry| { entry.name = b"lib/b.dll".to_vec(); entry.offset = Some(0); }))
        => ArchiveError::Overlap { .. } | ArchiveError::HeadersDisagree { .. },
    an_entry_that_runs_into_the_directory_is_refused:
        archive_error(&changed(|entry| entry.declared_packed += 40)) => ArchiveError::PastTheEnd(_),
    a_size_that_deflate_cannot_reach_is_refused:
        archive_error(&changed(|entry| { entry.declared_inflated = 1 << 30; entry.local_inflated = 1 << 30; }))
        => ArchiveError::DishonestSize(_),
    a_stored_entry_of_two_sizes_is_refused: {
        let mut entry = Entry::stored("a", b"abc");
        entry.declared_inflated = 2;
        archive_error(&acme().entry(entry))
    } => ArchiveError::DishonestSize(_),
    a_nuspec_that_inflates_further_than_declared_is_refused: {
        let mut entry = Entry::file("a.nuspec", nuspec("Acme", "1.0.0", "").as_bytes());
        entry.declared_inflated -= 1;
        entry.local_inflated -= 1;
        archive_error(&PackageBuilder::default().entry(entry))
    } => ArchiveError::DishonestSize(_),
    a_nuspec_that_inflates_less_far_than_declared_is_refused: {
        let mut entry = Entry::file("a.nuspec", nuspec("Acme", "1.0.0", "").as_bytes());
        entry.declared_inflated += 1;
        entry.local_inflated += 1;
        archive_error(&PackageBuilder::default().entry(entry))
    } => ArchiveError::DishonestSize(_),
    a_nuspec_with_data_behind_its_stream_is_refused: {
        let mut entry = Entry::file("a.nuspec", nuspec("Acme", "1.0.0", "").as_bytes());
        entry.packed.extend(b"hidden");
        entry.declared_packed += 6;
        archive_error(&PackageBuilder::default().entry(entry))
    } => ArchiveError::DishonestSize(_),
    a_nuspec_with_a_wrong_checksum_is_refused: {
        let mut entry = Entry::file("a.nuspec", nuspec("Acme", "1.0.0", "").as_bytes());
        entry.crc ^= 1;
        archive_error(&PackageBuilder::default().entry(entry))
    } => ArchiveError::Corrupt(_),
    a_nuspec_that_does_not_inflate_is_refused: {
        let mut entry = Entry::file("a.nuspec", nuspec("Acme", "1.0.0", "").as_bytes());
        entry.packed.fill(0xff);
        archive_error(&PackageBuilder::default().entry(entry))
    } => ArchiveError::Corrupt(_),
    more_entries_than_the_limit_are_refused:
        archive_error_with(&acme().file("a", b"").file("b", b""), &Limits { entries: 2, ..Limits::default() })
        => ArchiveError::TooManyEntries { entries: 3, limit: 2 },
    a_directory_beyond_the_limit_is_refused:
        archive_error_with(&acme(), &Limits { directory_bytes: 40, ..Limits::default() })
        => ArchiveError::DirectoryTooLarge { limit: 40, .. },
    entries_that_inflate_beyond_the_limit_are_refused:
        archive_error_with(&acme().file("a", &[0; 5000]), &Limits { inflated_bytes: 4000, ..Limits::default() })
        => ArchiveError::InflatesTooFar { limit: 4000, .. },
    a_suspicious_inflation_is_refused:
        archive_error_with(
            &acme().file("a", &[0; 500_000]),
            &Limits { inflated_bytes_without_ratio: 1000, inflation_ratio: 100, ..Limits::default() },
        ) => ArchiveError::InflationRatio { limit: 100, .. },
    a_nuspec_beyond_the_limit_is_refused:
        archive_error_with(&acme(), &Limits { nuspec_bytes: 100, ..Limits::default() })
        => ArchiveError::EntryTooLarge { limit: 100, .. },
    a_readme_beyond_the_limit_is_refused: {
        let package = PackageBuilder::default()
            .nuspec(&nuspec("Acme", "1.0.0", "<readme>README.md</readme>"))
            .file("README.md", &[b'x'; 2000]);
        archive_error_with(&package, &Limits { attached_file_bytes: 1999, ..Limits::default() })
    } => ArchiveError::EntryTooLarge { limit: 1999, .. },
    a_package_without_a_nuspec_is_refused:
        archive_error(&PackageBuilder::default().file("a.txt", b"")) => ArchiveError::NoNuspec,
    a_nuspec_in_a_folder_is_none:
        archive_error(&PackageBuilder::default().file("lib/a.nuspec", b"")) => ArchiveError::NoNuspec,
    two_nuspecs_are_refused:
        archive_error(&acme().file("b.NUSPEC", b"")) => ArchiveError::MultipleNuspecs(..),
    a_second_nuspec_in_a_folder_is_refused:
        archive_error(&acme().file("lib/b.nuspec", b"")) => ArchiveError::MultipleNuspecs(..),
    a_missing_icon_is_refused:
        archive_error(&PackageBuilder::default().nuspec(&nuspec("Acme", "1.0.0", "<icon>i.png</icon>")))
        => ArchiveError::MissingFile { element: "icon", .. },
    a_missing_readme_is_refused:
        archive_error(&PackageBuilder::default().nuspec(&nuspec("Acme", "1.0.0", "<readme>R.md</readme>")))
        => ArchiveError::MissingFile { element: "readme", .. },
    a_missing_license_is_refused:
        archive_error(&PackageBuilder::default().nuspec(&nuspec("Acme", "1.0.0", "<license type=\"file\">L.txt</license>")))
        => ArchiveError::MissingFile { element: "license", .. },
}
