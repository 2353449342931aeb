//! Parts of a package: RFC 9110, limited to one range per request.

mod bytes;

use std::ops::Range;

use crate::{Reply, Request};
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName,
    HeaderValue, IF_RANGE, InvalidHeaderValue, RANGE,
};
use http::{Method, StatusCode};

pub use bytes::AskedRange;

impl AskedRange {
    /// The part that a request asks for, of a file of `size` bytes with this tag.
    #[must_use]
    pub fn of(request: &Request, size: u64, tag: &str) -> Self {
        let text = |name: HeaderName| request.headers().get(name)?.to_str().ok();
        // A client that has a part of another file wants all of this one.
        let is_other = text(IF_RANGE).is_some_and(|known| known != tag);
        if request.method() != Method::GET || is_other {
            return Self::Whole;
        }
        text(RANGE).map_or(Self::Whole, |range| Self::parse(range, size))
    }
}

/// 416, with the actual size.
#[must_use]
pub fn nowhere(size: u64) -> Reply {
    let mut reply = crate::status(StatusCode::RANGE_NOT_SATISFIABLE);
    if let Ok(range) = HeaderValue::from_str(&format!("bytes */{size}")) {
        reply.headers_mut().insert(CONTENT_RANGE, range);
    }
    reply
}

/// Sets the headers of `reply` for the file with this name, this tag and `size` bytes, or a
/// part of it.
///
/// # Errors
/// The name or the tag is not valid in a header.
pub fn describe(
    reply: &mut Reply,
    (name, tag): (&str, &str),
    part: Option<Range<u64>>,
    size: u64,
) -> Result<(), InvalidHeaderValue> {
    let headers = reply.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(ETAG, HeaderValue::from_str(tag)?);
    let disposition = format!("attachment; filename=\"{name}\"");
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_str(&disposition)?);
    let Some(part) = part else {
        headers.insert(CONTENT_LENGTH, size.into());
        return Ok(());
    };
    headers.insert(CONTENT_LENGTH, (part.end - part.start).into());
    let range = format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1));
    headers.insert(CONTENT_RANGE, HeaderValue::from_str(&range)?);
    *reply.status_mut() = StatusCode::PARTIAL_CONTENT;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_another_file_is_none() {
        let asked = |method: Method, tag: &str| {
            let request = http::Request::builder().method(method);
            let request = request.header(RANGE, "bytes=0-0").header(IF_RANGE, tag);
            AskedRange::of(&request.body(crate::Body::empty()).unwrap(), 10, "\"a\"")
        };
        assert_eq!(asked(Method::GET, "\"a\""), AskedRange::Part(0..1));
        assert_eq!(asked(Method::GET, "\"b\""), AskedRange::Whole);
        assert_eq!(asked(Method::HEAD, "\"a\""), AskedRange::Whole);
    }
}
