//! NuGet packages: ids, versions, version ranges, the nuspec, and the checks
//! that a pushed archive has to pass.
//!
//! Pure: no I/O but the source it is given, no clock, no environment, no AWS.
//!
//! The rules are those of nuget.org, without those that only a public gallery needs
//! (OSI-approved licenses, descriptions, reserved names …), and with checks of the zip
//! format that no other server makes.

mod archive;
mod contents;
mod id;
mod limits;
mod nuspec;
mod range;
mod source;
mod symbols;
mod version;

pub use archive::{ArchiveError, Attached, Package, PackageError, inspect};
pub use id::{MAX_ID_LENGTH, PackageId, PackageIdError, is_dependency_id};
pub use limits::Limits;
pub use nuspec::{
    Dependency, DependencyGroup, License, Nuspec, NuspecError, PackageType, Repository,
    without_user,
};
pub use range::{VersionRange, VersionRangeError};
pub use source::Source;
pub use symbols::{
    Algorithm, Assembly, Beside, CodeView, MatchedPdb, PDB_HEAD, PdbChecksum, PdbContents,
    PdbEntry, PdbError, PdbId, PdbIdentity, PdbReadError, SymbolsError, SymbolsPackage,
    inspect_symbols, locate_id, match_symbols,
};
pub use version::{MAX_VERSION_LENGTH, Version, VersionError};
