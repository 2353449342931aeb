//! Portable PDBs: the id, and the checksum that an assembly knows its PDB by.
//!
//! The format: `PortablePdb-Metadata.md` of dotnet/runtime, and ECMA-335 II.24. The
//! checksum: its `PE-COFF.md`.

use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::bytes::Cursor;

/// Bytes of a PDB in which its headers must end. Real ones take some 150.
pub const PDB_HEAD: usize = 4 * 1024;
/// Bytes of a PDB's id: a GUID and a stamp.
const ID: usize = 20;
/// Bytes of a `#Pdb` stream without its list of rows.
const SHORTEST_ID_STREAM: u32 = 32;
/// The longest name of a stream, with its final NUL.
const STREAM_NAME: usize = 32;
/// Bytes that are hashed in one go.
const PIECE: usize = 64 * 1024;

/// The id of a portable PDB. In the file it has 20 bytes: a GUID and a stamp.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PdbId {
    guid: [u8; 16],
    stamp: u32,
}

/// Why a file is not a portable PDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PdbError {
    /// It is a PDB of the Windows format.
    #[error("it is a Windows PDB; set <DebugType>portable</DebugType> and pack again")]
    Windows,
    /// It is something else.
    #[error("it is not a portable PDB; pack again")]
    Unknown,
    /// Its headers end too late, or are broken.
    #[error("its headers cannot be read; pack again")]
    Headers,
    /// It does not have one `#Pdb` stream.
    #[error("it has {0} #Pdb streams and not 1; pack again")]
    IdStreams(usize),
    /// Its `#Pdb` stream is too short, or not inside the file.
    #[error("its #Pdb stream has {size} bytes at {offset}; pack again")]
    IdStream {
        /// Where the stream begins.
        offset: u32,
        /// Its length.
        size: u32,
    },
}

/// A PDB that cannot be examined.
#[derive(Debug, thiserror::Error)]
pub enum PdbReadError {
    /// It is not a portable PDB.
    #[error(transparent)]
    Format(#[from] PdbError),
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
}

/// A portable PDB, as far as it says which assembly it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PdbIdentity {
    /// Its id.
    pub id: PdbId,
    /// Where the id is in the file.
    pub id_offset: u64,
    /// Its checksum: the SHA-256 of the file with zeros in place of the id.
    pub checksum: [u8; 32],
}

impl PdbId {
    /// The id with this GUID, as it stands in a file, and this stamp.
    #[must_use]
    pub fn new(guid: [u8; 16], stamp: u32) -> Self {
        Self { guid, stamp }
    }

    fn of_file([guid @ .., a, b, c, d]: [u8; ID]) -> Self {
        Self { guid, stamp: u32::from_le_bytes([a, b, c, d]) }
    }

    /// The id that compilers make of a checksum (`BlobContentId.FromHash` of
    /// System.Reflection.Metadata). Nobody can make a second PDB with such an id.
    #[must_use]
    pub fn of_checksum(checksum: &[u8; 32]) -> Self {
        let mut id = [0; ID];
        for (at, (to, from)) in id.iter_mut().zip(checksum).enumerate() {
            *to = match at {
                7 => from & 0x0f | 0x40,
                8 => from & 0x3f | 0x80,
                19 => from | 0x80,
                _ => *from,
            };
        }
        Self::of_file(id)
    }

    /// Its GUID as debuggers write it in the paths that they ask symbol servers for: 32
    /// digits in lower case (`SSQP_Key_Conventions.md` of dotnet/symstore).
    #[must_use]
    pub fn guid(&self) -> String {
        // The first three fields of a GUID are little-endian numbers.
        let mut guid = self.guid;
        for field in [0..4, 4..6, 6..8] {
            guid.get_mut(field).unwrap_or_default().reverse();
        }
        format!("{:032x}", u128::from_be_bytes(guid))
    }
}

impl fmt::Debug for PdbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PdbId({self})")
    }
}

impl fmt::Display for PdbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:08x}", self.guid(), self.stamp)
    }
}

impl PdbIdentity {
    /// The identity of the PDB of `size` bytes that `reader` gives. Reads all of it, and
    /// holds little of it.
    ///
    /// # Errors
    /// It is not a portable PDB, or cannot be read.
    pub fn read(mut reader: impl Read, size: u64) -> Result<Self, PdbReadError> {
        let mut head = Vec::with_capacity(PDB_HEAD);
        reader.by_ref().take(PDB_HEAD as u64).read_to_end(&mut head)?;
        let id_offset = locate_id(&head, size)?;
        let (id, checksum) = hash_without_id::<Sha256>(head.as_slice().chain(reader), id_offset)?;
        Ok(Self { id, id_offset, checksum: checksum.into() })
    }

    /// Whether its id is made of its checksum, so that nobody can make another PDB with it.
    #[must_use]
    pub fn is_self_certified(&self) -> bool {
        PdbId::of_checksum(&self.checksum) == self.id
    }
}

/// The id at `offset`, and the hash of all bytes with zeros in its place.
pub(super) fn hash_without_id<D: Digest>(
    mut reader: impl Read,
    offset: u64,
) -> io::Result<(PdbId, sha2::digest::Output<D>)> {
    let (mut id, mut hash, mut at) = ([0; ID], D::new(), 0_u64);
    let mut buffer = vec![0; PIECE];
    loop {
        let read = reader.read(&mut buffer)?;
        let Some(piece) = buffer.get_mut(..read).filter(|piece| !piece.is_empty()) else { break };
        let Range { start, end } = overlap(at, read, offset);
        for (byte, place) in piece.iter_mut().take(end).skip(start).zip(at + start as u64..) {
            let place = usize::try_from(place - offset).unwrap_or(ID);
            if let Some(of_id) = id.get_mut(place) {
                *of_id = std::mem::take(byte);
            }
        }
        hash.update(&*piece);
        at += read as u64;
    }
    Ok((PdbId::of_file(id), hash.finalize()))
}

/// The part of the `length` bytes at `at` that belongs to the id at `offset`.
fn overlap(at: u64, length: usize, offset: u64) -> Range<usize> {
    let within =
        |place: u64| usize::try_from(place.saturating_sub(at)).unwrap_or(usize::MAX).min(length);
    within(offset)..within(offset.saturating_add(ID as u64))
}

/// Where the id of a PDB of `size` bytes is, by the first [`PDB_HEAD`] bytes of it.
///
/// # Errors
/// It is not a portable PDB.
pub fn locate_id(head: &[u8], size: u64) -> Result<u64, PdbError> {
    if head.starts_with(b"Microsoft C/C++ ") {
        return Err(PdbError::Windows);
    }
    if !head.starts_with(b"BSJB") {
        return Err(PdbError::Unknown);
    }
    let streams = id_streams(head).ok_or(PdbError::Headers)?;
    let [(offset, length)] = streams.as_slice() else {
        return Err(PdbError::IdStreams(streams.len()));
    };
    let end = u64::from(*offset) + u64::from(*length);
    if *length < SHORTEST_ID_STREAM || end > size {
        return Err(PdbError::IdStream { offset: *offset, size: *length });
    }
    Ok((*offset).into())
}

/// Offset and length of all streams called `#Pdb`; `None` if the headers cannot be read.
fn id_streams(head: &[u8]) -> Option<Vec<(u32, u32)>> {
    let mut head = Cursor::new(head);
    // Signature, two versions of two bytes each, and a reserved number.
    head.skip(12)?;
    let version = head.u32()?;
    head.skip(usize::try_from(version).ok()?.checked_next_multiple_of(4)?)?;
    let _flags = head.u16()?;
    let count = head.u16()?;
    let mut found = Vec::new();
    for _ in 0..count {
        let (offset, length) = (head.u32()?, head.u32()?);
        let name = head.text(STREAM_NAME)?;
        head.skip((name.len() + 1).next_multiple_of(4) - (name.len() + 1))?;
        if name == b"#Pdb" {
            found.push((offset, length));
        }
    }
    Some(found)
}
