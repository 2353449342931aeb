//! `nuthatch token`: finds the identity token of a CI job, and exchanges it for a key.

use std::env;
use std::io::{self, Write};
use std::process::Stdio;

use access::ApiKey;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use protocol::{BaseUrl, paths, with_causes};
use serde_json::{Value, json};
use tokio::process::Command;
use trust::{PresignedIdentity, TrustName};

use crate::client::{ClientError, http_client, safe_address, small_answer};
use crate::command::{Target, TokenOptions};
use crate::place::aws_config;
use crate::push::{PushError, source};
use crate::query;

/// No key was got.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// nuget.config does not say which feed.
    #[error(transparent)]
    Source(#[from] PushError),
    /// The feed cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The source is not a service index, so the address of the feed is not known.
    #[error("'{0}' does not end with /v3/index.json; name the feed's address with --audience")]
    NoAudience(String),
    /// There is no token.
    #[error(
        "this is no job of GitHub Actions, Buildkite, CircleCI or CodeBuild, and NUTHATCH_ID_TOKEN is not set; in GitHub, give the job 'permissions: id-token: write'; in GitLab, have id_tokens set NUTHATCH_ID_TOKEN with aud: {0}"
    )]
    NoToken(String),
    /// The platform gives none.
    #[error("{platform} gave no identity token: {reason}")]
    Platform {
        /// The platform.
        platform: &'static str,
        /// Why not.
        reason: String,
    },
    /// A request to AWS cannot be signed.
    #[error("cannot sign a request to AWS: {0}")]
    Signing(String),
    /// The feed gives no key.
    #[error("the feed gave no key ({status}): {said}")]
    Refused {
        /// The status.
        status: StatusCode,
        /// The feed's words.
        said: String,
    },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// How a workload proves its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By the identity token of the job.
    JobToken,
    /// By a request to STS that it signs with the AWS credentials of the environment.
    AwsSignature,
}

impl Proof {
    /// The signature if the options ask for it.
    #[must_use]
    pub fn of(aws_iam: bool) -> Self {
        if aws_iam { Self::AwsSignature } else { Self::JobToken }
    }
}

/// Prints a key for the trust that the options name.
///
/// # Errors
/// There is no identity token, or the feed does not exchange it.
pub async fn run(options: TokenOptions) -> Result<(), IdentityError> {
    let proof = Proof::of(options.aws_iam);
    let key = key(&options.name, &options.target, options.audience, proof).await?;
    writeln!(io::stdout(), "{key}")?;
    Ok(())
}

/// A key for the trust called `name`, in exchange for a proof of this job's identity.
///
/// # Errors
/// There is no proof, or the feed does not exchange it.
pub async fn key(
    name: &TrustName,
    target: &Target,
    audience: Option<String>,
    proof: Proof,
) -> Result<String, IdentityError> {
    let address = source(target)?.address;
    // As it is sent: the name of a host in lower case, whatever was typed.
    let address = safe_address(&address, target.allow_insecure_connections)?.to_string();
    // By the address that the job's owner wrote, and not by the feed's word: a token for
    // another service would open that one.
    let feed = address.strip_suffix(paths::INDEX).map(str::to_owned);
    let feed = feed.ok_or_else(|| IdentityError::NoAudience(address.clone()))?;
    let token = self::proof(proof, audience.as_deref().unwrap_or(&feed)).await?;
    let Exchanged { key, .. } = exchange(&BaseUrl(feed), name, &token).await?;
    // The runner hides it from the job's log from here on.
    if env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
        writeln!(io::stderr(), "::add-mask::{}", key.reveal())?;
    }
    Ok(key.reveal().to_owned())
}

/// The text that proves the identity to the feed whose tokens are for `audience`.
pub(crate) async fn proof(proof: Proof, audience: &str) -> Result<String, IdentityError> {
    match proof {
        Proof::JobToken => identity_token(audience).await,
        Proof::AwsSignature => presigned(audience).await,
    }
}

/// A key that was given for a proof.
pub(crate) struct Exchanged {
    /// The key.
    pub(crate) key: ApiKey,
    /// When it expires, RFC 3339.
    pub(crate) expires: String,
}

/// Exchanges a proof for a key of the trust called `name`.
pub(crate) async fn exchange(
    feed: &BaseUrl,
    name: &TrustName,
    token: &str,
) -> Result<Exchanged, IdentityError> {
    let address = format!("{}{}", feed.0, paths::TOKEN);
    let unreachable =
        |source: reqwest::Error| ClientError::Unreachable { address: address.clone(), source };
    let body = json!({"username": name.as_str(), "tokenType": "ApiKey"}).to_string();
    let request = http_client()?
        .post(&address)
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(CONTENT_TYPE, "application/json")
        .body(body);
    let (status, body) = small_answer(request).await.map_err(unreachable)?;
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    let member = |name: &str| document.get(name).and_then(Value::as_str);
    // Only a key goes on from here: a feed may be another server, and say anything.
    let key = member("apiKey").and_then(|key| key.parse().ok());
    if let Some(key) = key.filter(|_| status == StatusCode::OK) {
        let expires = member("expires").unwrap_or_default().to_owned();
        return Ok(Exchanged { key, expires });
    }
    let said = member("error").or(member("detail"));
    let said = said.unwrap_or("the answer is not that of a feed; check the source");
    Err(IdentityError::Refused { status, said: protocol::one_line(said) })
}

/// The identity token of this job, for `audience`.
async fn identity_token(audience: &str) -> Result<String, IdentityError> {
    let set = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
    if let Some(token) = set("NUTHATCH_ID_TOKEN") {
        return Ok(token.trim().to_owned());
    }
    let github = set("ACTIONS_ID_TOKEN_REQUEST_URL").zip(set("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
    if let Some((url, bearer)) = github {
        return of_github(&url, &bearer, audience).await;
    }
    if set("BUILDKITE").is_some() {
        let claims = "organization_id,pipeline_id";
        let arguments = ["oidc", "request-token", "--audience", audience, "--claim", claims];
        return of_command("Buildkite", "buildkite-agent", &arguments).await;
    }
    if set("CIRCLECI").is_some() {
        let claims = json!({ "aud": audience }).to_string();
        let arguments = ["run", "oidc", "get", "--claims", &claims];
        return of_command("CircleCI", "circleci", &arguments).await;
    }
    if set("CODEBUILD_BUILD_ID").is_some() {
        let arguments = [
            "sts",
            "get-web-identity-token",
            "--audience",
            audience,
            "--signing-algorithm",
            "ES384",
            "--query",
            "WebIdentityToken",
            "--output",
            "text",
        ];
        return of_command("AWS", "aws", &arguments).await;
    }
    Err(IdentityError::NoToken(audience.to_owned()))
}

/// A presigned request to STS, in the form in which the feed takes it in place of a token.
async fn presigned(audience: &str) -> Result<String, IdentityError> {
    let failed = |reason: String| IdentityError::Signing(reason);
    let url = query::presigned_identity(&aws_config(None).await, audience).await;
    let url = url.map_err(|error| failed(with_causes(error.as_ref())))?;
    Ok(PresignedIdentity::text(&url))
}

/// As `@actions/core` asks for it.
async fn of_github(url: &str, bearer: &str, audience: &str) -> Result<String, IdentityError> {
    let failed = |reason: String| IdentityError::Platform { platform: "GitHub Actions", reason };
    let audience: String = form_urlencoded::byte_serialize(audience.as_bytes()).collect();
    let address = safe_address(&format!("{url}&audience={audience}"), false)?;
    let request = http_client()?.get(address).bearer_auth(bearer);
    let (status, body) = small_answer(request).await.map_err(|error| failed(error.to_string()))?;
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    let token = document.get("value").and_then(Value::as_str);
    token.map(str::to_owned).ok_or_else(|| failed(format!("its answer is {status}")))
}

async fn of_command(
    platform: &'static str,
    program: &str,
    arguments: &[&str],
) -> Result<String, IdentityError> {
    let failed = |reason: String| IdentityError::Platform { platform, reason };
    let ran = Command::new(program).args(arguments).stdin(Stdio::null()).output().await;
    let ran = ran.map_err(|error| failed(format!("cannot run {program}: {error}")))?;
    let token = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
    if ran.status.success() && !token.is_empty() {
        return Ok(token);
    }
    Err(failed(protocol::one_line(String::from_utf8_lossy(&ran.stderr).trim())))
}
