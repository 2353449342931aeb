//! The nuspec: a package's description of itself.

mod address;
mod check;
mod error;
mod framework;
mod names;
mod read;
mod shape;
mod strict;
mod text;

pub use address::without_user;
pub use error::NuspecError;

use crate::{Limits, PackageId, Version, VersionRange};

/// A nuspec that passes every rule for pushed packages.
///
/// Texts are as written; an absent and an empty element are both `None`.
#[derive(Debug, Clone)]
pub struct Nuspec {
    /// The package's id.
    pub id: PackageId,
    /// The package's version.
    pub version: Version,
    /// The oldest client that may install the package (`minClientVersion`).
    pub min_client_version: Option<String>,
    /// The title.
    pub title: Option<String>,
    /// The authors, separated by commas as written; the owners, if there are no authors.
    pub authors: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The summary.
    pub summary: Option<String>,
    /// The release notes.
    pub release_notes: Option<String>,
    /// The copyright.
    pub copyright: Option<String>,
    /// The language.
    pub language: Option<String>,
    /// The tags, separated as written.
    pub tags: Option<String>,
    /// The project's page, http or https.
    pub project_url: Option<String>,
    /// The icon's address, http or https.
    pub icon_url: Option<String>,
    /// The license's address, http or https.
    pub license_url: Option<String>,
    /// The license.
    pub license: Option<License>,
    /// The path of the icon in the package.
    pub icon: Option<String>,
    /// The path of the readme in the package.
    pub readme: Option<String>,
    /// Whether a client asks before it installs.
    pub require_license_acceptance: bool,
    /// Whether the package is used in development only.
    pub development_dependency: bool,
    /// Where the sources are.
    pub repository: Option<Repository>,
    /// The package types; none means `Dependency`.
    pub package_types: Vec<PackageType>,
    /// The dependencies by target framework.
    pub dependency_groups: Vec<DependencyGroup>,
}

/// A package's license.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum License {
    /// An SPDX expression.
    Expression(String),
    /// The path of a file in the package.
    File(String),
}

/// Where a package's sources are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// The kind of repository (`git`).
    pub kind: Option<String>,
    /// Its address.
    pub url: Option<String>,
    /// The commit that the package was built from.
    pub commit: Option<String>,
}

/// A kind of package, such as `DotnetTool`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageType {
    /// The kind's name.
    pub name: String,
    /// The kind's version, as written.
    pub version: Option<String>,
}

/// Dependencies for one target framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyGroup {
    /// The framework as written; `None` is any.
    pub target_framework: Option<String>,
    /// The packages that it needs there.
    pub dependencies: Vec<Dependency>,
}

/// A package that another one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Its id, which may be one that nobody can push any more.
    pub id: String,
    /// The versions that will do; `None` is any.
    pub range: Option<VersionRange>,
    /// The assets that flow to the dependent, as written (`include`).
    pub include: Option<String>,
    /// The assets that do not (`exclude`).
    pub exclude: Option<String>,
}

impl Nuspec {
    /// The nuspec that `xml` holds, in any encoding that .NET reads.
    ///
    /// # Errors
    /// The first rule for pushed packages that it breaks.
    pub fn parse(xml: &[u8], limits: &Limits) -> Result<Self, NuspecError> {
        let nuspec = Self::read(xml, limits)?;
        check::is_of_a_package(&nuspec)?;
        Ok(nuspec)
    }

    /// The nuspec of a symbols package that `xml` holds.
    ///
    /// # Errors
    /// The first rule for symbols packages that it breaks.
    pub fn parse_symbols(xml: &[u8], limits: &Limits) -> Result<Self, NuspecError> {
        let nuspec = Self::read(xml, limits)?;
        check::is_of_symbols(&nuspec)?;
        Ok(nuspec)
    }

    fn read(xml: &[u8], limits: &Limits) -> Result<Self, NuspecError> {
        let text = text::decode(xml)?;
        shape::check(&text, limits)?;
        let nuspec = read::read(&text, limits)?;
        check::check(&nuspec, limits)?;
        Ok(nuspec)
    }

    /// Whether the package cannot be read by clients older than NuGet 4.3: its
    /// version or a dependency's bound is `SemVer` 2.
    #[must_use]
    pub fn is_semver2(&self) -> bool {
        self.version.is_semver2()
            || self
                .dependency_groups
                .iter()
                .flat_map(|group| &group.dependencies)
                .filter_map(|dependency| dependency.range.as_ref())
                .flat_map(VersionRange::versions)
                .any(Version::is_semver2)
    }
}
