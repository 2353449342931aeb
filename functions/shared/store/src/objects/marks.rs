//! Marks: the bucket's own record of the state of packages, in case the table is lost. Each
//! is an empty object beside the package's own, so that a listing of the bucket includes
//! them all.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use super::{ObjectError, ObjectKey, Objects, is_status, unavailable};

/// The state that a mark records of the package beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It was committed. Written after the commit, and before the client is told of it.
    Committed,
    /// It was deleted, or is about to be. Written before the row says so, and stays.
    Deleted,
}

impl Mark {
    /// The ending of its object's key.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Deleted => "deleted",
        }
    }
}

impl Objects {
    /// Notes that the package at `key` was committed. One call.
    ///
    /// # Errors
    /// The bucket did not say that it has the note.
    pub async fn mark_committed(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        self.mark(key, Mark::Committed).await
    }

    /// Notes that the package at `key` is deleted. One call.
    ///
    /// # Errors
    /// The bucket did not say that it has the note.
    pub async fn mark_deleted(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        self.mark(key, Mark::Deleted).await
    }

    async fn mark(&self, key: &ObjectKey, mark: Mark) -> Result<(), ObjectError> {
        let put = self.client.put_object().bucket(self.bucket.as_str());
        let put = put.key(key.with_extension(mark.extension()).as_str()).if_none_match("*");
        let nothing = BASE64_STANDARD.encode(Sha256::digest(b""));
        match put.content_length(0).checksum_sha256(nothing).send().await {
            Ok(_) => Ok(()),
            // The mark already exists, and it has no content that could differ.
            Err(error) if is_status(&error, 412) => Ok(()),
            Err(error) => Err(unavailable("note what became of a package", error)),
        }
    }
}
