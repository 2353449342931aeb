//! Uploads that go straight to the bucket: an address that stores one declared
//! object and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::ChecksumMode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{ObjectError, ObjectKey, Objects, is_status, unavailable};
use access::KeyName;
use protocol::BaseUrl;

/// How long an upload may wait to begin. Default 15 minutes; one that has begun
/// goes on after it.
#[derive(Debug, Clone, Copy)]
pub struct UploadLifetime(pub Duration);

impl Default for UploadLifetime {
    fn default() -> Self {
        Self(Duration::from_mins(15))
    }
}

/// An address that one object can be PUT to, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadAddress {
    /// The address.
    pub url: String,
    /// The headers that the PUT must have, as they are: the signature covers
    /// them.
    pub headers: BTreeMap<String, String>,
}

/// The metadata name under which an upload's object records the name of its API key:
/// `x-amz-meta-key`.
const UPLOADED_BY: &str = "key";

impl UploadAddress {
    /// The header of an upload that names the API key it was invited with.
    pub const UPLOADED_BY: &'static str = "x-amz-meta-key";
}

/// An object as the bucket describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of all of it, which the bucket proved.
    pub sha256: [u8; 32],
}

impl Objects {
    /// An address that stores the object of this size and hash at `key`, if there is none
    /// yet, and records the name of the API key it was made for. S3 checks all of it
    /// against the signature. No call.
    ///
    /// # Errors
    /// There are no credentials to sign it with.
    pub async fn upload_address(
        &self,
        key: &ObjectKey,
        stored: Stored,
        lifetime: UploadLifetime,
        by: &KeyName,
    ) -> Result<UploadAddress, ObjectError> {
        let config = PresigningConfig::expires_in(lifetime.0)
            .map_err(|error| unavailable("sign an address", error))?;
        let request = self
            .client
            .put_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .if_none_match("*")
            .metadata(UPLOADED_BY, by.as_str())
            .content_length(stored.size.try_into().unwrap_or(i64::MAX))
            .checksum_sha256(BASE64_STANDARD.encode(stored.sha256))
            .presigned(config)
            .await
            .map_err(|error| unavailable("sign an address", error))?;
        let headers = request.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let signed = BaseUrl(request.uri().to_owned());
        let (host, path) = signed.split();
        let url = format!("{host}{}{path}", self.mount);
        Ok(UploadAddress { url, headers: headers.collect() })
    }

    /// The object at `key`, if it was stored whole and with a SHA-256.
    /// One call.
    ///
    /// # Errors
    /// The bucket did not answer.
    pub async fn stored(&self, key: &ObjectKey) -> Result<Option<Stored>, ObjectError> {
        let head = self
            .client
            .head_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        let head = match head {
            Ok(head) => head,
            // S3 answers 403 for a missing object where the caller may not list the bucket.
            Err(error) if is_status(&error, 404) || is_status(&error, 403) => return Ok(None),
            Err(error) => return Err(unavailable("say what it has", error)),
        };
        let size = head.content_length().and_then(|length| u64::try_from(length).ok());
        let sha256 = head
            .checksum_sha256()
            .and_then(|hash| BASE64_STANDARD.decode(hash).ok())
            .and_then(|hash| hash.try_into().ok());
        Ok(size.zip(sha256).map(|(size, sha256)| Stored { size, sha256 }))
    }
}
