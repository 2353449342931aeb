//! The entries of a package as two libraries read them: rawzip, which `nupkg` itself uses,
//! and zip, which reads an archive as ordinary programs do.

use std::io::{Cursor, Read};

use deflate64::Deflate64Decoder;
use flate2::Crc;
use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ZipFileHeaderRecord, ZipSliceArchive};
use zip::read::ZipReadOptions;
use zip::result::ZipResult;

/// The most bytes that are inflated of a package.
const MOST: u64 = 64 << 20;

/// An entry: its name in the directory, and its inflated content, unless that is broken.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    name: Vec<u8>,
    content: Option<Vec<u8>>,
}

/// Asserts that zip reads the same entries with the same bytes out of a package that
/// `nupkg::inspect` accepts. Inflates all of it, unless the package says that it is larger
/// than 64 MiB.
///
/// # Errors
/// zip refuses the package or its headers. It asks for more than .NET does: time stamps that
/// can be read, for instance.
pub fn assert_read_alike(package: &[u8]) -> ZipResult<()> {
    let archive = rawzip::ZipArchive::from_slice(package).expect("an archive");
    let sizes = archive.entries().map(|entry| entry.expect("an entry").uncompressed_size_hint());
    if sizes.fold(0, u64::saturating_add) > MOST {
        return Ok(());
    }
    let judged: Vec<Seen> = archive
        .entries()
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_path().as_ref().to_vec();
            Seen { name, content: inflate(&archive, &entry) }
        })
        .collect();
    assert_eq!(judged, read_by_zip(package)?, "two readers see two packages");
    Ok(())
}

fn read_by_zip(package: &[u8]) -> ZipResult<Vec<Seen>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(package))?;
    assert!(!archive.has_duplicate_names(), "a name occurs twice");
    assert!(!archive.has_overlapping_files()?, "two entries share bytes");
    archive.validate_header_consistency()?;
    (0..archive.len())
        .map(|index| {
            let options = ZipReadOptions::new().enforce_header_consistency(true);
            let mut file = archive.by_index_with_options(index, options)?;
            let (name, size) = (file.name_raw().to_vec(), file.size());
            let mut content = Vec::new();
            let read = file.by_ref().take(size + 1).read_to_end(&mut content);
            let is_whole = read.is_ok() && content.len() as u64 == size;
            Ok(Seen { name, content: is_whole.then_some(content) })
        })
        .collect()
}

/// The content of an entry, if it matches the checksum in the directory.
fn inflate(archive: &ZipSliceArchive<&[u8]>, record: &ZipFileHeaderRecord<'_>) -> Option<Vec<u8>> {
    let entry = archive.get_entry(record.wayfinder()).expect("an entry");
    let size = record.uncompressed_size_hint();
    let unpacked: Box<dyn Read> = match record.compression_method() {
        CompressionMethod::STORE => Box::new(entry.data()),
        CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(entry.data())),
        CompressionMethod::DEFLATE64 => Box::new(Deflate64Decoder::new(entry.data())),
        method => panic!("no package has entries packed by {method}"),
    };
    let mut content = Vec::new();
    let read = unpacked.take(size + 1).read_to_end(&mut content);
    let mut crc = Crc::new();
    crc.update(&content);
    let is_whole = content.len() as u64 == size && crc.sum() == record.crc32();
    (read.is_ok() && is_whole).then_some(content)
}
