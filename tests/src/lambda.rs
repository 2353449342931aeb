//! API Gateway and the functions behind it, in this process: requests become the
//! events that it documents, and answers go back the same way.

use std::collections::HashMap;
use std::sync::Arc;

use authorize::{Authorize, Event};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use feed::{Aws, Environment, Reply, Request, lambda};
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use lambda_http::IntoResponse;
use nuthatch::gateway::{Route, Template, Verb};
use serde_json::{Value, json};

use crate::Answer;

/// What a function's event may have (AWS quota), its body in Base64.
const EVENT_BYTES: usize = 6 * 1024 * 1024;

/// A deployed stack, as far as HTTP can tell.
#[derive(Debug)]
pub struct LambdaGateway {
    template: Arc<Template>,
    authorize: Authorize,
    aws: Aws,
    settings: HashMap<&'static str, String>,
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
        let lookup = |name: &str| settings.get(name).cloned();
        let environment = Environment::new(&lookup);
        Self {
            template: Template::of_this_feed().unwrap(),
            authorize: Authorize::from_environment(&environment, aws.clone()).unwrap(),
            aws: aws.clone(),
            settings,
        }
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
        let Some((route, parameters)) = self.template.routes.find(&method, path) else {
            return self.own("MISSING_AUTHENTICATION_TOKEN").await;
        };
        let encoded = BASE64_STANDARD.encode(&body);
        if encoded.len() > EVENT_BYTES {
            return self.own("REQUEST_TOO_LARGE").await;
        }
        let context = match self.authorize(route, &method, &headers).await {
            Ok(context) => context,
            Err(response) => return self.own(response).await,
        };
        let event = event(route, (path, query), &headers, &parameters.0, &context, &encoded);
        let event = lambda_http::request::from_str(&event.to_string()).unwrap();
        let answer = lambda::answer(event, |request| self.call(route.verb, request)).await;
        let (parts, body) = answer.unwrap().into_response().await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// What the gateway itself answers.
    async fn own(&self, occasion: &str) -> Answer {
        let (parts, body) = self.template.respond(occasion).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn authorize(
        &self,
        route: &Route,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Value, &'static str> {
        if !route.authorized {
            return Ok(Value::Null);
        }
        let event: Event = serde_json::from_value(json!({
            "type": "REQUEST",
            "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:x/feed/GET/x",
            "httpMethod": method.as_str(),
            "resource": route.path,
            "headers": single(headers),
        }))
        .unwrap();
        // Its error is a word that makes the gateway answer 401.
        let policy = self.authorize.handle(event).await.map_err(|_| "UNAUTHORIZED")?;
        let policy = serde_json::to_value(policy).unwrap();
        match policy["policyDocument"]["Statement"][0]["Effect"].as_str() {
            Some("Allow") => Ok(policy["context"].clone()),
            _ => Err("ACCESS_DENIED"),
        }
    }

    async fn call(&self, verb: Verb, request: Request) -> Reply {
        macro_rules! answer {
            ($verb:ty) => {{
                let verb = {
                    let lookup = |name: &str| self.settings.get(name).cloned();
                    let environment = Environment::new(&lookup);
                    <$verb>::from_environment(&environment, self.aws.clone()).unwrap()
                };
                Box::pin(verb.handle(request)).await
            }};
        }
        match verb {
            Verb::Push => answer!(push::Push),
            Verb::Upload => answer!(upload::Upload),
            Verb::Commit => answer!(commit::Commit),
            Verb::Unlist => answer!(unlist::Unlist),
            Verb::Relist => answer!(relist::Relist),
            Verb::Versions => answer!(versions::Versions),
            Verb::Download => answer!(download::Download),
            Verb::Registration => answer!(registration::Registration),
            Verb::Search => answer!(search::Search),
            Verb::Web => answer!(web::Web),
            Verb::Index => index::Index::default().handle(request).await,
        }
    }
}

fn single(headers: &HeaderMap) -> HashMap<String, String> {
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// What a request carries besides its route.
fn event(
    route: &Route,
    (path, query): (&str, &str),
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
    let mut event = rest_event(route.method.as_str(), &route.path, path, &parameters, authorizer);
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
    let domain = "x.execute-api.eu-west-1.amazonaws.com";
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

/// The stack's own address, which its links begin with.
pub(crate) const ADDRESS: &str = "https://x.execute-api.eu-west-1.amazonaws.com/feed";
