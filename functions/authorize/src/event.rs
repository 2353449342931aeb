//! The event and the answer of an authorizer of the type REQUEST in a REST API.

use std::collections::HashMap;

use access::KeyProblem;
use feed::Context;
use feed::{ReadAccess, SymbolAccess};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use lambda::EventFunction;
use protocol::{Access, Caller, ConfigError};
use serde::{Deserialize, Serialize};

use crate::{Authorize, Decision, Memory};

/// The event that API Gateway sends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    method_arn: String,
    http_method: String,
    /// The route's path, with the names of its variable parts.
    resource: String,
    #[serde(default)]
    headers: Option<HashMap<String, String>>,
}

/// The answer to API Gateway: the sender, and a policy. It is for this request, or for all reads
/// where the gateway remembers it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    principal_id: String,
    #[serde(rename = "policyDocument")]
    document: PolicyDocument,
    context: HashMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct PolicyDocument {
    version: &'static str,
    statement: [Statement; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    action: &'static str,
    effect: &'static str,
    resource: Vec<String>,
}

impl EventFunction for Authorize {
    type Event = Event;
    type Answer = Policy;

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self {
            keys: context.keys()?,
            read_access: context.environment.or_default(ReadAccess::SETTING)?,
            symbol_access: context.environment.or_default(SymbolAccess::SETTING)?,
        })
    }

    /// Answers API Gateway.
    ///
    /// # Errors
    /// The literal `Unauthorized`, which makes API Gateway answer 401; or the
    /// table does not answer.
    async fn handle(&self, event: Event) -> Result<Policy, lambda::Error> {
        let headers = event.headers.unwrap_or_default().into_iter();
        let headers: HeaderMap = headers
            .filter_map(|(name, value)| {
                Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(&value).ok()?))
            })
            .collect();
        let method = event.http_method.parse::<Method>()?;
        let route = registry::route(&method, &event.resource).map(|(_, route, _)| route.access);
        let Some(access) = route.filter(|access| *access != Access::Open) else {
            return Err("asked about a route that needs no key, or of another release".into());
        };
        let (memory, resources) = if access.is_remembered() {
            (Memory::Gateway, reads(&event.method_arn))
        } else {
            (Memory::Keys, vec![event.method_arn])
        };
        match self.decide(access, &headers, memory).await? {
            Decision::Allow(caller) => Ok(Policy::new("Allow", resources, &caller)),
            Decision::Refuse(KeyProblem::Missing) => Err("Unauthorized".into()),
            // Only a denial can carry a message to a client: a function's answer has no
            // reason phrase, and clients print the message of a 401 even if the next try
            // succeeds.
            Decision::Refuse(..) => Ok(Policy::new("Deny", resources, &Caller::Anonymous)),
        }
    }
}

/// All reads in the stage of `method_arn`. The gateway remembers a policy for all routes of the
/// authorizer that it asked, so these are only the routes whose decision is remembered; one that
/// names a single request would refuse all others
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/configure-api-gateway-lambda-authorization-with-console.html>).
#[must_use]
pub fn reads(method_arn: &str) -> Vec<String> {
    // arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH
    let stage: Vec<&str> = method_arn.splitn(3, '/').take(2).collect();
    let stage = stage.join("/");
    [Method::GET, Method::HEAD].map(|method| format!("{stage}/{method}/*")).into()
}

impl Policy {
    fn new(effect: &'static str, resource: Vec<String>, caller: &Caller) -> Self {
        Self {
            principal_id: caller.name().to_owned(),
            document: PolicyDocument {
                version: "2012-10-17",
                statement: [Statement { action: "execute-api:Invoke", effect, resource }],
            },
            context: caller.to_context(),
        }
    }
}
