//! Package ids, and the ids that dependencies may name.

use std::fmt;
use std::hash::{Hash, Hasher};

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The longest id that NuGet clients and nuget.org accept, in characters.
pub const MAX_ID_LENGTH: usize = 100;

/// The id of a package: `^[A-Za-z0-9_]+([.-][A-Za-z0-9_]+)*$`, at most
/// [`MAX_ID_LENGTH`] characters (nuget.org's rule for new packages).
///
/// Keeps the casing it was written in; compares without it.
#[derive(Debug, Clone)]
pub struct PackageId(String);

/// Why a text is not a package id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackageIdError {
    /// The text is empty.
    #[error("the package id is empty; set <id> in the nuspec")]
    Empty,
    /// The text has more than [`MAX_ID_LENGTH`] characters.
    #[error("the package id has {length} characters; shorten it to at most {MAX_ID_LENGTH}")]
    TooLong {
        /// Characters in the text.
        length: usize,
    },
    /// The text has a character, or a sequence of separators, that no id may have.
    #[error(
        "the package id '{0}' is not valid; use ASCII letters, digits and '_', joined by single '.' or '-'"
    )]
    Malformed(String),
}

impl PackageId {
    /// The id in `text`.
    ///
    /// # Errors
    /// The fault in a text that is not a package id.
    pub fn parse(text: &str) -> Result<Self, PackageIdError> {
        if text.is_empty() {
            return Err(PackageIdError::Empty);
        }
        let length = text.chars().count();
        if length > MAX_ID_LENGTH {
            return Err(PackageIdError::TooLong { length });
        }
        if !is_separated(text, |c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(PackageIdError::Malformed(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The id in the casing it was written in.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id lower-cased: what it is compared, stored and addressed by.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for PackageId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for PackageId {}

impl Hash for PackageId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// Whether a dependency may name `id`: NuGet's rule for reading, `^\w+([.-]\w+)*$` with
/// .NET's Unicode `\w`. It includes ids that nobody can push any more.
#[must_use]
pub fn is_dependency_id(id: &str) -> bool {
    is_separated(id, is_dotnet_word)
}

/// Runs of `is_word` characters, joined by single dots or hyphens.
fn is_separated(text: &str, is_word: impl Fn(char) -> bool) -> bool {
    text.split(['.', '-']).all(|run| !run.is_empty() && run.chars().all(&is_word))
}

/// .NET's `\w`: letters, non-spacing marks, decimal digits and connectors. It
/// looks at UTF-16 code units, so nothing above U+FFFF is one.
fn is_dotnet_word(c: char) -> bool {
    use GeneralCategory::{
        ConnectorPunctuation, DecimalNumber, LowercaseLetter, ModifierLetter, NonspacingMark,
        OtherLetter, TitlecaseLetter, UppercaseLetter,
    };
    c <= '\u{FFFF}'
        && matches!(
            c.general_category(),
            ConnectorPunctuation
                | DecimalNumber
                | LowercaseLetter
                | ModifierLetter
                | NonspacingMark
                | OtherLetter
                | TitlecaseLetter
                | UppercaseLetter
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &[&str] = &[
        "A",
        "a.b",
        "A_b",
        "_",
        "_a",
        "a_",
        "__",
        "a__b",
        "a-b",
        "a._b",
        "a_.b",
        "42",
        "1.2.3",
        "42This1Is4You",
        "Nu_Get.Core-IsCool",
        "1.2.3.4.Uno.Dos",
        "con",
        "nul",
        "aux.lib",
    ];
    const INVALID: &[&str] = &[
        "",
        ".a",
        "a.",
        "-a",
        "a-",
        "a--b",
        "a..b",
        "a.-b",
        "I_.Like.-Separators",
        "a b",
        "a+b",
        "a/b",
        "a\\b",
        "ILike*Asterisks",
        "$id$",
        "  Invalid  . Woo   .",
        "a\u{200d}b",
        "a\n",
        "\u{10400}",
    ];
    const VALID_TO_READ_ONLY: &[&str] = &[
        "páckage",
        "пакет",
        "パッケージ",
        "ａ",
        "٣",
        "a‿b",
        "İstanbul",
        "ıd",
        "ſharp",
        "pac\u{212a}age",
        "a\u{301}",
    ];

    #[test]
    fn ids_of_the_reference_table_are_judged_as_it_says() {
        for id in VALID {
            assert!(PackageId::parse(id).is_ok(), "{id:?}");
            assert!(is_dependency_id(id), "{id:?}");
        }
        for id in INVALID {
            assert!(PackageId::parse(id).is_err(), "{id:?}");
            assert!(!is_dependency_id(id), "{id:?}");
        }
        for id in VALID_TO_READ_ONLY {
            assert!(PackageId::parse(id).is_err(), "{id:?}");
            assert!(is_dependency_id(id), "{id:?}");
        }
    }

    #[test]
    fn an_id_has_at_most_a_hundred_characters() {
        assert!(PackageId::parse(&"a".repeat(100)).is_ok());
        assert_eq!(
            PackageId::parse(&"a".repeat(101)),
            Err(PackageIdError::TooLong { length: 101 })
        );
    }

    #[test]
    fn ids_differing_in_case_are_equal_and_keep_their_casing() {
        let written = PackageId::parse("Acme.Core").unwrap();
        assert_eq!(written, PackageId::parse("aCME.cORE").unwrap());
        assert_eq!(written.as_str(), "Acme.Core");
        assert_eq!(written.key(), "acme.core");
    }
}
