//! The keys of an issuer: those that the table remembers, and otherwise those that it
//! publishes.

use std::time::Duration;

use issuers::IssuerClient;
use store::{Table, TableError};
use time::OffsetDateTime;
use trust::{Denial, Issuer, IssuerUrl, KeySet, KeySource, Plan, PublicKey, SecureUrl};

use crate::ExchangeError;

/// How often the keys are looked for while somebody else fetches them, and how many times.
const PAUSE: Duration = Duration::from_millis(200);
const LOOKS: usize = 50;

/// The keys of issuers.
pub(crate) struct IssuerKeys<'a> {
    pub(crate) table: &'a Table,
    pub(crate) client: &'a IssuerClient,
}

impl IssuerKeys<'_> {
    /// The keys of `issuer`, among which the one called `kid` is looked for. `known` are those
    /// that the table remembers.
    ///
    /// # Errors
    /// They are not known and cannot be fetched, or the table does not answer.
    pub(crate) async fn of(
        &self,
        issuer: &Issuer,
        known: Option<KeySet>,
        kid: &str,
    ) -> Result<Vec<PublicKey>, ExchangeError> {
        let (jwks_uri, private) = match &issuer.keys {
            KeySource::Given { keys } => return Ok(keys.clone()),
            KeySource::Published { jwks_uri, private } => (jwks_uri, *private),
        };
        let mut known = known.unwrap_or_default();
        for _ in 0..LOOKS {
            match known.plan(kid, now()) {
                Plan::Use => break,
                Plan::Fetch if self.table.begin_fetch(&issuer.iss, now()).await? => {
                    known = self.fetch(&issuer.iss, (jwks_uri, private), known).await;
                    break;
                }
                // Somebody else was faster.
                Plan::Fetch | Plan::Wait => {
                    tokio::time::sleep(PAUSE).await;
                    known = self.known(&issuer.iss).await?;
                }
            }
        }
        if known.is_usable(now()) { Ok(known.keys) } else { Err(Denial::NoKeys.into()) }
    }

    /// The keys that the issuer publishes now; those in `known` if they cannot be read.
    async fn fetch(
        &self,
        iss: &IssuerUrl,
        (jwks_uri, private): (&SecureUrl, bool),
        known: KeySet,
    ) -> KeySet {
        let keys = match self.client.keys(jwks_uri, private).await {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(
                    issuer = iss.as_str(),
                    "cannot fetch the keys of an issuer: {error}"
                );
                return known;
            }
        };
        let fetched = now();
        // Whoever comes next fetches them again.
        if let Err(error) = self.table.store_issuer_keys(iss, &keys, fetched).await {
            tracing::warn!(issuer = iss.as_str(), "cannot store the keys of an issuer: {error}");
        }
        KeySet { keys, fetched, attempted: fetched }
    }

    async fn known(&self, iss: &IssuerUrl) -> Result<KeySet, TableError> {
        Ok(self.table.issuer_keys(iss).await?.unwrap_or_default())
    }
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}
