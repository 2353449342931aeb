//! The key that a request carries.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::{Scope, SessionCookie};

/// The key in `headers` for a request that needs `scope`: in its own header, or as the
/// password of Basic credentials with any user name. For reading, the cookie of a visitor
/// who signed in to the pages also counts, because the pages show icons and link to
/// packages. An empty key counts as none: clients without a key send empty credentials when
/// they are asked for some.
#[must_use]
pub fn presented_key(headers: &HeaderMap, scope: Scope) -> Option<String> {
    let header = headers.get("x-nuget-apikey");
    let header = header.map(|key| key.to_str().unwrap_or("?").trim().to_owned());
    let cookie = SessionCookie::of(headers).filter(|_| scope == Scope::Read);
    [header, basic_password(headers), cookie].into_iter().flatten().find(|key| !key.is_empty())
}

/// The key in the header `Authorization` alone, as the password of Basic credentials.
#[must_use]
pub fn basic_key(headers: &HeaderMap) -> Option<String> {
    basic_password(headers).filter(|key| !key.is_empty())
}

fn basic_password(headers: &HeaderMap) -> Option<String> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}
