//! nuget.config: which feed a name stands for, and the key that goes with it.
//! As much of it as a push needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};

/// A nuget.config cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// It cannot be read.
    #[error("cannot read '{}': {reason}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No source is named, and nuget.config does not have exactly one.
    #[error(
        "which feed? name it with --source, as an address or as a name in nuget.config; there: {0}"
    )]
    NoSource(String),
    /// No source has this name.
    #[error("'{name}' is neither an address nor a source in nuget.config; there: {known}")]
    UnknownSource {
        /// The name.
        name: String,
        /// Those that exist.
        known: String,
    },
}

/// Where to push to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushSource {
    /// The address of the service index.
    pub address: String,
    /// The source's password, which is a key of the feed, if it is not encrypted.
    pub key: Option<String>,
}

/// The settings of the nuget.config files that apply to a folder.
#[derive(Debug, Default)]
pub struct Sources {
    addresses: BTreeMap<String, String>,
    passwords: BTreeMap<String, String>,
    default_push_source: Option<String>,
}

impl Sources {
    /// The sources for `folder`: from the user's own file, and from the files in the folder and
    /// above it. The nearest file takes precedence.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn of(folder: &Path, home: Option<&Path>) -> Result<Self, SourcesError> {
        let mut folders: Vec<PathBuf> = folder.ancestors().map(Path::to_owned).collect();
        folders.extend(home.map(|home| home.join(".config/NuGet")));
        folders.extend(home.map(|home| home.join(".nuget/NuGet")));
        let mut sources = Self::default();
        for folder in folders.iter().rev() {
            // The spellings that NuGet looks for on a case-sensitive file system.
            let names = ["nuget.config", "NuGet.config", "NuGet.Config"];
            let file = names.iter().map(|name| folder.join(name)).find(|file| file.is_file());
            if let Some(path) = file {
                let unreadable = |reason| SourcesError::Unreadable { path: path.clone(), reason };
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| unreadable(error.to_string()))?;
                let text = text.trim_start_matches('\u{feff}');
                sources.read(text).map_err(|error| unreadable(error.to_string()))?;
            }
        }
        Ok(sources)
    }

    fn read(&mut self, xml: &str) -> Result<(), roxmltree::Error> {
        let document = Document::parse(xml)?;
        let sections = || document.root_element().children().filter(Node::is_element);
        for section in sections() {
            match section.tag_name().name() {
                "packageSources" => read_entries(section, &mut self.addresses),
                "packageSourceCredentials" => {
                    for source in section.children().filter(Node::is_element) {
                        let mut credentials = BTreeMap::new();
                        read_entries(source, &mut credentials);
                        let name = decode_name(source.tag_name().name());
                        if let Some(password) = credentials.remove("cleartextpassword") {
                            self.passwords.insert(name, password);
                        }
                    }
                }
                "config" => {
                    let mut settings = BTreeMap::new();
                    read_entries(section, &mut settings);
                    let default = settings.remove("defaultpushsource");
                    self.default_push_source = default.or(self.default_push_source.take());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The source called `name`, or at that address. Without a name: the source that
    /// nuget.config names for pushing, or else the only source.
    ///
    /// # Errors
    /// There is no such source, or no default.
    pub fn find(&self, name: Option<&str>) -> Result<PushSource, SourcesError> {
        let known = || self.addresses.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let only = self.addresses.keys().next().filter(|_| self.addresses.len() == 1);
        let name = name.or(self.default_push_source.as_deref()).or(only.map(String::as_str));
        let Some(name) = name else { return Err(SourcesError::NoSource(known())) };
        let by_name = self.addresses.get_key_value(&name.to_lowercase());
        let by_address = || self.addresses.iter().find(|(_, address)| *address == name);
        match by_name.or_else(by_address) {
            Some((name, address)) => {
                let key = self.passwords.get(name).cloned();
                Ok(PushSource { address: address.clone(), key })
            }
            None if name.contains("://") => Ok(PushSource { address: name.to_owned(), key: None }),
            None => Err(SourcesError::UnknownSource { name: name.to_owned(), known: known() }),
        }
    }
}

/// Reads `<add key value>` and `<clear>`. Keys are case-insensitive.
fn read_entries(section: Node<'_, '_>, entries: &mut BTreeMap<String, String>) {
    for entry in section.children().filter(Node::is_element) {
        match (entry.tag_name().name(), entry.attribute("key"), entry.attribute("value")) {
            ("clear", _, _) => entries.clear(),
            ("add", Some(key), Some(value)) => {
                entries.insert(key.to_lowercase(), expand(value, |name| std::env::var(name).ok()));
            }
            _ => {}
        }
    }
}

/// `text` with each `%NAME%` of a variable replaced by its value.
fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        expanded.push_str(before);
        let variable = after.split_once('%').and_then(|(name, rest)| Some((variable(name)?, rest)));
        rest = if let Some((value, after)) = variable {
            expanded.push_str(&value);
            after
        } else {
            expanded.push('%');
            after
        };
    }
    expanded + rest
}

/// The name that an element stands for: `_x0020_` is a space, as .NET writes what
/// an XML name cannot hold.
fn decode_name(name: &str) -> String {
    let mut decoded = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("_x") {
        decoded.push_str(before);
        let character = after.split_once('_').and_then(|(digits, rest)| {
            let code = u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 4)?;
            Some((char::from_u32(code)?, rest))
        });
        rest = if let Some((character, after)) = character {
            decoded.push(character);
            after
        } else {
            decoded.push_str("_x");
            after
        };
    }
    (decoded + rest).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"<configuration>
        <packageSources>
            <add key="My Feed" value="https://feed.example.org/v3/index.json" />
            <add key="nuget.org" value="https://api.nuget.org/v3/index.json" protocolVersion="3" />
        </packageSources>
        <packageSourceCredentials>
            <My_x0020_Feed>
                <add key="Username" value="any" />
                <add key="ClearTextPassword" value="nuthatch_key" />
            </My_x0020_Feed>
            <nuget.org><add key="Password" value="encrypted" /></nuget.org>
        </packageSourceCredentials>
    </configuration>"#;

    fn sources(files: &[&str]) -> Sources {
        let mut sources = Sources::default();
        for file in files {
            sources.read(file).unwrap();
        }
        sources
    }

    #[test]
    fn a_source_is_found_by_name_or_address_with_its_key() {
        let sources = sources(&[CONFIG]);
        let address = "https://feed.example.org/v3/index.json".to_owned();
        let expected = PushSource { address, key: Some("nuthatch_key".to_owned()) };
        assert_eq!(sources.find(Some("my feed")).unwrap(), expected);
        assert_eq!(sources.find(Some(&expected.address)).unwrap(), expected);
        assert_eq!(sources.find(Some("nuget.org")).unwrap().key, None);
        let elsewhere = sources.find(Some("https://other.example.org/index.json")).unwrap();
        assert_eq!(elsewhere.key, None);
        assert!(sources.find(None).unwrap_err().to_string().contains("my feed, nuget.org"));
        assert!(sources.find(Some("other")).unwrap_err().to_string().contains("neither"));
    }

    #[test]
    fn nearer_files_add_clear_and_choose() {
        let near = r#"<configuration><packageSources><clear />
            <add key="near" value="https://near.example.org/v3/index.json" /></packageSources>
            </configuration>"#;
        assert!(sources(&[CONFIG, near]).find(None).unwrap().address.contains("near"));
        let chosen = r#"<configuration><config>
            <add key="defaultPushSource" value="My Feed" /></config></configuration>"#;
        assert!(sources(&[CONFIG, chosen]).find(None).unwrap().address.contains("feed.example"));
    }

    #[test]
    fn variables_and_names_are_spelled_out() {
        let known = |name: &str| (name == "KEY").then(|| "secret".to_owned());
        assert_eq!(expand("%KEY%", known), "secret");
        assert_eq!(expand("100% %KEY%-%NO%", known), "100% secret-%NO%");
        assert_eq!(decode_name("My_x0020_Feed"), "my feed");
        assert_eq!(decode_name("a_xyz_b"), "a_xyz_b");
    }
}
