//! The corpus of real packages, used in place.

use std::path::PathBuf;

/// A real package, with what its manifest says of it.
#[derive(Debug, Clone)]
pub struct CorpusPackage {
    /// The file.
    pub path: PathBuf,
    /// The id in its nuspec.
    pub id: String,
    /// The version as its nuspec writes it.
    pub version: String,
    /// The normalized version.
    pub normalized: String,
    /// `valid`, `invalid:…`, or `open:…` where servers may differ.
    pub verdict: String,
}

/// Packages that the manifest calls valid but a rule refuses, as nuget.org does; each with a
/// part of the refusal's message.
const REFUSED_BY_RULE: &[(&str, &str)] = &[
    ("26dfcabc-RepositoryServiceableDevDependency.nupkg", "are the same file"),
    ("32eab753-LongDependenciesList.1.2.3.nupkg", "two dependency groups"),
    ("79748abc-DuplicateReadmeFiles.nupkg", "are the same file"),
    ("87694ead-DuplicateLibFilesDifferentPathSeparators.nupkg", "are the same file"),
    ("8a9653b5-PackageWithDoubleForwardSlash.1.0.0.nupkg", "are the same file"),
    ("bd2ccd10-TestData.1.2.3.snupkg", "symbols package"),
    ("dd3df304-PackageTypeMultipleTypesNodes.nupkg", "more than one <packageTypes>"),
];

impl CorpusPackage {
    /// This feed's objection to a package that its manifest calls valid.
    #[must_use]
    pub fn refused_by_rule(&self) -> Option<&'static str> {
        let name = self.name();
        REFUSED_BY_RULE.iter().find(|(refused, _)| *refused == name).map(|(_, reason)| *reason)
    }

    /// Whether this feed takes the package.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.verdict == "valid" && self.refused_by_rule().is_none()
    }

    /// The package's bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).expect("a file that the manifest names")
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().unwrap().to_string_lossy().into_owned()
    }
}

/// All packages of the corpus.
#[must_use]
pub fn corpus() -> Vec<CorpusPackage> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let manifest = std::fs::read_to_string(folder.join("manifest.tsv")).expect("the manifest");
    let packages: Vec<_> = manifest
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let field = |at: usize| fields[at].to_owned();
            CorpusPackage {
                path: folder.join(fields[1]),
                id: field(5),
                version: field(6),
                normalized: field(7),
                verdict: field(8),
            }
        })
        .collect();
    assert!(packages.len() > 100, "the corpus has shrunk to {}", packages.len());
    packages
}
