//! The sign-ins that a person has confirmed, by feed: a file without secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fmt, fs, io};

use serde::{Deserialize, Serialize};
use trust::{IssuerUrl, Plain, TrustName};

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// There is no place for it.
    #[error("the folder for settings is not known; set HOME, or NUTHATCH_CONFIG to a folder")]
    NoFolder,
    /// It cannot be read or written.
    #[error("cannot use '{}': {reason}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// A confirmed sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    /// How it is done.
    #[serde(flatten)]
    pub(crate) way: Way,
    /// Whether the feed may be reached without TLS.
    #[serde(default)]
    pub(crate) insecure: bool,
}

/// How a person signs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "kebab-case")]
pub(crate) enum Way {
    /// At an issuer, with a second device.
    Device {
        /// The trust.
        trust: TrustName,
        /// The issuer.
        issuer: IssuerUrl,
        /// The client there.
        client_id: Plain,
    },
    /// By a request that is signed with AWS credentials.
    AwsIam {
        /// The trust.
        trust: TrustName,
    },
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device { issuer, client_id, .. } => {
                write!(f, "at {issuer} (as the client {client_id})")
            }
            Self::AwsIam { trust } => {
                write!(f, "with your AWS credentials (by the trust {trust})")
            }
        }
    }
}

/// All confirmed sign-ins.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    path: PathBuf,
    by_feed: BTreeMap<String, Pin>,
}

impl Pins {
    /// Those in the person's file; none if there is no such file.
    pub(crate) fn read() -> Result<Self, PinError> {
        let path = folder().ok_or(PinError::NoFolder)?.join("sign-ins.json");
        let wrong = |reason: String| PinError::File { path: path.clone(), reason };
        let by_feed = match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(wrong(error.to_string())),
        };
        Ok(Self { path, by_feed })
    }

    pub(crate) fn of(&self, feed: &str) -> Option<&Pin> {
        self.by_feed.get(feed)
    }

    /// Another feed than `feed` whose people sign in as the same client of the same issuer, and
    /// that client.
    pub(crate) fn same_client(&self, feed: &str, pin: &Pin) -> Option<(String, Plain)> {
        let client = |pin: &Pin| match &pin.way {
            Way::Device { issuer, client_id, .. } => Some((issuer.clone(), client_id.clone())),
            Way::AwsIam { .. } => None,
        };
        let wanted = client(pin)?;
        let mut others = self.by_feed.iter().filter(|(other, _)| *other != feed);
        let (other, _) = others.find(|(_, pin)| client(pin).as_ref() == Some(&wanted))?;
        Some((other.clone(), wanted.1))
    }

    pub(crate) fn set(&mut self, feed: String, pin: Pin) -> Result<(), PinError> {
        self.by_feed.insert(feed, pin);
        self.write()
    }

    /// Removes the sign-in to a feed; `false` if there is none.
    pub(crate) fn remove(mut self, feed: &str) -> Result<bool, PinError> {
        let was_there = self.by_feed.remove(feed).is_some();
        if was_there {
            self.write()?;
        }
        Ok(was_there)
    }

    fn write(&self) -> Result<(), PinError> {
        let written = || {
            let text = serde_json::to_vec_pretty(&self.by_feed)?;
            super::kept::write_private(&self.path, &text)
        };
        written().map_err(|error: io::Error| PinError::File {
            path: self.path.clone(),
            reason: error.to_string(),
        })
    }
}

/// Holds the person's settings against other processes of theirs, until it is dropped: two that
/// renew a key at once would spend the issuer's token twice.
pub(super) fn lock() -> Result<fs::File, PinError> {
    let folder = folder().ok_or(PinError::NoFolder)?;
    let path = folder.join("lock");
    let locked = || {
        fs::create_dir_all(&folder)?;
        let file = fs::File::create(&path)?;
        file.lock()?;
        Ok(file)
    };
    locked().map_err(|error: io::Error| PinError::File {
        path: path.clone(),
        reason: error.to_string(),
    })
}

/// The folder of the person's settings.
pub(super) fn folder() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let configuration = set("XDG_CONFIG_HOME").or_else(|| set("APPDATA"));
    let configuration = configuration.or_else(|| Some(env::home_dir()?.join(".config")));
    set("NUTHATCH_CONFIG").or_else(|| Some(configuration?.join("nuthatch")))
}
