//! A deployed stack on a socket: the gateway, the binaries and the engines, for clients
//! that know nothing of tests.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::listen::serve;
use crate::{EngineServer, LambdaGateway, Sandboxes, TestFeed};

/// A deployed stack; gone when it is dropped.
#[derive(Debug)]
pub struct Deployed {
    /// Where it is: `127.0.0.1:<port>/feed`, stage and all.
    pub address: String,
    /// A key for everything.
    pub owner: String,
    _runtime: Runtime,
}

impl Deployed {
    /// A stack on a free port.
    #[must_use]
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (address, owner) = runtime.block_on(async {
            let feed = TestFeed::start().await;
            let owner = feed.owner().await.key().to_owned();
            let engines = EngineServer::start(&feed.engines).await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let host = listener.local_addr().unwrap().to_string();
            let sandboxes = Sandboxes::new(engines.environment());
            let gateway = LambdaGateway::before_sandboxes(sandboxes).at(&host);
            let address = format!("{host}/feed");
            let stack = Arc::new((gateway, host, feed, engines));
            tokio::spawn(serve(listener, move |request| {
                let stack = Arc::clone(&stack);
                async move { answer(&stack.0, &stack.1, request).await }
            }));
            (address, owner)
        });
        Self { address, owner, _runtime: runtime }
    }
}

async fn answer(
    gateway: &LambdaGateway,
    host: &str,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let path = path.strip_prefix("/feed").unwrap_or("/outside");
    let mut headers = parts.headers.clone();
    // Compressed answers could not be edited.
    headers.remove(ACCEPT_ENCODING);
    let answer = Box::pin(gateway.answer(parts.method, path, headers, body)).await;
    let is_json = answer.header(CONTENT_TYPE.as_str()).contains("json");
    let body = match std::str::from_utf8(&answer.body) {
        // This stack has no TLS in front of it.
        Ok(text) if is_json => {
            text.replace(&format!("https://{host}"), &format!("http://{host}")).into()
        }
        _ => answer.body,
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
