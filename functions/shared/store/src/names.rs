//! The names of table and bucket.

use std::str::FromStr;

use protocol::Expected;

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
