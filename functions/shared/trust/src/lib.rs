//! Trust in workloads: which identity tokens the feed exchanges for a key, and for which key.
//! No I/O, and no clock: callers say what time it is.
//!
//! An [`IdentityToken`] is read strictly (by `parse`), its signature is checked
//! with a [`PublicKey`] of its [`Issuer`], and a [`Trust`] admits the run that it is for.

mod claims;
mod denial;
mod glob;
mod grant;
mod issuer;
mod json;
mod keys;
mod names;
mod presigned;
mod token;
mod trust;
mod workload;

pub use claims::{Claims, Run, printable};
pub use denial::{Denial, NotTrusted};
pub use glob::{RefGlob, RefGlobError};
pub use grant::{Grant, GrantError, GrantScope, KeyLifetime};
pub use issuer::{
    DiscoveryError, Issuer, IssuerUrl, IssuerUrlError, KeySource, SecureUrl, jwks_uri,
};
pub use keys::{Algorithm, AlgorithmError, KeySet, KeySetError, Plan, PublicKey, public_keys};
pub use names::{TrustName, TrustNameError};
pub use presigned::{FEED_HEADER, PresignedError, PresignedIdentity};
pub use token::{IdentityToken, TokenError, TokenId};
pub use trust::Trust;
pub use workload::{
    AccountId, ArnOfRole, AwsPrincipal, AwsRole, Buildkite, BuiltRef, CircleCi, ClaimValue,
    EntraApp, Event, File, GitHub, GitLab, Mismatch, NumericId, Oidc, OidcError, People, Plain,
    PrincipalId, ReusableWorkflow, TextError, Uuid, WorkflowFile, Workload,
};
