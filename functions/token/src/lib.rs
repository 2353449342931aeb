//! POST of an identity token: a workload that the feed trusts gets a key that lives minutes.
//! The request and the answer are those that `NuGet/login` (v1) sends and reads.
//!
//! | | check, in this order | answer |
//! |---|---|---|
//! | 1 | the content type | 415 |
//! | 2 | the body | 400 |
//! | 3 | one bearer token | 401 |
//! | 4 | the token's form | 401 |
//! | 5 | its issuer is one that an owner named | 401 |
//! | 6 | it is for this feed alone | 401 |
//! | 7 | it is valid now | 401 |
//! | 8 | its issuer signed it | 401; 503 while the issuer's keys are not known |
//! | 9 | the trust is for this workload, by ids that never change | 401, and always the same words |
//! | 10 | its other details | 401, with what the trust wants |
//! | 11 | it was not exchanged before, and the trust is still the same | 401 |
//!
//! Only the last check spends the token: a trust can be mended, and the token tried again.
//!
//! Two AWS calls. If the keys of the issuer are to be fetched, two more and a request to it.
//!
//! A GET tells how people sign in, who then exchange their own token.
//!
//! In place of a token, a workload on AWS can send a presigned request to STS: there the name
//! of the feed is among the signed headers (6), and AWS checks the signature (8), which takes
//! a request to STS.

mod asked;
mod error;
mod keys;
mod presigned;

use access::ApiKey;
use feed::{Context, Verb};
use http::Method;
use http::header::{CACHE_CONTROL, HeaderValue};
use issuers::IssuerClient;
use protocol::{Access, BaseUrl, ConfigError, Peer, Refusal, Reply, Request, Route, paths};
use serde::Serialize;
use store::{Exchange, Exchanged, QuotaIndex, Table};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use trust::{
    Denial, GrantScope, IdentityToken, NotTrusted, PresignedIdentity, TokenId, Trust, TrustName,
    Workload,
};

use asked::Asked;
pub use error::ExchangeError;
use keys::IssuerKeys;

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Token {
    /// The table of trusts and keys.
    pub table: Table,
    /// The client that fetches the keys of issuers.
    pub issuers: IssuerClient,
    /// The audience that tokens must be for: the address of the feed, if none is set.
    pub audience: Option<BaseUrl>,
}

/// The setting that names the audience.
pub const AUDIENCE: &str = "NUTHATCH_AUDIENCE";

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Granted<'a> {
    token_type: &'static str,
    api_key: &'a str,
    /// When it expires, RFC 3339.
    expires: String,
    /// The name of the key.
    name: &'a str,
    scopes: &'a [GrantScope],
    ids: Vec<&'a str>,
}

/// How people sign in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SignIn<'a> {
    trust: &'a str,
    issuer: &'a str,
    client_id: &'a str,
}

impl Verb for Token {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[
        Route::post(paths::TOKEN, Access::Open),
        // For a person's own command, which has no key yet.
        Route::read(paths::TOKEN, Access::Open),
    ];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        let hosting = &context.hosting;
        let issuers = match &hosting.issuer_authorities {
            None => IssuerClient::default(),
            Some(file) => IssuerClient::trusting(file).map_err(|error| ConfigError::Invalid {
                name: "--issuer-authorities",
                value: file.display().to_string(),
                reason: error.to_string(),
            })?,
        };
        Ok(Self {
            table: context.table()?,
            issuers: issuers.with_sts_at(hosting.sts),
            audience: context.environment.optional(AUDIENCE)?,
        })
    }

    async fn handle(&self, request: Request) -> Reply {
        let answered = match *request.method() {
            Method::POST => self.exchange(request).await,
            _ => self.sign_in().await,
        };
        match answered {
            Ok(reply) => reply,
            Err(error) => {
                // An alarm listens for the check that finds a token exchanged before.
                let hidden = error.hidden().map(tracing::field::display);
                tracing::info!(check = error.check(), hidden, "no key: {error}");
                error.into_reply()
            }
        }
    }
}

impl Token {
    /// Tells how people sign in: by which trust, at which issuer, and as which client there.
    async fn sign_in(&self) -> Result<Reply, ExchangeError> {
        let trust = self.table.sign_in().await?.ok_or(ExchangeError::NoSignIn)?;
        let Workload::People(people) = &trust.workload else {
            return Err(ExchangeError::NoSignIn);
        };
        let mut reply = protocol::json(&SignIn {
            trust: trust.name.as_str(),
            issuer: trust.iss.as_str(),
            client_id: people.client_id.as_str(),
        });
        reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(reply)
    }

    async fn exchange(&self, request: Request) -> Result<Reply, ExchangeError> {
        let base_url = BaseUrl::of(&request).to_owned();
        if BaseUrl(base_url.clone()).is_in_the_open() {
            return Err(ExchangeError::NotEncrypted);
        }
        let address = Peer::of(&request).map(|peer| peer.0.to_string());
        let asked = Asked::read(request).await?;
        let now = OffsetDateTime::now_utc();
        let audience = self.audience.as_ref().map_or(base_url.as_str(), |audience| &audience.0);
        let judged = self.judge(&asked.trust, &asked.token, Some(audience), now).await?;
        let key = ApiKey::generate().map_err(|error| Refusal::Broken(error.into()))?;
        let Judged { token, remembered_until, trust, run, quotas } = judged;
        let exchange = Exchange {
            trust: &trust,
            token,
            remembered_until,
            hash: key.hash(),
            run,
            address,
            now,
            quotas: &quotas,
        };
        let record = match self.table.exchange(&exchange).await? {
            Exchanged::Done(record) => record,
            Exchanged::Replayed => return Err(Denial::Replayed.into()),
            Exchanged::TrustChanged => {
                return Err(Trust::denied(&trust.name, NotTrusted::Changed).into());
            }
        };
        let run = serde_json::to_string(&exchange.run).unwrap_or_default();
        tracing::info!(
            trust = trust.name.as_str(),
            issuer = trust.iss.as_str(),
            key = record.name.as_str(),
            run,
            "a key for '{}'",
            trust.name
        );
        let expires = OffsetDateTime::from_unix_timestamp(record.expires.unwrap_or_default());
        let expires = expires.ok().and_then(|expires| expires.format(&Rfc3339).ok());
        let mut reply = protocol::json(&Granted {
            token_type: "ApiKey",
            api_key: key.reveal(),
            expires: expires.unwrap_or_default(),
            name: record.name.as_str(),
            scopes: trust.grant.scopes(),
            ids: trust.grant.ids().iter().map(access::IdGlob::as_str).collect(),
        });
        reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(reply)
    }

    /// Makes the checks of a token that do not spend it, for the trust called `name`.
    /// `audience` is the feed's own; none is checked where it is not known and the trust has
    /// none.
    ///
    /// # Errors
    /// A check fails, or the table does not answer.
    pub async fn judge(
        &self,
        name: &TrustName,
        token: &str,
        audience: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Judged, ExchangeError> {
        if let Some(presigned) = PresignedIdentity::read(token) {
            let presigned = presigned.map_err(Denial::Presigned)?;
            return self.judge_presigned(name, &presigned, audience, now).await;
        }
        let token: IdentityToken = token.parse().map_err(Denial::Unreadable)?;
        let unknown = || Denial::UnknownIssuer(trust::printable(&token.iss));
        let iss = token.issuer().ok_or_else(unknown)?;
        let rows = self.table.trust_rows(name, &iss).await?;
        let issuer = rows.issuer.ok_or_else(unknown)?;
        let own = rows.trust.as_ref().filter(|trust| trust.is_for_tokens_of(&iss));
        let own = own.and_then(|trust| trust.audience.as_deref());
        if let Some(audience) = own.or(audience) {
            token.check_audience(audience)?;
        }
        token.check_time(now.unix_timestamp())?;
        let keys = IssuerKeys { table: &self.table, client: &self.issuers };
        let keys = keys.of(&issuer, rows.keys, &token.kid).await?;
        token.check_signature(token.key_in(&keys)?, &issuer.algorithms)?;
        let (trust, run) = Trust::admit(rows.trust, name, &iss, &token.claims)?;
        let remembered_until = token.remembered_until();
        Ok(Judged { token: token.id(), remembered_until, trust, run, quotas: rows.quotas })
    }
}

/// A token that a trust admits.
#[derive(Debug)]
pub struct Judged {
    /// The token's id.
    pub token: TokenId,
    /// How long the token is to be remembered, in seconds since 1970.
    pub remembered_until: i64,
    /// The trust.
    pub trust: Trust,
    /// The run that the token is for.
    pub run: trust::Run,
    /// The quotas of packages.
    pub quotas: QuotaIndex,
}
