//! Rows: what each kind of item holds, and under which key it stands.

use nupkg::{License, Nuspec, PackageId, Version};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use ulid::Ulid;

use crate::{KeyHash, KeyName, ObjectKey};

/// A version of a package: what a restore reads. Stands at
/// `PACKAGE#<id>`, `VERSION#<version>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRow {
    /// The id in the casing of its push.
    pub id: String,
    /// The full version, build metadata included.
    pub version: String,
    /// Whether search shows it.
    pub listed: bool,
    /// Whether it is there at all.
    pub state: State,
    /// Its object in the bucket.
    pub object: ObjectKey,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-512, Base64: what NuGet calls the package hash.
    pub sha512: String,
    /// When it was pushed, RFC 3339 in UTC.
    pub published: String,
    /// The name of the key that pushed it.
    pub pushed_by: KeyName,
    /// The session of the client that pushed it (`X-NuGet-Session-Id`), the
    /// same for all tries of one push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// Whether a version is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It can be read.
    Visible,
    /// It was deleted; its number stays taken.
    Deleted,
}

impl VersionRow {
    /// Whether `other` is this very push, tried once more: the same client
    /// session, key and bytes.
    #[must_use]
    pub fn is_replayed_by(&self, other: &Self) -> bool {
        self.state == State::Visible
            && self.session.is_some()
            && self.session == other.session
            && self.pushed_by == other.pushed_by
            && self.sha512 == other.sha512
    }

    /// Whether `other` brings back what was deleted, byte by byte.
    #[must_use]
    pub fn is_restored_by(&self, other: &Self) -> bool {
        self.state == State::Deleted && self.sha512 == other.sha512
    }
}

/// What registration and search show of a nuspec. Stands at `PACKAGE#<id>`,
/// `METADATA#<version>`. Absent texts are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// The authors as written.
    pub authors: String,
    /// The title.
    pub title: String,
    /// The description.
    pub description: String,
    /// The summary.
    pub summary: String,
    /// The language.
    pub language: String,
    /// The tags as written.
    pub tags: String,
    /// The project's page.
    pub project_url: String,
    /// The icon's address.
    pub icon_url: String,
    /// The license's address.
    pub license_url: String,
    /// The license's SPDX expression.
    pub license_expression: String,
    /// The license's file in the package.
    pub license_file: String,
    /// The icon's file in the package.
    pub icon: String,
    /// The readme's file in the package.
    pub readme: String,
    /// The oldest client that may install it.
    pub min_client_version: String,
    /// Whether a client asks before it installs.
    pub require_license_acceptance: bool,
    /// Whether clients older than NuGet 4.3 cannot read it.
    pub semver2: bool,
    /// The names of its package types.
    pub package_types: Vec<String>,
    /// Its dependencies by target framework.
    pub dependency_groups: Vec<DependencyGroup>,
}

/// Dependencies for one target framework, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DependencyGroup {
    /// The framework; absent is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_framework: Option<String>,
    /// The dependencies.
    pub dependencies: Vec<Dependency>,
}

/// A dependency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// Its id.
    pub id: String,
    /// Its range, normalized; empty is any.
    pub range: String,
}

impl From<&Nuspec> for Metadata {
    fn from(nuspec: &Nuspec) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (license_expression, license_file) = match &nuspec.license {
            Some(License::Expression(expression)) => (expression.clone(), String::new()),
            Some(License::File(path)) => (String::new(), path.clone()),
            None => (String::new(), String::new()),
        };
        Self {
            authors: text(&nuspec.authors),
            title: text(&nuspec.title),
            description: text(&nuspec.description),
            summary: text(&nuspec.summary),
            language: text(&nuspec.language),
            tags: text(&nuspec.tags),
            project_url: text(&nuspec.project_url),
            icon_url: text(&nuspec.icon_url),
            license_url: text(&nuspec.license_url),
            license_expression,
            license_file,
            icon: text(&nuspec.icon),
            readme: text(&nuspec.readme),
            min_client_version: text(&nuspec.min_client_version),
            require_license_acceptance: nuspec.require_license_acceptance,
            semver2: nuspec.is_semver2(),
            package_types: nuspec.package_types.iter().map(|kind| kind.name.clone()).collect(),
            dependency_groups: nuspec.dependency_groups.iter().map(DependencyGroup::from).collect(),
        }
    }
}

impl From<&nupkg::DependencyGroup> for DependencyGroup {
    fn from(group: &nupkg::DependencyGroup) -> Self {
        let dependencies = group.dependencies.iter().map(|dependency| Dependency {
            id: dependency.id.clone(),
            range: dependency.range.as_ref().map(ToString::to_string).unwrap_or_default(),
        });
        Self {
            target_framework: group.target_framework.clone(),
            dependencies: dependencies.collect(),
        }
    }
}

/// The nuspec itself, deflated (zlib). Stands at `PACKAGE#<id>`,
/// `NUSPEC#<version>`, so that neither restore nor registration reads it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NuspecRow {
    #[serde(with = "serde_bytes")]
    pub(super) zlib: Vec<u8>,
}

/// What happened to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It was pushed.
    Pushed,
    /// It was unlisted.
    Unlisted,
    /// It was listed again.
    Relisted,
    /// It was deleted.
    Deleted,
}

/// A change, in the log that search and catalog follow. Stands at
/// `CHANGES#<yyyy-mm>`, `<ULID>`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ChangeRow {
    id: String,
    version: String,
    change: Change,
    by: KeyName,
    at: String,
}

impl ChangeRow {
    /// The change, and the key of its row.
    pub(super) fn now(
        id: &PackageId,
        version: &Version,
        change: Change,
        by: &KeyName,
    ) -> ((String, String), Self) {
        let at = timestamp();
        let month = at.get(..7).unwrap_or_default();
        let key = (format!("CHANGES#{month}"), Ulid::new().to_string());
        (key, Self { id: id.key(), version: version.key(), change, by: by.clone(), at })
    }
}

/// The present time, RFC 3339 in UTC.
#[must_use]
pub fn timestamp() -> String {
    // Only years beyond 9999 cannot be written so.
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

pub(super) fn package_key(id: &PackageId) -> String {
    format!("PACKAGE#{}", id.key())
}

pub(super) const VERSION: &str = "VERSION#";

pub(super) fn version_key(id: &PackageId, version: &Version) -> (String, String) {
    (package_key(id), format!("{VERSION}{}", version.key()))
}

pub(super) fn metadata_key(id: &PackageId, version: &Version) -> (String, String) {
    (package_key(id), format!("METADATA#{}", version.key()))
}

pub(super) fn nuspec_key(id: &PackageId, version: &Version) -> (String, String) {
    (package_key(id), format!("NUSPEC#{}", version.key()))
}

pub(super) fn key_key(hash: &KeyHash) -> (String, String) {
    (format!("KEY#{}", hash.as_str()), "KEY".to_owned())
}

/// Where the names of keys stand, each with its key's hash.
pub(super) const KEYS: &str = "KEYS";
pub(super) const NAME: &str = "NAME#";

pub(super) fn key_name_key(name: &KeyName) -> (String, String) {
    (KEYS.to_owned(), format!("{NAME}{name}"))
}
