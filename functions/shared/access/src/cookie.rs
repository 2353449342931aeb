//! The cookie of a visitor who signed in to the web front.

use http::HeaderMap;
use http::header::COOKIE;

/// The cookie that holds a signed-in visitor's key. `__Host-` binds it to this host and to
/// TLS, and keeps it out of reach of other paths' cookies (RFC 6265bis).
#[derive(Debug, Clone, Copy)]
pub struct SessionCookie;

impl SessionCookie {
    const NAME: &'static str = "__Host-nuthatch";
    const ATTRIBUTES: &'static str = "Path=/; Secure; HttpOnly; SameSite=Strict";

    /// The key in the cookie that `headers` carry.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<String> {
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
        pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == Self::NAME).then(|| value.to_owned())
        })
    }

    /// The header that sets it to `key`, for twelve hours.
    #[must_use]
    pub fn set(key: &str) -> String {
        format!("{}={key}; Max-Age=43200; {}", Self::NAME, Self::ATTRIBUTES)
    }

    /// The header that removes it.
    #[must_use]
    pub fn unset() -> String {
        format!("{}=; Max-Age=0; {}", Self::NAME, Self::ATTRIBUTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_in(cookies: &[&'static str]) -> Option<String> {
        let values = cookies.iter().map(|value| (COOKIE, http::HeaderValue::from_static(value)));
        SessionCookie::of(&values.collect())
    }

    #[test]
    fn the_key_is_found_among_other_cookies() {
        assert_eq!(key_in(&["a=b; __Host-nuthatch=k=1"]).as_deref(), Some("k=1"));
        assert_eq!(key_in(&["a=b", "__Host-nuthatch=k;c=d"]).as_deref(), Some("k"));
        assert_eq!(key_in(&["a=b; nuthatch=k; __Host-nuthatch"]), None);
    }

    #[test]
    fn a_cookie_is_for_this_host_and_for_twelve_hours() {
        let attributes = "Path=/; Secure; HttpOnly; SameSite=Strict";
        let set = format!("__Host-nuthatch=k; Max-Age=43200; {attributes}");
        assert_eq!(SessionCookie::set("k"), set);
        assert_eq!(SessionCookie::unset(), format!("__Host-nuthatch=; Max-Age=0; {attributes}"));
    }
}
