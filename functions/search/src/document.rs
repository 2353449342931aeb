//! The answers, in the shape and with the types that nuget.org gives them: numbers are not
//! written as strings, and a missing address is left out.

use nupkg::{PackageId, Version};
use protocol::{Hive, Links};
use search_index::{Found, Results, View};
use serde::Serialize;
use store::DownloadCounts;

const VOCABULARY: &str = "http://schema.nuget.org/schema#";

#[derive(Debug, Serialize)]
pub(crate) struct SearchResults<'a> {
    #[serde(rename = "@context")]
    context: Context,
    #[serde(rename = "totalHits")]
    total_hits: usize,
    data: Vec<Item<'a>>,
}

#[derive(Debug, Serialize)]
struct Context {
    #[serde(rename = "@vocab")]
    vocabulary: &'static str,
    #[serde(rename = "@base", skip_serializing_if = "Option::is_none")]
    base: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(rename = "@id")]
    index: String,
    #[serde(rename = "@type")]
    kind: &'static str,
    registration: String,
    id: &'a str,
    version: &'a str,
    description: &'a str,
    summary: &'a str,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license_url: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    project_url: &'a str,
    tags: &'a [String],
    authors: [&'a str; 1],
    /// Absent where none were counted: clients show a 0 as a fact.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_downloads: Option<u64>,
    /// Always false: the feed reserves no prefixes.
    verified: bool,
    package_types: Vec<PackageType<'a>>,
    versions: Vec<ItemVersion<'a>>,
    vulnerabilities: [(); 0],
}

#[derive(Debug, Serialize)]
struct PackageType<'a> {
    name: &'a str,
}

#[derive(Debug, Serialize)]
struct ItemVersion<'a> {
    version: &'a str,
    /// Clients need the number.
    downloads: u64,
    #[serde(rename = "@id")]
    leaf: String,
}

/// An answer of autocomplete.
#[derive(Debug, Serialize)]
pub(crate) struct Completions<'a> {
    #[serde(rename = "@context")]
    context: Context,
    #[serde(rename = "totalHits")]
    total_hits: usize,
    data: Vec<&'a str>,
}

/// The answer to a search.
pub(crate) fn results<'a>(
    base: &str,
    view: View,
    results: &'a Results,
    counts: &DownloadCounts,
) -> SearchResults<'a> {
    // Links stay in the hive that the client reads.
    let hive = if view.semver2 { Hive::All } else { Hive::WithoutSemVer2 };
    let item =
        |found: &'a Found| Some(item(&links(base, hive, &found.description.id)?, found, counts));
    SearchResults {
        context: Context { vocabulary: VOCABULARY, base: Some(format!("{base}{}", hive.start())) },
        total_hits: results.total,
        data: results.found.iter().filter_map(item).collect(),
    }
}

/// The answer to an autocomplete request for ids.
pub(crate) fn ids(results: &Results) -> Completions<'_> {
    completions(results.total, results.found.iter().map(|found| found.description.id.as_str()))
}

/// The answer to an autocomplete request for versions.
pub(crate) fn versions(results: &Results) -> Completions<'_> {
    let versions = results.found.iter().flat_map(|found| &found.versions);
    let versions: Vec<&str> = versions.map(|version| version.version.as_str()).collect();
    completions(versions.len(), versions.into_iter())
}

fn completions<'a>(total_hits: usize, data: impl Iterator<Item = &'a str>) -> Completions<'a> {
    let context = Context { vocabulary: VOCABULARY, base: None };
    Completions { context, total_hits, data: data.collect() }
}

fn links<'a>(base: &'a str, hive: Hive, id: &str) -> Option<Links<'a>> {
    Some(Links::new(base, hive, &PackageId::parse(id).ok()?))
}

fn item<'a>(links: &Links<'_>, found: &'a Found, counts: &DownloadCounts) -> Item<'a> {
    let key = found.description.id.to_ascii_lowercase();
    let counted = |version: &Version| counts.of_version(&key, &version.key()).unwrap_or_default();
    let Found { latest, description, versions } = found;
    let file = |name| latest.parsed().map(|version| links.file(&version, name));
    let given = |url: &str| (!url.is_empty()).then(|| url.to_owned());
    Item {
        index: links.registration(),
        kind: "Package",
        registration: links.registration(),
        id: &description.id,
        version: &latest.version,
        description: &description.description,
        summary: &description.summary,
        title: &description.title,
        icon_url: if description.has_icon { file("icon") } else { given(&description.icon_url) },
        license_url: if description.has_license {
            file("license")
        } else {
            given(&description.license_url)
        },
        project_url: &description.project_url,
        tags: &description.tags,
        authors: [&description.authors],
        total_downloads: counts.of_package(&key),
        verified: false,
        package_types: description.package_types.iter().map(|name| PackageType { name }).collect(),
        versions: versions
            .iter()
            .map(|version| ItemVersion {
                version: &version.version,
                downloads: version.parsed().as_ref().map(counted).unwrap_or_default(),
                leaf: version.parsed().map(|version| links.leaf(&version)).unwrap_or_default(),
            })
            .collect(),
        vulnerabilities: [],
    }
}
