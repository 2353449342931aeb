//! Every way in which a symbols package is refused.

use super::{PdbError, PdbId};

/// The rule that a symbols package breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SymbolsError {
    /// An entry is of a kind that symbols packages do not have.
    #[error("the symbols package holds '{0}'; pack .pdb files only, as 'dotnet pack' does")]
    OtherFile(String),
    /// There is no PDB.
    #[error(
        "the symbols package holds no .pdb file; with DebugType embedded none is needed, push with --no-symbols"
    )]
    NoPdb,
    /// There are more PDBs than the limit.
    #[error(
        "the symbols package holds {count} PDBs; pack at most {limit}, or push with --no-symbols"
    )]
    TooManyPdbs {
        /// How many.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A PDB is larger than the limit.
    #[error(
        "the PDB '{path}' has more than {limit} bytes; make it smaller or push with --no-symbols"
    )]
    PdbTooLarge {
        /// The PDB.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// All PDBs are larger than the limit.
    #[error("the PDBs have {bytes} bytes; pack at most {limit}, or push with --no-symbols")]
    PdbsTooLarge {
        /// Their size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A PDB is of another format.
    #[error("the PDB '{path}' cannot be used: {fault}")]
    NotPortable {
        /// The PDB.
        path: String,
        /// The fault.
        fault: PdbError,
    },
    /// Two PDBs claim the same id.
    #[error(
        "the PDBs '{first}' and '{second}' have the same id and differ; pack both from one build"
    )]
    Twins {
        /// The first of them.
        first: String,
        /// The second.
        second: String,
    },
    /// No assembly of the package belongs to a PDB.
    #[error(
        "no assembly of the package names the PDB '{path}' ({id}){}; pack both from one build",
        .beside.as_ref().map(|beside| format!(": {beside}")).unwrap_or_default()
    )]
    NoAssembly {
        /// The PDB.
        path: String,
        /// Its id.
        id: PdbId,
        /// The assembly beside it.
        beside: Option<Beside>,
    },
    /// The assembly of a PDB has another checksum for it.
    #[error(
        "the PDB '{path}' ({id}) was changed after '{assembly}' was built: its checksum differs; pack both from one build"
    )]
    OtherChecksum {
        /// The PDB.
        path: String,
        /// Its id.
        id: PdbId,
        /// The assembly.
        assembly: String,
    },
}

/// The assembly beside a PDB, which names another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{assembly}' names {pdb}")]
pub struct Beside {
    /// The assembly.
    pub assembly: String,
    /// The PDB that it names.
    pub pdb: PdbId,
}

impl SymbolsError {
    /// Whether the PDBs are sound, but not those of the package.
    #[must_use]
    pub fn is_of_another_build(&self) -> bool {
        matches!(self, Self::NoAssembly { .. } | Self::OtherChecksum { .. })
    }
}
