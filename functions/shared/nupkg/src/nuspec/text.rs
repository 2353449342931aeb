//! From the nuspec's bytes to its text: the detection of its encoding.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::NuspecError;

/// Decodes `xml` as .NET's XML reader does: by its byte order mark, by the
/// shape of its first characters, then by its declaration. A declaration that
/// the bytes contradict is refused.
pub(super) fn decode(xml: &[u8]) -> Result<String, NuspecError> {
    let (encoding, body) = match Encoding::for_bom(xml) {
        Some((encoding, length)) => (encoding, xml.get(length..).unwrap_or_default()),
        None if xml.starts_with(b"<\0") => (UTF_16LE, xml),
        None if xml.starts_with(b"\0<") => (UTF_16BE, xml),
        None => (declared_in_ascii(xml)?, xml),
    };
    let text = encoding
        .decode_without_bom_handling_and_without_replacement(body)
        .ok_or(NuspecError::Undecodable { encoding: encoding.name() })?
        .into_owned();
    match declaration(&text).and_then(declared_encoding) {
        Some(label) if !is_known_to_dotnet(label) => {
            Err(NuspecError::UnknownEncoding(label.to_owned()))
        }
        Some(label) if !agrees(encoding, label) => Err(NuspecError::WrongEncoding {
            declared: label.to_owned(),
            encoding: encoding.name(),
        }),
        _ => Ok(text),
    }
}

/// The encoding that a declaration in single bytes names; UTF-8 if there is none.
fn declared_in_ascii(xml: &[u8]) -> Result<&'static Encoding, NuspecError> {
    const LONGEST_DECLARATION: usize = 256;
    let head = xml.get(..LONGEST_DECLARATION).unwrap_or(xml);
    let head = String::from_utf8_lossy(head);
    match declaration(&head).and_then(declared_encoding) {
        None => Ok(UTF_8),
        Some(label) => Encoding::for_label(label.as_bytes())
            .filter(|_| is_known_to_dotnet(label))
            .ok_or_else(|| NuspecError::UnknownEncoding(label.to_owned())),
    }
}

/// Whether .NET knows an encoding by this name. Browsers know more.
fn is_known_to_dotnet(label: &str) -> bool {
    !["utf8", "unicode11utf8", "unicode20utf8", "x-user-defined", "replacement"]
        .iter()
        .any(|unknown| label.eq_ignore_ascii_case(unknown))
}

/// `utf-16` names both byte orders; every other label names one encoding.
fn agrees(encoding: &'static Encoding, label: &str) -> bool {
    match Encoding::for_label(label.as_bytes()) {
        Some(named) if named == UTF_16LE => encoding == UTF_16LE || encoding == UTF_16BE,
        Some(named) => named == encoding,
        None => false,
    }
}

/// The text between `<?xml` and `?>`.
fn declaration(text: &str) -> Option<&str> {
    text.strip_prefix("<?xml")?.split_once("?>").map(|(declaration, _)| declaration)
}

fn declared_encoding(declaration: &str) -> Option<&str> {
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value.get(1..)?.split_once(quote).map(|(label, _)| label)
}
