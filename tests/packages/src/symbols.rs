//! PDBs and assemblies built to order, and real pairs of packages and their symbols.

use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{PackageBuilder, nuspec};

/// Where the id is in a PDB of [`Pdb`].
const ID_AT: usize = 96;

/// A portable PDB: headers, and content that nobody reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdb {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its id.
    pub id: [u8; 20],
    /// The SHA-256 of the file with zeros in place of the id.
    pub checksum: [u8; 32],
}

impl Pdb {
    /// A PDB whose id is made of its checksum, as compilers do it.
    #[must_use]
    pub fn new(content: &[u8]) -> Self {
        let bytes = file(content);
        let mut id: [u8; 20] = Sha256::digest(&bytes)[..20].try_into().unwrap();
        id[7] = id[7] & 0x0f | 0x40;
        id[8] = id[8] & 0x3f | 0x80;
        id[19] |= 0x80;
        Self::with_id(content, id)
    }

    /// A PDB with this id.
    #[must_use]
    pub fn with_id(content: &[u8], id: [u8; 20]) -> Self {
        let mut bytes = file(content);
        let checksum = Sha256::digest(&bytes).into();
        bytes[ID_AT..ID_AT + 20].copy_from_slice(&id);
        Self { bytes, id, checksum }
    }

    /// The GUID as debuggers write it.
    #[must_use]
    pub fn guid(&self) -> String {
        const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        ORDER.iter().fold(String::new(), |text, at| format!("{text}{:02x}", self.id[*at]))
    }

    /// Where a symbol server has it, under this name.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        format!("/symbols/{name}/{}FFFFFFFF/{name}", self.guid())
    }

    /// Its checksum as debuggers send it.
    #[must_use]
    pub fn checksum_header(&self) -> String {
        self.checksum.iter().fold("SHA256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    }
}

/// A PDB without an id.
fn file(content: &[u8]) -> Vec<u8> {
    let mut bytes = b"BSJB\x01\0\x01\0\0\0\0\0".to_vec();
    bytes.extend(12_u32.to_le_bytes());
    bytes.extend(b"PDB v1.0\0\0\0\0");
    bytes.extend([0, 0, 2, 0]);
    for (offset, size, name) in
        [(ID_AT, 32, b"#Pdb\0\0\0\0"), (ID_AT + 32, content.len(), b"#Blob\0\0\0")]
    {
        bytes.extend(u32::try_from(offset).unwrap().to_le_bytes());
        bytes.extend(u32::try_from(size).unwrap().to_le_bytes());
        bytes.extend(name);
    }
    bytes.resize(ID_AT + 32, 0);
    bytes.extend(content);
    bytes
}

/// An assembly with a debug directory, and nothing else.
#[derive(Debug, Clone, Default)]
pub struct AssemblyBuilder {
    /// Kind, minor version, stamp and data of each entry.
    entries: Vec<(u32, u16, [u8; 4], Vec<u8>)>,
    /// Bytes before the data, as an assembly has code.
    code: usize,
}

impl AssemblyBuilder {
    /// An assembly that names `pdb` and its checksum, as compilers do it.
    #[must_use]
    pub fn of(pdb: &Pdb) -> Self {
        Self::default().code_view(pdb.id, "/_/obj/Release/A.pdb").checksum("SHA256", &pdb.checksum)
    }

    /// Adds the entry that names a portable PDB.
    #[must_use]
    pub fn code_view(self, id: [u8; 20], path: &str) -> Self {
        let stamp = id[16..].try_into().unwrap();
        self.entry(2, 0x504d, stamp, &code_view(id, path))
    }

    /// Adds a checksum.
    #[must_use]
    pub fn checksum(self, algorithm: &str, hash: &[u8]) -> Self {
        self.entry(19, 0, [0; 4], &[algorithm.as_bytes(), b"\0", hash].concat())
    }

    /// Adds an entry of any kind.
    #[must_use]
    pub fn entry(mut self, kind: u32, minor: u16, stamp: [u8; 4], data: &[u8]) -> Self {
        self.entries.push((kind, minor, stamp, data.to_vec()));
        self
    }

    /// Puts this many bytes before the debug directory.
    #[must_use]
    pub fn code(mut self, bytes: usize) -> Self {
        self.code = bytes;
        self
    }

    /// The assembly's bytes.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        const FILE_AT: usize = 0x200;
        const ADDRESS: u32 = 0x2000;
        let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
        let mut bytes = vec![0; 0x80];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c..0x40].copy_from_slice(&number(0x80));
        bytes.extend(b"PE\0\0\x4c\x01\x01\0");
        bytes.extend([0; 12]);
        bytes.extend([224, 0, 0, 0]);
        let mut optional = vec![0; 224];
        optional[..2].copy_from_slice(&0x10b_u16.to_le_bytes());
        optional[92..96].copy_from_slice(&number(16));
        let directory = ADDRESS + u32::try_from(self.code).unwrap();
        optional[144..148].copy_from_slice(&directory.to_le_bytes());
        optional[148..152].copy_from_slice(&number(self.entries.len() * 28));
        bytes.extend(optional);
        let data: usize = self.entries.iter().map(|entry| 28 + entry.3.len()).sum();
        bytes.extend(b".text\0\0\0");
        for field in [number(self.code + data), ADDRESS.to_le_bytes(), number(self.code + data)] {
            bytes.extend(field);
        }
        bytes.extend(number(FILE_AT));
        bytes.resize(FILE_AT + self.code, 0);
        let mut at = bytes.len() + self.entries.len() * 28;
        for (kind, minor, stamp, data) in &self.entries {
            bytes.extend([0; 4]);
            bytes.extend(stamp);
            bytes.extend(0_u16.to_le_bytes());
            bytes.extend(minor.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(number(data.len()));
            bytes.extend([0; 4]);
            bytes.extend(number(at));
            at += data.len();
        }
        for (.., data) in &self.entries {
            bytes.extend(data);
        }
        bytes
    }
}

/// The data of an entry that names a PDB.
#[must_use]
pub fn code_view(id: [u8; 20], path: &str) -> Vec<u8> {
    [b"RSDS".as_slice(), &id[..16], &1_u32.to_le_bytes(), path.as_bytes(), b"\0"].concat()
}

/// A symbols package with its nuspec.
#[must_use]
pub fn symbols(id: &str, version: &str) -> PackageBuilder {
    const TYPE: &str = "<packageTypes><packageType name=\"SymbolsPackage\" /></packageTypes>";
    PackageBuilder::default().nuspec(&nuspec(id, version, TYPE))
}

/// A real package and its symbols, with what the reference implementation read in them.
#[derive(Debug, Clone)]
pub struct SymbolsPair {
    /// The package's id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The package.
    pub nupkg: Vec<u8>,
    /// Its symbols.
    pub snupkg: Vec<u8>,
    /// The entries of the package that are assemblies, by the manifest.
    pub assemblies: Vec<Value>,
    /// The entries of the symbols that are PDBs, by the manifest.
    pub pdbs: Vec<Value>,
}

/// The real pairs. Where `other_build` is set, the one whose symbols belong to another build.
#[must_use]
pub fn symbols_corpus(other_build: bool) -> Vec<SymbolsPair> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/symbols");
    let manifest = std::fs::read(folder.join("manifest.json")).expect("the manifest");
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
    let entries = |file: &str| -> Vec<Value> {
        let of_file = manifest.iter().find(|entry| entry["file"] == file);
        of_file.map_or(Vec::new(), |of_file| of_file["entries"].as_array().unwrap().clone())
    };
    let files = std::fs::read_dir(&folder).expect("the corpus").map(|file| file.unwrap().path());
    let mut pairs: Vec<SymbolsPair> = files
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".snupkg")?.to_owned();
            let package = name.strip_suffix(".other-build");
            if package.is_some() != other_build {
                return None;
            }
            let package = package.unwrap_or(&name);
            let nupkg = format!("{package}.nupkg");
            let (id, version) = split(package);
            Some(SymbolsPair {
                id,
                version,
                nupkg: std::fs::read(folder.join(&nupkg)).unwrap(),
                snupkg: std::fs::read(&path).unwrap(),
                assemblies: entries(&nupkg),
                pdbs: entries(&format!("{name}.snupkg")),
            })
        })
        .collect();
    pairs.sort_by(|one, other| one.id.cmp(&other.id));
    assert!(pairs.len() >= if other_build { 1 } else { 9 }, "the corpus has shrunk");
    pairs
}

/// `Sym.Portable.1.0.0` as id and version.
fn split(name: &str) -> (String, String) {
    let is_number =
        |(at, _): &(usize, &str)| name[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let (at, _) = name.match_indices('.').find(is_number).expect("a version");
    (name[..at].to_owned(), name[at + 1..].to_owned())
}
