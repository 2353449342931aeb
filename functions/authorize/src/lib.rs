//! The gateway's authorizer: who is asking, and what may they do.
//!
//! Runs before every other function, so that the refusals come from the
//! gateway, which alone can challenge a client for credentials (API Gateway
//! renames a function's `WWW-Authenticate`).
//!
//! | decision | answer | when |
//! |---|---|---|
//! | allow | the verb's | the key is good for this kind of request, or none is needed |
//! | challenge | 401 | there is no key |
//! | deny | 403 | the key is unknown, expired, revoked or lacks the scope |
//!
//! At most one AWS call: a key once seen is remembered for a minute, so a
//! revoked one stops within that.

mod event;

use feed::{
    Aws, Caller, ConfigError, Door, DoorError, Environment, KeyProblem, ReadAccess, Scope, Table,
    TableError, TableName, presented_key,
};
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
    /// Refuse it, for what is the matter with its key; the scope is the one that is needed.
    Refuse(KeyProblem, Scope),
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
        let Some(presented) = presented_key(headers, scope) else {
            return Ok(Decision::Refuse(KeyProblem::Missing, scope));
        };
        match self.door.judge(&presented, scope).await {
            Ok(caller) => Ok(Decision::Allow(caller)),
            Err(DoorError::Refused(problem)) => {
                tracing::info!(scope = %scope, "refused a key: {problem:?}");
                Ok(Decision::Refuse(problem, scope))
            }
            Err(DoorError::Table(error)) => Err(error),
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
