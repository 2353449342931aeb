//! Addresses of the feed's documents and files: ids and versions lower-cased.

use crate::paths;
use nupkg::{PackageId, Version};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A registration for all clients, or for those before NuGet 4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hive {
    /// All versions.
    All,
    /// The versions that are not `SemVer` 2.
    WithoutSemVer2,
}

impl Hive {
    /// The hive that a request's path is in.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.starts_with(Self::WithoutSemVer2.start()) {
            Self::WithoutSemVer2
        } else {
            Self::All
        }
    }

    /// Index, pages and leaves.
    fn paths(self) -> [&'static str; 3] {
        match self {
            Self::All => paths::REGISTRATION,
            Self::WithoutSemVer2 => paths::REGISTRATION_SEMVER1,
        }
    }

    /// The beginning of the hive's paths.
    #[must_use]
    pub fn start(self) -> &'static str {
        match self {
            Self::All => paths::REGISTRATIONS,
            Self::WithoutSemVer2 => paths::REGISTRATIONS_SEMVER1,
        }
    }
}

/// The addresses of one package.
#[derive(Debug, Clone)]
pub struct Links<'a> {
    base: &'a str,
    hive: Hive,
    id: String,
}

impl<'a> Links<'a> {
    /// The addresses of the package `id` in the feed at `base`.
    #[must_use]
    pub fn new(base: &'a str, hive: Hive, id: &PackageId) -> Self {
        Self { base, hive, id: id.key() }
    }

    /// The registration's index.
    #[must_use]
    pub fn registration(&self) -> String {
        self.registration_of(&self.id)
    }

    /// The registration's index of any package, also of one that nobody can push.
    #[must_use]
    pub fn registration_of(&self, id: &str) -> String {
        let [index, ..] = self.hive.paths();
        self.to(index, &[&escape(id)])
    }

    /// A page of the registration.
    #[must_use]
    pub fn page(&self, lower: &Version, upper: &Version) -> String {
        let [_, page, _] = self.hive.paths();
        self.to(page, &[&self.id, &lower.key(), &format!("{}.json", upper.key())])
    }

    /// A version's leaf.
    #[must_use]
    pub fn leaf(&self, version: &Version) -> String {
        self.document(&format!("{}.json", version.key()))
    }

    /// The start of the name of a version's entry; no version starts like this.
    pub const ENTRY: &'static str = "entry.";

    /// A version's entry, which holds the data that a catalog would have about it.
    #[must_use]
    pub fn entry(&self, version: &Version) -> String {
        self.document(&format!("{}{}.json", Self::ENTRY, version.key()))
    }

    /// A version's file in the flat container.
    #[must_use]
    pub fn file(&self, version: &Version, name: &str) -> String {
        self.to(paths::FILE, &[&self.id, &version.key(), name])
    }

    /// A version's nupkg.
    #[must_use]
    pub fn nupkg(&self, version: &Version) -> String {
        self.file(version, &self.file_name(version, "nupkg"))
    }

    /// The name of a version's nupkg or snupkg.
    #[must_use]
    pub fn file_name(&self, version: &Version, extension: &str) -> String {
        format!("{}.{}.{extension}", self.id, version.key())
    }

    /// A version's file, for the visitors of its page, who have a cookie.
    #[must_use]
    pub fn page_file(&self, version: &Version, name: &str) -> String {
        self.to(paths::PAGE_FILE, &[&self.id, &version.key(), name])
    }

    /// A version's page for people.
    #[must_use]
    pub fn details(&self, version: &Version) -> String {
        self.to(paths::VERSION_PAGE, &[&self.id, &version.key()])
    }

    /// A document of one version.
    fn document(&self, name: &str) -> String {
        let [_, _, leaf] = self.hive.paths();
        self.to(leaf, &[&self.id, name])
    }

    fn to(&self, path: &str, parts: &[&str]) -> String {
        format!("{}{}", self.base, paths::fill(path, parts))
    }
}

/// A text as a part of a path or a fragment, lower-cased.
#[must_use]
pub fn escape(text: &str) -> String {
    // Characters of ids and frameworks that are also allowed in addresses.
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'+');
    utf8_percent_encode(&text.to_lowercase(), PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_lower_cased_and_without_metadata() {
        let id = PackageId::parse("Acme.Core").unwrap();
        let (one, other) = ("1.0-RC.1+b".parse().unwrap(), "2.0".parse().unwrap());
        let links = Links::new("https://feed", Hive::WithoutSemVer2, &id);
        let folder = "https://feed/v3/registration-semver1/acme.core";
        assert_eq!(links.registration(), format!("{folder}/index.json"));
        assert_eq!(links.page(&one, &other), format!("{folder}/page/1.0.0-rc.1/2.0.0.json"));
        assert_eq!(links.leaf(&one), format!("{folder}/1.0.0-rc.1.json"));
        assert_eq!(links.entry(&one), format!("{folder}/entry.1.0.0-rc.1.json"));
        let folder = "https://feed/v3/package/acme.core/1.0.0-rc.1";
        assert_eq!(links.file(&one, "readme"), format!("{folder}/readme"));
        assert_eq!(links.nupkg(&one), format!("{folder}/acme.core.1.0.0-rc.1.nupkg"));
        let snupkg = links.file_name(&one, "snupkg");
        let folder = "https://feed/packages/acme.core/1.0.0-rc.1";
        assert_eq!(links.page_file(&one, &snupkg), format!("{folder}/acme.core.1.0.0-rc.1.snupkg"));
        assert_eq!(links.details(&one), "https://feed/packages/acme.core/1.0.0-rc.1");
        let links = Links::new("", Hive::All, &id);
        assert_eq!(links.registration_of("A b/C"), "/v3/registration/a%20b%2Fc/index.json");
    }

    #[test]
    fn a_path_says_which_hive_it_is_in() {
        assert_eq!(Hive::of("/v3/registration-semver1/a/index.json"), Hive::WithoutSemVer2);
        assert_eq!(Hive::of("/v3/registration/registration-semver1/index.json"), Hive::All);
    }
}
