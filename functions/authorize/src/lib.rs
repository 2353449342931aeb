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

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use feed::{
    ApiKey, Aws, Caller, ConfigError, Environment, KeyRecord, ReadAccess, Scope, Table, TableError,
    TableName,
};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use time::OffsetDateTime;
use tokio::time::Instant;

pub use event::{Event, Policy};

/// How long a key is remembered.
const MEMORY: Duration = Duration::from_mins(1);

/// The authorizer, with all it may touch.
#[derive(Debug)]
pub struct Authorize {
    /// Where keys stand.
    pub table: Table,
    /// Who may read.
    pub read_access: ReadAccess,
    remembered: Mutex<HashMap<String, Remembered>>,
}

/// A key, and when it was looked up.
#[derive(Debug)]
struct Remembered {
    record: KeyRecord,
    /// By a clock that nobody sets.
    ticked: Instant,
    /// By the wall, for that clock stands still while a sandbox is frozen.
    seen: OffsetDateTime,
}

impl Remembered {
    fn is_fresh(&self) -> bool {
        let age = OffsetDateTime::now_utc() - self.seen;
        let by_the_wall = !age.is_negative() && age < MEMORY;
        by_the_wall && self.ticked.elapsed() < MEMORY
    }
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
    /// An authorizer that has seen no key yet.
    #[must_use]
    pub fn new(table: Table, read_access: ReadAccess) -> Self {
        Self { table, read_access, remembered: Mutex::default() }
    }

    /// The authorizer as a function's environment configures it.
    ///
    /// # Errors
    /// A setting is missing or wrong.
    pub fn from_environment(environment: &Environment<'_>, aws: Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb, environment.required(TableName::SETTING)?);
        Ok(Self::new(table, environment.or_default(ReadAccess::SETTING)?))
    }

    /// Decides about a request by its method and headers.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn decide(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Decision, TableError> {
        let scope = scope(method);
        if scope == Scope::Read && self.read_access == ReadAccess::Anonymous {
            return Ok(Decision::Allow(Caller::Anonymous));
        }
        let Some(presented) = presented_key(headers) else { return Ok(Decision::Challenge) };
        match self.judge(&presented, scope).await? {
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

    /// Whom the key stands for, or why it is not good.
    async fn judge(
        &self,
        presented: &str,
        scope: Scope,
    ) -> Result<Result<Caller, &'static str>, TableError> {
        let Ok(key) = presented.parse::<ApiKey>() else { return Ok(Err("it is none")) };
        let Some(record) = self.record(&key).await? else { return Ok(Err("it is unknown")) };
        if !record.is_valid_at(OffsetDateTime::now_utc()) {
            return Ok(Err("it is expired or revoked"));
        }
        if !record.allows(scope) {
            return Ok(Err("it lacks the scope"));
        }
        Ok(Ok(Caller::Key { name: record.name, ids: record.ids }))
    }

    async fn record(&self, key: &ApiKey) -> Result<Option<KeyRecord>, TableError> {
        let hash = key.hash();
        if let Some(record) = self.remembered(hash.as_str()) {
            return Ok(Some(record));
        }
        let record = self.table.key(&hash).await?;
        // Only keys that exist are remembered, so guesses fill no memory, and
        // a key just made works at once.
        if let Some(record) = &record {
            let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            let (ticked, seen) = (Instant::now(), OffsetDateTime::now_utc());
            let entry = Remembered { record: record.clone(), ticked, seen };
            remembered.insert(hash.as_str().to_owned(), entry);
        }
        Ok(record)
    }

    fn remembered(&self, hash: &str) -> Option<KeyRecord> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = remembered.get(hash).filter(|remembered| remembered.is_fresh())?;
        Some(remembered.record.clone())
    }
}

/// What a request needs a key for.
fn scope(method: &Method) -> Scope {
    match *method {
        Method::GET | Method::HEAD => Scope::Read,
        Method::PUT => Scope::Push,
        Method::DELETE | Method::POST => Scope::Unlist,
        _ => Scope::Admin,
    }
}

/// The key that a request carries: in the header of its own, or as the
/// password of Basic credentials whose user name does not matter. An empty one
/// is none: clients without a key send such credentials once they are asked.
fn presented_key(headers: &HeaderMap) -> Option<String> {
    let header = headers.get("x-nuget-apikey");
    let header = header.map(|key| key.to_str().unwrap_or("?").trim().to_owned());
    [header, basic_password(headers)].into_iter().flatten().find(|key| !key.is_empty())
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
