//! The bucket: packages as write-once objects.

use std::fmt;
use std::time::Duration;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use nupkg::{PackageId, Version};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::{Body, BoxError, BucketName, Content};

/// The key of one push's object: `packages/<id>/<version>/<ULID>.nupkg`. No
/// other push can have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// A key that nobody has.
    #[must_use]
    pub fn unique(id: &PackageId, version: &Version) -> Self {
        Self(format!("packages/{}/{}/{}.nupkg", id.key(), version.key(), Ulid::new()))
    }

    /// The key as S3 takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The bucket did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// It cannot be said whether it was done; trying again may help.
    #[error("the bucket did not {action}")]
    Unavailable {
        /// What was asked of it.
        action: &'static str,
        /// Why it was not done.
        source: BoxError,
    },
    /// A row points to an object that does not exist.
    #[error("the object {0} is missing")]
    Missing(ObjectKey),
}

/// How long a redirect to S3 opens the package it names. Default 5 minutes:
/// clients follow at once, and the download may go on after it.
#[derive(Debug, Clone, Copy)]
pub struct RedirectLifetime(pub Duration);

impl Default for RedirectLifetime {
    fn default() -> Self {
        Self(Duration::from_mins(5))
    }
}

/// The bucket.
#[derive(Debug, Clone)]
pub struct Objects {
    client: aws_sdk_s3::Client,
    bucket: BucketName,
}

impl Objects {
    /// The objects of `bucket`.
    #[must_use]
    pub fn new(client: aws_sdk_s3::Client, bucket: BucketName) -> Self {
        Self { client, bucket }
    }

    /// Stores `content`, whose SHA-256 the bucket proves. One call.
    ///
    /// # Errors
    /// The bucket did not say that it has the object.
    pub async fn put(
        &self,
        key: &ObjectKey,
        content: &Content,
        sha256: &[u8; 32],
    ) -> Result<(), ObjectError> {
        let put = self
            .client
            .put_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .if_none_match("*")
            .content_type("application/octet-stream")
            .content_length(content.size().try_into().unwrap_or(i64::MAX))
            .checksum_sha256(BASE64_STANDARD.encode(sha256))
            .body(content.to_byte_stream())
            .send()
            .await;
        match put {
            Ok(_) => Ok(()),
            // The key is ours alone: an object there is this upload, whose
            // answer an earlier attempt did not get.
            Err(error) if is_status(&error, 412) => Ok(()),
            Err(error) => Err(unavailable("store the package", error)),
        }
    }

    /// An address that anybody can get the object from for a while, as a file
    /// called `file_name`. No call.
    ///
    /// # Errors
    /// There are no credentials to sign it with.
    pub async fn address(
        &self,
        key: &ObjectKey,
        file_name: &str,
        lifetime: RedirectLifetime,
    ) -> Result<String, ObjectError> {
        let config = PresigningConfig::expires_in(lifetime.0)
            .map_err(|error| unavailable("sign an address", error))?;
        let request = self
            .client
            .get_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .response_content_type("application/octet-stream")
            .response_content_disposition(format!("attachment; filename=\"{file_name}\""))
            .presigned(config)
            .await
            .map_err(|error| unavailable("sign an address", error))?;
        Ok(request.uri().to_owned())
    }

    /// The object's bytes, as they come. One call.
    ///
    /// # Errors
    /// The object is missing, or the bucket did not answer.
    pub async fn get(&self, key: &ObjectKey) -> Result<Body, ObjectError> {
        let got =
            self.client.get_object().bucket(self.bucket.as_str()).key(key.as_str()).send().await;
        match got {
            Ok(object) => Ok(Body::stream(object.body.into_inner())),
            Err(error) if is_status(&error, 404) => Err(ObjectError::Missing(key.clone())),
            Err(error) => Err(unavailable("give out the package", error)),
        }
    }

    /// Deletes the object; the bucket keeps its bytes for its recycle period.
    /// One call.
    ///
    /// # Errors
    /// The bucket did not say that the object is gone.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        self.client
            .delete_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .send()
            .await
            .map_err(|error| unavailable("delete the package", error))?;
        Ok(())
    }
}

fn unavailable(action: &'static str, error: impl Into<BoxError>) -> ObjectError {
    ObjectError::Unavailable { action, source: error.into() }
}

fn is_status<E: ProvideErrorMetadata>(error: &SdkError<E>, status: u16) -> bool {
    error.raw_response().is_some_and(|response| response.status().as_u16() == status)
}
