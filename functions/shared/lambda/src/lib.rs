//! The start of every function: logging, then a handler behind the Lambda
//! runtime and API Gateway.

use std::collections::HashMap;
use std::pin::Pin;

use feed::{AnyVerb, Context, Hosting, Verb};
use http::Response;
use http_body_util::BodyExt;
use lambda_http::request::RequestContext;
use lambda_http::{IntoResponse, RequestExt, lambda_runtime, service_fn, tracing};
use protocol::{
    BaseUrl, Body, Caller, ConfigError, Environment, Observation, PathParameters, Peer, Refusal,
    Reply, Request, RequestedShape,
};
use serde::{Deserialize, Serialize};
use store::Aws;

/// An error that ends a function before or while it runs.
pub use lambda_http::Error;

/// Runs the verb `V` behind API Gateway until the sandbox ends.
///
/// # Errors
/// A setting is wrong or missing, or the Lambda runtime cannot be reached.
pub async fn run<V: Verb>() -> Result<(), Error> {
    run_made(AnyVerb::new::<V>).await
}

/// The same for a verb that needs neither table nor bucket. It does without the SDK, which
/// is more than half of a function's size and start time.
///
/// # Errors
/// A setting is wrong or missing, or the Lambda runtime cannot be reached.
pub async fn run_without_stores<V: Verb>() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let context = Context::without_stores(Environment::of_process(), Hosting::default());
    serve(&AnyVerb::new::<V>(&context).map_err(|error| error.to_string())?).await
}

/// Runs the verb from `make` behind API Gateway until the sandbox ends.
///
/// # Errors
/// A setting is wrong or missing, or the Lambda runtime cannot be reached.
pub async fn run_made(
    make: impl FnOnce(&Context) -> Result<AnyVerb, ConfigError>,
) -> Result<(), Error> {
    serve(&make(&start().await).map_err(|error| error.to_string())?).await
}

async fn serve(verb: &AnyVerb) -> Result<(), Error> {
    let handle = |request| verb.handle(request);
    lambda_http::run(service_fn(|event| answer(verb.name, event, handle))).await
}

/// A function that answers events which are not requests: the authorizer's, a schedule's.
pub trait EventFunction: Sized + Sync {
    /// The events that it is asked about.
    type Event: for<'de> Deserialize<'de>;
    /// Its answers.
    type Answer: Serialize;

    /// The function, configured by its settings.
    ///
    /// # Errors
    /// A setting is missing.
    fn new(context: &Context) -> Result<Self, ConfigError>;

    /// Answers an event.
    fn handle(
        &self,
        event: Self::Event,
    ) -> impl Future<Output = Result<Self::Answer, Error>> + Send;
}

/// Runs the function `F` until the sandbox ends.
///
/// # Errors
/// A setting is wrong or missing, or the Lambda runtime cannot be reached.
pub async fn run_events<F: EventFunction>() -> Result<(), Error> {
    let function = &F::new(&start().await).map_err(|error| error.to_string())?;
    lambda_runtime::run(service_fn(|event: lambda_http::LambdaEvent<F::Event>| {
        // Boxed, or the compiler unfolds the SDK's futures inside the runtime's.
        Box::pin(function.handle(event.payload)) as Pin<Box<dyn Future<Output = _> + Send + '_>>
    }))
    .await
}

/// Starts the log (JSON lines, as Lambda's logging configuration asks for; the runtime
/// adds the ids of request and trace), and finds the settings.
async fn start() -> Context {
    tracing::init_default_subscriber();
    let aws = Aws::from_environment().await;
    Context::new(Environment::of_process(), Hosting::default(), aws)
}

/// Answers one REST API event with `handle`, and logs it.
///
/// # Errors
/// The reply's body cannot be read.
pub fn answer<F>(
    verb: &'static str,
    event: lambda_http::Request,
    handle: impl Fn(Request) -> F,
) -> impl Future<Output = Result<Answer, Error>>
where
    F: Future<Output = Reply> + Send,
{
    let request = request(event);
    let observation = Observation::begin(verb, &request);
    let asked = RequestedShape::of(&request);
    let reply = handle(request);
    async move {
        let reply = reply.await;
        observation.end(&reply).log();
        Answer::of(asked.shape(reply).await).await
    }
}

/// The request that a REST API event carries.
#[must_use]
pub fn request(event: lambda_http::Request) -> Request {
    let parameters: HashMap<String, String> = event
        .path_parameters()
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let (caller, base_url, path, client) = match event.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => {
            let fields = &context.authorizer.fields;
            let field = |name: &str| fields.get(name)?.as_str().map(str::to_owned);
            let path = context.path.as_deref().unwrap_or_default();
            let resource = context.resource_path.as_deref().unwrap_or_default();
            let (prefix, path) = split(path, resource);
            let domain = context.domain_name.as_deref().unwrap_or_default();
            let base_url = BaseUrl(format!("https://{domain}{prefix}"));
            let client = context.identity.source_ip.as_deref();
            let client = client.and_then(|address| address.parse().ok()).map(Peer);
            (Caller::from_context(field), base_url, path.to_owned(), client)
        }
        _ => (Caller::Anonymous, BaseUrl(String::new()), String::new(), None),
    };
    let (mut parts, body) = event.into_parts();
    // Verbs expect paths without the stage and the base path.
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    if let Ok(uri) = format!("{path}{query}").parse() {
        parts.uri = uri;
    }
    parts.extensions.insert(PathParameters(parameters));
    if let Some(client) = client {
        parts.extensions.insert(client);
    }
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
        // Base64 turns 3 bytes into 4, and an answer has at most 6 MB (Lambda quota).
        const LARGEST: usize = 4 * 1024 * 1024 + 256 * 1024;
        let (mut parts, body) = reply.into_parts();
        let mut body = body.collect().await?.to_bytes();
        if body.len() > LARGEST {
            let (refusal, words) = Reply::from(Refusal::AnswerTooLarge).into_parts();
            (parts, body) = (refusal, words.collect().await?.to_bytes());
        }
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

/// The two parts of a request's path: the stage or base path, and the rest, which has as
/// many segments as the resource. The path is the one that API Gateway reports, not the
/// client's.
fn split<'a>(path: &'a str, resource: &str) -> (&'a str, &'a str) {
    let segments = resource.split('/').filter(|segment| !segment.is_empty()).count();
    let mut prefix = path.trim_end_matches('/');
    for _ in 0..segments {
        prefix = prefix.rsplit_once('/').map_or("", |(before, _)| before);
    }
    path.split_at_checked(prefix.len()).unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_behind_stage_or_base_path() {
        for (resource, prefix, path) in [
            ("/v3/index.json", "/feed", "/v3/index.json"),
            ("/v3/index.json", "", "/v3/index.json"),
            ("/v3/index.json", "/nuget", "/v3/index.json"),
            ("/packages/{id}/{version}", "/feed", "/packages/Acme/1.0.0"),
            ("/packages/{id}", "", "/packages/Acme"),
            ("/", "/feed", "/"),
            ("/", "", "/"),
        ] {
            assert_eq!(split(&format!("{prefix}{path}"), resource), (prefix, path));
        }
    }

    #[tokio::test]
    async fn a_text_is_a_body_as_bytes_are() {
        for body in [lambda_http::Body::from("text"), lambda_http::Body::from(b"text".to_vec())] {
            let body = request(lambda_http::Request::new(body)).into_body();
            assert_eq!(body.collect().await.unwrap().to_bytes(), "text");
        }
    }
}
