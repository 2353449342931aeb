//! Claims, and the part of them that the log of a trust keeps.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The claims of a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims(pub(crate) Map<String, Value>);

impl Claims {
    /// The claim `name`, if it is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The claim `name`, whatever it is.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether the claim `name` is exactly the text `value`.
    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.text(name) == Some(value)
    }

    /// The claims of these names that are texts.
    pub(crate) fn run<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Run {
        let texts = names.into_iter().filter_map(|name| Some((name, self.text(name)?)));
        let kept = texts.map(|(name, text)| (name.to_owned(), printable(text)));
        Run(kept.collect())
    }
}

/// The run of a workload, as its token describes it: claims by their names, each printable and
/// of 100 characters at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run(pub BTreeMap<String, String>);

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.0.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}

/// `text` in a form that may be repeated to its sender, and logged: printable, and of 100
/// characters at most.
#[must_use]
pub fn printable(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(100).map(plain).collect()
}
