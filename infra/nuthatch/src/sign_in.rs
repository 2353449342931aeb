//! `nuthatch login` and `nuthatch logout`: a person's own keys, which live hours, in the key
//! store of the system. The plugin of NuGet uses them.
//!
//! A feed says at which issuer its people sign in. The person confirms that once, and it is
//! pinned then: a feed that names another issuer later is not followed.

mod device;
mod kept;
mod pins;

use std::io::{self, BufRead, Write};
use std::time::Duration;

use http::StatusCode;
use protocol::{BaseUrl, one_line, paths};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use trust::{IssuerUrl, TrustName};

use crate::client::{ClientError, http_client, safe_address};
use crate::command::{LoginOptions, LogoutOptions};
use crate::identity::{self, Exchanged, IdentityError, Proof};

pub use device::DeviceError;
use device::{Device, Tokens};
pub(crate) use device::{Prompt, Said};
pub(crate) use kept::Kept;
use kept::KeyStore;
pub use kept::KeyStoreError;
pub use pins::PinError;
use pins::{Pin, Pins, Way};

/// The most time that a feed has to say how people sign in. NuGet waits for 30 seconds.
const OFFERED_WITHIN: Duration = Duration::from_secs(10);

/// A person cannot be signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The feed cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The address is not that of a feed.
    #[error(
        "'{0}' is not the address of a feed; write it like https://FEED or https://FEED/v3/index.json"
    )]
    NotAFeed(String),
    /// The feed has no sign-in.
    #[error("{feed} has no sign-in ({said})")]
    NoSignIn {
        /// The feed.
        feed: String,
        /// Its words, or its status.
        said: String,
    },
    /// The person did not confirm the issuer.
    #[error("not confirmed, so nothing was done")]
    NotConfirmed,
    /// Nobody is signed in.
    #[error("nobody is signed in to {0}; run 'nuthatch login {0}'")]
    NotSignedIn(String),
    /// A person has to sign in, and none may be asked now.
    #[error(
        "the sign-in to {0} has ended; run 'nuthatch login {0}', or restore with --interactive"
    )]
    Ended(String),
    /// The issuer gives no token.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The feed gives no key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The pinned sign-ins cannot be read or written.
    #[error(transparent)]
    Pins(#[from] PinError),
    /// The key store cannot be used.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// Input or output fails.
    #[error("cannot read the answer or write the output: {0}")]
    Output(#[from] io::Error),
}

/// How people sign in, as a feed says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Offer {
    trust: TrustName,
    issuer: IssuerUrl,
    client_id: String,
}

/// Signs a person in.
///
/// # Errors
/// They are not signed in.
pub async fn login(options: LoginOptions) -> Result<(), SignInError> {
    let feed = feed_of(&options.feed, options.allow_insecure_connections)?;
    let way = if let Some(trust) = options.trust {
        Way::AwsIam { trust }
    } else {
        let Offer { trust, issuer, client_id } = offer(&feed).await?;
        Way::Device { trust, issuer, client_id }
    };
    let pin = Pin { way, insecure: options.allow_insecure_connections };
    let mut pins = Pins::read()?;
    if pins.of(&feed) != Some(&pin) && !options.yes {
        confirm(&feed, &pin)?;
    }
    pins.set(feed.clone(), pin)?;
    let kept = renew(&feed, &Prompt::Terminal).await?;
    writeln!(io::stderr(), "Signed in to {feed} until {} (UTC).", kept.ends())?;
    Ok(())
}

/// Forgets a person's key and the confirmed issuer.
///
/// # Errors
/// They cannot be removed.
pub fn logout(options: &LogoutOptions) -> Result<(), SignInError> {
    let feed = feed_of(&options.feed, true)?;
    let was_pinned = Pins::read()?.remove(&feed)?;
    KeyStore::of_environment().remove(&feed)?;
    if !was_pinned {
        return Err(SignInError::NotSignedIn(feed));
    }
    writeln!(io::stderr(), "Signed out of {feed}.")?;
    Ok(())
}

/// The address of a feed, as its keys are kept under it: without the path of the service index.
pub(crate) fn feed_of(address: &str, insecure: bool) -> Result<String, SignInError> {
    let url = safe_address(address, insecure)?;
    let text = url.as_str();
    let feed = text.strip_suffix(paths::INDEX).unwrap_or(text).trim_end_matches('/');
    let is_feed =
        url.query().is_none() && url.fragment().is_none() && !feed.ends_with("/index.json");
    is_feed.then(|| feed.to_owned()).ok_or_else(|| SignInError::NotAFeed(one_line(address)))
}

/// How people sign in to a feed. One request.
pub(crate) async fn offer(feed: &str) -> Result<Offer, SignInError> {
    let address = format!("{feed}{}", paths::TOKEN);
    let unreachable = |source: reqwest::Error| ClientError::Unreachable {
        address: address.clone(),
        source: source.without_url(),
    };
    let answer =
        http_client()?.get(&address).timeout(OFFERED_WITHIN).send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(unreachable)?;
    if status == StatusCode::OK
        && let Ok(offer) = serde_json::from_slice(&body)
    {
        return Ok(offer);
    }
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let said = document.get("error").and_then(serde_json::Value::as_str);
    let said = said.map_or_else(|| format!("it answers {status}"), one_line);
    Err(SignInError::NoSignIn { feed: feed.to_owned(), said })
}

fn confirm(feed: &str, pin: &Pin) -> Result<(), SignInError> {
    let mut stderr = io::stderr();
    writeln!(stderr, "{feed} wants you to sign in {}.", one_line(&pin.way.to_string()))?;
    write!(stderr, "Is that your company's? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let is_confirmed = ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
    if is_confirmed { Ok(()) } else { Err(SignInError::NotConfirmed) }
}

/// Whether the person has confirmed a sign-in to the feed.
pub(crate) fn is_pinned(feed: &str) -> Result<bool, SignInError> {
    Ok(Pins::read()?.of(feed).is_some())
}

/// A key that is good for a minute at least, and whether it is a new one.
///
/// # Errors
/// Nobody is signed in, or a person would have to be asked and `prompt` asks nobody.
pub(crate) async fn key(
    feed: &str,
    is_refused: bool,
    prompt: &Prompt,
) -> Result<(Kept, bool), SignInError> {
    let kept = KeyStore::of_environment().get(feed)?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    match kept.filter(|kept| !is_refused && kept.expires > now + 60) {
        Some(kept) => Ok((kept, false)),
        None => Ok((renew(feed, prompt).await?, true)),
    }
}

/// A new key, which is kept from now on: by AWS credentials, by the issuer's word that the
/// person is still signed in, or by asking the person.
async fn renew(feed: &str, prompt: &Prompt) -> Result<Kept, SignInError> {
    let pins = Pins::read()?;
    let pin = pins.of(feed).ok_or_else(|| SignInError::NotSignedIn(feed.to_owned()))?;
    let store = KeyStore::of_environment();
    let (trust, proof, refresh) = match &pin.way {
        Way::AwsIam { trust } => (trust, identity::proof(Proof::AwsSignature, feed).await?, None),
        Way::Device { trust, issuer, client_id } => {
            let device = Device::at(issuer, client_id).await?;
            let refresh = store.get(feed)?.and_then(|kept| kept.refresh);
            let tokens = tokens(&device, refresh, feed, prompt).await?;
            (trust, tokens.id_token, tokens.refresh_token)
        }
    };
    let base = BaseUrl(feed.to_owned());
    let Exchanged { key, expires } = identity::exchange(&base, trust, &proof).await?;
    let expires = OffsetDateTime::parse(&expires, &Rfc3339);
    let expires = expires.map_or(0, OffsetDateTime::unix_timestamp);
    let kept = Kept { key, expires, refresh };
    store.set(feed, &kept)?;
    Ok(kept)
}

async fn tokens(
    device: &Device<'_>,
    refresh: Option<String>,
    feed: &str,
    prompt: &Prompt,
) -> Result<Tokens, SignInError> {
    if let Some(refresh) = refresh {
        match device.refresh(&refresh).await {
            Ok(tokens) => return Ok(tokens),
            Err(error) => tracing::debug!("the issuer renews no token: {error}"),
        }
    }
    match prompt {
        Prompt::Nobody => Err(SignInError::Ended(feed.to_owned())),
        prompt => Ok(device.sign_in(feed, prompt).await?),
    }
}
