//! Large objects, stored in parts: several travel at once, and one that is lost
//! is sent again alone.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::task::JoinSet;

use super::{ObjectError, ObjectKey, Objects, is_status, unavailable, waiting};
use crate::Content;

/// The timeout for joining parts, as for sending this many bytes.
const JOINING: u64 = 60_000_000;
/// Parts sent at once.
const AT_ONCE: usize = 4;

/// The size above which objects are stored in parts, and the size of a part.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// Objects of more bytes than this are stored in parts. Default: none.
    pub above: u64,
    /// Bytes of a part. Default 16 MiB. An AWS quota: 5 MiB or more, and at
    /// most 10,000 of them.
    pub of: u64,
}

impl Default for Parts {
    fn default() -> Self {
        Self { above: u64::MAX, of: 16 * 1024 * 1024 }
    }
}

impl Parts {
    /// The parts that suit AWS: for objects of more than 64 MiB.
    #[must_use]
    pub fn for_aws() -> Self {
        Self { above: 64 * 1024 * 1024, ..Self::default() }
    }

    /// The parts that suit a function that has AWS copy objects: S3 copies some hundred MB in a
    /// second, and several parts at a time.
    #[must_use]
    pub fn for_copies() -> Self {
        Self { above: 256 * 1024 * 1024, of: 64 * 1024 * 1024 }
    }
}

/// Where the bytes of a part come from.
#[derive(Debug, Clone)]
enum Origin {
    /// From here.
    Content(Content),
    /// From another object of the bucket, of that size.
    Object(ObjectKey, u64),
}

impl Origin {
    fn size(&self) -> u64 {
        match self {
            Self::Content(content) => content.size(),
            Self::Object(_, size) => *size,
        }
    }
}

impl Objects {
    /// Copies the upload at `from`, which has `size` bytes, to `key`, within the bucket.
    /// One call; for a large package two, and one for each part.
    ///
    /// # Errors
    /// The bucket did not say that it has the copy.
    pub async fn adopt(
        &self,
        from: &ObjectKey,
        key: &ObjectKey,
        size: u64,
    ) -> Result<(), ObjectError> {
        if size > self.parts.above {
            return self.store_in_parts(key, &Origin::Object(from.clone(), size)).await;
        }
        let copy = self.client.copy_object().bucket(self.bucket.as_str()).key(key.as_str());
        let copy = copy.copy_source(self.source(from)).customize();
        match copy.config_override(waiting(size)).send().await {
            Ok(_) => Ok(()),
            Err(error) if is_status(&error, 404) => Err(ObjectError::Missing(from.clone())),
            Err(error) => Err(unavailable("copy the package", error)),
        }
    }

    /// How copies name an object of the bucket. Ids and versions need no escapes.
    fn source(&self, key: &ObjectKey) -> String {
        format!("{}/{}", self.bucket.as_str(), key.as_str())
    }

    pub(super) async fn put_in_parts(
        &self,
        key: &ObjectKey,
        content: &Content,
    ) -> Result<(), ObjectError> {
        self.store_in_parts(key, &Origin::Content(content.clone())).await
    }

    async fn store_in_parts(&self, key: &ObjectKey, origin: &Origin) -> Result<(), ObjectError> {
        let created = self
            .client
            .create_multipart_upload()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .content_type("application/octet-stream")
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .send()
            .await
            .map_err(|error| unavailable("begin to store the package", error))?;
        let Some(upload) = created.upload_id() else {
            return Err(unavailable("begin to store the package", "an upload without an id"));
        };
        let stored = match self.put_parts(key, upload, origin).await {
            Ok(parts) => self.complete(key, upload, parts).await,
            Err(error) => Err(error),
        };
        if stored.is_err() {
            self.abort(key, upload).await;
        }
        stored
    }

    async fn put_parts(
        &self,
        key: &ObjectKey,
        upload: &str,
        origin: &Origin,
    ) -> Result<Vec<CompletedPart>, ObjectError> {
        let mut rest = (1..).zip(ranges(origin.size(), self.parts.of));
        let (mut sending, mut sent) = (JoinSet::new(), BTreeMap::new());
        loop {
            while sending.len() < AT_ONCE
                && let Some((number, range)) = rest.next()
            {
                let (this, key, upload) = (self.clone(), key.clone(), upload.to_owned());
                let origin = origin.clone();
                sending.spawn(async move {
                    let part = (number, range);
                    let part = match origin {
                        Origin::Content(content) => {
                            this.put_part(&key, &upload, content, part).await?
                        }
                        Origin::Object(from, _) => {
                            this.copy_part(&key, &upload, &from, part).await?
                        }
                    };
                    Ok::<_, ObjectError>((number, part))
                });
            }
            // If one fails, the others are dropped with the set.
            let Some(done) = sending.join_next().await else { break };
            let (number, part) = done.map_err(|error| unavailable("store a part", error))??;
            sent.insert(number, part);
        }
        Ok(sent.into_values().collect())
    }

    async fn put_part(
        &self,
        key: &ObjectKey,
        upload: &str,
        content: Content,
        (number, range): (i32, Range<u64>),
    ) -> Result<CompletedPart, ObjectError> {
        let (same, part) = (content.clone(), range.clone());
        let hashed = tokio::task::spawn_blocking(move || same.sha256(part)).await;
        let sha256 = hashed
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| unavailable("store a part", error))?;
        let sha256 = BASE64_STANDARD.encode(sha256);
        let put = self
            .client
            .upload_part()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .upload_id(upload)
            .part_number(number)
            .content_length((range.end - range.start).try_into().unwrap_or(i64::MAX))
            .checksum_sha256(&sha256)
            .body(content.to_byte_stream(range))
            .customize()
            .config_override(waiting(self.parts.of))
            .send()
            .await
            .map_err(|error| unavailable("store a part", error))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(put.e_tag().map(str::to_owned))
            .checksum_sha256(sha256)
            .build())
    }

    async fn copy_part(
        &self,
        key: &ObjectKey,
        upload: &str,
        from: &ObjectKey,
        (number, range): (i32, Range<u64>),
    ) -> Result<CompletedPart, ObjectError> {
        let copied = self
            .client
            .upload_part_copy()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .upload_id(upload)
            .part_number(number)
            .copy_source(self.source(from))
            .copy_source_range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)))
            .customize()
            .config_override(waiting(self.parts.of))
            .send()
            .await
            .map_err(|error| unavailable("copy a part", error))?;
        let result = copied.copy_part_result();
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(result.and_then(|part| part.e_tag()).map(str::to_owned))
            .set_checksum_sha256(result.and_then(|part| part.checksum_sha256()).map(str::to_owned))
            .build())
    }

    async fn complete(
        &self,
        key: &ObjectKey,
        upload: &str,
        parts: Vec<CompletedPart>,
    ) -> Result<(), ObjectError> {
        let completed = self
            .client
            .complete_multipart_upload()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .upload_id(upload)
            .if_none_match("*")
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .customize()
            .config_override(waiting(JOINING))
            .send()
            .await;
        match completed {
            Ok(_) => Ok(()),
            // As for a PUT: the object is from this upload.
            Err(error) if is_status(&error, 412) => Ok(()),
            Err(error) => Err(unavailable("store the package", error)),
        }
    }

    /// Aborts an upload; if that fails, the bucket does it after a day.
    async fn abort(&self, key: &ObjectKey, upload: &str) {
        let aborted = self
            .client
            .abort_multipart_upload()
            .bucket(self.bucket.as_str())
            .key(key.as_str())
            .upload_id(upload)
            .send()
            .await;
        if let Err(error) = aborted {
            tracing::warn!(object = %key, "left an upload that is not complete: {error}");
        }
    }
}

fn ranges(size: u64, part: u64) -> impl Iterator<Item = Range<u64>> {
    let starts = (0..size).step_by(usize::try_from(part.max(1)).unwrap_or(usize::MAX));
    starts.map(move |start| start..start.saturating_add(part).min(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_is_sent_parts_of_what_is_above_64_mib() {
        let Parts { above, of } = Parts::for_aws();
        assert_eq!((above, of), (67_108_864, 16_777_216));
        let Parts { above, of } = Parts::for_copies();
        assert_eq!((above, of), (268_435_456, 67_108_864));
    }

    #[test]
    fn parts_cover_every_byte_once() {
        let parts: Vec<_> = ranges(10, 4).collect();
        assert_eq!(parts, [0..4, 4..8, 8..10]);
        assert_eq!(ranges(8, 4).collect::<Vec<_>>(), [0..4, 4..8]);
        assert_eq!(ranges(0, 4).count(), 0);
    }
}
