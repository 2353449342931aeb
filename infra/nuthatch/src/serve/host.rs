//! What answers on the socket: the gateway, and beside it what AWS has at
//! addresses of their own.

use std::num::NonZeroUsize;
use std::sync::Arc;

use feed::{BaseUrl, Body, BucketName, Refusal, Reply, Request};
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;

use crate::engines::S3;
use crate::gateway::Gateway;
use crate::socket::Service;

/// Whether this process lives, for a load balancer.
const HEALTH: &str = "/healthz";

/// What answers on a socket. Clones share it.
#[derive(Debug, Clone)]
pub struct Host {
    gateway: Gateway,
    bucket: Option<PublicBucket>,
}

/// The embedded bucket, where clients upload to it: to addresses that were signed
/// for them, and to no others.
#[derive(Debug, Clone)]
struct PublicBucket {
    s3: S3,
    /// What all uploads' paths begin with.
    prefix: String,
    /// The host that addresses are signed for, whatever a proxy makes of it.
    host: HeaderValue,
    /// How many packages it takes at once.
    permits: Arc<Semaphore>,
}

impl From<Gateway> for Host {
    fn from(gateway: Gateway) -> Self {
        Self { gateway, bucket: None }
    }
}

impl Host {
    /// The same, with the bucket of `s3` as clients at `base_url` reach it, which takes
    /// so many packages at once.
    #[must_use]
    pub fn with_bucket(self, s3: S3, base_url: &BaseUrl, at_once: NonZeroUsize) -> Self {
        let (origin, _) = base_url.split();
        let host = origin.rsplit('/').next().unwrap_or_default();
        let bucket = HeaderValue::from_str(host).ok().map(|host| PublicBucket {
            s3,
            prefix: format!("/{}/packages/", BucketName::default().as_str()),
            host,
            permits: Arc::new(Semaphore::new(at_once.get().min(Semaphore::MAX_PERMITS))),
        });
        Self { bucket, ..self }
    }
}

impl Service for Host {
    async fn answer(&self, request: Request) -> Reply {
        let path = request.uri().path();
        if path == HEALTH && request.method() == Method::GET {
            return feed::stream(Body::from("ok\n"), "text/plain");
        }
        let bucket = self.bucket.as_ref().filter(|bucket| path.starts_with(&bucket.prefix));
        match bucket.filter(|_| request.method() == Method::PUT) {
            Some(bucket) => bucket.put(request).await,
            None => self.gateway.handle(request).await,
        }
    }
}

impl PublicBucket {
    /// Lets the bucket take an upload. It checks the signature, and all that this
    /// covers.
    async fn put(&self, mut request: Request) -> Reply {
        let Ok(_permit) = self.permits.try_acquire() else { return Refusal::Full.into() };
        request.headers_mut().insert(HOST, self.host.clone());
        let request =
            request.map(|body| s3s::Body::http_body_unsync(body.map_err(std::io::Error::other)));
        match self.answer(request).await {
            Ok(reply) => reply,
            Err(error) => Refusal::Broken(error).into(),
        }
    }

    async fn answer(&self, request: http::Request<s3s::Body>) -> Result<Reply, feed::BoxError> {
        let path = request.uri().path().to_owned();
        let (parts, body) = self.s3.call(request).await?.into_parts();
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        tracing::info!(http.status = parts.status.as_u16(), "PUT {path}");
        let mut reply = Reply::new(Body::from(body));
        *reply.status_mut() = parts.status;
        if parts.status != StatusCode::OK {
            reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        }
        Ok(reply)
    }
}
