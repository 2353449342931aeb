//! What to paste where, to use a version.

use feed::{ReadAccess, Release};
use maud::{Markup, html};

use crate::layout::Site;

/// The lines for a version: a name, and what to paste.
fn lines(site: &Site<'_>, release: &Release) -> [(&'static str, String); 4] {
    let (id, version) = (&release.row.id, release.version.normalized());
    [
        (".NET CLI", format!("dotnet add package {id} --version {version}")),
        (
            "PackageReference",
            format!("<PackageReference Include=\"{id}\" Version=\"{version}\" />"),
        ),
        ("Paket", format!("paket add {id} --version {version}")),
        ("nuget.config", configuration(site)),
    ]
}

/// A nuget.config that knows the feed.
fn configuration(site: &Site<'_>) -> String {
    let base = site.base;
    // Older clients know no such attribute, and newer ones ask for it.
    let insecure =
        if base.starts_with("http://") { " allowInsecureConnections=\"true\"" } else { "" };
    let credentials = match site.read_access {
        ReadAccess::Anonymous => "",
        ReadAccess::Keys => {
            "  <packageSourceCredentials>
    <nuthatch>
      <add key=\"Username\" value=\"any\" />
      <add key=\"ClearTextPassword\" value=\"KEY\" />
    </nuthatch>
  </packageSourceCredentials>
"
        }
    };
    format!(
        "<configuration>
  <packageSources>
    <add key=\"nuthatch\" value=\"{base}/v3/index.json\"{insecure} />
  </packageSources>
{credentials}</configuration>"
    )
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
