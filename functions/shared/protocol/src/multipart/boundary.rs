//! The boundary of a multipart content type.

use super::MultipartError;

/// The longest boundary that is accepted. RFC 2046 allows 70 characters; clients may exceed
/// that.
const LONGEST_BOUNDARY: usize = 200;

/// The boundary between the parts of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// The boundary in a content type, quoted or bare; `None` where the type is not
    /// multipart.
    ///
    /// # Errors
    /// The type is multipart and names no boundary, or one that is too long.
    pub fn of(content_type: &str) -> Result<Option<Self>, MultipartError> {
        let is_multipart = content_type
            .trim_start()
            .get(.."multipart/".len())
            .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/"));
        if !is_multipart {
            return Ok(None);
        }
        parameter(content_type).map(|value| Some(Self(value))).ok_or(MultipartError::NoBoundary)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The delimiter before a part.
    pub(super) fn delimiter(&self) -> String {
        format!("--{}", self.0)
    }

    /// The delimiter that closes the body.
    pub(super) fn closing(&self) -> String {
        format!("--{}--", self.0)
    }

    pub(super) fn begins_a_part_in(&self, bytes: &[u8]) -> bool {
        memchr::memmem::find(bytes, self.delimiter().as_bytes()).is_some()
    }
}

fn parameter(content_type: &str) -> Option<String> {
    let mut rest = content_type;
    loop {
        rest = rest.split_once(';')?.1.trim_start();
        let (name, value) = rest.split_once('=')?;
        if !name.trim().eq_ignore_ascii_case("boundary") {
            continue;
        }
        let value = value.trim_start();
        let boundary = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?.0.replace('\\', ""),
            None => value.split(';').next()?.trim_end().to_owned(),
        };
        let fits = (1..=LONGEST_BOUNDARY).contains(&boundary.len());
        return fits.then_some(boundary);
    }
}
