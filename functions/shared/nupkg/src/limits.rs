//! How much of everything a package may have.

/// The bounds that [`inspect`](crate::inspect) and [`Nuspec`](crate::Nuspec)
/// hold a package to. The defaults take every package that nuget.org takes;
/// lengths of texts are in UTF-16 code units, as nuget.org counts them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Entries in the archive. Default 65,534, nuget.org's: one more needs zip64.
    pub entries: u64,
    /// Bytes of the archive's central directory. Default 8 MiB.
    pub directory_bytes: u64,
    /// Bytes of an entry's name. Default 1,024.
    pub name_bytes: usize,
    /// Bytes that all entries declare to inflate to. Default 8 GiB.
    pub inflated_bytes: u64,
    /// How often the archive's own size its entries may declare to inflate to,
    /// once they pass [`inflated_bytes_without_ratio`](Self::inflated_bytes_without_ratio).
    /// Default 200.
    pub inflation_ratio: u64,
    /// Inflated bytes below which no ratio is looked at. Default 64 MiB.
    pub inflated_bytes_without_ratio: u64,
    /// Bytes of the nuspec. Default 1 MiB.
    pub nuspec_bytes: u64,
    /// Elements, texts and comments in the nuspec. Default 50,000.
    pub nuspec_nodes: u32,
    /// Attributes of one element of the nuspec. Default 64.
    pub nuspec_attributes: usize,
    /// Declarations of namespaces in the nuspec. Default 64.
    pub nuspec_namespaces: usize,
    /// Bytes of the nuspec deflated. Default 384 KiB, which fits a `DynamoDB`
    /// item (AWS quota: 400 KB).
    pub deflated_nuspec_bytes: u64,
    /// Bytes of a readme, icon or license file. Default 1 MiB, nuget.org's.
    pub attached_file_bytes: u64,
    /// How far ahead of the clock an entry's date may be, in hours. Default 24,
    /// nuget.org's.
    pub hours_ahead: u32,
    /// Length of the full version. Default 64, nuget.org's.
    pub version: usize,
    /// Length of id and full version together. Default 160, nuget.org's.
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
    /// Length of a target framework. Default 64.
    pub target_framework: usize,
    /// Length of the license expression or file name. Default 500, nuget.org's.
    pub license: usize,
    /// Package types. Default 32.
    pub package_types: usize,
    /// Dependency groups. Default 256.
    pub dependency_groups: usize,
    /// Dependencies in all groups. Default 4,096.
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
            directory_bytes: 8 * MIB,
            name_bytes: 1_024,
            inflated_bytes: 8 * 1024 * MIB,
            inflation_ratio: 200,
            inflated_bytes_without_ratio: 64 * MIB,
            nuspec_bytes: MIB,
            nuspec_nodes: 50_000,
            nuspec_attributes: 64,
            nuspec_namespaces: 64,
            deflated_nuspec_bytes: 384 * KIB,
            attached_file_bytes: MIB,
            hours_ahead: 24,
            version: 64,
            identity: 160,
            text: 4_000,
            title: 256,
            release_notes: 35_000,
            language: 20,
            repository_type: 100,
            target_framework: 64,
            license: 500,
            package_types: 32,
            dependency_groups: 256,
            dependency_count: 4_096,
            dependency_id: 128,
            dependency_range: 256,
            dependencies: 32_767,
        }
    }
}
