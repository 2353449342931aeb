//! The gateway's authorizer. It decides who the caller is and whether they may proceed.
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
//! On routes that packages are restored from, the gateway remembers the decision for a minute
//! by the header `Authorization`, which is all that the decision looks at, and the table is
//! asked each time. On all others, this function remembers the key for a minute. So a revoked
//! key stops working within a minute. At most one AWS call.

mod event;

use access::{KeyProblem, Scope, basic_key, presented_key};
use feed::{KeyCache, KeyCacheError, ReadAccess, SymbolAccess};
use http::HeaderMap;
use protocol::{Access, Caller};
use store::TableError;

pub use event::{Event, Policy, reads};

/// The authorizer, with all it may touch.
#[derive(Debug)]
pub struct Authorize {
    /// The known keys.
    pub keys: KeyCache,
    /// The callers that may read.
    pub read_access: ReadAccess,
    /// The callers that get symbols without a key.
    pub symbol_access: SymbolAccess,
}

/// The gateway's next step with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Pass it on, on behalf of this caller.
    Allow(Caller),
    /// Refuse it, for this problem with its key.
    Refuse(KeyProblem),
}

/// Where a decision is remembered, for up to a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Here: the key is.
    Keys,
    /// In the gateway, by the request's `Authorization`.
    Gateway,
}

impl Authorize {
    /// Decides whether to pass on a request with these headers to a route with this
    /// `access`.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn decide(
        &self,
        access: Access,
        headers: &HeaderMap,
        memory: Memory,
    ) -> Result<Decision, TableError> {
        let Some(scope) = access.scope() else { return Ok(Decision::Allow(Caller::Anonymous)) };
        let is_open = scope == Scope::Read && self.read_access == ReadAccess::Anonymous;
        if is_open && access != Access::ReadByKey {
            return Ok(Decision::Allow(Caller::Anonymous));
        }
        let presented = match memory {
            Memory::Keys => presented_key(headers, scope),
            Memory::Gateway => basic_key(headers),
        };
        let Some(presented) = presented else {
            let may_prove =
                access == Access::ReadOrChecksum && self.symbol_access == SymbolAccess::Checksum;
            return Ok(if may_prove {
                Decision::Allow(Caller::Anonymous)
            } else {
                Decision::Refuse(KeyProblem::Missing)
            });
        };
        let judged = match memory {
            Memory::Keys => self.keys.judge(&presented, scope).await,
            Memory::Gateway => self.keys.judge_now(&presented, scope).await,
        };
        match judged {
            Ok(caller) => Ok(Decision::Allow(caller)),
            Err(KeyCacheError::Refused(problem)) => {
                tracing::info!(scope = %scope, "refused a key: {problem:?}");
                Ok(Decision::Refuse(problem))
            }
            Err(KeyCacheError::Table(error)) => Err(error),
        }
    }
}
