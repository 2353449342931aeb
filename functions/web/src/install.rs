//! Lines to copy in order to use a version, and to debug it.

use feed::ReadAccess;
use maud::{Markup, html};
use nupkg::PackageId;
use protocol::{Hive, Links, paths};
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
            (copied(&lines(site, release)))
        }
    }
}

/// The section about the symbols of a version. A click or a tab into a line selects it whole.
pub(crate) fn symbols(site: &Site<'_>, id: &PackageId, release: &Release) -> Markup {
    let links = Links::new(site.root(), Hive::All, id);
    let version = &release.version;
    let snupkg = links.page_file(version, &links.file_name(version, "snupkg"));
    html! {
        section aria-labelledby="symbols" {
            h2 #symbols { "Debug" }
            p {
                "This version has " a href=(snupkg) { "symbols" } ". Tell your debugger the symbol server:"
            }
            (copied(&debuggers(site)))
            @if site.read_access == ReadAccess::Keys {
                p {
                    "KEY is a key with the scope read. Visual Studio, VS Code and Rider cannot send \
                     one; they find symbols here if the feed gives them out by checksum."
                }
            }
        }
    }
}

/// How debuggers are told the symbol server.
fn debuggers(site: &Site<'_>) -> [(&'static str, String); 5] {
    let server = format!("{}{}", site.base, paths::SYMBOLS);
    let (tool, dump) = match site.read_access {
        ReadAccess::Keys => (
            format!("dotnet-symbol --symbols --authenticated-server-path KEY {server} FILE"),
            format!("setsymbolserver -pat KEY {server}"),
        ),
        ReadAccess::Anonymous => (
            format!("dotnet-symbol --symbols --server-path {server} FILE"),
            format!("setsymbolserver {server}"),
        ),
    };
    [
        ("Visual Studio and Rider: a symbol server", server.clone()),
        (
            "VS Code: launch.json",
            format!("\"symbolOptions\": {{ \"searchPaths\": [\"{server}\"] }}"),
        ),
        ("WinDbg", format!(".sympath+ srv*{server}")),
        ("dotnet-symbol", tool),
        ("dotnet-dump", dump),
    ]
}

fn copied(lines: &[(&'static str, String)]) -> Markup {
    html! {
        @for (name, line) in lines {
            h3 { (name) }
            pre.copy tabindex="0" aria-label=(format!("{name}, to copy")) role="region" {
                code { (line) }
            }
        }
    }
}
