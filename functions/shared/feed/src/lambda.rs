//! The start of every function: logging, then a handler behind the Lambda
//! runtime and API Gateway.

use std::collections::HashMap;
use std::pin::Pin;

use http::Response;
use http_body_util::BodyExt;
use lambda_http::request::RequestContext;
use lambda_http::{IntoResponse, RequestExt, lambda_runtime, service_fn, tracing};

use crate::{Asked, BaseUrl, Body, Caller, PathParameters, Reply, Request};

/// An error that ends a function before or while it runs.
pub use lambda_http::Error;

/// Starts the log: JSON lines, as Lambda's logging configuration asks for.
pub fn start_log() {
    tracing::init_default_subscriber();
}

/// Answers REST API events with `handle` until the sandbox ends.
///
/// # Errors
/// The Lambda runtime cannot be reached.
pub async fn run<F>(handle: impl Fn(Request) -> F) -> Result<(), Error>
where
    F: Future<Output = Reply> + Send,
{
    lambda_http::run(service_fn(|event: lambda_http::Request| {
        let request = request(event);
        let asked = Asked::of(&request);
        let reply = handle(request);
        async { Answer::of(asked.shape(reply.await).await).await }
    }))
    .await
}

/// Answers plain events (an authorizer's) with `handle`.
///
/// # Errors
/// The Lambda runtime cannot be reached.
pub async fn run_events<E, A, F>(handle: impl Fn(E) -> F) -> Result<(), Error>
where
    E: for<'de> serde::Deserialize<'de>,
    A: serde::Serialize,
    F: Future<Output = Result<A, Error>> + Send,
{
    lambda_runtime::run(service_fn(|event: lambda_http::LambdaEvent<E>| {
        // Boxed, or the compiler unfolds the SDK's futures inside the runtime's.
        Box::pin(handle(event.payload)) as Pin<Box<dyn Future<Output = _> + Send>>
    }))
    .await
}

/// The request that a REST API event carries.
#[must_use]
pub fn request(event: lambda_http::Request) -> Request {
    let parameters: HashMap<String, String> = event
        .path_parameters()
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let (caller, (base_url, prefix)) = match event.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            let fields = &context.authorizer.fields;
            let field = |name: &str| fields.get(name)?.as_str().map(str::to_owned);
            let base_url = base_url(
                context.domain_name.as_deref().unwrap_or_default(),
                context.path.as_deref().unwrap_or_default(),
                context.resource_path.as_deref().unwrap_or_default(),
            );
            (Caller::from_context(field), base_url)
        }
        _ => (Caller::Anonymous, (BaseUrl(String::new()), String::new())),
    };
    let (mut parts, body) = event.into_parts();
    // What the verbs call a path begins behind the stage.
    if let Some(path) = parts.uri.path_and_query().and_then(|it| it.as_str().strip_prefix(&prefix))
        && let Ok(uri) = path.parse()
    {
        parts.uri = uri;
    }
    parts.extensions.insert(PathParameters(parameters));
    parts.extensions.insert(caller);
    parts.extensions.insert(base_url);
    let body = match body {
        lambda_http::Body::Text(text) => Body::from(text),
        lambda_http::Body::Binary(bytes) => Body::from(bytes),
        _ => Body::empty(),
    };
    Request::from_parts(parts, body)
}

/// An answer to an event: always binary, or `lambda_http` would take a nuspec
/// in UTF-16 for UTF-8 text.
#[derive(Debug)]
pub struct Answer(Response<lambda_http::Body>);

impl Answer {
    /// The answer that carries `reply`.
    ///
    /// # Errors
    /// The reply's body cannot be read.
    pub async fn of(reply: Reply) -> Result<Self, Error> {
        let (parts, body) = reply.into_parts();
        let body = body.collect().await?.to_bytes();
        let body = if body.is_empty() {
            lambda_http::Body::Empty
        } else {
            lambda_http::Body::Binary(body.into())
        };
        Ok(Self(Response::from_parts(parts, body)))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Pin<Box<dyn Future<Output = Response<lambda_http::Body>> + Send>> {
        Box::pin(std::future::ready(self.0))
    }
}

/// Where the API is, from what API Gateway says of itself and not from what a
/// client sends: its domain, and the part of the context's path (stage or base
/// path) that stands before the resource's, which has as many segments. And that
/// part by itself.
fn base_url(domain: &str, path: &str, resource: &str) -> (BaseUrl, String) {
    let segments = resource.split('/').filter(|segment| !segment.is_empty()).count();
    let mut prefix = path.trim_end_matches('/');
    for _ in 0..segments {
        prefix = prefix.rsplit_once('/').map_or("", |(before, _)| before);
    }
    (BaseUrl(format!("https://{domain}{prefix}")), prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_follow_the_domain_and_its_base_path() {
        for (path, resource, base) in [
            ("/feed/v3/index.json", "/v3/index.json", "/feed"),
            ("/v3/index.json", "/v3/index.json", ""),
            ("/nuget/v3/index.json", "/v3/index.json", "/nuget"),
            ("/feed/packages/Acme/1.0.0", "/packages/{id}/{version}", "/feed"),
            ("/packages/Acme", "/packages/{id}", ""),
            ("/feed/", "/", "/feed"),
            ("/", "/", ""),
        ] {
            let (BaseUrl(found), _) = base_url("example.org", path, resource);
            assert_eq!(found, format!("https://example.org{base}"), "{path}");
        }
    }
}
