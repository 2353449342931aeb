//! Configuration: values parsed once, at start. Each error names its setting.

use std::fmt::{self, Display};
use std::str::FromStr;
use std::sync::Arc;

use crate::BaseUrl;

/// Where settings come from: the process's environment, a server's options, or a test.
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

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
        /// The fault.
        reason: String,
    },
    /// A verb that was started without them asks for the table or the bucket.
    #[error("the verb was started without a table and a bucket; start it with lambda::run")]
    WithoutStores,
}

impl Environment {
    /// Settings that `lookup` knows.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// The process's own environment.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
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
    /// It is set, but is not a `T`.
    pub fn or_default<T>(&self, name: &'static str) -> Result<T, ConfigError>
    where
        T: FromStr + Default,
        T::Err: Display,
    {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    /// The setting `name`, if it is set.
    ///
    /// # Errors
    /// It is set, but is not a `T`.
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
pub struct Expected(pub &'static str);

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

    #[test]
    fn a_missing_setting_is_named() {
        let missing = Environment::new(|_| None).required::<BaseUrl>("SETTING");
        assert_eq!(missing.unwrap_err(), ConfigError::Missing("SETTING"));
    }
}
