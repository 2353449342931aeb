//! Which assembly a PDB belongs to.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::rc::Rc;

use sha2::{Sha256, Sha384, Sha512};

use super::error::Beside;
use super::pdb::hash_without_id;
use super::{
    Algorithm, Assembly, PdbChecksum, PdbEntry, PdbIdentity, PdbReadError, SymbolsError,
    SymbolsPackage,
};
use crate::contents::{Contents, read_error};
use crate::{ArchiveError, Limits, PackageError, Source};

/// The largest assembly that is held in memory.
const HELD: u64 = 8 * 1024 * 1024;
/// The longest name by which a symbol server is asked for a PDB.
const LONGEST_NAME: usize = 255;

/// A PDB that belongs to an assembly of its package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedPdb {
    /// Its entry in the symbols package.
    pub entry: PdbEntry,
    /// Its id and its checksum.
    pub identity: PdbIdentity,
    /// The names, in lower case, that a debugger may ask for it by: its own, and the name
    /// that its assembly has for it.
    pub names: Vec<String>,
    /// Its checksums: SHA-256, and the assembly's own where that is another.
    pub checksums: Vec<PdbChecksum>,
}

/// The PDBs of a symbols package, to be read one by one. Clones share the directory.
#[derive(Debug, Clone)]
pub struct PdbContents<S>(Contents<S>);

impl<S: Source> PdbContents<S> {
    /// The PDBs of the symbols package in `source`, which was inspected before.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(source: S) -> Result<Self, PackageError> {
        Contents::open(source).map(Self)
    }

    /// Writes a PDB to `to`.
    ///
    /// # Errors
    /// It is broken, or cannot be read or written.
    pub fn copy(&mut self, pdb: &PdbEntry, to: &mut impl Write) -> Result<(), PackageError> {
        self.0.read(pdb.index, |content| {
            let copied = io::copy(content, to).map_err(|error| read_error(error, &pdb.path))?;
            is_whole(pdb, copied)
        })
    }

    fn identity(&mut self, pdb: &PdbEntry) -> Result<PdbIdentity, PackageError> {
        self.0.read(pdb.index, |content| {
            let mut counted = Counted { reader: content, bytes: 0 };
            let identity = PdbIdentity::read(&mut counted, pdb.size);
            let identity = identity.map_err(|error| match error {
                PdbReadError::Format(fault) => {
                    SymbolsError::NotPortable { path: pdb.path.clone(), fault }.into()
                }
                PdbReadError::Unreadable(error) => read_error(error, &pdb.path),
            })?;
            is_whole(pdb, counted.bytes)?;
            Ok(identity)
        })
    }

    /// The checksum of a PDB by another algorithm than SHA-256.
    fn checksum(
        &mut self,
        pdb: &PdbEntry,
        identity: &PdbIdentity,
        algorithm: Algorithm,
    ) -> Result<Vec<u8>, PackageError> {
        let at = identity.id_offset;
        self.0.read(pdb.index, |content| {
            let hashed = match algorithm {
                Algorithm::Sha256 => {
                    hash_without_id::<Sha256>(content, at).map(|hash| hash.1.to_vec())
                }
                Algorithm::Sha384 => {
                    hash_without_id::<Sha384>(content, at).map(|hash| hash.1.to_vec())
                }
                Algorithm::Sha512 => {
                    hash_without_id::<Sha512>(content, at).map(|hash| hash.1.to_vec())
                }
            };
            hashed.map_err(|error| read_error(error, &pdb.path))
        })
    }
}

/// Whether a PDB has the size that it declares.
fn is_whole(pdb: &PdbEntry, bytes: u64) -> Result<(), PackageError> {
    if bytes == pdb.size {
        return Ok(());
    }
    Err(ArchiveError::DishonestSize(pdb.path.clone()).into())
}

/// Matches the PDBs of `symbols`, read from `pdbs`, with the assemblies of the package in
/// `package`. The same PDB twice counts once.
///
/// # Errors
/// A PDB is broken, belongs to no assembly, or cannot be read.
pub fn match_symbols<S: Source, P: Source>(
    symbols: &SymbolsPackage,
    pdbs: &mut PdbContents<S>,
    package: P,
    limits: &Limits,
) -> Result<Vec<MatchedPdb>, PackageError> {
    let mut assemblies = Assemblies::of(Contents::open(package)?, limits.assembly_bytes);
    let mut matched: Vec<MatchedPdb> = Vec::new();
    for entry in &symbols.pdbs {
        let identity = pdbs.identity(entry)?;
        if let Some(first) = matched.iter().find(|first| first.identity.id == identity.id) {
            if first.identity != identity {
                let (first, second) = (first.entry.path.clone(), entry.path.clone());
                return Err(SymbolsError::Twins { first, second }.into());
            }
            continue;
        }
        matched.push(assemblies.owner(entry, identity, pdbs)?);
    }
    Ok(matched)
}

/// The assemblies of a package, each read when it is first needed.
struct Assemblies<P> {
    contents: Contents<P>,
    files: Rc<[AssemblyFile]>,
    known: HashMap<usize, Rc<Assembly>>,
    /// Bytes that may still be inflated.
    left: u64,
}

/// A file that may be an assembly, by its name.
struct AssemblyFile {
    index: usize,
    path: String,
    stem: Stem,
}

impl<P: Source> Assemblies<P> {
    fn of(contents: Contents<P>, left: u64) -> Self {
        let is_assembly = |name: &str| {
            let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
            ["dll", "exe"].iter().any(|known| known.eq_ignore_ascii_case(extension))
        };
        let names = (0..contents.len()).map(|index| (index, contents.name(index)));
        let files = names.filter(|(_, path)| is_assembly(path));
        let files = files.map(|(index, path)| AssemblyFile { index, stem: Stem::of(&path), path });
        let files = files.collect();
        Self { contents, files, known: HashMap::new(), left }
    }

    /// The PDB in `entry` with what its assembly says of it.
    fn owner<S: Source>(
        &mut self,
        entry: &PdbEntry,
        identity: PdbIdentity,
        pdbs: &mut PdbContents<S>,
    ) -> Result<MatchedPdb, PackageError> {
        let own = Stem::of(&entry.path);
        let (mut beside, mut changed, mut all_read) = (None, None, true);
        let files = Rc::clone(&self.files);
        for file in nearest(&files, &own) {
            let Some(assembly) = self.read(file.index)? else {
                all_read = false;
                continue;
            };
            let Some(view) = assembly.code_views.iter().find(|view| view.id == identity.id) else {
                if let Some(other) = assembly.code_views.first().filter(|_| file.stem == own) {
                    let assembly = file.path.clone();
                    beside = beside.or(Some(Beside { assembly, pdb: other.id }));
                }
                continue;
            };
            let Some(checksums) = agreed(&assembly, entry, &identity, pdbs)? else {
                changed = changed.or_else(|| Some(file.path.clone()));
                continue;
            };
            let names = names(&entry.path, Some(view.file_name()));
            return Ok(MatchedPdb { entry: entry.clone(), identity, names, checksums });
        }
        let (path, id) = (entry.path.clone(), identity.id);
        if let Some(assembly) = changed {
            return Err(SymbolsError::OtherChecksum { path, id, assembly }.into());
        }
        // Nobody can make another PDB with its id, so it harms no one.
        if !all_read && identity.is_self_certified() {
            let checksums = vec![PdbChecksum::sha256(&identity)];
            let names = names(&entry.path, None);
            return Ok(MatchedPdb { entry: entry.clone(), identity, names, checksums });
        }
        Err(SymbolsError::NoAssembly { path, id, beside }.into())
    }

    /// The assembly at `index`, empty if it is none; `None` if too much was inflated.
    fn read(&mut self, index: usize) -> Result<Option<Rc<Assembly>>, PackageError> {
        if let Some(known) = self.known.get(&index) {
            return Ok(Some(Rc::clone(known)));
        }
        let size = self.contents.size(index);
        if size > self.left {
            return Ok(None);
        }
        let assembly = if size <= HELD {
            self.left -= size;
            let bytes = self.part(index, 0..size)?;
            Assembly::parse(&bytes)
        } else {
            let mut unreadable = None;
            let read = Assembly::read(|range| match self.inflate(index, range) {
                Ok(bytes) => Ok(bytes),
                Err(error) => {
                    unreadable = Some(error);
                    Err(io::ErrorKind::Other.into())
                }
            });
            if let Some(error) = unreadable {
                return Err(error);
            }
            match read {
                Ok(assembly) => assembly,
                Err(_) => return Ok(None),
            }
        };
        let assembly = Rc::new(assembly.unwrap_or_default());
        self.known.insert(index, Rc::clone(&assembly));
        Ok(Some(assembly))
    }
}

impl<P: Source> Assemblies<P> {
    /// A part of a large file. All before it is inflated, too, and counts.
    fn inflate(&mut self, index: usize, range: Range<u64>) -> Result<Vec<u8>, PackageError> {
        match self.left.checked_sub(range.end) {
            Some(left) => self.left = left,
            None => return Ok(Vec::new()),
        }
        self.part(index, range)
    }

    fn part(&mut self, index: usize, range: Range<u64>) -> Result<Vec<u8>, PackageError> {
        let name = self.contents.name(index);
        self.contents.read(index, |content| {
            let mut bytes = Vec::new();
            let mut before = content.take(range.start);
            io::copy(&mut before, &mut io::sink())
                .and_then(|_| {
                    let length = range.end.saturating_sub(range.start);
                    before.into_inner().take(length).read_to_end(&mut bytes)
                })
                .map_err(|error| read_error(error, &name))?;
            Ok(bytes)
        })
    }
}

/// The checksums of a PDB, if those of its assembly allow it: one must be the PDB's, unless
/// there is none that is known.
fn agreed<S: Source>(
    assembly: &Assembly,
    entry: &PdbEntry,
    identity: &PdbIdentity,
    pdbs: &mut PdbContents<S>,
) -> Result<Option<Vec<PdbChecksum>>, PackageError> {
    let own = PdbChecksum::sha256(identity);
    if assembly.checksums.is_empty() || assembly.checksums.contains(&own) {
        return Ok(Some(vec![own]));
    }
    for wanted in assembly.checksums.iter().filter(|wanted| wanted.algorithm != own.algorithm) {
        if pdbs.checksum(entry, identity, wanted.algorithm)? == wanted.hash {
            return Ok(Some(vec![own, wanted.clone()]));
        }
    }
    Ok(None)
}

/// The names that a debugger may ask for a PDB by.
fn names(path: &str, view: Option<&str>) -> Vec<String> {
    let own = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let own = own.to_ascii_lowercase();
    let view = view.map(str::to_ascii_lowercase);
    let is_asked_for =
        |name: &String| name.strip_suffix(".pdb").is_some() && name.len() <= LONGEST_NAME;
    let view = view.filter(|name| *name != own && is_asked_for(name));
    std::iter::once(own).chain(view).collect()
}

/// The files that may be assemblies, those likely to belong to the PDB of this name first: the
/// one beside it, then those of its name, then all others.
fn nearest<'a>(files: &'a [AssemblyFile], pdb: &'a Stem) -> impl Iterator<Item = &'a AssemblyFile> {
    let distance = |file: &AssemblyFile| match file.stem.name() == pdb.name() {
        true if file.stem == *pdb => 0,
        true => 1,
        false => 2,
    };
    (0..3).flat_map(move |wanted| files.iter().filter(move |file| distance(file) == wanted))
}

/// A path in lower case, with `/` between folders, and without its extension.
#[derive(Clone, PartialEq, Eq)]
struct Stem(String);

impl Stem {
    fn of(path: &str) -> Self {
        let path = path.replace('\\', "/").to_lowercase();
        let stem = path.rsplit_once('.').map(|(stem, _)| stem.to_owned());
        Self(stem.unwrap_or(path))
    }

    fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

/// A reader that counts.
struct Counted<R> {
    reader: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}
