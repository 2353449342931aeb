//! A nuspec is refused, or the parsed result respects every limit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nupkg::{Limits, PackageError, inspect};
use time::OffsetDateTime;

/// The smallest archive with this nuspec: one stored entry.
fn archive(nuspec: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"a.nuspec";
    let size = u32::try_from(nuspec.len()).unwrap_or(u32::MAX);
    let name = NAME.len() as u16;
    let mut facts = vec![0; 10];
    facts.extend(crc32fast::hash(nuspec).to_le_bytes());
    facts.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
    facts.extend(name.to_le_bytes());
    let mut bytes = b"PK\x03\x04\x14\0".to_vec();
    bytes.extend(&facts[2..]);
    bytes.extend([0, 0]);
    bytes.extend([NAME, nuspec].concat());
    let directory = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    bytes.extend(b"PK\x01\x02\x14\0\x14\0");
    bytes.extend(&facts[2..]);
    bytes.extend([0; 16]);
    bytes.extend(NAME);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX) - directory;
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    bytes.extend([length.to_le_bytes(), directory.to_le_bytes()].concat());
    bytes.extend([0, 0]);
    bytes
}

fuzz_target!(|nuspec: &[u8]| {
    let limits = Limits::default();
    let now = OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000);
    match inspect(&archive(nuspec)[..], &limits, now) {
        Ok(package) => {
            let nuspec = package.nuspec;
            let units = |text: &str| text.encode_utf16().count();
            assert!(units(&nuspec.version.full()) <= limits.version);
            assert!(units(nuspec.id.as_str()) + units(&nuspec.version.full()) <= limits.identity);
            assert!(nuspec.title.iter().all(|title| units(title) <= limits.title));
            assert!(nuspec.dependency_groups.len() <= limits.dependency_groups);
        }
        // The archive itself is valid, except that files named by the nuspec may be missing.
        Err(PackageError::Archive(error)) => {
            assert!(matches!(error, nupkg::ArchiveError::MissingFile { .. }), "{error:?}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
