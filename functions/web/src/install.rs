//! Lines to copy in order to use a version.

use feed::ReadAccess;
use maud::{Markup, html};
use store::Release;

use crate::layout::Site;

/// The lines for a version: a name, and the text to paste.
fn lines(site: &Site<'_>, release: &Release) -> [(&'static str, String); 4] {
    let key = (site.read_access == ReadAccess::Keys).then_some("KEY");
    let (id, version) = (&release.row.id, release.version.normalized());
    [
        (".NET CLI", format!("dotnet add package {id} --version {version}")),
        (
            "PackageReference",
            format!("<PackageReference Include=\"{id}\" Version=\"{version}\" />"),
        ),
        ("Paket", format!("paket add {id} --version {version}")),
        ("nuget.config", protocol::nuget_config(site.base, key)),
    ]
}

/// The section with the lines. A click or a tab into one selects it whole.
pub(crate) fn section(site: &Site<'_>, release: &Release) -> Markup {
    html! {
        section aria-labelledby="install" {
            h2 #install { "Install" }
            @for (name, line) in lines(site, release) {
                h3 { (name) }
                pre.copy tabindex="0" aria-label=(format!("{name}, to copy")) role="region" {
                    code { (line) }
                }
            }
        }
    }
}
