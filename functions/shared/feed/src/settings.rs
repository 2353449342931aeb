//! Settings that verbs have.

use std::fmt::{self, Display};
use std::str::FromStr;

use protocol::Expected;

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $setting:literal, $expected:literal,
     $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The setting that holds it.
            pub const SETTING: &'static str = $setting;
        }

        impl FromStr for $name {
            type Err = Expected;

            fn from_str(text: &str) -> Result<Self, Expected> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(Expected($expected)),
                }
            }
        }

        impl Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)+
                })
            }
        }
    };
}

choice!(
    /// The callers that may read packages.
    ReadAccess,
    "NUTHATCH_READ_ACCESS",
    "'keys' or 'anonymous'",
    /// Only the holder of a key with the scope `read`.
    #[default]
    Keys = "keys",
    /// Everybody.
    Anonymous = "anonymous"
);
choice!(
    /// The callers that get symbols without a key, where reading needs one.
    SymbolAccess,
    "NUTHATCH_SYMBOL_ACCESS",
    "'keys' or 'checksum'",
    /// None.
    #[default]
    Keys = "keys",
    /// Everybody who knows the checksum of the PDB, which is in its assembly.
    Checksum = "checksum"
);
choice!(
    /// The effect of DELETE on a version.
    DeleteBehavior,
    "NUTHATCH_DELETE_BEHAVIOR",
    "'unlist' or 'delete'",
    /// Hides it from search; a client that asks for that version still gets it.
    #[default]
    Unlist = "unlist",
    /// Removes it from every view; its number stays taken.
    Delete = "delete"
);

/// The most bytes that a package may have. Default 1 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageBytes(pub u64);

impl PackageBytes {
    /// The setting that holds it.
    pub const SETTING: &'static str = "NUTHATCH_MAX_PACKAGE_BYTES";
    /// The largest allowed value: the limit of one S3 PUT (AWS quota: 5 GiB).
    pub const MOST: Self = Self(5 * 1024 * 1024 * 1024);
}

impl Default for PackageBytes {
    fn default() -> Self {
        Self(1024 * 1024 * 1024)
    }
}

impl FromStr for PackageBytes {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        match text.parse() {
            Ok(bytes) if (1..=Self::MOST.0).contains(&bytes) => Ok(Self(bytes)),
            _ => Err(Expected("a number of bytes from 1 to 5368709120")),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{ConfigError, Environment};

    use super::*;

    fn read<T>(value: Option<&'static str>) -> Result<T, ConfigError>
    where
        T: FromStr + Default,
        T::Err: Display,
    {
        Environment::new(move |_| value.map(str::to_owned)).or_default("SETTING")
    }

    #[test]
    fn an_absent_or_empty_setting_is_its_default() {
        assert_eq!(read(None), Ok(ReadAccess::Keys));
        assert_eq!(read(Some("")), Ok(DeleteBehavior::Unlist));
    }

    #[test]
    fn an_error_names_the_setting_its_value_and_what_it_can_be() {
        let error = read::<ReadAccess>(Some("everybody")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the setting SETTING is 'everybody': expected 'keys' or 'anonymous'"
        );
        assert!(read::<PackageBytes>(Some("0")).is_err());
        assert!(read::<PackageBytes>(Some("5368709121")).is_err());
    }
}
