//! Names of entries, and the file that each would become on any system.

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use percent_encoding::percent_decode_str;

use super::ArchiveError;

/// An entry's name, and the files that it would become.
#[derive(Debug)]
pub(super) struct EntryName {
    /// As people read it.
    pub(super) written: String,
    /// As each kind of client reads it: two where they differ.
    readings: Vec<Reading>,
}

/// A name as one kind of client reads it.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    /// From the package's root, with `/` between folders and none at the ends.
    path: String,
    is_folder: bool,
    /// Whether it stands in the root, as NuGet's reader sees it.
    is_in_root: bool,
}

impl EntryName {
    /// The name in `raw`. Without the flag for UTF-8, .NET Framework reads the name in an
    /// old code page and .NET reads it as UTF-8, so both readings have to be safe.
    pub(super) fn parse(raw: &[u8], is_utf8: bool, limit: usize) -> Result<Self, ArchiveError> {
        if raw.len() > limit {
            return Err(ArchiveError::NameTooLong { bytes: raw.len(), limit });
        }
        let texts = match std::str::from_utf8(raw) {
            Ok(text) if is_utf8 || text.is_ascii() => vec![Cow::Borrowed(text)],
            Ok(text) => vec![Cow::Borrowed(text), Cow::Owned(code_page_437(raw))],
            Err(_) if is_utf8 => return Err(ArchiveError::NameNotUtf8(code_page_437(raw))),
            Err(_) => vec![Cow::Owned(code_page_437(raw)), String::from_utf8_lossy(raw)],
        };
        let readings = texts.iter().map(|text| Reading::of(text)).collect::<Result<_, _>>()?;
        let written = texts.into_iter().next().unwrap_or_default().into_owned();
        Ok(Self { written, readings })
    }

    /// The keys of the name. Two names share a key if they are the same file on a system
    /// where case and the form of accents do not count.
    pub(super) fn folded(&self) -> impl Iterator<Item = String> {
        self.readings.iter().map(|reading| folded(&reading.path))
    }

    pub(super) fn is_folder(&self) -> bool {
        self.readings.iter().all(|reading| reading.is_folder)
    }

    /// Whether a client finds the file at `path`. Case counts, as it does for clients on
    /// Linux.
    pub(super) fn is_at(&self, path: &str) -> bool {
        self.readings.iter().any(|reading| reading.path == path)
    }

    pub(super) fn is_nuspec(&self) -> bool {
        const ENDING: &str = ".nuspec";
        self.readings.iter().any(|Reading { path, .. }| {
            let start = path.len().checked_sub(ENDING.len());
            let ending = start.and_then(|start| path.get(start..));
            ending.is_some_and(|ending| ending.eq_ignore_ascii_case(ENDING))
        })
    }

    pub(super) fn is_in_root(&self) -> bool {
        self.readings.iter().all(|reading| reading.is_in_root)
    }
}

impl Reading {
    fn of(written: &str) -> Result<Self, ArchiveError> {
        if written.contains(r"\\") {
            return Err(ArchiveError::DoubleBackslash(written.to_owned()));
        }
        let decoded = decode(written);
        // NuGet decodes once to read; some of its versions once more to extract.
        let extracted = decode(&decoded);
        if extracted.chars().any(char::is_control) {
            return Err(ArchiveError::ControlCharacter(written.to_owned()));
        }
        let path =
            resolve(&extracted).ok_or_else(|| ArchiveError::UnsafePath(written.to_owned()))?;
        Ok(Self {
            path,
            is_folder: extracted.ends_with(['/', '\\']),
            is_in_root: !decoded.contains(['/', '\\']),
        })
    }
}

/// `path` as it is compared by systems where neither case nor the form of accents counts.
/// It takes two mappings: one alone would not match `ß` with `ss`, or `ſ` with `s`.
fn folded(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase();
    }
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(path);
    let folded = decomposed.to_uppercase().to_lowercase().replace('ς', "σ");
    ComposingNormalizerBorrowed::new_nfc().normalize(&folded).into_owned()
}

/// The text of `bytes` in code page 437, the encoding of a zip that does not declare one
/// (APPNOTE, appendix D).
fn code_page_437(bytes: &[u8]) -> String {
    const UPPER_HALF: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»\
        ░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
        αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
    let letter = |byte: &u8| match byte.checked_sub(0x80) {
        None => char::from(*byte),
        Some(place) => UPPER_HALF.chars().nth(place.into()).unwrap_or('\u{fffd}'),
    };
    bytes.iter().map(letter).collect()
}

fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The path inside the folder that the name is extracted to; `None` if it leads out of the
/// folder, or is the folder itself.
fn resolve(name: &str) -> Option<String> {
    // A drive on Windows, or a stream of a file.
    if name.contains(':') || name.starts_with(['/', '\\']) {
        return None;
    }
    let mut folders = Vec::new();
    for segment in name.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => {
                folders.pop()?;
            }
            // Windows drops such an ending, and then finds another file.
            segment if segment.ends_with(['.', ' ']) => return None,
            segment => folders.push(segment),
        }
    }
    (!folders.is_empty()).then(|| folders.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &[u8], is_utf8: bool) -> EntryName {
        EntryName::parse(name, is_utf8, 1024).unwrap()
    }

    fn path(name: &str) -> Option<String> {
        Reading::of(name).ok().map(|name| name.path)
    }

    #[test]
    fn names_that_leave_the_package_are_unsafe() {
        for name in [
            "../x",
            "lib/../../x",
            "/etc/passwd",
            "//srv/x",
            "/",
            "",
            "./",
            "..",
            r"..\x",
            "C:/x",
            r"c:\x",
            "%2E%2E/x",
            "..%2Fx",
            "%252E%252E/x",
            r"\x",
            "lib/..",
            "./C:/x",
            "lib/a.dll::$DATA",
            "lib/a.dll.",
            "lib /a.dll",
            "...",
        ] {
            assert!(
                matches!(
                    EntryName::parse(name.as_bytes(), true, 1024),
                    Err(ArchiveError::UnsafePath(_))
                ),
                "{name}"
            );
        }
    }

    #[test]
    fn names_inside_the_package_resolve_to_their_path() {
        assert_eq!(path("lib/../x").as_deref(), Some("x"));
        assert_eq!(path("lib/").as_deref(), Some("lib"));
        assert_eq!(path(r".\lib\net45\a.dll").as_deref(), Some("lib/net45/a.dll"));
        assert_eq!(path("a%20b.txt").as_deref(), Some("a b.txt"));
        assert_eq!(path("100%.txt").as_deref(), Some("100%.txt"));
    }

    #[test]
    fn a_name_without_the_flag_for_utf8_is_read_in_both_ways() {
        let old = parsed(b"docs/\x81ber.md", false);
        assert_eq!(old.written, "docs/über.md");
        assert!(old.is_at("docs/über.md") && old.is_at("docs/\u{fffd}ber.md"));
        let new = parsed("docs/über.md".as_bytes(), false);
        assert_eq!(new.written, "docs/über.md");
        assert!(new.is_at("docs/über.md") && new.is_at("docs/├╝ber.md"));
        assert_eq!(parsed("docs/über.md".as_bytes(), true).readings.len(), 1);
        let broken = EntryName::parse(b"lib/\xff.dll", true, 1024);
        assert!(matches!(broken, Err(ArchiveError::NameNotUtf8(_))));
    }

    #[test]
    fn code_page_437_has_a_letter_for_every_byte() {
        let bytes: Vec<u8> = (0x80..=0xff).collect();
        let letters = code_page_437(&bytes);
        assert_eq!(letters.chars().count(), 128);
        assert!(letters.starts_with("Çüé") && letters.ends_with("²■\u{a0}"));
        assert_eq!(code_page_437(b"\xe0\xe1\xb0"), "αß░");
    }

    #[test]
    fn names_are_one_that_some_system_takes_for_one() {
        for (one, other) in [
            ("A.dll", "a.DLL"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("stra\u{df}e", "STRASSE"),
            ("\u{17f}ystem", "system"),
            ("\u{fb01}le", "file"),
            ("\u{3a3}", "\u{3c2}"),
            ("CAF\u{c9}", "cafe\u{301}"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("cafe"), folded("caf\u{e9}"));
    }
}
