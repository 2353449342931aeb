//! The parts that all pages share.

use feed::ReadAccess;
use http::StatusCode;
use maud::{DOCTYPE, Markup, html};
use nupkg::Version;
use protocol::{Refusal, Reply, paths};

/// The feed whose pages these are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    /// The address that clients know it by.
    pub(crate) base: &'a str,
    /// The callers that may read.
    pub(crate) read_access: ReadAccess,
}

impl<'a> Site<'a> {
    /// The path that links between pages begin with. They name no host: a browser
    /// may know this one by another name.
    pub(crate) fn root(&self) -> &'a str {
        let host = self.base.split_once("://").map_or(self.base, |(_, host)| host);
        host.find('/').and_then(|end| host.get(end..)).unwrap_or_default()
    }

    /// The page of the package with this lower-cased id.
    pub(crate) fn package(&self, id: &str) -> String {
        self.root().to_owned() + &paths::fill(paths::PACKAGE_PAGE, &[id])
    }

    /// The page of a version of it.
    pub(crate) fn version(&self, id: &str, version: &Version) -> String {
        self.root().to_owned() + &paths::fill(paths::VERSION_PAGE, &[id, &version.key()])
    }

    /// A page for visitors who may read, with the search box on it.
    pub(crate) fn page(&self, title: &str, question: &str, main: &Markup) -> Reply {
        self.page_with(StatusCode::OK, title, question, main)
    }

    /// A page that explains a refusal.
    pub(crate) fn refusal(&self, refusal: &Refusal) -> Reply {
        refusal.log();
        let status = refusal.status();
        let title = status.canonical_reason().unwrap_or("Refused");
        let text = refusal.to_string();
        let main = html! {
            h1 { (title) }
            p { (sentence(&text)) }
            p { a href=(format!("{}/", self.root())) { "Search the feed" } }
        };
        self.page_with(status, title, "", &main)
    }

    fn page_with(&self, status: StatusCode, title: &str, question: &str, main: &Markup) -> Reply {
        let header = html! {
            form.search role="search" action=(format!("{}/", self.root())) method="get" {
                label.hidden for="q" { "Search packages" }
                input #q type="search" name="q" value=(question) placeholder="Search packages"
                    autocapitalize="off" autocomplete="off" spellcheck="false";
                button type="submit" { "Search" }
            }
            @if self.read_access == ReadAccess::Keys {
                form action=(format!("{}{}", self.root(), paths::SIGN_OUT)) method="post" {
                    button.quiet type="submit" { "Sign out" }
                }
            }
        };
        crate::html(status, document(self.root(), title, &header, main))
    }
}

/// A whole document.
pub(crate) fn document(root: &str, title: &str, header: &Markup, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · Nuthatch" }
                link rel="stylesheet" href=(format!("{root}/style.css"));
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header {
                    a.home href=(format!("{root}/")) { "Nuthatch" }
                    (header)
                }
                main #main { (main) }
            }
        }
    }
}

/// A message for clients as a sentence for people.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}.", rest.as_str())
}
