//! The documents, in the shape and with the types that nuget.org gives them: missing texts
//! are empty strings, and numbers and booleans are not written as strings.

use nupkg::Version;
use protocol::{Links, escape};
use serde::Serialize;
use serde_json::{Value, json};
use store::{AttachedFile, Release, Stamp};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// Leaves of a page (nuget.org's number).
const PAGE: usize = 64;
/// The most versions whose leaves are in the index itself (nuget.org's number).
const MOST_INLINED: usize = 127;
/// The most bytes of a document, roughly: less than the limit of a function's answer
/// (Lambda quota: 6 MB, of which Base64 takes a quarter).
pub(crate) const LARGEST: usize = 3 * 1024 * 1024;
/// The most bytes of a page's leaves, if it has more than one leaf.
const LARGEST_PAGE: usize = 2 * 1024 * 1024;
/// The publication date of an unlisted version, the same as on nuget.org.
const UNLISTED: &str = "1900-01-01T00:00:00+00:00";

/// Writes the documents of one package.
#[derive(Debug)]
pub(crate) struct Documents<'a> {
    pub(crate) links: Links<'a>,
    pub(crate) stamp: Stamp,
}

#[derive(Debug, Serialize)]
pub(crate) struct Index<'a> {
    #[serde(rename = "@id")]
    id: String,
    #[serde(rename = "@type")]
    kind: [&'static str; 3],
    #[serde(flatten)]
    commit: CommitFields,
    count: usize,
    items: Vec<Page<'a>>,
    #[serde(rename = "@context")]
    context: Value,
}

/// The last change of the document.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct CommitFields {
    commit_id: String,
    commit_time_stamp: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Page<'a> {
    #[serde(rename = "@id")]
    id: String,
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(flatten)]
    commit: CommitFields,
    count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<PageLeaf<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    lower: String,
    upper: String,
    #[serde(rename = "@context", skip_serializing_if = "Option::is_none")]
    context: Option<Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PageLeaf<'a> {
    #[serde(rename = "@id")]
    id: String,
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(flatten)]
    commit: CommitFields,
    catalog_entry: CatalogEntry<'a>,
    package_content: String,
    registration: String,
}

/// A version's entry as a document of its own.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    #[serde(flatten)]
    entry: CatalogEntry<'a>,
    #[serde(rename = "@context")]
    context: Value,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CatalogEntry<'a> {
    #[serde(rename = "@id")]
    entry: String,
    #[serde(rename = "@type")]
    kind: &'static str,
    authors: &'a str,
    dependency_groups: Vec<DependencyGroup<'a>>,
    description: &'a str,
    icon_url: String,
    id: &'a str,
    language: &'a str,
    license_expression: &'a str,
    license_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    readme_url: Option<String>,
    listed: bool,
    min_client_version: &'a str,
    package_content: String,
    project_url: &'a str,
    published: String,
    require_license_acceptance: bool,
    summary: &'a str,
    tags: Vec<&'a str>,
    title: &'a str,
    version: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DependencyGroup<'a> {
    #[serde(rename = "@id")]
    entry: String,
    #[serde(rename = "@type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<Dependency<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_framework: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Dependency<'a> {
    #[serde(rename = "@id")]
    entry: String,
    #[serde(rename = "@type")]
    kind: &'static str,
    id: &'a str,
    range: &'a str,
    registration: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Leaf {
    #[serde(rename = "@id")]
    id: String,
    #[serde(rename = "@type")]
    kind: [&'static str; 2],
    catalog_entry: String,
    listed: bool,
    package_content: String,
    published: String,
    registration: String,
    #[serde(rename = "@context")]
    context: Value,
}

impl Documents<'_> {
    /// The index of `releases`, which are ascending.
    pub(crate) fn index<'a>(&self, releases: &[&'a Release]) -> Index<'a> {
        let is_inlined = releases.len() <= MOST_INLINED && bytes(releases) <= LARGEST;
        let pages = pages(releases).into_iter().filter_map(|releases| {
            let (first, last) = (releases.first()?, releases.last()?);
            let page = self.bounds(first, last, releases.len());
            Some(if is_inlined { self.inlined(page, releases) } else { page })
        });
        let items: Vec<_> = pages.collect();
        Index {
            id: self.links.registration(),
            kind: ["catalog:CatalogRoot", "PackageRegistration", "catalog:Permalink"],
            commit: self.commit(),
            count: items.len(),
            items,
            context: context(),
        }
    }

    /// The page of `releases`, which are ascending; `None` if there are none.
    pub(crate) fn page<'a>(&self, releases: &[&'a Release]) -> Option<Page<'a>> {
        let page = self.bounds(releases.first()?, releases.last()?, releases.len());
        Some(Page {
            items: Some(self.leaves(releases)),
            parent: Some(self.links.registration()),
            context: Some(context()),
            ..page
        })
    }

    /// The leaf of a release.
    pub(crate) fn leaf(&self, release: &Release) -> Leaf {
        let version = &release.version;
        Leaf {
            id: self.links.leaf(version),
            kind: ["Package", "http://schema.nuget.org/catalog#Permalink"],
            catalog_entry: self.entry_id(version),
            listed: release.row.listed,
            package_content: self.links.nupkg(version),
            published: published(release),
            registration: self.links.registration(),
            context: leaf_context(),
        }
    }

    /// A page without its leaves.
    fn bounds<'a>(&self, first: &Release, last: &Release, count: usize) -> Page<'a> {
        Page {
            id: self.links.page(&first.version, &last.version),
            kind: "catalog:CatalogPage",
            commit: self.commit(),
            count,
            items: None,
            parent: None,
            lower: first.version.normalized(),
            upper: last.version.normalized(),
            context: None,
        }
    }

    /// A page inside the index, with all its leaves.
    fn inlined<'a>(&self, page: Page<'a>, releases: &[&'a Release]) -> Page<'a> {
        let index = self.links.registration();
        Page {
            id: format!("{index}#page/{}/{}", page.lower, page.upper),
            items: Some(self.leaves(releases)),
            parent: Some(index),
            ..page
        }
    }

    fn leaves<'a>(&self, releases: &[&'a Release]) -> Vec<PageLeaf<'a>> {
        releases.iter().map(|release| self.page_leaf(release)).collect()
    }

    fn page_leaf<'a>(&self, release: &'a Release) -> PageLeaf<'a> {
        PageLeaf {
            id: self.links.leaf(&release.version),
            kind: "Package",
            commit: self.commit(),
            catalog_entry: self.catalog_entry(release),
            package_content: self.links.nupkg(&release.version),
            registration: self.links.registration(),
        }
    }

    fn catalog_entry<'a>(&self, release: &'a Release) -> CatalogEntry<'a> {
        let Release { version, row, metadata } = release;
        let has = |file| row.files.contains(&file);
        CatalogEntry {
            entry: self.entry_id(version),
            kind: "PackageDetails",
            authors: &metadata.authors,
            dependency_groups: self.dependency_groups(release),
            description: &metadata.description,
            icon_url: match row.icon() {
                Some(_) => self.links.file(version, "icon"),
                None => metadata.icon_url.clone(),
            },
            id: &row.id,
            language: &metadata.language,
            license_expression: &metadata.license_expression,
            license_url: if has(AttachedFile::License) {
                self.links.file(version, "license")
            } else {
                metadata.license_url.clone()
            },
            readme_url: has(AttachedFile::Readme)
                .then(|| format!("{}#readme", self.links.details(version))),
            listed: row.listed,
            min_client_version: &metadata.min_client_version,
            package_content: self.links.nupkg(version),
            project_url: &metadata.project_url,
            published: published(release),
            require_license_acceptance: metadata.require_license_acceptance,
            summary: &metadata.summary,
            tags: match metadata.tags() {
                tags if tags.is_empty() => vec![""],
                tags => tags,
            },
            title: &metadata.title,
            version: &row.version,
        }
    }

    fn dependency_groups<'a>(&self, release: &'a Release) -> Vec<DependencyGroup<'a>> {
        let entry = self.entry_id(&release.version);
        let groups = release.metadata.dependency_groups.iter();
        groups
            .map(|group| {
                let framework = group.target_framework.as_deref();
                let entry = match framework {
                    Some(framework) => format!("{entry}#group/{}", escape(framework)),
                    None => format!("{entry}#group"),
                };
                let dependencies = group.dependencies.iter().map(|dependency| Dependency {
                    entry: format!("{entry}/{}", escape(&dependency.id)),
                    kind: "PackageDependency",
                    id: &dependency.id,
                    range: match dependency.range.as_str() {
                        "" => "(, )",
                        range => range,
                    },
                    registration: self.links.registration_of(&dependency.id),
                });
                DependencyGroup {
                    dependencies: dependencies.collect(),
                    entry,
                    kind: "PackageDependencyGroup",
                    target_framework: framework,
                }
            })
            .collect()
    }

    /// A version's entry, in place of an entry in the catalog: there is no catalog.
    pub(crate) fn entry<'a>(&self, release: &'a Release) -> Entry<'a> {
        Entry { entry: self.catalog_entry(release), context: context() }
    }

    fn entry_id(&self, version: &Version) -> String {
        self.links.entry(version)
    }

    fn commit(&self) -> CommitFields {
        CommitFields {
            commit_id: self.stamp.to_uuid(),
            commit_time_stamp: timestamp(self.stamp.time()),
        }
    }
}

/// `releases` divided into pages, each with a limit on leaves and on bytes.
fn pages<'r, 'a>(releases: &'r [&'a Release]) -> Vec<&'r [&'a Release]> {
    let (mut pages, mut rest) = (Vec::new(), releases);
    while !rest.is_empty() {
        let mut size = 0;
        let fits = |release: &&&Release| {
            size += release_bytes(release);
            size <= LARGEST_PAGE
        };
        let count = rest.iter().take(PAGE).take_while(fits).count().max(1);
        let (page, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
        pages.push(page);
        rest = after;
    }
    pages
}

/// The approximate size of the leaves of `releases`, in bytes.
pub(crate) fn bytes(releases: &[&Release]) -> usize {
    releases.iter().map(|release| release_bytes(release)).sum()
}

fn release_bytes(release: &Release) -> usize {
    // Bytes of a group and of a dependency besides their texts: mostly addresses, which
    // repeat the framework and the id.
    const GROUP: usize = 400;
    const DEPENDENCY: usize = 600;
    let groups = release.metadata.dependency_groups.iter();
    let frameworks = groups.clone().filter_map(|group| group.target_framework.as_ref());
    let dependencies = groups.clone().map(|group| {
        let framework = group.target_framework.as_ref().map_or(0, String::len);
        group.dependencies.len() * (DEPENDENCY + framework)
    });
    release.bytes()
        + frameworks.map(|framework| GROUP + framework.len()).sum::<usize>()
        + dependencies.sum::<usize>()
}

fn published(release: &Release) -> String {
    if !release.row.listed {
        return UNLISTED.to_owned();
    }
    let published = OffsetDateTime::parse(&release.row.published, &Rfc3339);
    timestamp(published.unwrap_or(OffsetDateTime::UNIX_EPOCH))
}

/// `2026-11-22T18:30:00.123+00:00`, as nuget.org writes it.
fn timestamp(time: OffsetDateTime) -> String {
    const FORMAT: &[BorrowedFormatItem<'_>] = format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]+00:00"
    );
    time.to_offset(UtcOffset::UTC).format(&FORMAT).unwrap_or_default()
}

/// The meaning of the names in index and pages (JSON-LD).
fn context() -> Value {
    json!({
        "@vocab": "http://schema.nuget.org/schema#",
        "catalog": "http://schema.nuget.org/catalog#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        "items": { "@id": "catalog:item", "@container": "@set" },
        "commitTimeStamp": { "@id": "catalog:commitTimeStamp", "@type": "xsd:dateTime" },
        "commitId": { "@id": "catalog:commitId" },
        "count": { "@id": "catalog:count" },
        "parent": { "@id": "catalog:parent", "@type": "@id" },
        "tags": { "@id": "tag", "@container": "@set" },
        "reasons": { "@container": "@set" },
        "packageTargetFrameworks": { "@id": "packageTargetFramework", "@container": "@set" },
        "dependencyGroups": { "@id": "dependencyGroup", "@container": "@set" },
        "dependencies": { "@id": "dependency", "@container": "@set" },
        "packageContent": { "@type": "@id" },
        "published": { "@type": "xsd:dateTime" },
        "registration": { "@type": "@id" }
    })
}

/// The meaning of the names in a leaf (JSON-LD).
fn leaf_context() -> Value {
    json!({
        "@vocab": "http://schema.nuget.org/schema#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        "catalogEntry": { "@type": "@id" },
        "registration": { "@type": "@id" },
        "packageContent": { "@type": "@id" },
        "published": { "@type": "xsd:dateTime" }
    })
}
