//! The page that says what to do about a package that should not be there.

use maud::html;
use protocol::{Reply, paths};
use store::Release;

use crate::layout::Site;

pub(crate) fn page(site: &Site<'_>, release: &Release) -> Reply {
    let Release { version, row, .. } = release;
    let (id, number) = (&row.id, version.normalized());
    let title = format!("Report {id} {number}");
    let source = format!("{}{}", site.base, paths::INDEX);
    let main = html! {
        h1 { (title) }
        p {
            "It was pushed with the key “" (row.pushed_by) "” on " (day(&row.published)) ". "
            "Tell the holder of that key, or the operator of this feed, what is wrong with it."
        }
        p { "With an `unlist` key, hide it from search:" }
        pre.copy tabindex="0" role="region" aria-label="Command, to copy" { code {
            "dotnet nuget delete " (id) " " (number) " --source " (source)
            " --api-key KEY --non-interactive"
        } }
        p { a href=(site.version(&id.to_lowercase(), version)) {
            "Back to the package"
        } }
    };
    site.page(&title, "", &main)
}

/// The day in a time as rows hold it (RFC 3339).
pub(crate) fn day(time: &str) -> &str {
    time.get(..10).unwrap_or_default()
}
