//! Signing in and out.

use access::SessionCookie;
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use maud::html;
use protocol::{Body, Reply, Request, paths};

use crate::layout::{Site, document};

/// Shown after sign-in with an invalid key.
pub(crate) const WRONG: &str =
    "This key is unknown, expired or revoked, or may not read. Check it, or ask for another one.";

/// The form that a visitor sent to sign in.
#[derive(Debug, Default)]
pub(crate) struct Form {
    key: String,
    return_path: String,
}

impl Form {
    /// The form in a request's body; an empty form if the body is not one.
    pub(crate) async fn read(body: Body) -> Self {
        // A key has 58 characters, an address of the feed a few hundred.
        let Ok(bytes) = body.short().await else { return Self::default() };
        let value = |name: &str| {
            let mut pairs = form_urlencoded::parse(&bytes);
            pairs.find(|(known, _)| known == name).map(|(_, value)| value.trim().to_owned())
        };
        Self {
            key: value("key").unwrap_or_default(),
            return_path: local(&value("return").unwrap_or_default()),
        }
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn return_path(&self) -> &str {
        &self.return_path
    }
}

/// Whether a form comes from another site: it could sign a visitor in as somebody else, or
/// out. Browsers say so in every request (Fetch Metadata); older ones name the site. A page
/// of ours has no site to name, because it sends no referrer.
pub(crate) fn is_foreign(site: &Site<'_>, headers: &HeaderMap) -> bool {
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some(from), _) => !matches!(from, "same-origin" | "none"),
        (None, Some(origin)) => {
            let rest = site.base.strip_prefix(origin);
            origin != "null" && !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        (None, None) => false,
    }
}

/// The page that refuses such a form.
pub(crate) fn foreign(site: &Site<'_>) -> Reply {
    let main = html! {
        h1 { "Forbidden" }
        p { "This form was sent from another site. Sign in and out on this feed's own pages." }
        p { a href=(format!("{}{}", site.root(), paths::SIGN_IN)) { "Sign in" } }
    };
    let page = document(site.root(), "Forbidden", &html! {}, &main);
    crate::html(StatusCode::FORBIDDEN, page)
}

/// The path if it leads to this feed; its front page, if not.
pub(crate) fn local(path: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && c != '\\';
    match path.strip_prefix('/') {
        Some(rest) if !rest.starts_with('/') && rest.chars().all(plain) => path.to_owned(),
        _ => "/".to_owned(),
    }
}

/// The page that asks for a key.
pub(crate) fn page(site: &Site<'_>, return_path: &str, problem: Option<&str>) -> Reply {
    let main = html! {
        h1 { "Sign in" }
        @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
        p { "This feed is private. Sign in with an API key that may read." }
        form.sign-in action=(format!("{}{}", site.root(), paths::SIGN_IN)) method="post" {
            label for="key" { "API key" }
            input #key type="password" name="key" required autofocus
                autocomplete="current-password" spellcheck="false";
            input type="hidden" name="return" value=(return_path);
            button type="submit" { "Sign in" }
        }
    };
    let status = if problem.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    crate::html(status, document(site.root(), "Sign in", &html! {}, &main))
}

/// Sends a visitor to sign in, and then back.
pub(crate) fn ask(site: &Site<'_>, request: &Request) -> Reply {
    let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("return", path);
    go(&format!("{}{}?{}", site.root(), paths::SIGN_IN, query.finish()))
}

/// Remembers who signed in.
pub(crate) fn begin(site: &Site<'_>, form: &Form) -> Reply {
    with_cookie(go(&format!("{}{}", site.root(), form.return_path)), &SessionCookie::set(&form.key))
}

/// Forgets who signed in.
pub(crate) fn end(site: &Site<'_>) -> Reply {
    with_cookie(go(&format!("{}{}", site.root(), paths::SIGN_IN)), &SessionCookie::unset())
}

/// 303 to `address`.
fn go(address: &str) -> Reply {
    let mut reply = protocol::status(StatusCode::SEE_OTHER);
    if let Ok(address) = HeaderValue::from_str(address) {
        reply.headers_mut().insert(LOCATION, address);
    }
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

fn with_cookie(mut reply: Reply, cookie: &str) -> Reply {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        reply.headers_mut().insert(SET_COOKIE, cookie);
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_site_is_foreign() {
        let base = "https://feed.example.org/nuget";
        let site = Site { base, read_access: feed::ReadAccess::Keys };
        for (name, value, is_foreign_form) in [
            ("sec-fetch-site", "cross-site", true),
            ("sec-fetch-site", "same-site", true),
            ("sec-fetch-site", "same-origin", false),
            ("sec-fetch-site", "none", false),
            ("origin", "https://evil.example", true),
            ("origin", "https://feed.example.or", true),
            ("origin", "https://feed.example.org", false),
            ("origin", "null", false),
            ("accept", "*/*", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(is_foreign(&site, &headers), is_foreign_form, "{name}: {value}");
        }
    }

    #[test]
    fn nobody_is_sent_away() {
        for path in ["/", "/packages/acme/1.0.0?versions=all", "/?q=a%20b"] {
            assert_eq!(local(path), path);
        }
        for path in
            ["", "//evil.org", "https://evil.org", "/\\evil.org", "/a\r\nSet-Cookie: x", "evil"]
        {
            assert_eq!(local(path), "/", "{path}");
        }
    }
}
