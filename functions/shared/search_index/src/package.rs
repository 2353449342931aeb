//! A package as search knows it: its listed versions.

use std::collections::{BTreeMap, BTreeSet};

use nupkg::Version;
use serde::{Deserialize, Serialize};
use store::{Metadata, VersionRow};

use crate::View;

/// A package with at least one listed version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedPackage {
    /// Its listed versions, ascending.
    pub versions: Vec<ListedVersion>,
    /// The descriptions of the versions that are the newest in some view, by the full version.
    descriptions: BTreeMap<String, Description>,
}

/// A listed version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedVersion {
    /// The full version.
    pub version: String,
    /// Whether it has release labels.
    pub prerelease: bool,
    /// Whether clients older than NuGet 4.3 cannot read it.
    pub semver2: bool,
}

/// The description that a version gives of its package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The id in the casing of the version's push.
    pub id: String,
    /// The title; the id, where the nuspec has none.
    pub title: String,
    /// The authors as written.
    pub authors: String,
    /// The description.
    pub description: String,
    /// The summary.
    pub summary: String,
    /// The tags.
    pub tags: Vec<String>,
    /// The project's page.
    pub project_url: String,
    /// The license's address.
    pub license_url: String,
    /// The icon's address.
    pub icon_url: String,
    /// Whether an icon is in the package.
    pub has_icon: bool,
    /// Whether a license file is in the package.
    pub has_license: bool,
    /// The names of its package types; `Dependency`, where it has none.
    pub package_types: Vec<String>,
}

/// A package as one view shows it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The newest version in the view.
    pub latest: ListedVersion,
    /// The description that the version gives of the package.
    pub description: Description,
    /// All listed versions in the view, ascending.
    pub versions: Vec<ListedVersion>,
}

impl Found {
    /// Its approximate size in an answer, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        // Names of members, and the addresses of package and version.
        const PACKAGE: usize = 1_000;
        const VERSION: usize = 200;
        let Description { title, authors, description, summary, tags, .. } = &self.description;
        let texts = [title, authors, description, summary].map(String::len);
        let tags = tags.iter().map(|tag| tag.len() + 3);
        let versions = self.versions.iter().map(|known| VERSION + 2 * known.version.len());
        PACKAGE + texts.iter().sum::<usize>() + tags.sum::<usize>() + versions.sum::<usize>()
    }
}

impl IndexedPackage {
    /// Adds a listed version, or replaces it with its new state.
    pub(crate) fn insert(&mut self, version: &Version, row: &VersionRow, metadata: &Metadata) {
        let listed = ListedVersion {
            version: row.version.clone(),
            prerelease: version.is_prerelease(),
            semver2: metadata.semver2,
        };
        self.remove(version);
        self.descriptions.insert(listed.version.clone(), Description::new(row, metadata));
        let place = self.versions.partition_point(|known| known.parsed().as_ref() < Some(version));
        self.versions.insert(place, listed);
    }

    /// Drops a version that is not listed any more.
    pub(crate) fn remove(&mut self, version: &Version) {
        let place = self.versions.partition_point(|known| known.parsed().as_ref() < Some(version));
        let found =
            self.versions.get(place).filter(|known| known.parsed().as_ref() == Some(version));
        if found.is_some() {
            let known = self.versions.remove(place);
            self.descriptions.remove(&known.version);
        }
    }

    /// Removes the descriptions of versions that are not the newest in any view.
    pub(crate) fn forget_unseen(&mut self) {
        let newest = self.newest(|_| true);
        let newest: BTreeSet<String> =
            newest.into_iter().map(|known| known.version.clone()).collect();
        self.descriptions.retain(|version, _| newest.contains(version));
    }

    /// The versions that are the newest in some view without `changed`, and whose
    /// descriptions are not known.
    pub(crate) fn runners_up(&self, changed: &[&Version]) -> Vec<Version> {
        let rest = |known: &ListedVersion| {
            known.parsed().is_some_and(|version| !changed.contains(&&version))
        };
        let unknown = self.newest(rest).into_iter();
        let unknown = unknown.filter(|known| !self.descriptions.contains_key(&known.version));
        unknown.filter_map(ListedVersion::parsed).collect()
    }

    /// The description of the newest version in `view`; none where there is no version.
    #[must_use]
    pub fn seen_in(&self, view: View) -> Option<Found> {
        let versions: Vec<_> =
            self.versions.iter().filter(|version| view.shows(version)).cloned().collect();
        let latest = versions.last()?.clone();
        let description = self.descriptions.get(&latest.version)?.clone();
        Some(Found { latest, description, versions })
    }

    /// The newest version in `view`, and its description.
    pub(crate) fn latest_in(&self, view: View) -> Option<(&ListedVersion, &Description)> {
        let latest = self.versions.iter().rfind(|version| view.shows(version))?;
        Some((latest, self.descriptions.get(&latest.version)?))
    }

    /// The newest version in each view, of those for which `counts` is true.
    fn newest(&self, counts: impl Fn(&ListedVersion) -> bool) -> Vec<&ListedVersion> {
        let in_view = |view: &View| {
            self.versions.iter().rfind(|version| view.shows(version) && counts(version))
        };
        View::ALL.iter().filter_map(in_view).collect()
    }
}

impl ListedVersion {
    /// The version, parsed; it was valid when it was stored.
    #[must_use]
    pub fn parsed(&self) -> Option<Version> {
        self.version.parse().ok()
    }
}

impl Description {
    fn new(row: &VersionRow, metadata: &Metadata) -> Self {
        let or = |text: &str, other: &str| if text.is_empty() { other } else { text }.to_owned();
        Self {
            id: row.id.clone(),
            title: or(&metadata.title, &row.id),
            authors: metadata.authors.clone(),
            description: metadata.description.clone(),
            summary: metadata.summary.clone(),
            tags: metadata.tags().into_iter().map(str::to_owned).collect(),
            project_url: metadata.project_url.clone(),
            license_url: metadata.license_url.clone(),
            icon_url: metadata.icon_url.clone(),
            has_icon: row.icon().is_some(),
            has_license: row.files.contains(&store::AttachedFile::License),
            package_types: match metadata.package_types.as_slice() {
                [] => vec!["Dependency".to_owned()],
                types => types.to_vec(),
            },
        }
    }
}
