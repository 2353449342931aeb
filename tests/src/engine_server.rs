//! The embedded engines on a socket: for what reaches AWS over TCP, such as
//! functions in processes of their own.

use std::collections::HashMap;
use std::convert::Infallible;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use feed::Aws;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nuthatch::engines::{Engines, credentials};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The engines' server; ends when it is dropped.
#[derive(Debug)]
pub struct EngineServer {
    /// Where it listens.
    pub url: String,
    serving: JoinHandle<()>,
}

impl EngineServer {
    /// Serves `engines` at a free port.
    pub async fn start(engines: &Engines) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let engines = engines.clone();
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let engines = engines.clone();
                let service = service_fn(move |request| answer(engines.clone(), request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // Who is killed hangs up.
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { url, serving }
    }

    /// The environment in which the SDK finds it.
    #[must_use]
    pub fn environment(&self) -> HashMap<&'static str, String> {
        let credentials = credentials();
        HashMap::from([
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key().to_owned()),
            ("AWS_REGION", "local".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ])
    }
}

impl EngineServer {
    /// SDK clients that reach it.
    #[must_use]
    pub fn aws(&self) -> Aws {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("local"))
            .credentials_provider(SharedCredentialsProvider::new(credentials()))
            .endpoint_url(&self.url)
            .build();
        Aws::new(&config)
    }
}

impl Drop for EngineServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    engines: Engines,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let response = if parts.headers.contains_key("x-amz-target") {
        let request = Request::from_parts(parts, SdkBody::from(body));
        let request = HttpRequest::try_from(request).unwrap();
        let response = engines.dynamodb.call(request).await.unwrap();
        let response = response.try_into_http1x().unwrap();
        response.map(|body| Bytes::copy_from_slice(body.bytes().unwrap()))
    } else {
        let body = s3s::Body::http_body(Full::new(body));
        let response = engines.s3.call(Request::from_parts(parts, body)).await.unwrap();
        let (parts, body) = response.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    };
    Ok(response.map(Full::new))
}
