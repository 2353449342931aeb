//! Symbols packages (.snupkg): the checks of one, and of its PDBs against the assemblies of
//! its package.
//!
//! The rules are those of nuget.org (`SymbolsValidatorService.cs` of NuGet.Jobs), with two
//! differences. A PDB may belong to any assembly of the package and not only to its
//! neighbour, and an assembly without a checksum is taken by its id: compilers other than
//! Microsoft's write none.

mod assembly;
mod bytes;
mod error;
mod matching;
mod pdb;

use time::OffsetDateTime;

use crate::archive::{self, Directory};
use crate::{Limits, Nuspec, PackageError, PackageId, Source, Version};

pub use assembly::{Algorithm, Assembly, CodeView, PdbChecksum};
pub use error::{Beside, SymbolsError};
pub use matching::{MatchedPdb, PdbContents, match_symbols};
pub use pdb::{PDB_HEAD, PdbError, PdbId, PdbIdentity, PdbReadError, locate_id};

/// The extensions of a symbols package's entries, besides none: PDBs, and those files that
/// every package has. nuget.org's.
const EXTENSIONS: [&str; 6] = ["pdb", "nuspec", "xml", "psmdcp", "rels", "p7s"];

/// A symbols package that passes every rule, apart from its PDBs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolsPackage {
    /// The package that its PDBs belong to.
    pub id: PackageId,
    /// The version.
    pub version: Version,
    /// Its PDBs.
    pub pdbs: Vec<PdbEntry>,
}

/// A PDB of a symbols package that was not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PdbEntry {
    /// Its place in the archive's directory.
    pub(crate) index: usize,
    /// Its path in the package.
    pub path: String,
    /// Its size in bytes, as declared.
    pub size: u64,
}

/// Inspects the symbols package in `source` at the time `now`. Its PDBs are not read yet.
///
/// # Errors
/// The first rule that the package breaks, or a failure to read it.
pub fn inspect_symbols<S: Source>(
    source: S,
    limits: &Limits,
    now: OffsetDateTime,
) -> Result<SymbolsPackage, PackageError> {
    let opened = archive::open(source, limits, now)?;
    let Nuspec { id, version, .. } = Nuspec::parse_symbols(&opened.nuspec_xml(limits)?, limits)?;
    let pdbs = pdbs(&opened.directory, limits)?;
    Ok(SymbolsPackage { id, version, pdbs })
}

fn pdbs(directory: &Directory, limits: &Limits) -> Result<Vec<PdbEntry>, SymbolsError> {
    let mut pdbs = Vec::new();
    for (index, path, size) in directory.files() {
        match extension(path) {
            Some("pdb") => pdbs.push(PdbEntry { index, path: path.to_owned(), size }),
            Some(_) => {}
            None => return Err(SymbolsError::OtherFile(path.to_owned())),
        }
    }
    let (count, limit) = (pdbs.len(), limits.pdbs);
    if count == 0 {
        return Err(SymbolsError::NoPdb);
    }
    if count > limit {
        return Err(SymbolsError::TooManyPdbs { count, limit });
    }
    let limit = limits.pdb_bytes;
    if let Some(large) = pdbs.iter().find(|pdb| pdb.size > limit) {
        return Err(SymbolsError::PdbTooLarge { path: large.path.clone(), limit });
    }
    let bytes = pdbs.iter().map(|pdb| pdb.size).sum();
    let limit = limits.pdbs_bytes;
    if bytes > limit {
        return Err(SymbolsError::PdbsTooLarge { bytes, limit });
    }
    Ok(pdbs)
}

/// The extension of a file that a symbols package may have; empty for none.
fn extension(path: &str) -> Option<&'static str> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    match name.rsplit_once('.') {
        Some((_, written)) => {
            EXTENSIONS.into_iter().find(|known| known.eq_ignore_ascii_case(written))
        }
        None => Some(""),
    }
}
