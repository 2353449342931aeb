//! The bucket: packages as write-once objects.

mod documents;
mod list;
mod marks;
mod open;
mod parts;
mod remote;
mod uploads;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use nupkg::{PackageId, Version};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::aws::attempt_timeout;
use crate::{AttachedFile, BucketName, Content};
use protocol::{Body, BoxError};

pub use documents::DownloadCounts;
pub use list::{ListedObject, ObjectKind, ObjectName, ObjectPage, Place};
pub use open::OpenObject;
pub use parts::Parts;
pub use remote::RemoteObject;
pub use uploads::{Stored, UploadAddress, UploadLifetime};

/// The key of one push's object: `packages/<id>/<version>/<ULID>.nupkg` or
/// `symbols/<id>/<version>/<ULID>.snupkg`, and below `uploads/` while it is not known
/// whether it is a package. No other push can have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// A key that no other push has.
    #[must_use]
    pub fn unique(id: &PackageId, version: &Version) -> Self {
        Self::of(id, version, Ulid::new())
    }

    /// The key of the push that is called `ulid`.
    #[must_use]
    pub fn of(id: &PackageId, version: &Version, ulid: Ulid) -> Self {
        Self(format!("{PACKAGES}{}/{}/{ulid}.nupkg", id.key(), version.key()))
    }

    /// The key of the symbols package of the push that is called `ulid`.
    #[must_use]
    pub fn symbols(id: &PackageId, version: &Version, ulid: Ulid) -> Self {
        Self(format!("{SYMBOLS}{}/{}/{ulid}.{SNUPKG}", id.key(), version.key()))
    }

    /// The key of a PDB out of the symbols package of this key, by its number.
    #[must_use]
    pub fn pdb(&self, number: usize) -> Self {
        let stem = self.0.strip_suffix(SNUPKG).unwrap_or(&self.0).trim_end_matches('.');
        Self(format!("{stem}/{number}.{PDB}"))
    }

    /// The key of a file out of the package, which stands beside it.
    #[must_use]
    pub fn attached(&self, file: AttachedFile) -> Self {
        self.with_extension(file.extension())
    }

    fn with_extension(&self, extension: &str) -> Self {
        let stem = self.0.strip_suffix(".nupkg").unwrap_or(&self.0);
        Self(format!("{stem}.{extension}"))
    }

    /// Where the package of this key is uploaded to.
    #[must_use]
    pub fn upload(&self) -> Self {
        let place = self.0.strip_prefix(PACKAGES).or_else(|| self.0.strip_prefix(SYMBOLS));
        let place = place.unwrap_or(&self.0);
        Self(format!("{UPLOADS}{place}"))
    }

    /// The part of the key that no other push has.
    #[must_use]
    pub fn ulid(&self) -> &str {
        let name = self.0.rsplit('/').next().unwrap_or_default();
        name.split('.').next().unwrap_or_default()
    }

    /// The package's file name: `<id>.<version>.nupkg`, or `.snupkg`.
    #[must_use]
    pub fn file_name(&self) -> String {
        let mut segments = self.0.split('/').skip(1);
        let mut segment = || segments.next().unwrap_or_default();
        let extension = self.0.rsplit('.').next().unwrap_or_default();
        format!("{}.{}.{extension}", segment(), segment())
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

/// The key prefix of packages, and of the marks that say which of them were committed.
pub(crate) const PACKAGES: &str = "packages/";
/// The key prefix of symbols packages and their PDBs.
pub(crate) const SYMBOLS: &str = "symbols/";
/// The extensions of symbols packages and PDBs.
pub(crate) const SNUPKG: &str = "snupkg";
pub(crate) const PDB: &str = "pdb";
/// The key prefix of uploads that are not committed yet. The bucket removes them after a
/// day (template.yaml; a server's own sweep).
pub(crate) const UPLOADS: &str = "uploads/";

/// The bucket did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// Whether it was done is unknown; trying again may help.
    #[error("the bucket did not {action}")]
    Unavailable {
        /// The action.
        action: &'static str,
        /// Why it was not done.
        source: BoxError,
    },
    /// A row points to an object that does not exist.
    #[error("the object {0} is missing")]
    Missing(ObjectKey),
}

/// How long a redirect to S3 gives access to its package. Default 5 minutes: clients follow
/// it at once, and a download that has begun may go on after it.
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
    parts: Parts,
    mount: String,
}

impl Objects {
    /// The objects of `bucket`.
    #[must_use]
    pub fn new(client: aws_sdk_s3::Client, bucket: BucketName) -> Self {
        Self { client, bucket, parts: Parts::default(), mount: String::new() }
    }

    /// The same objects, as clients reach them: at `path` on their host. The server there
    /// strips the path.
    #[must_use]
    pub fn mounted_at(self, path: &str) -> Self {
        Self { mount: path.to_owned(), ..self }
    }

    /// The same objects, with large ones stored in these parts.
    #[must_use]
    pub fn in_parts(self, parts: Parts) -> Self {
        Self { parts, ..self }
    }

    /// Stores `content`. The bucket verifies its SHA-256, of the whole or of each part. One
    /// call; for a large package two, and one for each part.
    ///
    /// # Errors
    /// The bucket did not say that it has the object.
    pub async fn put(
        &self,
        key: &ObjectKey,
        content: &Content,
        sha256: &[u8; 32],
    ) -> Result<(), ObjectError> {
        if content.size() > self.parts.above {
            return self.put_in_parts(key, content).await;
        }
        let put = self
            .client
            .put_object()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .if_none_match("*")
            .content_type("application/octet-stream")
            .content_length(content.size().try_into().unwrap_or(i64::MAX))
            .checksum_sha256(BASE64_STANDARD.encode(sha256))
            .body(content.to_byte_stream(0..content.size()))
            .customize()
            // The checksum is signed: to hash the bytes again for the signature would prove
            // nothing more.
            .disable_payload_signing()
            .config_override(waiting(content.size()))
            .send()
            .await;
        match put {
            Ok(_) => Ok(()),
            // No other push has this key: an object there is from this upload, whose answer
            // an earlier attempt did not get.
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

    /// The object's bytes, or those in `part`, as a stream. One call.
    ///
    /// # Errors
    /// The object is missing, or the bucket did not answer.
    pub async fn get(
        &self,
        key: &ObjectKey,
        part: Option<Range<u64>>,
    ) -> Result<Body, ObjectError> {
        let range = part.map(|part| format!("bytes={}-{}", part.start, part.end.saturating_sub(1)));
        let get = self.client.get_object().bucket(self.bucket.as_str()).key(key.as_str());
        match get.set_range(range).send().await {
            Ok(object) => Ok(Body::stream(object.body.into_inner())),
            Err(error) if is_status(&error, 404) => Err(ObjectError::Missing(key.clone())),
            Err(error) => Err(unavailable("give out the package", error)),
        }
    }

    /// Deletes an object that nothing points to, if it can.
    pub async fn discard(&self, key: &ObjectKey) {
        if let Err(error) = self.delete(key).await {
            tracing::warn!(object = %key, "left an object that nothing points to: {error}");
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

/// The settings of a call that sends this many bytes.
fn waiting(bytes: u64) -> aws_sdk_s3::config::Builder {
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(attempt_timeout(bytes)).build();
    aws_sdk_s3::config::Builder::new().timeout_config(timeouts)
}

fn unavailable(action: &'static str, error: impl Into<BoxError>) -> ObjectError {
    ObjectError::Unavailable { action, source: error.into() }
}

fn is_status<E: ProvideErrorMetadata>(error: &SdkError<E>, status: u16) -> bool {
    error.raw_response().is_some_and(|response| response.status().as_u16() == status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_the_push_and_what_it_pushed() {
        let (id, version) = (PackageId::parse("Acme.Core").unwrap(), "1.0-RC".parse().unwrap());
        let key = ObjectKey::of(&id, &version, Ulid::nil());
        let push = "00000000000000000000000000";
        assert_eq!(key.as_str(), format!("packages/acme.core/1.0.0-rc/{push}.nupkg"));
        assert_eq!(key.ulid(), push);
        assert_eq!(key.file_name(), "acme.core.1.0.0-rc.nupkg");
        assert_eq!(key.upload().as_str(), format!("uploads/acme.core/1.0.0-rc/{push}.nupkg"));
        let readme = key.attached(AttachedFile::Readme);
        assert_eq!(readme.as_str(), format!("packages/acme.core/1.0.0-rc/{push}.readme"));
        let symbols = ObjectKey::symbols(&id, &version, Ulid::nil());
        assert_eq!(symbols.as_str(), format!("symbols/acme.core/1.0.0-rc/{push}.snupkg"));
        assert_eq!(symbols.file_name(), "acme.core.1.0.0-rc.snupkg");
        assert_eq!(symbols.pdb(3).as_str(), format!("symbols/acme.core/1.0.0-rc/{push}/3.pdb"));
        assert_eq!(symbols.upload().as_str(), format!("uploads/acme.core/1.0.0-rc/{push}.snupkg"));
    }
}
