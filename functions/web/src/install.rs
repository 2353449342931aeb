//! What to paste where, to use a version.

use maud::{Markup, html};
use nupkg::{PackageId, Version};

use crate::layout::Site;

/// The lines for a version: a name, and what to paste.
pub(crate) fn lines(
    site: &Site<'_>,
    id: &PackageId,
    version: &Version,
) -> [(&'static str, String); 4] {
    let version = version.normalized();
    let base = site.base;
    // Older clients know the attribute and newer ones ask for it.
    let insecure =
        if base.starts_with("http://") { " allowInsecureConnections=\"true\"" } else { "" };
    [
        (".NET CLI", format!("dotnet add package {id} --version {version}")),
        (
            "PackageReference",
            format!("<PackageReference Include=\"{id}\" Version=\"{version}\" />"),
        ),
        ("Paket", format!("paket add {id} --version {version}")),
        (
            "nuget.config",
            format!(
                "<configuration>\n  <packageSources>\n    \
                 <add key=\"nuthatch\" value=\"{base}/v3/index.json\"{insecure} />\n  \
                 </packageSources>\n</configuration>"
            ),
        ),
    ]
}

/// The section with the lines. A click or a tab into one selects it whole.
pub(crate) fn section(site: &Site<'_>, id: &PackageId, version: &Version) -> Markup {
    html! {
        section aria-labelledby="install" {
            h2 #install { "Install" }
            @for (name, line) in lines(site, id, version) {
                h3 { (name) }
                pre.copy tabindex="0" aria-label=(format!("{name}, to copy")) role="region" {
                    code { (line) }
                }
            }
        }
    }
}
