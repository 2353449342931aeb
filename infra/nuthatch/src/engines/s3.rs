//! S3 in this process: s3s speaks the protocol and checks signatures, the
//! [`Store`] keeps the objects. As much of S3 as the feed uses.

mod bodies;
mod copies;
mod parts;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::HOST;
use http_body_util::BodyExt;
use protocol::BoxError;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, ContentType, CopyObjectInput, CopyObjectOutput,
    CopyObjectResult, CopyPartResult, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteObjectInput, DeleteObjectOutput, ETag, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, PutObjectInput, PutObjectOutput,
    StreamingBlob, Timestamp, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};
use sha2::{Digest, Sha256};
use store::{BucketName, FileBody};
use time::OffsetDateTime;

use super::Wait;
use super::files::{NewContent, NewObject, Object, SMALL, Store, StoreError};
use bodies::{Declared, WrittenBody};
use parts::{Part, Uploads};

/// The access key of this process.
pub(super) const ACCESS_KEY: &str = "embedded";

/// The secret that signs the requests and addresses of this process. Each process makes a
/// new one.
pub(super) fn secret_key() -> &'static str {
    static SECRET: OnceLock<String> = OnceLock::new();
    SECRET.get_or_init(|| format!("{}{}", ulid::Ulid::new(), ulid::Ulid::new()))
}

/// A bucket that answers the SDK. Clones share it.
#[derive(Clone)]
pub struct S3(S3Service);

impl S3 {
    /// The bucket called `bucket`, kept in `store`.
    #[must_use]
    pub fn new(store: Store, bucket: &BucketName, wait: Wait) -> Self {
        let name = bucket.as_str().to_owned();
        let mut builder =
            S3ServiceBuilder::new(Bucket { store, name, uploads: Uploads::default(), wait });
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, secret_key()));
        Self(builder.build())
    }

    /// Answers a request as S3 would, such as one to a presigned address.
    ///
    /// # Errors
    /// The request cannot be answered at all.
    pub async fn call(
        &self,
        request: http::Request<s3s::Body>,
    ) -> Result<http::Response<s3s::Body>, BoxError> {
        self.0.call(request).await.map_err(|error| format!("{error:?}").into())
    }
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("S3")
    }
}

impl HttpConnector for S3 {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            this.answer(request).await.map_err(|error| ConnectorError::other(error, None))
        })
    }
}

impl S3 {
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, BoxError> {
        let mut request = request.try_into_http1x()?;
        // A real transport would add the Host header, and the signature covers it.
        if !request.headers().contains_key(HOST)
            && let Some(authority) = request.uri().authority()
        {
            let host = authority.as_str().parse()?;
            request.headers_mut().insert(HOST, host);
        }
        let request =
            request.map(|body| s3s::Body::http_body_unsync(body.map_err(std::io::Error::other)));
        let response = S3::call(self, request).await?;
        Ok(HttpResponse::try_from(response.map(SdkBody::from_body_1_x))?)
    }
}

/// The operations that the feed uses; s3s answers 501 to all others.
struct Bucket {
    store: Store,
    name: String,
    uploads: Uploads,
    wait: Wait,
}

impl Bucket {
    fn check(&self, bucket: &str) -> S3Result<()> {
        if bucket == self.name { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(Store) -> Result<T, StoreError> + Send + 'static,
    ) -> S3Result<T> {
        let store = self.store.clone();
        let done = self.wait.on(move || work(store)).await;
        done.map_err(S3Error::internal_error)?.map_err(S3Error::internal_error)
    }

    async fn find(&self, bucket: &str, key: String) -> S3Result<Object> {
        self.check(bucket)?;
        let found = self.with_store(move |store| store.find(&key)).await?;
        found.ok_or_else(|| s3_error!(NoSuchKey))
    }
}

#[async_trait]
impl s3s::S3 for Bucket {
    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        self.check(&input.bucket)?;
        let other_checksum = input.checksum_crc32.is_some()
            || input.checksum_crc32c.is_some()
            || input.checksum_crc64nvme.is_some()
            || input.checksum_sha1.is_some()
            || input.content_md5.is_some();
        if other_checksum {
            return Err(s3_error!(NotImplemented, "only SHA-256 checksums are checked"));
        }
        let condition = parts::condition(input.if_none_match.as_ref())?;
        let declared = Declared::new(input.content_length, input.checksum_sha256);
        let content_type = input.content_type.map(|kind| kind.as_str().to_owned());
        let (size, sha256, content) = if declared.is_small() {
            let bytes = bodies::small(input.body).await?;
            let sha256 = BASE64_STANDARD.encode(Sha256::digest(&bytes));
            (bytes.len() as u64, sha256, NewContent::Small(bytes))
        } else {
            let (draft, file) = self.with_store(|store| store.draft()).await?;
            let WrittenBody { file, size, sha256 } =
                bodies::write(file, input.body, self.wait).await?;
            (size, sha256, NewContent::File { draft, file })
        };
        declared.check(size, &sha256)?;
        let object = NewObject { key: input.key, size, sha256: sha256.clone(), content_type };
        let stored =
            self.with_store(move |store| store.commit(content, &object, condition)).await?;
        if !stored {
            return Err(s3_error!(PreconditionFailed));
        }
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(etag(&sha256)),
            checksum_sha256: Some(sha256),
            ..PutObjectOutput::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        self.check(&input.bucket)?;
        let content_type = input.content_type.map(|kind| kind.as_str().to_owned());
        let id = self.uploads.create(input.key.clone(), content_type);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        self.check(&input.bucket)?;
        let declared = Declared::new(input.content_length, input.checksum_sha256);
        let (draft, file) = self.with_store(|store| store.draft()).await?;
        let WrittenBody { size, sha256, .. } = bodies::write(file, input.body, self.wait).await?;
        declared.check(size, &sha256)?;
        // Not synced: uploads that are not completed are lost with the process, and the joined
        // file is synced.
        let part = Part { draft, size, sha256: sha256.clone() };
        self.uploads.put(&input.upload_id, &input.key, input.part_number, part)?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(etag(&sha256)),
            checksum_sha256: Some(sha256),
            ..UploadPartOutput::default()
        }))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        self.check(&input.bucket)?;
        let (bucket, from) = copies::source(&input.copy_source)?;
        let from = self.find(bucket, from.to_owned()).await?;
        let result = CopyObjectResult {
            e_tag: Some(etag(&from.sha256)),
            last_modified: modified(&from),
            ..CopyObjectResult::default()
        };
        self.with_store(move |store| copies::whole(&store, &from, input.key)).await?;
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            ..CopyObjectOutput::default()
        }))
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<S3Response<UploadPartCopyOutput>> {
        let input = request.input;
        self.check(&input.bucket)?;
        let (bucket, from) = copies::source(&input.copy_source)?;
        let from = self.find(bucket, from.to_owned()).await?;
        let range = copies::range(input.copy_source_range.as_deref(), from.size)?;
        let part = self.with_store(move |store| copies::part(&store, &from, &range)).await?;
        let sha256 = part.sha256.clone();
        self.uploads.put(&input.upload_id, &input.key, input.part_number, part)?;
        let result = CopyPartResult {
            e_tag: Some(etag(&sha256)),
            checksum_sha256: Some(sha256),
            ..CopyPartResult::default()
        };
        Ok(S3Response::new(UploadPartCopyOutput {
            copy_part_result: Some(result),
            ..UploadPartCopyOutput::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        self.check(&input.bucket)?;
        let condition = parts::condition(input.if_none_match.as_ref())?;
        let list = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let listed = self.uploads.listed(&input.upload_id, &input.key, &list)?;
        let Some(sha256) = self.with_store(move |store| listed.join(&store, condition)).await?
        else {
            return Err(s3_error!(PreconditionFailed));
        };
        self.uploads.abort(&input.upload_id, &input.key)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag(&sha256)),
            checksum_sha256: Some(sha256),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        self.check(&input.bucket)?;
        self.uploads.abort(&input.upload_id, &input.key)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let object = self.find(&input.bucket, input.key).await?;
        let range = match input.range {
            None => 0..object.size,
            Some(range) => range.check(object.size)?,
        };
        let (opened, part) = (object.clone(), range.clone());
        let body = self.with_store(move |store| content(&store, &opened, part)).await?;
        let length = range.end - range.start;
        let content_range = (length < object.size).then(|| {
            format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), object.size)
        });
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::from(body)),
            content_length: i64::try_from(length).ok(),
            content_range,
            content_type: object.content_type.as_deref().and_then(content_type),
            e_tag: Some(etag(&object.sha256)),
            last_modified: modified(&object),
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let object = self.find(&request.input.bucket, request.input.key).await?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(object.size).ok(),
            content_type: object.content_type.as_deref().and_then(content_type),
            e_tag: Some(etag(&object.sha256)),
            last_modified: modified(&object),
            checksum_sha256: Some(object.sha256),
            ..HeadObjectOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.check(&request.input.bucket)?;
        let key = request.input.key;
        self.with_store(move |store| store.delete(&key)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        /// S3's own page size.
        const PAGE: i32 = 1000;
        let input = request.input;
        self.check(&input.bucket)?;
        let most = input.max_keys.unwrap_or(PAGE).clamp(0, PAGE).unsigned_abs();
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.or(input.start_after).unwrap_or_default();
        let mut objects =
            self.with_store(move |store| store.list(&prefix, &after, most + 1)).await?;
        let is_truncated = objects.len() > most as usize;
        objects.truncate(most as usize);
        let last = objects.last().map(|object| object.key.clone());
        let contents: Vec<_> = objects.iter().map(listed).collect();
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            key_count: i32::try_from(contents.len()).ok(),
            is_truncated: Some(is_truncated),
            next_continuation_token: last.filter(|_| is_truncated),
            contents: Some(contents),
            ..ListObjectsV2Output::default()
        }))
    }
}

/// A part of an object. A small part is read whole, so that the disk is waited for only
/// once.
fn content(store: &Store, object: &Object, part: Range<u64>) -> Result<s3s::Body, StoreError> {
    if part.end - part.start > SMALL {
        return Ok(s3s::Body::http_body(FileBody::new(Arc::new(store.content(object)?), part)));
    }
    Ok(s3s::Body::from(Bytes::from(store.part(object, part)?)))
}

fn listed(object: &Object) -> s3s::dto::Object {
    s3s::dto::Object {
        key: Some(object.key.clone()),
        size: i64::try_from(object.size).ok(),
        e_tag: Some(etag(&object.sha256)),
        last_modified: modified(object),
        ..s3s::dto::Object::default()
    }
}

fn etag(sha256: &str) -> ETag {
    ETag::Strong(sha256.to_owned())
}

fn content_type(text: &str) -> Option<ContentType> {
    text.parse().ok()
}

fn modified(object: &Object) -> Option<Timestamp> {
    OffsetDateTime::from_unix_timestamp(object.modified).ok().map(Timestamp::from)
}
