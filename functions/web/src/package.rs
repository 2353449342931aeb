//! A package's page.

use std::sync::Arc;

use maud::{Markup, html};
use nupkg::PackageId;
use protocol::{Hive, Links, Reply};
use store::{AttachedFile, DependencyGroup, DownloadCounts, Release};
use trust::Run;

use crate::layout::Site;
use crate::report::day;
use crate::{install, readme};

/// The most versions on a page, unless all were asked for.
const VERSIONS: usize = 30;

/// The content of the page.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    /// All releases of the package, ascending.
    pub(crate) releases: &'a [Arc<Release>],
    /// The place of the one shown.
    pub(crate) place: usize,
    /// The one shown.
    pub(crate) release: &'a Release,
    /// Its readme.
    pub(crate) readme: Option<String>,
    /// Whether it has symbols.
    pub(crate) has_symbols: bool,
    /// The run of a trusted workload that pushed it.
    pub(crate) run: Option<Run>,
    /// Whether all versions are listed, however many.
    pub(crate) all: bool,
    /// The counts of downloads.
    pub(crate) counts: Arc<DownloadCounts>,
}

pub(crate) fn page(site: &Site<'_>, id: &PackageId, shown: &Shown<'_>) -> Reply {
    let Release { version, row, metadata } = shown.release;
    let links = Links::new(site.root(), Hive::All, id);
    let number = version.normalized();
    let main = html! {
        h1 {
            @if row.icon().is_some() {
                img src=(links.page_file(version, "icon")) alt="" width="64" height="64";
            }
            (row.id) " " span.version { (number) }
        }
        @if !metadata.title.is_empty() && metadata.title != row.id { p.title { (metadata.title) } }
        (notices(site, id, shown))
        @if !metadata.description.is_empty() { p.description { (metadata.description) } }
        (install::section(site, shown.release))
        (facts(shown, &links, &id.key()))
        @if shown.has_symbols { (install::symbols(site, id, shown.release)) }
        @if let Some(readme) = &shown.readme {
            section aria-labelledby="readme" {
                h2 #readme { "Readme" }
                @if let Some(rendered) = readme::render(readme) {
                    div.readme { (rendered) }
                } @else {
                    p {
                        "The readme is too long to show here. "
                        a href=(links.page_file(version, "readme")) { "Read it as text" }
                    }
                }
            }
        }
        (dependencies(site, &metadata.dependency_groups))
        (versions(site, id, shown))
    };
    site.page(&format!("{} {number}", row.id), "", &main)
}

fn notices(site: &Site<'_>, id: &PackageId, shown: &Shown<'_>) -> Markup {
    let newest = crate::newest(shown.releases).and_then(|place| shown.releases.get(place));
    html! {
        @if !shown.release.row.listed {
            p.notice { "This version is unlisted: search does not show it, but a client that asks for it still gets it." }
        }
        @if shown.release.version.is_prerelease() {
            p.notice { "This version is a prerelease." }
        }
        @if let Some(newest) = newest && newest.version > shown.release.version {
            p.notice {
                "There is a newer version: "
                a href=(site.package(&id.key())) {
                    (newest.version.normalized())
                }
            }
        }
    }
}

fn facts(shown: &Shown<'_>, links: &Links<'_>, key: &str) -> Markup {
    let Release { version, row, metadata } = shown.release;
    let counts = &shown.counts;
    let tags = metadata.tags();
    html! {
        section aria-labelledby="facts" {
            h2 #facts { "About this version" }
            dl {
                @if !metadata.authors.is_empty() { dt { "Authors" } dd { (metadata.authors) } }
                dt { "Published" }
                dd { time datetime=(row.published) { (day(&row.published)) } " by " (row.pushed_by) }
                @if let Some(run) = &shown.run { dt { "Pushed from" } dd { (run) } }
                @if !metadata.license_expression.is_empty() {
                    dt { "License" } dd { (metadata.license_expression) }
                } @else if row.files.contains(&AttachedFile::License) {
                    dt { "License" } dd { a href=(links.page_file(version, "license")) { "License text" } }
                } @else if !metadata.license_url.is_empty() {
                    dt { "License" } dd { (outside(&metadata.license_url)) }
                }
                @if !metadata.project_url.is_empty() {
                    dt { "Project" } dd { (outside(&metadata.project_url)) }
                }
                @if !tags.is_empty() { dt { "Tags" } dd { (tags.join(", ")) } }
                dt { "Size" } dd { (size(row.size)) }
                @if let Some(all) = counts.of_package(key) {
                    dt { "Downloads" }
                    dd {
                        (counts.of_version(key, &version.key()).unwrap_or_default()) " of this version, "
                        (all) " of all, until the end of " time { (counts.through) }
                    }
                }
                dt { "Package" } dd { a href=(links.page_file(version, &links.file_name(version, "nupkg"))) { "Download" } }
                dt { "Trouble" } dd { a href=(format!("{}/report", links.details(version))) { "Report it" } }
            }
        }
    }
}

/// An address out of a nuspec, as a link where it leads to the web.
fn outside(address: &str) -> Markup {
    let web = ["https://", "http://"].iter().any(|scheme| address.starts_with(scheme));
    html! {
        @if web { a rel="nofollow noopener noreferrer" href=(address) { (address) } }
        @else { (address) }
    }
}

fn dependencies(site: &Site<'_>, groups: &[DependencyGroup]) -> Markup {
    html! {
        section aria-labelledby="dependencies" {
            h2 #dependencies { "Dependencies" }
            @if groups.iter().all(|group| group.dependencies.is_empty()) { p { "None." } }
            @for group in groups {
                h3 { (group.target_framework.as_deref().unwrap_or("All frameworks")) }
                @if group.dependencies.is_empty() { p { "None." } }
                ul {
                    @for dependency in &group.dependencies {
                        li {
                            a href=(site.package(&protocol::escape(&dependency.id))) {
                                (dependency.id)
                            }
                            @if !dependency.range.is_empty() { " " (dependency.range) }
                        }
                    }
                }
            }
        }
    }
}

fn versions(site: &Site<'_>, id: &PackageId, shown: &Shown<'_>) -> Markup {
    let most = if shown.all { usize::MAX } else { VERSIONS };
    let address = |release: &Release| site.version(&id.key(), &release.version);
    html! {
        section aria-labelledby="versions" {
            h2 #versions { "Versions" }
            table {
                thead { tr { th scope="col" { "Version" } th scope="col" { "Published" } th scope="col" { "Listed" } th scope="col" { "Downloads" } } }
                tbody {
                    @for (place, release) in shown.releases.iter().enumerate().rev().take(most) {
                        tr {
                            th scope="row" {
                                @if place == shown.place { (release.version.normalized()) " (this one)" }
                                @else { a href=(address(release)) { (release.version.normalized()) } }
                            }
                            td { (day(&release.row.published)) }
                            td { @if release.row.listed { "yes" } @else { "no" } }
                            td {
                                @if let Some(count) = shown.counts.of_version(&id.key(), &release.version.key()) {
                                    (count)
                                }
                            }
                        }
                    }
                }
            }
            @if shown.releases.len() > most {
                p { a href=(format!("{}?versions=all#versions", address(shown.release))) {
                    "All " (shown.releases.len()) " versions"
                } }
            }
        }
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["bytes", "KiB", "MiB", "GiB"];
    let (mut tenths, mut unit) = (bytes.saturating_mul(10), 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    match unit {
        0 => format!("{bytes} {name}"),
        _ => format!("{}.{} {name}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (250 << 20, "250.0 MiB"),
            (5 << 40, "5120.0 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
