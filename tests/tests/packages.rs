//! What a package must be: every rule, the vectors of the real NuGet library,
//! and the corpus.

use std::io::Cursor;

use nupkg::{ArchiveError, Limits, NuspecError, Package, PackageError, Version, inspect};
use nuthatch_tests::{Entry, PackageBuilder, corpus, nuspec};
use time::macros::datetime;

const NOW: time::OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

fn judge_with(package: &[u8], limits: &Limits) -> Result<Package, PackageError> {
    inspect(Cursor::new(package), limits, NOW)
}

fn judge(package: &PackageBuilder) -> Result<Package, PackageError> {
    judge_with(&package.build(), &Limits::default())
}

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
fn nuspec_error_of(xml: &[u8]) -> NuspecError {
    match judge(&PackageBuilder::default().file("a.nuspec", xml)) {
        Err(PackageError::Nuspec(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn nuspec_error(more: &str) -> NuspecError {
    nuspec_error_of(nuspec("Acme", "1.0.0", more).as_bytes())
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

/// A list of so many dependencies or groups.
fn dependencies(count: usize, element: impl Fn(usize) -> String) -> String {
    let elements: Vec<String> = (0..count).map(element).collect();
    format!("<dependencies>{}</dependencies>", elements.concat())
}

/// Midnight of a day, as a zip has it.
fn dos_date(year: u16, month: u16, day: u16) -> (u16, u16) {
    (((year - 1980) << 9) | (month << 5) | day, 0)
}

fn acme() -> PackageBuilder {
    PackageBuilder::new("Acme", "1.0.0")
}

macro_rules! refuses {
    ($($name:ident: $error:expr => $pattern:pat,)+) => {
        $(
            #[test]
            fn $name() {
                let error = $error;
                assert!(matches!(error, $pattern), "{error:?}");
            }
        )+
    };
}

fn changed(change: impl FnOnce(&mut Entry)) -> PackageBuilder {
    let mut entry = Entry::file("lib/a.dll", &[7; 1000]);
    change(&mut entry);
    acme().entry(entry)
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
    a_symbolic_link_is_refused:
        archive_error(&changed(|entry| entry.mode = 0o120_777)) => ArchiveError::SymbolicLink(_),
    an_entry_dated_two_days_ahead_is_refused:
        archive_error(&changed(|entry| entry.date = dos_date(2026, 11, 24)))
        => ArchiveError::FromTheFuture(_),
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
    bytes_that_are_not_utf8_are_refused:
        nuspec_error_of(b"<package>\xff</package>") => NuspecError::Undecodable { .. },
    an_unknown_encoding_is_refused:
        nuspec_error_of(b"<?xml version=\"1.0\" encoding=\"klingon\"?><a/>") => NuspecError::UnknownEncoding(_),
    utf8_declared_as_utf16_is_refused:
        nuspec_error_of(b"<?xml version=\"1.0\" encoding=\"utf-16\"?><a/>") => NuspecError::WrongEncoding { .. } | NuspecError::Undecodable { .. },
    a_document_type_is_refused:
        nuspec_error_of(b"<!DOCTYPE package [<!ENTITY a \"b\">]><package/>") => NuspecError::DocumentType,
    an_empty_document_type_is_refused:
        nuspec_error_of(b"<!DOCTYPE package><package/>") => NuspecError::DocumentType,
    an_element_without_an_end_is_refused:
        nuspec_error_of(b"<package><metadata></package>") => NuspecError::Malformed(_),
    text_behind_the_document_is_refused:
        nuspec_error_of(b"<package/>x") => NuspecError::Malformed(_),
    a_control_character_by_reference_is_refused:
        nuspec_error_of(b"<package>&#1;</package>") => NuspecError::Malformed(_),
    an_unknown_entity_is_refused:
        nuspec_error_of(b"<package>&xxe;</package>") => NuspecError::Malformed(_),
    a_nuspec_without_metadata_is_refused:
        nuspec_error_of(b"<package/>") => NuspecError::NoMetadata,
    metadata_in_another_case_is_none:
        nuspec_error_of(b"<package><Metadata/></package>") => NuspecError::NoMetadata,
    an_element_that_stands_twice_is_refused:
        nuspec_error("<title>a</title><title>b</title>") => NuspecError::DuplicateElement(_),
    elements_that_differ_in_case_are_refused:
        nuspec_error("<Title>a</Title><title>b</title>") => NuspecError::ElementsDifferInCase(_),
    tags_in_another_case_are_refused:
        nuspec_error("<Tags>a</Tags>") => NuspecError::MiscasedTags(_),
    a_reserved_element_is_refused:
        nuspec_error("<listed>false</listed>") => NuspecError::ReservedElement(_),
    a_boolean_that_is_none_is_refused:
        nuspec_error("<requireLicenseAcceptance>yes</requireLicenseAcceptance>")
        => NuspecError::NotABoolean { element: "requireLicenseAcceptance", .. },
    a_serviceable_that_is_no_boolean_is_refused:
        nuspec_error("<serviceable>1</serviceable>") => NuspecError::NotABoolean { .. },
    an_id_with_spaces_around_it_is_refused:
        nuspec_error_of(nuspec(" Acme ", "1.0.0", "").as_bytes()) => NuspecError::Id(_),
    a_missing_id_is_refused:
        nuspec_error_of(nuspec("", "1.0.0", "").as_bytes()) => NuspecError::Id(_),
    the_id_of_a_template_is_refused:
        nuspec_error_of(nuspec("$id$", "1.0.0", "").as_bytes()) => NuspecError::Id(_),
    a_prefixed_namespace_hides_the_id:
        nuspec_error_of(b"<p:package xmlns:p='urn:x'><p:metadata><p:id>A</p:id><p:version>1</p:version></p:metadata></p:package>")
        => NuspecError::Id(_),
    a_missing_version_is_refused:
        nuspec_error_of(nuspec("Acme", "", "").as_bytes()) => NuspecError::NoVersion,
    a_version_that_is_none_is_refused:
        nuspec_error_of(nuspec("Acme", "1.0.0.0.0", "").as_bytes()) => NuspecError::Version(_),
    a_version_of_65_characters_is_refused:
        nuspec_error_of(nuspec("Acme", &format!("1.0.0-{}", "a".repeat(59)), "").as_bytes())
        => NuspecError::TooLong { element: "version", length: 65, limit: 64 },
    an_identity_of_161_characters_is_refused:
        nuspec_error_of(nuspec(&"a".repeat(100), &format!("1.0.0-{}", "a".repeat(55)), "").as_bytes())
        => NuspecError::TooLong { element: "id and version", length: 161, .. },
    a_long_title_is_refused:
        nuspec_error(&format!("<title>{}</title>", "a".repeat(257)))
        => NuspecError::TooLong { element: "title", .. },
    long_release_notes_are_refused:
        nuspec_error(&format!("<releaseNotes>{}</releaseNotes>", "a".repeat(35_001)))
        => NuspecError::TooLong { element: "releaseNotes", .. },
    a_script_as_project_url_is_refused:
        nuspec_error("<projectUrl>javascript:alert(1)</projectUrl>")
        => NuspecError::NotAWebAddress { element: "projectUrl", .. },
    a_relative_icon_url_is_refused:
        nuspec_error("<iconUrl>icon.png</iconUrl>") => NuspecError::NotAWebAddress { element: "iconUrl", .. },
    a_file_as_license_url_is_refused:
        nuspec_error("<licenseUrl>file:///etc/passwd</licenseUrl>")
        => NuspecError::NotAWebAddress { element: "licenseUrl", .. },
    a_package_type_without_a_name_is_refused:
        nuspec_error("<packageTypes><packageType/></packageTypes>") => NuspecError::UnnamedPackageType,
    a_package_type_that_is_no_id_is_refused:
        nuspec_error("<packageTypes><packageType name='a b'/></packageTypes>") => NuspecError::PackageTypeName(_),
    a_package_type_with_a_wrong_version_is_refused:
        nuspec_error("<packageTypes><packageType name='a' version='1-x'/></packageTypes>")
        => NuspecError::PackageTypeVersion { .. },
    a_symbols_package_is_refused:
        nuspec_error("<packageTypes><packageType name='SymbolsPackage'/></packageTypes>")
        => NuspecError::SymbolsPackage,
    too_many_package_types_are_refused:
        nuspec_error(&format!("<packageTypes>{}</packageTypes>", "<packageType name='a'/>".repeat(33)))
        => NuspecError::TooMany { element: "package types", count: 33, limit: 32 },
    a_dependency_without_an_id_is_refused:
        nuspec_error("<dependencies><dependency version='1'/></dependencies>") => NuspecError::DependencyId(_),
    a_dependency_that_no_package_can_be_is_refused:
        nuspec_error("<dependencies><dependency id='a b'/></dependencies>") => NuspecError::DependencyId(_),
    a_dependency_with_a_wrong_version_is_refused:
        nuspec_error("<dependencies><dependency id='a' version='[1'/></dependencies>")
        => NuspecError::DependencyRange { .. },
    a_floating_dependency_is_refused:
        nuspec_error("<dependencies><dependency id='a' version='1.*'/></dependencies>")
        => NuspecError::FloatingRange { .. },
    a_dependency_with_build_metadata_is_refused:
        nuspec_error("<dependencies><dependency id='a' version='[1.0,2.0+x]'/></dependencies>")
        => NuspecError::RangeWithMetadata { .. },
    a_dependency_named_twice_with_different_versions_is_refused:
        nuspec_error("<dependencies><dependency id='a' version='1.0'/><dependency id='A' version='2.0'/></dependencies>")
        => NuspecError::DuplicateDependency(_),
    two_groups_for_one_framework_are_refused:
        nuspec_error("<dependencies><group targetFramework='net45'/><group targetFramework='.NETFramework4.5'/></dependencies>")
        => NuspecError::DuplicateGroup(_),
    dependencies_beyond_the_limit_are_refused:
        nuspec_error(&dependencies(800, |n| format!("<dependency id='{}{n}' version='1.0'/>", "a".repeat(30))))
        => NuspecError::TooLong { element: "list of dependencies", .. },
    too_many_dependencies_are_refused:
        nuspec_error(&dependencies(4097, |_| "<dependency id='a'/>".to_owned()))
        => NuspecError::TooMany { element: "dependencies", .. },
    too_many_groups_are_refused:
        nuspec_error(&dependencies(257, |n| format!("<group targetFramework='x{n}'/>")))
        => NuspecError::TooMany { element: "dependency groups", .. },
    too_many_elements_are_refused:
        nuspec_error(&"<!-- -->".repeat(60_000)) => NuspecError::TooManyNodes { .. },
    a_license_of_neither_kind_is_refused:
        nuspec_error("<license>MIT</license>") => NuspecError::LicenseType(_),
    a_license_of_another_version_is_refused:
        nuspec_error("<license type='expression' version='2.0.0'>MIT</license>") => NuspecError::LicenseVersion(_),
    elements_in_a_readme_are_refused:
        nuspec_error("<readme><b/></readme>") => NuspecError::NotText("readme"),
}

#[test]
fn a_nuspec_that_does_not_deflate_far_enough_is_refused() {
    let limits = Limits { deflated_nuspec_bytes: 50, ..Limits::default() };
    let refused = judge_with(&acme().build(), &limits);
    let error = PackageError::Nuspec(NuspecError::TooLargeDeflated { bytes: 0, limit: 0 });
    assert_eq!(std::mem::discriminant(&refused.unwrap_err()), std::mem::discriminant(&error));
}

#[test]
fn what_only_a_public_gallery_wants_is_not_asked_for() {
    for xml in [
        "<package><metadata><id>A</id><version>1</version></metadata></package>".to_owned(),
        "<x xmlns='urn:foo'><metadata><id>A<!--x-->B</id><version> 1.0 </version></metadata></x>"
            .to_owned(),
        nuspec("Acme", "1.0.0-1", "<dependencies><dependency id='a'/></dependencies>"),
        nuspec("Acme", "1.0.0", "<license type='expression'>LicenseRef-Acme</license>"),
        nuspec("Acme", "1.0.0", "<dependencies><group targetFramework='martian1'/></dependencies>"),
        nuspec(
            "Acme",
            "1.0.0",
            "<dependencies><dependency id='a'/><dependency id='a'/></dependencies>",
        ),
    ] {
        let package = PackageBuilder::default().file("x.nuspec", xml.as_bytes());
        assert!(judge(&package).is_ok(), "{xml}");
    }
}

#[test]
fn every_encoding_that_dotnet_reads_is_read() {
    let text = nuspec("Acme", "1.0.0", "<title>Grüße</title>");
    let utf16 = |units: Vec<[u8; 2]>, bom: &[u8]| [bom, &units.concat()].concat();
    let wide = text.replace("utf-8", "utf-16");
    let little: Vec<_> = wide.encode_utf16().map(u16::to_le_bytes).collect();
    let big: Vec<_> = wide.encode_utf16().map(u16::to_be_bytes).collect();
    let latin: Vec<u8> =
        text.replace("utf-8", "iso-8859-1").chars().map(|c| u8::try_from(c).unwrap()).collect();
    for xml in [
        text.clone().into_bytes(),
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        utf16(little.clone(), b"\xff\xfe"),
        utf16(big, b"\xfe\xff"),
        utf16(little, b""),
        latin,
    ] {
        let package = judge(&PackageBuilder::default().file("a.nuspec", &xml)).unwrap();
        assert_eq!(package.nuspec.title.as_deref(), Some("Grüße"));
    }
}

#[test]
fn what_a_package_says_of_itself_is_read() {
    let xml = nuspec(
        "Acme.Core",
        "01.2-Beta+build",
        "<title> T </title><tags>a b</tags><projectUrl>https://example.org/</projectUrl>
         <license type=\"expression\">MIT</license><icon>images\\icon.png</icon><readme>README.md</readme>
         <repository type=\"git\" url=\"https://example.org/r\" commit=\"abc\"/>
         <packageTypes><packageType name=\"DotnetTool\"/></packageTypes>
         <requireLicenseAcceptance>TRUE</requireLicenseAcceptance>
         <dependencies>
           <dependency id=\"Ignored\"/>
           <group><dependency id=\"Any\" version=\"\"/></group>
           <group targetFramework=\"net8.0\"><dependency id=\"B\" version=\"[1.0,2.0)\" exclude=\"Build\"/></group>
         </dependencies>",
    );
    let package = PackageBuilder::default()
        .nuspec(&xml)
        .file("images/icon.png", b"\x89PNG")
        .file("README.md", b"# Hello");
    insta::assert_debug_snapshot!(judge(&package).unwrap().nuspec);
}

#[test]
fn every_refusal_is_one_that_a_client_can_show() {
    let package = acme().file("../\u{202e}ä\n", b"");
    let refusal = feed::Refusal::from(judge(&package).unwrap_err());
    let line = feed::one_line(&refusal.to_string());
    assert!(line.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{line}");
}

#[test]
fn versions_are_read_as_the_real_library_reads_them() {
    let vectors = include_str!("../vectors/versions.tsv");
    let mut rows = 0;
    for row in vectors.lines().skip(1) {
        let fields: Vec<&str> = row.split('\t').collect();
        let [input, valid, normalized, full, prerelease, semver2] = fields[..] else {
            panic!("{row}")
        };
        rows += 1;
        let parsed = input.parse::<Version>();
        assert_eq!(parsed.is_ok(), valid == "yes", "{row}");
        let Ok(version) = parsed else { continue };
        assert_eq!(version.normalized(), normalized, "{row}");
        assert_eq!(version.full(), full, "{row}");
        assert_eq!(version.is_prerelease(), prerelease == "yes", "{row}");
        assert_eq!(version.is_semver2(), semver2 == "yes", "{row}");
    }
    assert_eq!(rows, 1500);
}

#[test]
fn versions_are_ordered_as_the_real_library_orders_them() {
    let vectors = include_str!("../vectors/version-order.tsv");
    let mut rows = 0;
    for row in vectors.lines().skip(1) {
        let fields: Vec<&str> = row.split('\t').collect();
        let [left, right, order, equal] = fields[..] else { panic!("{row}") };
        rows += 1;
        let (left, right): (Version, Version) = (left.parse().unwrap(), right.parse().unwrap());
        let order = match order {
            "<" => std::cmp::Ordering::Less,
            ">" => std::cmp::Ordering::Greater,
            _ => std::cmp::Ordering::Equal,
        };
        assert_eq!(left.precedence(&right), order, "{row}");
        assert_eq!(left == right, equal == "yes", "{row}");
    }
    assert_eq!(rows, 2000);
}

#[test]
fn versions_of_the_reference_table_are_read_as_it_says() {
    for (input, normalized, full, prerelease, semver2) in [
        ("1", "1.0.0", "1.0.0", false, false),
        ("02", "2.0.0", "2.0.0", false, false),
        ("1.0", "1.0.0", "1.0.0", false, false),
        ("1.0.0.0", "1.0.0", "1.0.0", false, false),
        ("1.0.0.1", "1.0.0.1", "1.0.0.1", false, false),
        ("01.02.03", "1.2.3", "1.2.3", false, false),
        ("1.00.0.1", "1.0.0.1", "1.0.0.1", false, false),
        ("1.0.01.0", "1.0.1", "1.0.1", false, false),
        ("1.022-Beta", "1.22.0-Beta", "1.22.0-Beta", true, false),
        ("1.0-alpha", "1.0.0-alpha", "1.0.0-alpha", true, false),
        ("1.0.0-alpha.1", "1.0.0-alpha.1", "1.0.0-alpha.1", true, true),
        ("3.4.0.3-RC-3", "3.4.0.3-RC-3", "3.4.0.3-RC-3", true, false),
        ("1.2.3.4-RC+99", "1.2.3.4-RC", "1.2.3.4-RC+99", true, true),
        ("1.0.0+meta", "1.0.0", "1.0.0+meta", false, true),
        ("1.0.0.0+beta.2", "1.0.0", "1.0.0+beta.2", false, true),
        ("1.0-1.1+B.B", "1.0.0-1.1", "1.0.0-1.1+B.B", true, true),
        ("1.0.0009.01-1.1+A", "1.0.9.1-1.1", "1.0.9.1-1.1+A", true, true),
        ("1.2.3+02.02-02", "1.2.3", "1.2.3+02.02-02", false, true),
        ("1.0.0+-", "1.0.0", "1.0.0+-", false, true),
        ("1.0.0-a+b-c", "1.0.0-a", "1.0.0-a+b-c", true, true),
        ("1.2.3---b.-.C", "1.2.3---b.-.C", "1.2.3---b.-.C", true, true),
        ("1.2.3--", "1.2.3--", "1.2.3--", true, false),
        (" 1.2.3 ", "1.2.3", "1.2.3", false, false),
        ("1 . 2 . 3", "1.2.3", "1.2.3", false, false),
        ("1.2. 3-beta", "1.2.3-beta", "1.2.3-beta", true, false),
        ("1.2.3 -beta", "1.2.3-beta", "1.2.3-beta", true, false),
        (
            "2147483647.2147483647.2147483647.2147483647",
            "2147483647.2147483647.2147483647.2147483647",
            "2147483647.2147483647.2147483647.2147483647",
            false,
            false,
        ),
    ] {
        let version: Version = input.parse().expect(input);
        assert_eq!(version.normalized(), normalized, "{input}");
        assert_eq!(version.full(), full, "{input}");
        assert_eq!(version.is_prerelease(), prerelease, "{input}");
        assert_eq!(version.is_semver2(), semver2, "{input}");
    }
    for input in [
        "1.2.3- beta",
        "1.2.3-01",
        "1.2.3-00",
        "1.2.3-a.01",
        "1.2.3-",
        "1.2.3+",
        "1.4.7-*",
        "1.2.3-a..b",
        "1.2.3-.a",
        "1.2.3-a.",
        "1.2.3+a..b",
        "1.2.3+a+b",
        "1.2.3-a_b",
        "1.2.3-ä",
        "１.0.0",
        "2147483648.0.0",
        "1.2.3.4.5",
        "1.",
        "1..2",
        ".1",
        "1.2.3.Beta",
        "v1.0.0",
        "1beta",
        "1.*",
        "*",
        "-1.0",
        "1.-1",
        "1e1.0",
        "0x1.0",
        "1,0",
        "",
        "  ",
    ] {
        assert!(input.parse::<Version>().is_err(), "{input}");
    }
}

#[test]
fn versions_of_the_reference_are_ordered_as_it_says() {
    let ascending = [
        "--2",
        "--1",
        "-0",
        "-1",
        "-2",
        "-10",
        "-999999",
        "-2147483647",
        "-2147483648",
        "-56-2",
        "-99999999999",
        "-A",
        "-a.1",
        "-a.2",
        "-a.10",
        "-a.-",
        "-a.b",
        "-a-b",
        "-a1",
        "-alpha",
        "-alpha.beta",
        "-alpha10",
        "-alpha2",
        "-beta",
        "-BETA.X",
        "-rc.1",
        "-z",
        "-zzz",
        "",
        ".1-a",
        ".1",
    ];
    for pair in ascending.windows(2) {
        let version = |end: &str| format!("1.0.0{end}").parse::<Version>().unwrap();
        assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
    }
    let version = |text: &str| text.parse::<Version>().unwrap();
    for (left, right) in [("1.0.0-A", "1.0.0-a"), ("1.0.0", "1.0.0+build"), ("1.0.01", "1.0.1.0")] {
        assert_eq!(version(left), version(right));
    }
    // NuGet calls these two neither smaller nor equal; here they have an order.
    let (zero, minus_zero) = (version("1.0.0-0"), version("1.0.0--0"));
    assert_eq!(zero.precedence(&minus_zero), std::cmp::Ordering::Equal);
    assert_ne!(zero, minus_zero);
    assert_ne!(zero.cmp(&minus_zero), std::cmp::Ordering::Equal);
}

#[test]
#[cfg_attr(not(has_corpus), ignore = "the corpus of real packages is not beside this checkout")]
fn the_corpus_is_judged_as_its_manifest_says() {
    for package in corpus() {
        let judged = judge_with(&package.bytes(), &Limits::default());
        let name = package.name();
        if let Some(reason) = package.refused_by_rule() {
            let error = judged.expect_err(&name).to_string();
            assert!(error.contains(reason), "{name}: {error}");
        } else if package.verdict == "valid" {
            let nuspec = judged.unwrap_or_else(|error| panic!("{name}: {error}")).nuspec;
            assert_eq!(nuspec.id.as_str(), package.id, "{name}");
            assert_eq!(nuspec.version.normalized(), package.normalized, "{name}");
        } else {
            assert!(judged.is_err(), "{name}");
        }
    }
}
