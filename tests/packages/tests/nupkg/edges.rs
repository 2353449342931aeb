//! Limits at their edges, and features that only unusual archives have.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;

use nupkg::{
    ArchiveError, Limits, NuspecError, PackageError, PackageId, Source, Version, VersionRange,
    inspect,
};
use packages::{Entry, PackageBuilder, nuspec};
use time::macros::datetime;

use crate::{NOW, acme, judge, judge_with};

/// Asserts that a package is accepted with `limits`, but not with `less`.
#[track_caller]
fn is_the_edge(package: &PackageBuilder, limits: &Limits, less: &Limits) {
    let package = package.build();
    judge_with(&package, limits).unwrap();
    judge_with(&package, less).unwrap_err();
}

macro_rules! edges {
    ($($test:ident: $field:ident = $value:expr, $package:expr;)+) => {
        $(#[test]
        fn $test() {
            let with = |$field| Limits { $field, ..Limits::default() };
            is_the_edge(&$package, &with($value), &with($value - 1));
        })+
    };
}

fn with(more: &str) -> PackageBuilder {
    PackageBuilder::default().nuspec(&nuspec("Acme", "1.0.0", more))
}

fn groups(count: usize) -> String {
    let group =
        |n| format!("<group targetFramework='net{n}.0'><dependency id='a' version='1.0'/></group>");
    format!("<dependencies>{}</dependencies>", (6..6 + count).map(group).collect::<String>())
}

edges! {
    as_many_entries_as_the_limit_are_taken: entries = 2, acme().file("a", b"");
    a_directory_as_large_as_the_limit_is_taken:
        directory_bytes = 46 + "package.nuspec".len() as u64, acme();
    a_name_as_long_as_the_limit_is_taken: name_bytes = 20, acme().file(&"a".repeat(20), b"");
    a_nuspec_as_large_as_the_limit_is_taken:
        nuspec_bytes = nuspec("Acme", "1.0.0", "").len() as u64, with("");
    entries_that_inflate_as_far_as_the_limit_are_taken:
        inflated_bytes = nuspec("Acme", "1.0.0", "").len() as u64 + 100, with("").file("a", &[0; 100]);
    a_title_as_long_as_the_limit_is_taken: title = 5, with("<title>wörld</title>");
    as_many_package_types_as_the_limit_are_taken:
        package_types = 2,
        with("<packageTypes><packageType name='a'/><packageType name='b'/></packageTypes>");
    as_many_dependency_groups_as_the_limit_are_taken: dependency_groups = 3, with(&groups(3));
    as_many_dependencies_as_the_limit_are_taken: dependency_count = 3, with(&groups(3));
    // `a:[1.0.0, ):net6.0|` each.
    dependencies_as_long_as_the_limit_are_taken: dependencies = 3 * 19, with(&groups(3));
    as_many_attributes_as_the_limit_are_taken:
        nuspec_attributes = 3, with("<x a='1' b='2' c='3'/>");
    as_many_namespaces_as_the_limit_are_taken:
        nuspec_namespaces = 3, with("<x xmlns:a='u' xmlns:b='u'/>");
}

#[test]
fn a_nuspec_that_deflates_as_far_as_the_limit_is_taken() {
    let deflated = judge(&acme()).unwrap().nuspec_zlib.len() as u64;
    let limits = |deflated_nuspec_bytes| Limits { deflated_nuspec_bytes, ..Limits::default() };
    is_the_edge(&acme(), &limits(deflated), &limits(deflated - 1));
}

#[test]
fn only_what_inflates_both_far_and_steeply_is_suspicious() {
    let package = acme().file("a", &[0; 500_000]);
    let size = package.build().len() as u64;
    let inflated = nuspec("Acme", "1.0.0", "").len() as u64 + 500_000;
    let limits = |inflated_bytes_without_ratio, inflation_ratio| Limits {
        inflated_bytes_without_ratio,
        inflation_ratio,
        ..Limits::default()
    };
    let ratio = inflated / size;
    assert!(ratio > 100);
    for (far, steep) in [(inflated, 1), (0, ratio), (inflated, ratio)] {
        judge_with(&package.build(), &limits(far, steep)).unwrap();
    }
    is_the_edge(&package, &limits(inflated - 1, ratio), &limits(inflated - 1, ratio - 1));
}

#[test]
fn an_entry_may_be_dated_a_day_ahead_and_not_a_second_more() {
    let dated = |(year, month, day): (u16, u16, u16), (hour, minute): (u16, u16)| {
        let mut entry = Entry::file("a", b"");
        entry.date = (((year - 1980) << 9) | (month << 5) | day, (hour << 11) | (minute << 5));
        acme().entry(entry)
    };
    // It is noon on the 22nd.
    judge(&dated((2026, 11, 23), (11, 59))).unwrap();
    judge(&dated((2026, 11, 23), (12, 0))).unwrap();
    judge(&dated((2026, 11, 23), (12, 1))).unwrap_err();
    assert_eq!(NOW, datetime!(2026-11-22 12:00 UTC));
}

#[test]
fn a_nuspec_packed_longer_than_any_packer_would_is_refused() {
    // Stored deflate blocks without a byte, before the content.
    let padded = |blocks: usize| {
        let mut entry = Entry::file("a.nuspec", nuspec("Acme", "1.0.0", "").as_bytes());
        let empty = [0, 0, 0, 0xff, 0xff].repeat(blocks);
        entry.packed.splice(0..0, empty);
        entry.declared_packed = u32::try_from(entry.packed.len()).unwrap();
        PackageBuilder::default().entry(entry)
    };
    judge(&padded(1)).unwrap();
    let error = judge(&padded(2000)).unwrap_err();
    assert!(matches!(error, PackageError::Archive(ArchiveError::DishonestSize(_))), "{error:?}");
}

/// Flags, checksums and methods of one entry that differ in its local header.
#[test]
fn whatever_a_local_header_tells_otherwise_is_refused() {
    let package = acme().file("lib/a.dll", &[7; 1000]).build();
    let name = package.windows(9).position(|name| name == b"lib/a.dll").unwrap();
    let header = name - 30;
    assert_eq!(&package[header..header + 4], b"PK\x03\x04");
    for (at, flip, expected) in [
        (6, 1, "flag"),
        (6, 8, "flag"),
        (8, 8, "compression method"),
        (14, 1, "checksum"),
        (18, 1, "size"),
        (22, 1, "size"),
    ] {
        let mut package = package.clone();
        package[header + at] ^= flip;
        match judge_with(&package, &Limits::default()).unwrap_err() {
            PackageError::Archive(ArchiveError::HeadersDisagree { field, .. }) => {
                assert_eq!(field, expected, "{at}");
            }
            other => panic!("{at}: {other:?}"),
        }
    }
}

#[test]
fn whatever_a_data_descriptor_tells_otherwise_is_refused() {
    let mut streamed = Entry::file("b", &[7; 1000]);
    streamed.streamed = true;
    let package = acme().entry(streamed).build();
    let descriptor = package.windows(4).position(|bytes| bytes == b"PK\x07\x08").unwrap();
    judge_with(&package, &Limits::default()).unwrap();
    for at in [4, 8, 12] {
        let mut package = package.clone();
        package[descriptor + at] ^= 1;
        let error = judge_with(&package, &Limits::default()).unwrap_err();
        let PackageError::Archive(ArchiveError::HeadersDisagree { field, .. }) = error else {
            panic!("{at}: {error:?}")
        };
        assert_eq!(field, "descriptor", "{at}");
    }
}

/// A package whose end is also described by zip64 records, and the offsets of the records.
fn large() -> (Vec<u8>, usize, usize) {
    let mut package = acme().file("a", b"").build();
    let end = package.len() - 22;
    let number = |at: usize, length: usize| {
        let bytes = &package[end + at..end + at + length];
        bytes.iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte))
    };
    let (entries, bytes, offset) = (number(10, 2), number(12, 4), number(16, 4));
    let mut records = b"PK\x06\x06".to_vec();
    records.extend(44_u64.to_le_bytes());
    records.extend([45, 0, 45, 0]);
    records.extend([0; 8]);
    for value in [entries, entries, bytes, offset] {
        records.extend(value.to_le_bytes());
    }
    records.extend(b"PK\x06\x07\0\0\0\0");
    records.extend((end as u64).to_le_bytes());
    records.extend(1_u32.to_le_bytes());
    package.splice(end..end, records);
    (package, end, end + 56 + 20)
}

#[test]
fn an_end_told_twice_alike_is_taken_and_sentinels_stand_for_large_numbers() {
    let (package, _, end) = large();
    judge_with(&package, &Limits::default()).unwrap();
    for (at, length) in [(8, 4), (12, 4), (16, 4)] {
        let mut package = package.clone();
        package[end + at..end + at + length].fill(0xff);
        judge_with(&package, &Limits::default()).unwrap();
    }
}

#[test]
fn an_end_told_twice_and_not_alike_is_refused() {
    let (package, record, end) = large();
    // The large record's size, disk, numbers; its locator's; and the small record's.
    let in_large = [4, 16, 20, 24, 32, 40, 48].map(|at| record + at);
    let in_locator = [64].map(|at| record + at);
    let in_small = [4, 6, 8, 10, 12, 16].map(|at| end + at);
    for at in in_large.into_iter().chain(in_locator).chain(in_small) {
        let mut package = package.clone();
        package[at] = package[at].wrapping_add(1);
        let error = judge_with(&package, &Limits::default()).unwrap_err();
        assert!(matches!(error, PackageError::Archive(_)), "{at}: {error:?}");
    }
}

/// A source that fails at reads of its first 30 bytes.
struct Failing<'a>(&'a [u8], io::ErrorKind);

impl Source for Failing<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset < 30 { Err(self.1.into()) } else { self.0.read_at(buffer, offset) }
    }
}

#[test]
fn a_source_that_fails_is_not_the_packages_fault() {
    let stored = Entry::stored("a.nuspec", nuspec("Acme", "1.0.0", "").as_bytes());
    for package in [acme().build(), PackageBuilder::default().entry(stored).build()] {
        let failing = Failing(&package, io::ErrorKind::ConnectionReset);
        let error = inspect(failing, &Limits::default(), NOW).unwrap_err();
        let PackageError::Unreadable(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let short = Failing(&package, io::ErrorKind::UnexpectedEof);
        let error = inspect(short, &Limits::default(), NOW).unwrap_err();
        assert!(matches!(error, PackageError::Archive(_)), "{error:?}");
    }
}

/// A source that records the ranges that were announced to it.
struct Told<'a>(&'a [u8], std::cell::RefCell<Vec<std::ops::Range<u64>>>);

impl Source for Told<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn announce(&self, parts: &[std::ops::Range<u64>]) -> io::Result<()> {
        self.1.borrow_mut().extend_from_slice(parts);
        Ok(())
    }
}

#[test]
fn a_source_is_told_of_the_directory_all_headers_and_the_nuspec() {
    let package = acme().file("lib/some.dll", &[7; 1000]).build();
    let told = Told(&package, std::cell::RefCell::default());
    inspect(&told, &Limits::default(), NOW).unwrap();
    let second = package.windows(12).position(|name| name == b"lib/some.dll").unwrap() as u64 - 30;
    let parts = told.1.into_inner();
    let end = package.len() as u64 - 22;
    assert_eq!(parts[0].end, end, "the directory");
    assert_eq!(parts[1], 0..30 + 14 + 64, "the nuspec's header");
    assert_eq!(parts[2], second - 24..second + 30 + 12 + 64, "the other header");
    assert_eq!(parts[3].start, 30 + 14, "the nuspec");
    assert_eq!(parts.len(), 4);
}

#[test]
fn what_differs_is_not_equal_and_hashes_apart() {
    fn hash(value: &impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        hasher.finish()
    }
    let id = |text: &str| PackageId::parse(text).unwrap();
    assert_ne!(id("Acme"), id("Acmf"));
    assert_ne!(hash(&id("Acme")), hash(&id("Acmf")));
    assert_eq!(hash(&id("Acme")), hash(&id("aCME")));
    let version = |text: &str| text.parse::<Version>().unwrap();
    assert_ne!(hash(&version("1.0.0")), hash(&version("1.0.1")));
    assert_eq!(hash(&version("1.0-a+b")), hash(&version("1.0.0-A")));
}

#[test]
fn a_package_is_semver_2_by_its_version_or_by_a_bound() {
    let dependency = |range: &str| {
        format!("<dependencies><dependency id='a' version='{range}'/></dependencies>")
    };
    for (version, more, semver2) in [
        ("1.0.0", String::new(), false),
        ("1.0.0-a", dependency("[1.0,2.0)"), false),
        ("1.0.0-a.1", String::new(), true),
        ("1.0.0+b", dependency("1.0"), true),
        ("1.0.0", dependency("[1.0,2.0-a.1)"), true),
        ("1.0.0", dependency("1.0-a.1"), true),
    ] {
        let package = PackageBuilder::default().nuspec(&nuspec("Acme", version, &more));
        let nuspec = judge(&package).unwrap().nuspec;
        assert_eq!(nuspec.is_semver2(), semver2, "{version} {more}");
    }
}

#[test]
fn a_pattern_has_a_star_for_its_last_number_or_label() {
    for range in [
        "*",
        "1.*",
        "1.2.*",
        "1.2.3.*",
        "*-*",
        "1.*-*",
        "1.0-*",
        "1.2.3-beta-1.*",
        "[1.*,)",
        "[1.*, 2.0]",
    ] {
        assert!(range.parse::<VersionRange>().is_ok_and(|range| range.is_floating()), "{range}");
    }
    for range in [
        "1*",
        "1.2.3.4.*",
        "a.*",
        "1.*.2",
        "1.2-a.*+b",
        "1.0-a_*",
        "1-a.*-b",
        "1.0-*a",
        "-*",
        "1.*-a",
        "1.0.0-a-*.*",
        "1.0-a.0*.b",
    ] {
        assert!(range.parse::<VersionRange>().is_err(), "{range}");
    }
}

#[test]
fn numbers_of_versions_are_digits_alone() {
    for text in ["1.+2", "+1", "1.2a.3", "1.-2", "1.2.x", "a", "1. .2", "1.2.3 4"] {
        assert!(text.parse::<Version>().is_err(), "{text}");
    }
}

#[test]
fn addresses_have_a_scheme_a_host_and_perhaps_a_port() {
    let judged = |address: &str| judge(&with(&format!("<projectUrl>{address}</projectUrl>")));
    for address in
        ["http://a", "HTTPS://a.b-c_d/e?f#g", "http://a:80/", "https://a:/", "http://1.2.3.4"]
    {
        assert!(judged(address).is_ok(), "{address}");
    }
    for address in
        ["ftp://a", "http://", "http://a..b", "http://a b", "http://a:port", "http://a:65536"]
    {
        let error = judged(address).unwrap_err();
        assert!(
            matches!(error, PackageError::Nuspec(NuspecError::NotAWebAddress { .. })),
            "{address}: {error:?}"
        );
    }
}

#[test]
fn a_package_type_has_a_version_of_plain_numbers() {
    let judged = |version: &str| {
        judge(&with(&format!(
            "<packageTypes><packageType name='a' version='{version}'/></packageTypes>"
        )))
    };
    for version in ["1.0", "1.2.3", "1.2.3.4"] {
        assert!(judged(version).is_ok(), "{version}");
    }
    for version in ["1", "1.0-a", "1.0+a", "one.two"] {
        assert!(judged(version).is_err(), "{version}");
    }
}

#[test]
fn a_nuspec_is_in_the_encoding_that_it_declares() {
    let wide = |text: &str, order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    };
    let text = |encoding: &str| nuspec("Acme", "1.0.0", "").replace("utf-8", encoding);
    let judged = |bytes: &[u8]| judge(&PackageBuilder::default().file("a.nuspec", bytes));
    for (encoding, order) in [
        ("utf-16", u16::to_le_bytes as fn(u16) -> [u8; 2]),
        ("utf-16", u16::to_be_bytes),
        ("utf-16LE", u16::to_le_bytes),
        ("utf-16BE", u16::to_be_bytes),
    ] {
        judged(&wide(&text(encoding), order)).unwrap();
    }
    for (encoding, bytes) in [
        ("utf-8", wide(&text("utf-8"), u16::to_le_bytes)),
        ("utf-16BE", wide(&text("utf-16BE"), u16::to_le_bytes)),
        ("martian", wide(&text("martian"), u16::to_be_bytes)),
        ("iso-8859-1", [b"\xef\xbb\xbf", text("iso-8859-1").as_bytes()].concat()),
        ("utf-16", text("utf-16").into_bytes()),
    ] {
        let error = judged(&bytes).unwrap_err();
        let refused = matches!(
            error,
            PackageError::Nuspec(
                NuspecError::WrongEncoding { .. } | NuspecError::Undecodable { .. }
            )
        );
        assert!(refused, "{encoding}: {error:?}");
    }
}

#[test]
fn frameworks_are_told_apart_by_their_numbers() {
    let two = |one: &str, other: &str| {
        let group = |framework: &str| format!("<group targetFramework='{framework}'/>");
        judge(&with(&format!("<dependencies>{}{}</dependencies>", group(one), group(other))))
    };
    for (one, other) in [
        ("net45", "net4.5.0"),
        ("net4", "net4.0"),
        ("net8.0", ".NETCoreApp8.0.0"),
        ("netstandard1", "netstandard1.0"),
    ] {
        assert!(two(one, other).is_err(), "{one} {other}");
    }
    for (one, other) in [
        ("net45", "net451"),
        ("net40", "net45"),
        ("net4.8", "net8.0"),
        ("net48", "net8"),
        ("net5.0", "net50"),
        ("netcoreapp5.0", "net4.0"),
        ("net0", "net00.1"),
    ] {
        assert!(two(one, other).is_ok(), "{one} {other}");
    }
}
