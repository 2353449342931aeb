//! API Gateway: requests become the events that it documents, and the functions' answers
//! go back the same way. The functions behind it are in this process, or are the
//! binaries that AWS runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use authorize::Authorize;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use feed::{AnyVerb, Context, Hosting};
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use lambda::EventFunction;
use lambda_http::IntoResponse;
use nuthatch::gateway::Template;
use protocol::Environment;
use serde_json::{Value, json};
use store::Aws;

use crate::authorizers::{Authorizer, Policies, allows};
use crate::{Answer, Sandboxes, TemplateRoute};

/// The maximum size of a request's body in bytes (AWS quota of API Gateway).
const BODY_BYTES: usize = 10 * 1024 * 1024;
/// The maximum size of an event and of an answer in bytes, with bodies in Base64 (AWS quota
/// of Lambda).
const EVENT_BYTES: usize = 6 * 1024 * 1024;
/// How long the gateway waits for a function (AWS quota).
const PATIENCE: Duration = Duration::from_secs(29);

/// A deployed stack, as far as HTTP can tell.
#[derive(Debug)]
pub struct LambdaGateway {
    template: Arc<Template>,
    functions: Functions,
    policies: Policies,
    /// The functions that were invoked, in their order.
    invoked: Mutex<Vec<String>>,
    /// The host that clients know it by.
    domain: String,
}

#[derive(Debug)]
enum Functions {
    Here(Box<Here>),
    Apart(Box<Sandboxes>),
}

/// Functions in this process; each request meets a new instance.
#[derive(Debug)]
struct Here {
    authorize: Authorize,
    environment: Environment,
    aws: Aws,
}

impl LambdaGateway {
    /// The functions on top of `aws`, with the settings of a feed on one machine.
    #[must_use]
    pub fn new(aws: &Aws) -> Self {
        let name = "nuthatch".to_owned();
        let settings = [("NUTHATCH_TABLE", name.clone()), ("NUTHATCH_BUCKET", name)];
        Self::with(aws, settings.into())
    }

    /// The functions on top of `aws`, with these settings.
    #[must_use]
    pub fn with(aws: &Aws, settings: HashMap<&'static str, String>) -> Self {
        let environment = Environment::new(move |name| settings.get(name).cloned());
        let context = Context::new(environment.clone(), Hosting::default(), aws.clone());
        let authorize = Authorize::new(&context).unwrap();
        let here = Here { authorize, environment, aws: aws.clone() };
        Self::before(Functions::Here(Box::new(here)), DOMAIN)
    }

    /// The binaries, which run in processes of their own.
    #[must_use]
    pub fn before_sandboxes(sandboxes: Sandboxes) -> Self {
        Self::before(Functions::Apart(Box::new(sandboxes)), DOMAIN)
    }

    fn before(functions: Functions, domain: &str) -> Self {
        let template = Template::of_this_feed().unwrap();
        let (policies, invoked) = (Policies::default(), Mutex::default());
        Self { template, functions, policies, invoked, domain: domain.to_owned() }
    }

    /// The same, known by this host.
    #[must_use]
    pub fn at(self, domain: &str) -> Self {
        Self { domain: domain.to_owned(), ..self }
    }

    /// The functions that were invoked since this was last asked, in their order.
    #[must_use]
    pub fn invoked(&self) -> Vec<String> {
        std::mem::take(&mut self.invoked.lock().unwrap())
    }

    fn note(&self, function: &str) {
        self.invoked.lock().unwrap().push(function.to_owned());
    }

    /// Answers a request.
    pub async fn answer(
        &self,
        method: Method,
        path_and_query: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Answer {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let Some((route, parameters)) = TemplateRoute::find(&method, path) else {
            return self.own("MISSING_AUTHENTICATION_TOKEN").await;
        };
        if body.len() > BODY_BYTES {
            return self.own("REQUEST_TOO_LARGE").await;
        }
        let headers = headers::to_function(&headers);
        let method_arn = format!("{API_ARN}/{method}{path}");
        let context = match self.authorize(route, &method_arn, &headers).await {
            Ok(context) => context,
            Err(response) => return self.own(response).await,
        };
        let encoded = BASE64_STANDARD.encode(&body);
        let request = (path, query, self.domain.as_str());
        let event = event(route, request, &headers, &parameters.0, &context, &encoded);
        if event.to_string().len() > EVENT_BYTES {
            return self.own("REQUEST_TOO_LARGE").await;
        }
        self.note(&route.function);
        let answer = match &self.functions {
            Functions::Here(here) => here.answer(&route.function, &event).await,
            Functions::Apart(sandboxes) => {
                let invoked = sandboxes.invoke(&route.function, &event);
                match tokio::time::timeout(PATIENCE, invoked).await {
                    Err(_) => return self.own("INTEGRATION_TIMEOUT").await,
                    Ok(Err(error)) => {
                        println!("{} {path}: {error:?}", route.method);
                        return self.own("DEFAULT_5XX").await;
                    }
                    Ok(Ok(answer)) if answer.to_string().len() > EVENT_BYTES => {
                        return self.own("DEFAULT_5XX").await;
                    }
                    Ok(Ok(answer)) => proxied(&answer),
                }
            }
        };
        Answer { headers: headers::to_client(&answer.headers), ..answer }
    }

    /// An answer of the gateway itself.
    async fn own(&self, occasion: &str) -> Answer {
        let (parts, body) = self.template.respond(occasion).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The context of the caller, or the gateway's own answer.
    async fn authorize(
        &self,
        route: &TemplateRoute,
        method_arn: &str,
        headers: &HeaderMap,
    ) -> Result<Value, &'static str> {
        let name = match route.authorizer.as_deref() {
            None => return Ok(Value::Null),
            Some(TemplateRoute::BY_READ_ACCESS) => self.functions.read_access(),
            Some(name) => name.to_owned(),
        };
        let authorizer = Authorizer::named(&name);
        let identity = authorizer.identity(headers).ok_or("UNAUTHORIZED")?;
        let remembered = self.policies.get(authorizer, &identity);
        let policy = if let Some(policy) = remembered {
            policy
        } else {
            let policy = self.policy(route, method_arn, headers).await?;
            self.policies.remember(authorizer, identity, &policy);
            policy
        };
        if allows(&policy, method_arn) {
            Ok(policy["context"].clone())
        } else {
            Err("ACCESS_DENIED")
        }
    }

    /// The policy that the authorizer's function answers.
    async fn policy(
        &self,
        route: &TemplateRoute,
        method_arn: &str,
        headers: &HeaderMap,
    ) -> Result<Value, &'static str> {
        let event = json!({
            "type": "REQUEST",
            "methodArn": method_arn,
            "httpMethod": route.method,
            "resource": route.path,
            "headers": single(headers),
        });
        // Only this exact error makes the gateway answer 401.
        let refused = |error: &str| match error {
            "Unauthorized" => "UNAUTHORIZED",
            _ => "AUTHORIZER_FAILURE",
        };
        self.note("authorize");
        match &self.functions {
            Functions::Here(here) => {
                let event = serde_json::from_value(event).unwrap();
                let policy = here.authorize.handle(event).await;
                let policy = policy.map(|policy| serde_json::to_value(policy).unwrap());
                policy.map_err(|error| refused(&error.to_string()))
            }
            Functions::Apart(sandboxes) => {
                let policy = sandboxes.invoke("authorize", &event).await;
                policy.map_err(|error| refused(error.0["errorMessage"].as_str().unwrap_or("")))
            }
        }
    }
}

impl Functions {
    /// The value of the parameter `ReadAccess`.
    fn read_access(&self) -> String {
        let setting = match self {
            Self::Here(here) => here.environment.optional("NUTHATCH_READ_ACCESS").unwrap(),
            Self::Apart(sandboxes) => sandboxes.setting("NUTHATCH_READ_ACCESS"),
        };
        setting.unwrap_or_else(|| "keys".to_owned())
    }
}

impl Here {
    async fn answer(&self, function: &str, event: &Value) -> Answer {
        let context = Context::new(self.environment.clone(), Hosting::default(), self.aws.clone());
        let verb = verb(function, &context);
        let event = lambda_http::request::from_str(&event.to_string()).unwrap();
        let answer = lambda::answer(verb.name, event, |request| verb.handle(request)).await;
        let (parts, body) = answer.unwrap().into_response().await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

/// The verb of this name, made from `context`.
#[must_use]
pub fn verb(name: &str, context: &Context) -> AnyVerb {
    registry::verb(name, context).unwrap().unwrap()
}

/// The answer that a function's output stands for.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>
fn proxied(output: &Value) -> Answer {
    let mut headers = HeaderMap::new();
    for (name, values) in output["multiValueHeaders"].as_object().unwrap() {
        for value in values.as_array().unwrap() {
            let name: http::HeaderName = name.parse().unwrap();
            headers.append(name, value.as_str().unwrap().parse().unwrap());
        }
    }
    let body = output["body"].as_str().unwrap_or_default();
    let body = match output["isBase64Encoded"].as_bool() {
        Some(true) => BASE64_STANDARD.decode(body).unwrap().into(),
        _ => Bytes::copy_from_slice(body.as_bytes()),
    };
    let status = u16::try_from(output["statusCode"].as_u64().unwrap()).unwrap();
    Answer { status: status.try_into().unwrap(), headers, body }
}

/// The gateway's changes to headers. It drops the headers of the client's connection, and
/// headers that only the gateway itself may set.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html>
mod headers {
    use http::{HeaderMap, HeaderName};

    const DROPPED: [&str; 8] = [
        "connection",
        "expect",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-md5",
    ];
    const RENAMED: [&str; 6] =
        ["connection", "content-length", "content-md5", "date", "server", "www-authenticate"];

    pub(super) fn to_function(headers: &HeaderMap) -> HeaderMap {
        let kept = headers.iter().filter(|(name, _)| !DROPPED.contains(&name.as_str()));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    pub(super) fn to_client(headers: &HeaderMap) -> HeaderMap {
        let renamed = headers.iter().map(|(name, value)| {
            let name = if RENAMED.contains(&name.as_str()) {
                format!("x-amzn-remapped-{name}").parse::<HeaderName>().unwrap()
            } else {
                name.clone()
            };
            (name, value.clone())
        });
        let mut headers = HeaderMap::new();
        for (name, value) in renamed {
            headers.append(name, value);
        }
        headers
    }
}

fn single(headers: &HeaderMap) -> HashMap<String, String> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// The event of a request.
fn event(
    route: &TemplateRoute,
    (path, query, domain): (&str, &str, &str),
    headers: &HeaderMap,
    parameters: &HashMap<String, String>,
    authorizer: &Value,
    body: &str,
) -> Value {
    let headers = single(headers);
    let many = |one: &HashMap<String, String>| -> HashMap<String, Vec<String>> {
        one.iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect()
    };
    let queries: HashMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace('+', " ")))
        .collect();
    let parameters = json!(parameters);
    let mut event = rest_event(&route.method, &route.path, path, &parameters, authorizer);
    event["requestContext"]["domainName"] = json!(domain);
    event["multiValueHeaders"] = json!(many(&headers));
    event["headers"] = json!(headers);
    event["multiValueQueryStringParameters"] = json!(many(&queries));
    event["queryStringParameters"] = json!(queries);
    event["body"] = json!(body);
    event["isBase64Encoded"] = json!(true);
    event
}

/// A REST API's event, as the gateway documents it: without a query and a body.
#[must_use]
pub fn rest_event(
    method: &str,
    resource: &str,
    path: &str,
    parameters: &Value,
    authorizer: &Value,
) -> Value {
    let domain = DOMAIN;
    json!({
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": { "Host": domain },
        "multiValueHeaders": { "Host": [domain] },
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": parameters,
        "stageVariables": null,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "x",
            "stage": "feed",
            "domainName": domain,
            "httpMethod": method,
            "resourcePath": resource,
            "path": format!("/feed{path}"),
            "requestId": "r",
            "identity": { "sourceIp": "192.0.2.1" },
            "authorizer": authorizer
        },
        "body": null,
        "isBase64Encoded": false
    })
}

/// The stage, as policies name it.
const API_ARN: &str = "arn:aws:execute-api:eu-west-1:123456789012:x/feed";
/// The stack's own domain.
const DOMAIN: &str = "x.execute-api.eu-west-1.amazonaws.com";
/// The stack's own address, which its links begin with.
pub const ADDRESS: &str = "https://x.execute-api.eu-west-1.amazonaws.com/feed";
