//! The keys of a person, in the key store of the system.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, fmt, fs};

use serde::{Deserialize, Serialize};

use super::pins::folder;
use crate::columns::minute;

/// The name that keys have in the store, besides the feed's address.
const SERVICE: &str = "nuthatch";

/// A key that is kept. It is a secret, and does not print itself.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The key.
    pub(crate) key: String,
    /// When it expires, in seconds since 1970.
    pub(crate) expires: i64,
    /// The issuer's token to renew it with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh: Option<String>,
}

impl Kept {
    /// When it expires, to the minute.
    pub(crate) fn ends(&self) -> String {
        minute(self.expires)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(…)")
    }
}

/// The key store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// The system's fails.
    #[error(
        "the system's key store cannot be used ({0}); set NUTHATCH_KEY_STORE=file to keep keys in a file that only you can read"
    )]
    System(keyring::Error),
    /// The file cannot be used.
    #[error("cannot use the file of keys: {0}")]
    File(#[from] io::Error),
    /// The entry of the system's store cannot be read. Its text is a secret.
    #[error("the kept key cannot be read; run 'nuthatch logout {0}' and sign in again")]
    UnreadableEntry(String),
    /// The file cannot be read. Its text is a secret.
    #[error("cannot read '{}' at line {line}; delete it and sign in again", .path.display())]
    UnreadableFile {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
}

/// Where keys are kept.
#[derive(Debug)]
pub(crate) enum KeyStore {
    /// In the keychain of macOS, the credential manager of Windows, the kernel's key rings of
    /// Linux.
    System,
    /// In a file that the person alone can read: where the system has no store.
    File(PathBuf),
}

impl KeyStore {
    /// The one that the environment asks for.
    pub(crate) fn of_environment() -> Self {
        let is_file = env::var("NUTHATCH_KEY_STORE").is_ok_and(|value| value == "file");
        match folder().filter(|_| is_file) {
            Some(folder) => Self::File(folder.join("keys.json")),
            None => Self::System,
        }
    }

    pub(crate) fn get(&self, feed: &str) -> Result<Option<Kept>, KeyStoreError> {
        match self {
            Self::System => match entry(feed)?.get_password() {
                Ok(text) => serde_json::from_str(&text)
                    .map(Some)
                    .map_err(|_| KeyStoreError::UnreadableEntry(feed.to_owned())),
                Err(keyring::Error::NoEntry) => Ok(None),
                Err(error) => Err(KeyStoreError::System(error)),
            },
            Self::File(path) => Ok(read(path)?.remove(feed)),
        }
    }

    pub(crate) fn set(&self, feed: &str, kept: &Kept) -> Result<(), KeyStoreError> {
        match self {
            Self::System => set_entry(feed, kept),
            Self::File(path) => {
                let mut all = read(path)?;
                all.insert(feed.to_owned(), kept.clone());
                write(path, &all)
            }
        }
    }

    pub(crate) fn remove(&self, feed: &str) -> Result<(), KeyStoreError> {
        match self {
            Self::System => match entry(feed)?.delete_credential() {
                Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
                Err(error) => Err(KeyStoreError::System(error)),
            },
            Self::File(path) => {
                let mut all = read(path)?;
                all.remove(feed);
                write(path, &all)
            }
        }
    }
}

fn entry(feed: &str) -> Result<keyring::Entry, KeyStoreError> {
    keyring::Entry::new(SERVICE, feed).map_err(KeyStoreError::System)
}

fn read(path: &Path) -> Result<BTreeMap<String, Kept>, KeyStoreError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
            KeyStoreError::UnreadableFile { path: path.to_owned(), line: error.line() }
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}

fn write(path: &Path, all: &BTreeMap<String, Kept>) -> Result<(), KeyStoreError> {
    let bytes = serde_json::to_vec(all).map_err(io::Error::from)?;
    Ok(write_private(path, &bytes)?)
}

fn set_entry(feed: &str, kept: &Kept) -> Result<(), KeyStoreError> {
    let text = |kept: &Kept| serde_json::to_string(kept).map_err(io::Error::from);
    match entry(feed)?.set_password(&text(kept)?) {
        // Windows keeps 2,560 bytes, which the token of an issuer can exceed: the person signs in
        // anew then, when the key has expired.
        Err(keyring::Error::TooLong(..)) if kept.refresh.is_some() => {
            let alone = Kept { refresh: None, ..kept.clone() };
            entry(feed)?.set_password(&text(&alone)?).map_err(KeyStoreError::System)
        }
        done => done.map_err(KeyStoreError::System),
    }
}

/// Replaces a file whole by one that only its owner can read.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
    fs::create_dir_all(folder)?;
    // A new file of this kind is its owner's alone on Unix.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
