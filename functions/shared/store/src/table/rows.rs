//! Rows: the content of each kind of item, and its key.

use std::time::Duration;

use nupkg::{License, Nuspec, PackageId, Version};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use ulid::Ulid;

use crate::{AttachedFile, ObjectKey};
use access::{KeyHash, KeyName, QuotaName};

/// A version of a package: the row that a restore reads. Stored at `PACKAGE#<id>`,
/// `VERSION#<version>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRow {
    /// The id in the casing of its push.
    pub id: String,
    /// The full version, build metadata included.
    pub version: String,
    /// Whether search shows it.
    pub listed: bool,
    /// Whether it can be read or was deleted.
    pub state: VersionState,
    /// Its object in the bucket.
    pub object: ObjectKey,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, Base64. Proven: computed here, or by the bucket.
    pub sha256: String,
    /// When it was pushed, RFC 3339 in UTC.
    pub published: String,
    /// The name of the key that pushed it.
    pub pushed_by: KeyName,
    /// The session of the client that pushed it (`X-NuGet-Session-Id`), the
    /// same for all tries of one push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The name of its last change in the log. The table writes it.
    #[serde(default, skip_serializing)]
    pub changed: Option<Ulid>,
    /// The files from it that are also served on their own, each an object beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<AttachedFile>,
    /// The quotas that its bytes are counted in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<QuotaName>,
    /// Its downloads, as far as they were counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub downloads: u64,
    /// The last day of a download in UTC, like `2026-12-31`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloaded: Option<String>,
    /// Its downloads before that day.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub downloads_before: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Whether a version is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionState {
    /// It can be read.
    Visible,
    /// It was deleted; its number stays taken.
    Deleted,
}

impl VersionRow {
    /// Its icon, if it has one.
    #[must_use]
    pub fn icon(&self) -> Option<AttachedFile> {
        self.files.iter().copied().find(|file| file.is_icon())
    }

    /// All objects that belong to it alone.
    pub fn objects(&self) -> impl Iterator<Item = ObjectKey> {
        let files = self.files.iter().map(|file| self.object.attached(*file));
        std::iter::once(self.object.clone()).chain(files)
    }

    /// The verdict on a push whose version number this row has.
    #[must_use]
    pub fn judge(&self, attempt: &Attempt<'_>) -> Verdict {
        let has_its_bytes = self.sha256 == attempt.sha256;
        let has_its_object = attempt.object == Some(&self.object);
        match self.state {
            VersionState::Visible => {
                let is_same_session = attempt.session.is_some()
                    && self.session.as_deref() == attempt.session
                    && self.pushed_by == *attempt.key;
                if has_its_object || is_same_session && has_its_bytes {
                    Verdict::Replayed
                } else {
                    Verdict::Taken
                }
            }
            // Not with the object that it had, which is about to be deleted.
            VersionState::Deleted if has_its_bytes && !has_its_object => Verdict::Restorable,
            VersionState::Deleted => Verdict::Taken,
        }
    }
}

/// A push, as far as it takes to tell from a row whether this push made it.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The key that it is pushed with.
    pub key: &'a KeyName,
    /// The session of its client.
    pub session: Option<&'a str>,
    /// Its SHA-256, Base64.
    pub sha256: &'a str,
    /// Its object, where it has one already.
    pub object: Option<&'a ObjectKey>,
}

/// The verdict on a push whose number is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the push that made the version, tried again.
    Replayed,
    /// The version was deleted, and these are its bytes: it may come back.
    Restorable,
    /// Another push has the number.
    Taken,
}

/// The metadata of a nuspec that registration and search show. Stored at `PACKAGE#<id>`,
/// `METADATA#<version>`. Missing texts are empty.
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

impl Metadata {
    /// The tags one by one, as nuget.org splits them.
    #[must_use]
    pub fn tags(&self) -> Vec<&str> {
        let tags = self.tags.split([',', ';', '|', ' ', '\t', '\r', '\n']);
        tags.filter(|tag| !tag.is_empty()).collect()
    }
}

impl From<&Nuspec> for Metadata {
    fn from(nuspec: &Nuspec) -> Self {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let address =
            |url: &Option<String>| url.as_deref().map(nupkg::without_user).unwrap_or_default();
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
            project_url: address(&nuspec.project_url),
            icon_url: address(&nuspec.icon_url),
            license_url: address(&nuspec.license_url),
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

/// A version with all that registration shows of it.
#[derive(Debug, Clone)]
pub struct Release {
    /// The version.
    pub version: Version,
    /// Its row.
    pub row: VersionRow,
    /// The metadata of its nuspec.
    pub metadata: Metadata,
}

impl Release {
    /// Its approximate size in memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // Bytes of a row's texts and their headers, and of an entry in a list.
        const ROW: usize = 1_600;
        const ENTRY: usize = 48;
        let texts = [
            &self.metadata.authors,
            &self.metadata.title,
            &self.metadata.description,
            &self.metadata.summary,
            &self.metadata.tags,
            &self.metadata.project_url,
            &self.metadata.icon_url,
            &self.metadata.license_url,
        ];
        let groups = self.metadata.dependency_groups.iter();
        let frameworks = groups.clone().filter_map(|group| group.target_framework.as_ref());
        let dependencies = groups.flat_map(|group| &group.dependencies);
        let entries = frameworks
            .chain(&self.metadata.package_types)
            .map(String::len)
            .chain(dependencies.map(|needed| ENTRY + needed.id.len() + needed.range.len()))
            .map(|bytes| ENTRY + bytes);
        ROW + texts.into_iter().map(String::len).sum::<usize>() + entries.sum::<usize>()
    }
}

/// The longest time from the naming of a change until everybody can read it, plus the
/// largest difference between the clocks of two machines. A transaction is abandoned after
/// 15 seconds and the 10 of its last try, so clocks may differ by half a minute.
pub(crate) const SETTLING_TIME: Duration = Duration::from_mins(1);

/// A package's stamp: the name of the last change to any of its versions. It is in the
/// package's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(Ulid);

impl VersionRow {
    /// The time of the push called `ulid`, in the format of rows.
    #[must_use]
    pub fn published_by(ulid: Ulid) -> String {
        time_of(ulid).format(&Rfc3339).unwrap_or_default()
    }
}

impl Stamp {
    pub(crate) fn read(text: &str) -> Result<Self, ulid::DecodeError> {
        Ulid::from_string(text).map(Self)
    }

    /// The stamp as a UUID.
    #[must_use]
    pub fn to_uuid(self) -> String {
        let digits = format!("{:032x}", self.0.0);
        let part = |range| digits.get::<std::ops::Range<usize>>(range).unwrap_or_default();
        let parts = [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)];
        parts.join("-")
    }

    /// When the package was changed.
    #[must_use]
    pub fn time(self) -> OffsetDateTime {
        time_of(self.0)
    }

    /// Whether everything that was changed with the stamp can be read at `now`. A
    /// transaction's rows become visible one after the other: a reader at that moment may see
    /// the stamp and not yet a version.
    pub(super) fn is_settled_at(self, now: OffsetDateTime) -> bool {
        self.time() + SETTLING_TIME < now
    }

    /// The name of the change.
    pub(super) fn name(self) -> Ulid {
        self.0
    }
}

impl From<Ulid> for Stamp {
    fn from(change: Ulid) -> Self {
        Self(change)
    }
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The nuspec itself, deflated (zlib). Stored at `PACKAGE#<id>`, `XML#<version>`, which no
/// query for versions and metadata reads.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NuspecRow {
    #[serde(with = "serde_bytes")]
    pub(super) zlib: Vec<u8>,
}

/// The time in a ULID, in milliseconds.
pub(crate) fn time_of(ulid: Ulid) -> OffsetDateTime {
    let nanoseconds = i128::from(ulid.timestamp_ms()) * 1_000_000;
    // 48 bits of milliseconds reach the year 10889, beyond what `time` holds.
    OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The present time, RFC 3339 in UTC.
#[must_use]
pub fn timestamp() -> String {
    rfc3339(OffsetDateTime::now_utc())
}

pub(super) fn rfc3339(time: OffsetDateTime) -> String {
    // Only years beyond 9999 cannot be written in this format.
    time.format(&Rfc3339).unwrap_or_default()
}

pub(super) fn package_key(id: &PackageId) -> String {
    format!("{PACKAGE}{}", id.key())
}

pub(super) const PACKAGE: &str = "PACKAGE#";

pub(super) const VERSION: &str = "VERSION#";
pub(super) const METADATA: &str = "METADATA#";

/// The sort key of the package's head.
pub(super) const STAMP: &str = "VERSION";

pub(super) fn stamp_key(id: &PackageId) -> (String, String) {
    (package_key(id), STAMP.to_owned())
}

pub(super) fn version_key(id: &PackageId, version: &Version) -> (String, String) {
    (package_key(id), format!("{VERSION}{}", version.key()))
}

pub(super) fn metadata_key(id: &PackageId, version: &Version) -> (String, String) {
    (package_key(id), format!("{METADATA}{}", version.key()))
}

pub(super) fn nuspec_key(id: &PackageId, version: &Version) -> (String, String) {
    (package_key(id), format!("XML#{}", version.key()))
}

/// The symbols of a version have a partition of their own, so that no query for versions
/// reads them.
pub(super) fn symbols_key(id: &PackageId, version: &Version) -> (String, String) {
    (format!("SYMBOLS#{}", id.key()), version.key())
}

pub(super) fn pdb_key(guid: &str) -> String {
    format!("PDB#{guid}")
}

pub(super) fn key_key(hash: &KeyHash) -> (String, String) {
    (format!("KEY#{}", hash.as_str()), "KEY".to_owned())
}

/// The partition of the names of keys, each with its key's hash.
pub(super) const KEYS: &str = "KEYS";
pub(super) const NAME: &str = "NAME#";

pub(super) fn key_name_key(name: &KeyName) -> (String, String) {
    (KEYS.to_owned(), format!("{NAME}{name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ULID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    #[test]
    fn a_release_takes_its_texts_and_the_entries_of_its_lists() {
        let row: VersionRow = serde_json::from_value(json!({
            "id": "Acme", "version": "1.0.0", "listed": true, "state": "visible",
            "object": "o", "size": 1, "sha256": "", "published": "", "pushed_by": "ci"
        }))
        .unwrap();
        let bytes = |metadata| {
            Release { version: "1.0.0".parse().unwrap(), row: row.clone(), metadata }.bytes()
        };
        assert_eq!(bytes(Metadata::default()), 1_600);
        let needed = Dependency { id: "Core".to_owned(), range: "[1.0.0, )".to_owned() };
        let group = DependencyGroup {
            target_framework: Some("net8.0".to_owned()),
            dependencies: vec![needed],
        };
        let metadata = Metadata {
            authors: "ab".to_owned(),
            package_types: vec!["Dependency".to_owned()],
            dependency_groups: vec![group],
            ..Metadata::default()
        };
        assert_eq!(bytes(metadata), 1_600 + 2 + (48 + 6) + (48 + 10) + (48 + 48 + 4 + 9));
    }

    #[test]
    fn a_push_says_when_it_was_made() {
        let published = VersionRow::published_by(Ulid::from_string(ULID).unwrap());
        assert_eq!(published, "2016-07-30T23:54:10.259Z");
        let now = OffsetDateTime::parse(&timestamp(), &Rfc3339).unwrap();
        assert!((OffsetDateTime::now_utc() - now).whole_minutes() == 0);
    }

    #[test]
    fn a_stamp_is_a_uuid_too() {
        let stamp = Stamp::read(ULID).unwrap();
        assert_eq!(stamp.to_uuid(), "01563e3a-b5d3-d676-4c61-efb99302bd5b");
        assert_eq!(stamp.to_string(), ULID);
        assert!(!stamp.is_settled_at(stamp.time() + SETTLING_TIME));
        assert!(stamp.is_settled_at(stamp.time() + SETTLING_TIME + Duration::from_millis(1)));
    }
}
