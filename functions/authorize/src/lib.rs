//! The gateway's authorizer: who is asking, and what may they do.
//!
//! Runs before every other function, so that the refusals come from the
//! gateway, which alone can challenge a client for credentials (API Gateway
//! renames a function's `WWW-Authenticate`).
//!
//! | decision | answer | when |
//! |---|---|---|
//! | allow | the verb's | the key is good for this kind of request, or none is needed |
//! | challenge | 401 | there is no key; for reads also when it is not good |
//! | deny | 403 | the key of a write is unknown, expired, revoked or lacks the scope |
//!
//! At most one AWS call: a key once seen is remembered for a minute, so a
//! revoked one stops within that.

mod event;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use feed::{
    Aws, Caller, ConfigError, Door, Environment, ReadAccess, Scope, SessionCookie, Table,
    TableError, TableName,
};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

pub use event::{Event, Policy};

/// The authorizer, with all it may touch.
#[derive(Debug)]
pub struct Authorize {
    /// Who knows the keys.
    pub door: Door,
    /// Who may read.
    pub read_access: ReadAccess,
}

/// What the gateway does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Pass it on, in this caller's name.
    Allow(Caller),
    /// Answer 401 and ask for credentials.
    Challenge,
    /// Answer 403.
    Deny,
}

impl Authorize {
    /// The authorizer as a function's environment configures it.
    ///
    /// # Errors
    /// A setting is missing or wrong.
    pub fn from_environment(environment: &Environment<'_>, aws: Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb, environment.required(TableName::SETTING)?);
        let read_access = environment.or_default(ReadAccess::SETTING)?;
        Ok(Self { door: Door::new(table), read_access })
    }

    /// Decides about a request by its method, its route's path and its headers.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn decide(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Decision, TableError> {
        let scope = scope(method, path);
        if scope == Scope::Read && self.read_access == ReadAccess::Anonymous {
            return Ok(Decision::Allow(Caller::Anonymous));
        }
        let Some(presented) = presented_key(headers, scope) else { return Ok(Decision::Challenge) };
        match self.door.judge(&presented, scope).await? {
            Ok(caller) => Ok(Decision::Allow(caller)),
            Err(reason) => {
                tracing::info!(scope = %scope, "refused a key: {reason}");
                // To a client, 403 on a read is no better than 401, and only
                // 401 makes it ask for other credentials. On a write it would
                // send the whole package once more.
                Ok(if scope == Scope::Read { Decision::Challenge } else { Decision::Deny })
            }
        }
    }
}

/// What a request needs a key for.
fn scope(method: &Method, path: &str) -> Scope {
    /// A push in three steps, of which the middle one is the bucket's.
    const UPLOAD: &str = "/api/v2/upload";
    match *method {
        Method::GET | Method::HEAD => Scope::Read,
        Method::POST if path.starts_with(UPLOAD) => Scope::Push,
        Method::PUT => Scope::Push,
        Method::DELETE | Method::POST => Scope::Unlist,
        _ => Scope::Admin,
    }
}

/// The key that a request carries: in the header of its own, or as the
/// password of Basic credentials whose user name does not matter; for reading
/// also in the cookie of who signed in to the web front, whose pages show icons
/// and link to packages. An empty one is none: clients without a key send such
/// credentials once they are asked.
fn presented_key(headers: &HeaderMap, scope: Scope) -> Option<String> {
    let header = headers.get("x-nuget-apikey");
    let header = header.map(|key| key.to_str().unwrap_or("?").trim().to_owned());
    let cookie = SessionCookie::of(headers).filter(|_| scope == Scope::Read);
    [header, basic_password(headers), cookie].into_iter().flatten().find(|key| !key.is_empty())
}

fn basic_password(headers: &HeaderMap) -> Option<String> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}
