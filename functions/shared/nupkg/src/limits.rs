//! How much of everything a package may have.

use crate::MAX_VERSION_LENGTH;

/// The bounds that [`inspect`](crate::inspect) and [`Nuspec`](crate::Nuspec) apply to a
/// package. The defaults accept every package that nuget.org accepts; those that are not
/// nuget.org's own are far above the values of real packages. Lengths of texts are in
/// UTF-16 code units, as nuget.org counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Entries in the archive. Default 65,534, nuget.org's: one more needs zip64.
    pub entries: u64,
    /// Bytes of the archive's central directory, which is held in memory a few times
    /// over. Default 16 MiB: 65,534 names of 200 bytes.
    pub directory_bytes: u64,
    /// Bytes of an entry's name. Default 4,096, the longest path on Linux.
    pub name_bytes: usize,
    /// Bytes that all entries declare to inflate to. Default 64 GiB.
    pub inflated_bytes: u64,
    /// How many times the archive's own size the entries may declare to inflate to. The
    /// limit applies once they exceed
    /// [`inflated_bytes_without_ratio`](Self::inflated_bytes_without_ratio). Default 200.
    pub inflation_ratio: u64,
    /// Inflated bytes below which the ratio is not checked. Default 1 GiB.
    pub inflated_bytes_without_ratio: u64,
    /// Bytes of the nuspec. Default 1 MiB.
    pub nuspec_bytes: u64,
    /// Elements, texts and comments in the nuspec. Default 250,000, more than 1 MiB holds.
    pub nuspec_nodes: u32,
    /// Attributes of one element of the nuspec, each of which is compared with all
    /// others. Default 512; real ones have up to 6.
    pub nuspec_attributes: usize,
    /// Declarations of namespaces in the nuspec, compared likewise. Default 512; real
    /// ones have up to 4.
    pub nuspec_namespaces: usize,
    /// Bytes of the nuspec deflated. Default 384 KiB, which fits a `DynamoDB`
    /// item (AWS quota: 400 KB).
    pub deflated_nuspec_bytes: u64,
    /// Bytes of a readme, icon or license file. Default 1 MiB, nuget.org's.
    pub attached_file_bytes: u64,
    /// PDBs of a symbols package. Default 1,000.
    pub pdbs: usize,
    /// Bytes of a PDB. Default 64 MiB; those of large assemblies have some 10.
    pub pdb_bytes: u64,
    /// Bytes of all PDBs of a symbols package. Default 256 MiB.
    pub pdbs_bytes: u64,
    /// Bytes that are inflated of a package to find the assemblies of its PDBs. Default
    /// 256 MiB.
    pub assembly_bytes: u64,
    /// How far ahead of the clock an entry's date may be, in hours. Default 24,
    /// nuget.org's.
    pub hours_ahead: u32,
    /// Length of the full version. Default [`MAX_VERSION_LENGTH`]. nuget.org has 64, a
    /// column of its database; vcpkg's binary caching writes 75 and more.
    pub version: usize,
    /// Length of id and normalized version together. Default 240: clients keep a package
    /// as `<id>.<version>.nupkg.sha512`, and no file name has more than 255 bytes.
    pub identity: usize,
    /// Length of authors, copyright, description, summary, tags and of each
    /// URL. Default 4,000, nuget.org's.
    pub text: usize,
    /// Length of the title. Default 256, nuget.org's.
    pub title: usize,
    /// Length of the release notes. Default 35,000, nuget.org's.
    pub release_notes: usize,
    /// Length of the language. Default 20, nuget.org's.
    pub language: usize,
    /// Length of the repository's type. Default 100, nuget.org's.
    pub repository_type: usize,
    /// Length of a target framework. Default 1,024; portable ones have up to 150.
    pub target_framework: usize,
    /// Length of the license expression or file name. Default 500, nuget.org's.
    pub license: usize,
    /// Package types. Default 256.
    pub package_types: usize,
    /// Dependency groups. Default 1,024.
    pub dependency_groups: usize,
    /// Dependencies in all groups. Default 8,192, more than the limit on their total length
    /// allows.
    pub dependency_count: usize,
    /// Length of a dependency's id. Default 128, nuget.org's.
    pub dependency_id: usize,
    /// Length of a dependency's normalized range. Default 256, nuget.org's.
    pub dependency_range: usize,
    /// Length of all dependencies, flattened. Default 32,767, nuget.org's.
    pub dependencies: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const KIB: u64 = 1024;
        const MIB: u64 = 1024 * KIB;
        Self {
            entries: 65_534,
            directory_bytes: 16 * MIB,
            name_bytes: 4_096,
            inflated_bytes: 64 * 1024 * MIB,
            inflation_ratio: 200,
            inflated_bytes_without_ratio: 1024 * MIB,
            nuspec_bytes: MIB,
            nuspec_nodes: 250_000,
            nuspec_attributes: 512,
            nuspec_namespaces: 512,
            deflated_nuspec_bytes: 384 * KIB,
            attached_file_bytes: MIB,
            pdbs: 1_000,
            pdb_bytes: 64 * MIB,
            pdbs_bytes: 256 * MIB,
            assembly_bytes: 256 * MIB,
            hours_ahead: 24,
            version: MAX_VERSION_LENGTH,
            identity: 240,
            text: 4_000,
            title: 256,
            release_notes: 35_000,
            language: 20,
            repository_type: 100,
            target_framework: 1_024,
            license: 500,
            package_types: 256,
            dependency_groups: 1_024,
            dependency_count: 8_192,
            dependency_id: 128,
            dependency_range: 256,
            dependencies: 32_767,
        }
    }
}
