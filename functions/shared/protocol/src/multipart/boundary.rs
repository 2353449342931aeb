//! The boundary of a multipart content type.

/// The longest boundary taken. RFC 2046 has 70 characters; clients may err.
const LONGEST_BOUNDARY: usize = 200;

/// The boundary parameter of a content type, quoted or bare.
pub(super) fn boundary(content_type: &str) -> Option<String> {
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
