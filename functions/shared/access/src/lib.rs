//! API keys: their secrets, names, scopes and ids, and how requests carry them.
//!
//! A key is shown once, where it is made. The feed keeps its SHA-256 ([`KeyHash`]) with
//! its name, its scopes and the ids that it is good for ([`KeyRecord`]). A [`Quota`] limits the
//! use of a key, or of ids.

mod authorization;
mod cookie;
mod credentials;
mod keys;
mod quotas;

pub use authorization::{IdGlob, IdGlobError, KeyProblem, Scope, ScopeError, glob_matches};
pub use cookie::SessionCookie;
pub use credentials::{basic_key, presented_key};
pub use keys::{ApiKey, ApiKeyError, KeyHash, KeyName, KeyNameError, KeyRecord, hex};
pub use quotas::{
    Quota, QuotaCount, QuotaLimits, QuotaName, QuotaNameError, QuotaPart, QuotaProblem,
};
