//! The services on the socket: the gateway, and the services that have addresses of their own
//! on AWS.

use access::KeyName;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use ingest::Permits;
use protocol::{BaseUrl, Body, Refusal, Reply, Request};
use store::{BucketName, UploadAddress};

use super::disk::Disk;
use crate::engines::S3;
use crate::gateway::Gateway;
use crate::socket::Service;

/// The path of the health check, for a load balancer.
const HEALTH: &str = "/healthz";

/// The services on a socket. Clones share them.
#[derive(Debug, Clone)]
pub struct Host {
    gateway: Gateway,
    bucket: Option<MountedBucket>,
    disk: Disk,
}

/// The embedded bucket, as clients upload to it. It takes uploads only at addresses that were
/// signed for them.
#[derive(Debug, Clone)]
struct MountedBucket {
    s3: S3,
    /// The start of all uploads' paths.
    prefix: String,
    /// The host that addresses are signed for, even if a proxy changes the Host header.
    host: HeaderValue,
    /// How many packages it takes at once, counting pushed packages as well.
    permits: Permits,
}

impl From<Gateway> for Host {
    fn from(gateway: Gateway) -> Self {
        Self { gateway, bucket: None, disk: Disk::default() }
    }
}

impl Host {
    /// The same services, which report a full `disk`.
    #[must_use]
    pub fn on_disk(self, disk: Disk) -> Self {
        Self { disk, ..self }
    }

    /// The same services, and the bucket of `s3` for clients at `base_url`. It takes as many
    /// packages at once as `permits` allows.
    #[must_use]
    pub fn with_bucket(self, s3: S3, base_url: &BaseUrl, permits: Permits) -> Self {
        let (origin, _) = base_url.split();
        let host = origin.rsplit('/').next().unwrap_or_default();
        let bucket = HeaderValue::from_str(host).ok().map(|host| MountedBucket {
            s3,
            prefix: format!("/{}/uploads/", BucketName::default().as_str()),
            host,
            permits,
        });
        Self { bucket, ..self }
    }
}

impl Service for Host {
    async fn answer(&self, request: Request) -> Reply {
        let path = request.uri().path();
        if path == HEALTH && request.method() == Method::GET {
            return protocol::stream(Body::from("ok\n"), "text/plain");
        }
        let bucket = self.bucket.as_ref().filter(|bucket| path.starts_with(&bucket.prefix));
        let method = request.method().clone();
        let reply = match bucket.filter(|_| method == Method::PUT) {
            Some(bucket) => bucket.put(request).await,
            None => self.gateway.handle(request).await,
        };
        self.disk.explain(reply)
    }
}

impl MountedBucket {
    /// Lets the bucket take an upload. The bucket checks the signature, and everything that the
    /// signature covers.
    async fn put(&self, mut request: Request) -> Reply {
        // The signature covers this header: a forged one is refused before a byte is read.
        let key = request.headers().get(UploadAddress::UPLOADED_BY);
        let key = key.and_then(|key| key.to_str().ok()?.parse::<KeyName>().ok());
        let Some(key) = key else { return protocol::status(StatusCode::FORBIDDEN) };
        // The signature covers the size, too.
        let size = ingest::declared_length(request.headers()).unwrap_or(u64::MAX);
        let _permit = match self.permits.take(&key, Some(size)).await {
            Ok(permit) => permit,
            Err(refusal) => return refusal.into(),
        };
        request.headers_mut().insert(HOST, self.host.clone());
        let request =
            request.map(|body| s3s::Body::http_body_unsync(body.map_err(std::io::Error::other)));
        match self.answer(request).await {
            Ok(reply) => reply,
            Err(error) => Refusal::Broken(error).into(),
        }
    }

    async fn answer(&self, request: http::Request<s3s::Body>) -> Result<Reply, protocol::BoxError> {
        let path = crate::gateway::shown(request.uri().path());
        let key = request.headers().get(UploadAddress::UPLOADED_BY);
        let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
        let (parts, body) = self.s3.call(request).await?.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let status = parts.status.as_u16();
        tracing::info!(http.status = status, key.name = key, "PUT {path} by {key}: {status}");
        let mut reply = Reply::new(Body::from(body));
        *reply.status_mut() = parts.status;
        if parts.status != StatusCode::OK {
            reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        Ok(reply)
    }
}
