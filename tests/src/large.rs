//! Packages too large to be held in memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::nuspec;

/// The size of a block of bytes that do not deflate, which is repeated.
const NOISE: usize = 1024 * 1024;

/// Writes a package of about `size` bytes to `path`: a nuspec, and one file that
/// is not compressed.
pub fn write_large_package(path: &Path, (id, version): (&str, &str), size: u64) {
    let noise = noise(NOISE);
    let xml = nuspec(id, version, "");
    let blocks = size / NOISE as u64;
    let mut crc = crc32fast::Hasher::new();
    (0..blocks).for_each(|_| crc.update(&noise));
    let large = Header { name: "content.bin", crc: crc.finalize(), size: blocks * NOISE as u64 };
    let name = format!("{id}.nuspec");
    let small =
        Header { name: &name, crc: crc32fast::hash(xml.as_bytes()), size: xml.len() as u64 };
    let mut file = BufWriter::with_capacity(NOISE, File::create(path).unwrap());
    file.write_all(&large.local()).unwrap();
    (0..blocks).for_each(|_| file.write_all(&noise).unwrap());
    let second = large.local().len() as u64 + large.size;
    file.write_all(&small.local()).unwrap();
    file.write_all(xml.as_bytes()).unwrap();
    let directory = [large.central(0), small.central(second)].concat();
    file.write_all(&directory).unwrap();
    let offset = second + small.local().len() as u64 + small.size;
    let mut end = b"PK\x05\x06\0\0\0\0\x02\0\x02\0".to_vec();
    end.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    end.extend(u32::try_from(offset).unwrap().to_le_bytes());
    end.extend([0, 0]);
    file.write_all(&end).unwrap();
    file.flush().unwrap();
}

/// Bytes that do not deflate.
#[must_use]
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect()
}

struct Header<'a> {
    name: &'a str,
    crc: u32,
    size: u64,
}

impl Header<'_> {
    fn fields(&self) -> Vec<u8> {
        let size = u32::try_from(self.size).unwrap().to_le_bytes();
        // Version 2.0, names in UTF-8, stored, on 2020-01-01.
        let mut fields = vec![20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0x50];
        fields.extend(self.crc.to_le_bytes());
        fields.extend([size, size].concat());
        fields.extend(u16::try_from(self.name.len()).unwrap().to_le_bytes());
        fields.extend([0, 0]);
        fields
    }

    fn local(&self) -> Vec<u8> {
        [b"PK\x03\x04".as_slice(), &self.fields(), self.name.as_bytes()].concat()
    }

    fn central(&self, offset: u64) -> Vec<u8> {
        let mut header = [b"PK\x01\x02\x14\x03".as_slice(), &self.fields()].concat();
        // No comment, disk 0, no attributes but a plain file's.
        header.extend([0; 6]);
        header.extend((0o100_644_u32 << 16).to_le_bytes());
        header.extend(u32::try_from(offset).unwrap().to_le_bytes());
        header.extend(self.name.as_bytes());
        header
    }
}
