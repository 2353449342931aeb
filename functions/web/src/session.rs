//! Signing in and out.

use feed::{Body, Reply, Request, SessionCookie};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION, SET_COOKIE};
use http_body_util::{BodyExt, Limited};
use maud::html;

use crate::layout::{Site, document};

/// What who gives a wrong key reads.
pub(crate) const WRONG: &str =
    "This key is unknown, expired or revoked, or may not read. Check it, or ask for another one.";

/// What a visitor sent to sign in.
#[derive(Debug, Default)]
pub(crate) struct Form {
    key: String,
    return_path: String,
}

impl Form {
    /// The form in a request's body; an empty one where it is none.
    pub(crate) async fn read(body: Body) -> Self {
        // A key has 58 characters, an address of the feed a few hundred.
        const LONGEST: usize = 4_096;
        let Ok(body) = Limited::new(body, LONGEST).collect().await else { return Self::default() };
        let bytes = body.to_bytes();
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
        form.sign-in action=(format!("{}/sign-in", site.root())) method="post" {
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
    go(&format!("{}/sign-in?{}", site.root(), query.finish()))
}

/// Remembers who signed in.
pub(crate) fn begin(site: &Site<'_>, form: &Form) -> Reply {
    with_cookie(go(&format!("{}{}", site.root(), form.return_path)), &SessionCookie::set(&form.key))
}

/// Forgets who signed in.
pub(crate) fn end(site: &Site<'_>) -> Reply {
    with_cookie(go(&format!("{}/sign-in", site.root())), &SessionCookie::unset())
}

/// 303 to `address`.
fn go(address: &str) -> Reply {
    let mut reply = feed::status(StatusCode::SEE_OTHER);
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
