//! Assemblies: the PDBs that one names in its debug directory.
//!
//! The format: Microsoft's PE format, and `PE-COFF.md` of dotnet/runtime.

use std::fmt;
use std::io;
use std::ops::Range;

use super::bytes::Cursor;
use super::pdb::{PdbId, PdbIdentity};

/// Bytes of an assembly in which its headers must end. Real ones take less than 1 KiB.
const HEAD: u64 = 64 * 1024;
/// Bytes of a directory entry, of a section's header and of the header of a file.
const ENTRY: usize = 28;
const SECTION: usize = 40;
const COFF: usize = 20;
/// The most entries of a debug directory that are read. Real ones have up to 6.
const ENTRIES: usize = 32;
/// The most bytes of an entry's data that are read: a path has at most 32,767 characters
/// on Windows, and compilers write shorter ones.
const DATA: u64 = 4 * 1024;
/// The minor version that says that an entry is about a portable PDB.
const PORTABLE: u16 = 0x504d;

/// The debug directory of an assembly, as far as it is about portable PDBs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assembly {
    /// The PDBs that belong to it: more than one where it was compiled ahead of time.
    pub code_views: Vec<CodeView>,
    /// The checksums that its PDB may have.
    pub checksums: Vec<PdbChecksum>,
}

/// A PDB that an assembly names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeView {
    /// Its id.
    pub id: PdbId,
    /// Its path on the machine that compiled it.
    pub path: String,
}

/// The checksum of a PDB, by an algorithm that this feed knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PdbChecksum {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The checksum.
    pub hash: Vec<u8>,
}

/// An algorithm of checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The algorithm of this name, whose case counts (`ChecksumValidator.cs` of
    /// dotnet/symstore).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "SHA256" => Some(Self::Sha256),
            "SHA384" => Some(Self::Sha384),
            "SHA512" => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }
}

impl PdbChecksum {
    /// The checksum of a PDB that every compiler writes today.
    #[must_use]
    pub fn sha256(pdb: &PdbIdentity) -> Self {
        Self { algorithm: Algorithm::Sha256, hash: pdb.checksum.to_vec() }
    }
}

/// As debuggers write it: `SHA256:` and hexadecimal digits, here in lower case.
impl fmt::Display for PdbChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm.name())?;
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl CodeView {
    /// The file's name, without the folders of either system.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.path.rsplit(['/', '\\']).next().unwrap_or_default()
    }
}

impl Assembly {
    /// The assembly in `bytes`; `None` if they are none, or are broken.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let read = |range: Range<u64>| {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            Ok(bytes.get(place(range.start)..place(range.end)).unwrap_or_default().to_vec())
        };
        Self::read(read).ok().flatten()
    }

    /// The assembly that `read` gives the bytes of, fewer where it ends; `None` if it is
    /// none, or broken.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn read(
        mut read: impl FnMut(Range<u64>) -> io::Result<Vec<u8>>,
    ) -> io::Result<Option<Self>> {
        let head = read(0..HEAD)?;
        let Some(directory) = directory(&head) else { return Ok(None) };
        if directory.is_empty() {
            return Ok(Some(Self::default()));
        }
        let directory = read(directory)?;
        let mut assembly = Self::default();
        for entry in Entry::all(&directory) {
            let data = read(entry.data())?;
            if assembly.take(&entry, &data).is_none() {
                return Ok(None);
            }
        }
        Ok(Some(assembly))
    }

    /// Takes the data of an entry; `None` if they are broken.
    fn take(&mut self, entry: &Entry, data: &[u8]) -> Option<()> {
        let mut data = Cursor::new(data);
        match entry.kind {
            Kind::CodeView => {
                if data.take(4)? != b"RSDS" {
                    return None;
                }
                let guid = data.guid()?;
                let _age = data.u32()?;
                let path = data.text(usize::MAX)?;
                let path = String::from_utf8_lossy(path).into_owned();
                self.code_views.push(CodeView { id: PdbId::new(guid, entry.stamp), path });
            }
            Kind::Checksum => {
                let name = data.text(usize::MAX).filter(|name| !name.is_empty())?;
                let algorithm = std::str::from_utf8(name).ok().and_then(Algorithm::named);
                let hash = data.rest().to_vec();
                self.checksums.extend(algorithm.map(|algorithm| PdbChecksum { algorithm, hash }));
            }
        }
        Some(())
    }
}

/// Where the debug directory is in the file; empty where there is none, and `None` if the
/// file is not an assembly.
fn directory(head: &[u8]) -> Option<Range<u64>> {
    let file = Cursor::new(head);
    if !head.starts_with(b"MZ") {
        return None;
    }
    let start = usize::try_from(file.at(0x3c)?.u32()?).ok()?;
    let mut coff = file.at(start)?;
    if coff.take(4)? != b"PE\0\0" {
        return None;
    }
    let (mut sections, mut optional_size) = (coff.at(2)?, coff.at(16)?);
    let (count, optional_size) = (sections.u16()?, usize::from(optional_size.u16()?));
    coff.skip(COFF)?;
    let mut optional = Cursor::new(coff.take(optional_size)?);
    let directories = match optional.u16()? {
        0x10b => 96,
        0x20b => 112,
        _ => return None,
    };
    // The magic number was taken from the header's start.
    let mut directories = optional.at(directories - 2 - 4)?;
    if directories.u32()? <= 6 {
        return Some(0..0);
    }
    let mut debug = directories.at(6 * 8)?;
    let (address, size) = (debug.u32()?, debug.u32()?);
    if size == 0 {
        return Some(0..0);
    }
    let size = u64::from(size).min((ENTRIES * ENTRY) as u64);
    for _ in 0..count {
        let mut section = Cursor::new(coff.take(SECTION)?).at(8)?;
        let (virtual_size, start) = (section.u32()?, section.u32()?);
        let (raw_size, raw_start) = (section.u32()?, section.u32()?);
        let within = address.checked_sub(start);
        if let Some(within) = within.filter(|within| *within < virtual_size.min(raw_size)) {
            let offset = u64::from(raw_start) + u64::from(within);
            return Some(offset..offset + size);
        }
    }
    None
}

/// An entry of a debug directory.
struct Entry {
    kind: Kind,
    stamp: u32,
    size: u32,
    offset: u32,
}

/// The kinds of entries that say which PDB belongs to an assembly.
enum Kind {
    CodeView,
    Checksum,
}

impl Entry {
    fn all(directory: &[u8]) -> impl Iterator<Item = Self> {
        directory.chunks_exact(ENTRY).filter_map(Self::read)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Cursor::new(bytes);
        let _characteristics = bytes.u32()?;
        let (stamp, _major, minor) = (bytes.u32()?, bytes.u16()?, bytes.u16()?);
        let kind = match bytes.u32()? {
            2 if minor == PORTABLE => Kind::CodeView,
            19 => Kind::Checksum,
            _ => return None,
        };
        let size = bytes.u32()?;
        let _address = bytes.u32()?;
        Some(Self { kind, stamp, size, offset: bytes.u32()? })
    }

    fn data(&self) -> Range<u64> {
        let start = u64::from(self.offset);
        start..start + u64::from(self.size).min(DATA)
    }
}
