//! Names of entries: what file each would become, on any system.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::ArchiveError;

/// An entry's name as it is written, and the file that it would become.
#[derive(Debug)]
pub(super) struct EntryName {
    /// As written; bytes that are not UTF-8 stand for themselves.
    pub(super) written: String,
    /// Percent-decoded, as NuGet's reader sees it.
    pub(super) decoded: String,
    /// From the package's root, with `/` between folders and none at the ends.
    pub(super) path: String,
}

impl EntryName {
    pub(super) fn parse(raw: &[u8], limit: usize) -> Result<Self, ArchiveError> {
        if raw.len() > limit {
            return Err(ArchiveError::NameTooLong { bytes: raw.len(), limit });
        }
        let written = match std::str::from_utf8(raw) {
            Ok(text) => text.to_owned(),
            Err(_) => raw.iter().copied().map(char::from).collect(),
        };
        if written.contains(r"\\") {
            return Err(ArchiveError::DoubleBackslash(written));
        }
        let decoded = decode(&written).into_owned();
        // NuGet decodes once to read and once more to extract.
        let extracted = decode(&decoded).into_owned();
        if extracted.chars().any(char::is_control) {
            return Err(ArchiveError::ControlCharacter(written));
        }
        match resolve(&extracted) {
            Some(path) => Ok(Self { written, decoded, path }),
            None => Err(ArchiveError::UnsafePath(written)),
        }
    }

    /// What two names have in common that are one file where case does not
    /// count.
    pub(super) fn folded(&self) -> String {
        self.path.to_lowercase()
    }

    pub(super) fn is_nuspec(&self) -> bool {
        let name = self.decoded.as_bytes();
        name.len()
            .checked_sub(".nuspec".len())
            .and_then(|start| name.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(b".nuspec"))
    }

    pub(super) fn is_in_root(&self) -> bool {
        !self.decoded.contains(['/', '\\'])
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// The path inside the folder that the name is extracted to; `None` where it
/// leads out of it, or is that folder.
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
            // Windows drops what these end in, and finds another file.
            segment if segment.ends_with(['.', ' ']) => return None,
            segment => folders.push(segment),
        }
    }
    (!folders.is_empty()).then(|| folders.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> Option<String> {
        EntryName::parse(name.as_bytes(), 1024).ok().map(|name| name.path)
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
                matches!(EntryName::parse(name.as_bytes(), 1024), Err(ArchiveError::UnsafePath(_))),
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
}
