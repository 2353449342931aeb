//! The search page.

use maud::{Markup, html};
use nupkg::{PackageId, Version};
use protocol::{Caller, Hive, Links, Reply, paths};
use search_index::{Found, Page, Results, Search, View};

use crate::layout::Site;

/// Results of a page.
const RESULTS: usize = 20;
/// The most results before a page, as in the clients' search.
const MOST_SKIPPED: usize = 3_000;

/// A visitor's search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SearchForm {
    text: String,
    prerelease: bool,
    skip: usize,
}

impl SearchForm {
    pub(crate) fn of(query: &str) -> Self {
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        let value = |name: &str| {
            let pair = pairs.iter().find(|(known, _)| known == name);
            pair.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let skip = value("skip").parse().unwrap_or_default();
        Self {
            text: value("q"),
            prerelease: value("prerelease") != "false",
            skip: std::cmp::min(skip, MOST_SKIPPED),
        }
    }

    pub(crate) fn search(&self, caller: &Caller) -> Search {
        Search {
            asked: search_index::Question::Text(self.text.clone()),
            view: View { prerelease: self.prerelease, semver2: true },
            package_type: None,
            caller: caller.clone(),
            page: Page { skip: self.skip, take: RESULTS },
        }
    }

    /// The address of this search, at another page or with other options.
    fn address(&self, site: &Site<'_>, prerelease: bool, skip: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &self.text);
        if !prerelease {
            query.append_pair("prerelease", "false");
        }
        if skip > 0 {
            query.append_pair("skip", &skip.to_string());
        }
        format!("{}/?{}", site.root(), query.finish())
    }
}

pub(crate) fn page(site: &Site<'_>, asked: &SearchForm, results: &Results) -> Reply {
    let title = match asked.text.as_str() {
        "" => "All packages".to_owned(),
        text => format!("Packages for “{text}”"),
    };
    let shown = if results.is_cut { results.found.len() } else { RESULTS };
    let next = asked.skip + shown;
    let main = html! {
        h1 { (title) }
        p.count {
            (count(results.total))
            @if asked.prerelease {
                ", prereleases included. "
                a href=(asked.address(site, false, 0)) { "Leave them out" }
            } @else {
                " without prereleases. "
                a href=(asked.address(site, true, 0)) { "Include them" }
            }
        }
        @if !results.is_current {
            p.notice { "The newest changes are not in these results yet. Look again in a moment." }
        }
        @if results.total == 0 && asked.text.is_empty() {
            p { "Nothing has been pushed yet, or nothing that your key may see. Push a package with:" }
            pre tabindex="0" { code {
                "dotnet nuget push Your.Package.1.0.0.nupkg --api-key KEY --source "
                (site.base) (paths::INDEX)
            } }
        } @else if results.total == 0 {
            p { "Every word of a search has to be found; try fewer, or the beginning of one." }
        }
        ol.results {
            @for found in &results.found { (result(site, found)) }
        }
        @if asked.skip > 0 || (next < results.total && next <= MOST_SKIPPED) {
            nav.pages aria-label="Pages" {
                @if asked.skip > 0 {
                    a rel="prev" href=(
                        asked.address(site, asked.prerelease, asked.skip.saturating_sub(RESULTS))
                    ) { "Previous" }
                }
                @if next < results.total && next <= MOST_SKIPPED {
                    a rel="next" href=(asked.address(site, asked.prerelease, next)) { "Next" }
                }
            }
        }
    };
    site.page(&title, &asked.text, &main)
}

fn count(total: usize) -> String {
    match total {
        0 => "No packages".to_owned(),
        1 => "1 package".to_owned(),
        total => format!("{total} packages"),
    }
}

fn result(site: &Site<'_>, found: &Found) -> Markup {
    let Found { latest, description, .. } = found;
    // The index holds ids and versions that were valid when they were stored.
    let (Ok(id), Ok(version)) =
        (PackageId::parse(&description.id), latest.version.parse::<Version>())
    else {
        return Markup::default();
    };
    let links = Links::new(site.root(), Hive::All, &id);
    let summary = [&description.summary, &description.description]
        .into_iter()
        .find(|text| !text.is_empty())
        .map(|text| text.chars().take(300).collect::<String>());
    html! {
        li {
            h2 {
                @if description.has_icon {
                    img src=(links.page_file(&version, "icon")) alt="" width="32" height="32"
                        loading="lazy";
                }
                a href=(links.details(&version)) { (description.id) }
                " " span.version { (version.normalized()) }
            }
            @if let Some(summary) = summary { p { (summary) } }
            @if !description.authors.is_empty() { p.by { "by " (description.authors) } }
        }
    }
}
