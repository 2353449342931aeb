//! The objects that are written more than once: the snapshot of the index, the books of months,
//! and the counts of downloads.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use usage::{Book, Month, Totals};

use super::{ObjectError, Objects, is_status, unavailable, waiting};

/// The key of the snapshot that search starts from.
const SNAPSHOT: &str = "search/snapshot";
/// The key of the counts that search and pages show.
const DOWNLOADS: &str = "search/downloads";
/// The key prefix of the books of months.
const BOOKS: &str = "usage/";

/// The downloads of all versions, as search and pages show them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownloadCounts {
    /// The last day that is in them, like `2026-12-31`.
    pub through: String,
    /// The counts.
    pub totals: Totals,
}

impl DownloadCounts {
    /// The downloads of a version, by its id and itself in lower case; `None` where none were
    /// counted.
    #[must_use]
    pub fn of_version(&self, id: &str, version: &str) -> Option<u64> {
        self.totals.get(id)?.get(version).copied()
    }

    /// The downloads of all versions of a package, by its id in lower case; `None` where none
    /// were counted.
    #[must_use]
    pub fn of_package(&self, id: &str) -> Option<u64> {
        Some(self.totals.get(id)?.values().sum())
    }
}

impl Objects {
    /// The snapshot that search starts from; `None` if there is none yet. One call.
    ///
    /// # Errors
    /// The bucket did not answer.
    pub async fn read_snapshot(&self) -> Result<Option<Bytes>, ObjectError> {
        let found = self.document(SNAPSHOT, "give out the snapshot", true).await?;
        if found.is_none() {
            tracing::warn!("there is no snapshot of the index yet");
        }
        Ok(found)
    }

    /// Replaces the snapshot that search starts from. One call.
    ///
    /// # Errors
    /// The bucket did not say that it has the snapshot.
    pub async fn write_snapshot(&self, bytes: Bytes) -> Result<(), ObjectError> {
        let kind = "application/octet-stream";
        self.replace(SNAPSHOT, bytes, kind, "store the snapshot").await
    }

    /// The counts of downloads; `None` if there are none yet. One call.
    ///
    /// # Errors
    /// The bucket did not answer, or they cannot be read.
    pub async fn read_download_counts(&self) -> Result<Option<DownloadCounts>, ObjectError> {
        let action = "give out the counts of downloads";
        self.document(DOWNLOADS, action, true).await?.map(|bytes| read(&bytes, action)).transpose()
    }

    /// Replaces the counts of downloads. One call.
    ///
    /// # Errors
    /// The bucket did not say that it has them.
    pub async fn write_download_counts(&self, counts: &DownloadCounts) -> Result<(), ObjectError> {
        self.replace_json(DOWNLOADS, counts, "store the counts of downloads").await
    }

    /// The book of a month that has one. One call.
    ///
    /// # Errors
    /// The bucket did not answer, or the book cannot be read.
    pub async fn read_book(&self, month: Month) -> Result<Book, ObjectError> {
        let action = "give out a book";
        let bytes = self.document(&book_key(month), action, false).await?;
        read(&bytes.unwrap_or_default(), action)
    }

    /// Replaces the book of a month. One call.
    ///
    /// # Errors
    /// The bucket did not say that it has the book.
    pub async fn write_book(&self, book: &Book) -> Result<(), ObjectError> {
        self.replace_json(&book_key(book.month), book, "store a book").await
    }

    async fn document(
        &self,
        key: &str,
        action: &'static str,
        may_be_missing: bool,
    ) -> Result<Option<Bytes>, ObjectError> {
        let got = self.client.get_object().bucket(self.bucket.as_str()).key(key).send().await;
        match got {
            Ok(object) => {
                let bytes = object.body.collect().await;
                Ok(Some(bytes.map_err(|error| unavailable(action, error))?.into_bytes()))
            }
            // S3 answers 403 for a missing object where the caller may not list the bucket.
            Err(error) if may_be_missing && [404, 403].iter().any(|of| is_status(&error, *of)) => {
                Ok(None)
            }
            Err(error) => Err(unavailable(action, error)),
        }
    }

    async fn replace_json(
        &self,
        key: &str,
        document: &impl Serialize,
        action: &'static str,
    ) -> Result<(), ObjectError> {
        let bytes = serde_json::to_vec(document).map_err(|error| unavailable(action, error))?;
        self.replace(key, bytes.into(), "application/json", action).await
    }

    async fn replace(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &str,
        action: &'static str,
    ) -> Result<(), ObjectError> {
        let size = bytes.len() as u64;
        self.client
            .put_object()
            .bucket(self.bucket.as_str())
            .key(key)
            .content_type(content_type)
            .checksum_sha256(BASE64_STANDARD.encode(Sha256::digest(&bytes)))
            .body(bytes.into())
            .customize()
            .config_override(waiting(size))
            .send()
            .await
            .map_err(|error| unavailable(action, error))?;
        Ok(())
    }
}

fn book_key(month: Month) -> String {
    format!("{BOOKS}{month}")
}

fn read<T: DeserializeOwned>(bytes: &[u8], action: &'static str) -> Result<T, ObjectError> {
    serde_json::from_slice(bytes).map_err(|error| unavailable(action, error))
}
