//! What search knows of a package: its listed versions.

use feed::{Metadata, VersionRow};
use nupkg::Version;
use serde::{Deserialize, Serialize};

use crate::View;

/// A package with at least one listed version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its listed versions, ascending.
    pub versions: Vec<ListedVersion>,
    /// What its versions say of it. Most say the same as the one before.
    descriptions: Vec<Description>,
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
    /// Its place in the descriptions.
    description: usize,
}

/// What a version says of its package.
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
    /// What that version says of the package.
    pub description: Description,
    /// All listed versions in the view, ascending.
    pub versions: Vec<ListedVersion>,
}

impl Package {
    /// Takes in a listed version, or what it has become.
    pub(crate) fn insert(&mut self, version: &Version, row: &VersionRow, metadata: &Metadata) {
        let said = Description::new(row, metadata);
        let known = self.descriptions.iter().position(|known| *known == said);
        let description = known.unwrap_or(self.descriptions.len());
        if known.is_none() {
            self.descriptions.push(said);
        }
        let listed = ListedVersion {
            version: row.version.clone(),
            prerelease: version.is_prerelease(),
            semver2: metadata.semver2,
            description,
        };
        match self.find(version) {
            Ok(place) => {
                if let Some(known) = self.versions.get_mut(place) {
                    *known = listed;
                }
            }
            Err(place) => self.versions.insert(place, listed),
        }
        self.forget_unused();
    }

    /// Drops a version that is not listed any more.
    pub(crate) fn remove(&mut self, version: &Version) {
        if let Ok(place) = self.find(version) {
            self.versions.remove(place);
            self.forget_unused();
        }
    }

    /// What the newest version in `view` shows; none where there is no version.
    #[must_use]
    pub fn seen_in(&self, view: View) -> Option<Found> {
        let versions: Vec<_> =
            self.versions.iter().filter(|version| view.shows(version)).cloned().collect();
        let latest = versions.last()?.clone();
        let description = self.descriptions.get(latest.description)?.clone();
        Some(Found { latest, description, versions })
    }

    /// The place of the newest version in `view`.
    pub(crate) fn latest_in(&self, view: View) -> Option<usize> {
        self.versions.iter().rposition(|version| view.shows(version))
    }

    /// What the version at `place` says.
    pub(crate) fn description_at(&self, place: usize) -> Option<(&ListedVersion, &Description)> {
        let version = self.versions.get(place)?;
        Some((version, self.descriptions.get(version.description)?))
    }

    fn find(&self, version: &Version) -> Result<usize, usize> {
        // What stands here was a version before it was stored.
        self.versions.binary_search_by(|known| match known.version.parse::<Version>() {
            Ok(known) => known.cmp(version),
            Err(_) => std::cmp::Ordering::Less,
        })
    }

    fn forget_unused(&mut self) {
        let used = |place| self.versions.iter().any(|version| version.description == place);
        let Some(unused) = (0..self.descriptions.len()).find(|place| !used(*place)) else {
            return;
        };
        self.descriptions.remove(unused);
        for version in &mut self.versions {
            if version.description > unused {
                version.description -= 1;
            }
        }
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
            has_license: row.files.contains(&feed::AttachedFile::License),
            package_types: match metadata.package_types.as_slice() {
                [] => vec!["Dependency".to_owned()],
                types => types.to_vec(),
            },
        }
    }
}
