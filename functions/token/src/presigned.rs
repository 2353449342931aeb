//! The identity of a workload on AWS, by a request that it presigned.

use issuers::FetchError;
use time::OffsetDateTime;
use trust::{AwsPrincipal, Denial, NotTrusted, PresignedIdentity, Trust, TrustName};

use crate::{ExchangeError, Judged, Token};

impl Token {
    /// Makes the checks of a presigned request, as [`judge`](Self::judge) does of a token.
    pub(crate) async fn judge_presigned(
        &self,
        name: &TrustName,
        identity: &PresignedIdentity,
        audience: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Judged, ExchangeError> {
        let unknown = || Denial::UnknownIssuer(AwsPrincipal::ISSUER.to_owned());
        let iss = AwsPrincipal::ISSUER.parse().map_err(|_| unknown())?;
        let rows = self.table.trust_rows(name, &iss).await?;
        // AWS is asked for nobody on a feed that trusts nobody there.
        rows.issuer.ok_or_else(unknown)?;
        let own = rows.trust.as_ref().filter(|trust| trust.is_for_tokens_of(&iss));
        let own = own.and_then(|trust| trust.audience.as_deref());
        let audience = own.or(audience).ok_or(ExchangeError::NoAudience)?;
        identity.check_time(now.unix_timestamp())?;
        let answer = match self.issuers.caller_identity(identity, audience).await {
            Ok(answer) => answer,
            Err(FetchError::Status { status: 403, .. }) => {
                return Err(Trust::denied(name, NotTrusted::NotConfirmed).into());
            }
            Err(error) => {
                tracing::warn!("cannot ask AWS for an identity: {error}");
                return Err(Denial::AwsSilent.into());
            }
        };
        let claims = PresignedIdentity::claims(&answer).ok_or(Denial::AwsSilent)?;
        let (trust, run) = Trust::admit(rows.trust, name, &iss, &claims)?;
        let remembered_until = identity.remembered_until();
        Ok(Judged { token: identity.id(), remembered_until, trust, run, quotas: rows.quotas })
    }
}
