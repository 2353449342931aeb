//! Configuration: values parsed once, at start. Each error names its setting.

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::BaseUrl;

/// Where settings come from: the process's environment, or a test's.
pub struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

/// A setting is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The setting is not there.
    #[error("the setting {0} is missing; set it in the function's environment")]
    Missing(&'static str),
    /// The setting's value is not one it can have.
    #[error("the setting {name} is '{value}': {reason}")]
    Invalid {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl<'a> Environment<'a> {
    /// Settings that `lookup` knows.
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self(lookup)
    }

    /// The process's own environment.
    #[must_use]
    pub fn of_process() -> Environment<'static> {
        Environment(&|name| std::env::var(name).ok())
    }

    /// The setting `name`.
    ///
    /// # Errors
    /// It is missing, or not a `T`.
    pub fn required<T>(&self, name: &'static str) -> Result<T, ConfigError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.optional(name)?.ok_or(ConfigError::Missing(name))
    }

    /// The setting `name`, or the default of its type.
    ///
    /// # Errors
    /// It is there, and not a `T`.
    pub fn or_default<T>(&self, name: &'static str) -> Result<T, ConfigError>
    where
        T: FromStr + Default,
        T::Err: Display,
    {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    /// The setting `name`, if it is there.
    ///
    /// # Errors
    /// It is there, and not a `T`.
    pub fn optional<T>(&self, name: &'static str) -> Result<Option<T>, ConfigError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(value) = (self.0)(name).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(error) => {
                Err(ConfigError::Invalid { name, value, reason: T::Err::to_string(&error) })
            }
        }
    }
}

/// A value that a setting cannot have, and those that it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct Expected(&'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $setting:literal, $expected:literal, $is_valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The setting that holds it.
            pub const SETTING: &'static str = $setting;

            /// The name as AWS takes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Default for $name {
            /// The name in a data folder.
            fn default() -> Self {
                Self("nuthatch".to_owned())
            }
        }

        impl FromStr for $name {
            type Err = Expected;

            fn from_str(text: &str) -> Result<Self, Expected> {
                let is_valid: fn(char) -> bool = $is_valid;
                if (3..=255).contains(&text.len()) && text.chars().all(is_valid) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Expected($expected))
                }
            }
        }
    };
}

name!(
    /// The `DynamoDB` table that holds the feed.
    TableName,
    "NUTHATCH_TABLE",
    "a table name of 3 to 255 letters, digits, '_', '-' and '.'",
    |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
);
name!(
    /// The S3 bucket that holds the packages.
    BucketName,
    "NUTHATCH_BUCKET",
    "a bucket name of lower-case letters, digits, '-' and '.'",
    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.')
);

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
    /// Who may read packages.
    ReadAccess,
    "NUTHATCH_READ_ACCESS",
    "'keys' or 'anonymous'",
    /// Only who has a key with the scope `read`.
    #[default]
    Keys = "keys",
    /// Everybody.
    Anonymous = "anonymous"
);
choice!(
    /// What DELETE does to a version.
    DeleteBehavior,
    "NUTHATCH_DELETE_BEHAVIOR",
    "'unlist' or 'delete'",
    /// Hides it from search; who names it still gets it.
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
    /// The most that it can be: what one S3 PUT can carry (AWS quota: 5 GiB).
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

impl FromStr for BaseUrl {
    type Err = Expected;

    fn from_str(text: &str) -> Result<Self, Expected> {
        let url = text.trim_end_matches('/');
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        match host {
            Some(host) if !host.is_empty() && url.parse::<http::Uri>().is_ok() => {
                Ok(Self(url.to_owned()))
            }
            _ => Err(Expected("an address like https://packages.example.org")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_clients_can_use() {
        let given = "https://packages.example.org/nuget/".parse::<BaseUrl>().unwrap();
        assert_eq!(given.split(), ("https://packages.example.org", "/nuget"));
        assert_eq!(BaseUrl("http://[::1]:5000".to_owned()).split(), ("http://[::1]:5000", ""));
        for url in ["packages.example.org", "https://", "ftp://x", "https://a b"] {
            assert!(url.parse::<BaseUrl>().is_err(), "{url}");
        }
    }

    fn read<T>(value: Option<&str>) -> Result<T, ConfigError>
    where
        T: FromStr + Default,
        T::Err: Display,
    {
        let lookup = |_: &str| value.map(str::to_owned);
        Environment::new(&lookup).or_default("SETTING")
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

    #[test]
    fn a_missing_setting_is_named() {
        let lookup = |_: &str| None;
        let error = Environment::new(&lookup).required::<TableName>(TableName::SETTING);
        assert_eq!(error, Err(ConfigError::Missing("NUTHATCH_TABLE")));
    }
}
