//! `nuthatch login` and `nuthatch logout`: a person's own keys, which live hours, in the key
//! store of the system. The plugin of NuGet uses them.
//!
//! A feed says at which issuer its people sign in, and as which client. The person confirms the
//! feed once, and both are pinned then: a feed that names others later is not followed. A token
//! is good at every feed of its client, so no two feeds may share one.

mod device;
mod kept;
mod pins;

use std::io::{self, BufRead, Write};

use http::StatusCode;
use protocol::{BaseUrl, one_line, paths};
use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use trust::{IssuerUrl, Plain, TrustName};

use crate::client::{ClientError, http_client, safe_address, small_answer};
use crate::command::{LoginOptions, LogoutOptions};
use crate::identity::{self, Exchanged, IdentityError, Proof};

pub use device::DeviceError;
pub(crate) use device::Prompt;
use device::{Device, Tokens};
pub(crate) use kept::Kept;
use kept::KeyStore;
pub use kept::KeyStoreError;
pub use pins::PinError;
use pins::{Pin, Pins, Way};

/// A person cannot be signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The feed cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The address is not that of a feed.
    #[error(
        "this is not the address of a feed; write it like https://FEED or https://FEED/v3/index.json"
    )]
    NotAFeed,
    /// The feed has no sign-in.
    #[error("{feed} has no sign-in ({said})")]
    NoSignIn {
        /// The feed.
        feed: String,
        /// Its words, or its status.
        said: String,
    },
    /// Another feed has the client.
    #[error(
        "'{other}' has the client '{client_id}' already, and each feed needs one of its own: whoever runs a feed can use its people's tokens at the others; if it is the same feed under another address, run 'nuthatch logout {other}' first"
    )]
    SharedClient {
        /// The other feed.
        other: String,
        /// The client.
        client_id: Plain,
    },
    /// The feed admits other people.
    #[error("you are signed in, but {feed} gives you no key; ask its owner for access ({said})")]
    NotAdmitted {
        /// The feed.
        feed: String,
        /// Its words.
        said: String,
    },
    /// The person did not confirm the feed.
    #[error("not confirmed, so nothing was done")]
    NotConfirmed,
    /// No sign-in to the feed is confirmed.
    #[error(
        "no sign-in to {0} is confirmed; run 'nuthatch login {0}' if it is your company's feed"
    )]
    NotSignedIn(String),
    /// A person has to sign in, and nobody may be asked now.
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
    client_id: Plain,
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
    let _lock = pins::lock()?;
    let mut pins = Pins::read()?;
    if let Some((other, client_id)) = pins.same_client(&feed, &pin) {
        return Err(SignInError::SharedClient { other, client_id });
    }
    if pins.of(&feed) != Some(&pin) {
        if !options.yes {
            confirm(&feed, &pin)?;
        }
        // The token of one issuer is not for another.
        KeyStore::of_environment().remove(&feed)?;
    }
    pins.set(feed.clone(), pin)?;
    let kept = renew(&feed, &Prompt::Terminal).await?;
    writeln!(io::stderr(), "Signed in to {feed} until {} (UTC).", kept.ends())?;
    Ok(())
}

/// Forgets a person's key and the confirmed sign-in.
///
/// # Errors
/// They cannot be removed.
pub fn logout(options: &LogoutOptions) -> Result<(), SignInError> {
    let feed = feed_of(&options.feed, true)?;
    let _lock = pins::lock()?;
    KeyStore::of_environment().remove(&feed)?;
    if !Pins::read()?.remove(&feed)? {
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
    let is_plain = url.query().is_none() && url.fragment().is_none();
    let names_nobody = url.username().is_empty() && url.password().is_none();
    let is_feed = is_plain && names_nobody && !feed.ends_with("/index.json");
    is_feed.then(|| feed.to_owned()).ok_or(SignInError::NotAFeed)
}

/// How people sign in to a feed. One request.
pub(crate) async fn offer(feed: &str) -> Result<Offer, SignInError> {
    let address = format!("{feed}{}", paths::TOKEN);
    let answered = small_answer(http_client()?.get(&address)).await;
    let (status, body) = answered.map_err(|source| ClientError::Unreachable { address, source })?;
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
    writeln!(stderr, "You sign in to {feed} {}.", one_line(&pin.way.to_string()))?;
    writeln!(
        stderr,
        "Whoever runs it learns your name, and can use this sign-in at that client's other feeds."
    )?;
    write!(stderr, "Is {feed} your company's feed? [y/N] ")?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    let is_confirmed = ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str());
    if is_confirmed { Ok(()) } else { Err(SignInError::NotConfirmed) }
}

/// A key that is good for a minute at least, and whether it is a new one. `refused` is a key that
/// the feed does not take any more.
///
/// # Errors
/// No sign-in is confirmed, or a person would have to be asked and `prompt` asks nobody.
pub(crate) async fn key(
    feed: &str,
    refused: Option<&str>,
    prompt: &Prompt,
) -> Result<(Kept, bool), SignInError> {
    if Pins::read()?.of(feed).is_none() {
        return Err(SignInError::NotSignedIn(feed.to_owned()));
    }
    let kept = || KeyStore::of_environment().get(feed).map(|kept| usable(kept, refused));
    if let Some(kept) = kept()? {
        return Ok((kept, false));
    }
    let _lock = tokio::task::spawn_blocking(pins::lock).await.map_err(io::Error::other)??;
    // Another process may have been faster.
    match kept()? {
        Some(kept) => Ok((kept, false)),
        None => Ok((renew(feed, prompt).await?, true)),
    }
}

fn usable(kept: Option<Kept>, refused: Option<&str>) -> Option<Kept> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    kept.filter(|kept| refused != Some(kept.key.as_str()) && kept.expires > now + 60)
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
            let device = Device::at(issuer, client_id.as_str()).await?;
            let kept = store.get(feed)?;
            let refresh = kept.as_ref().and_then(|kept| kept.refresh.clone());
            let tokens = tokens(&device, refresh, feed, prompt).await?;
            if let Some(kept) = kept {
                // The issuer may take the old token no more, whatever the feed does now.
                store.set(feed, &Kept { refresh: tokens.refresh_token.clone(), ..kept })?;
            }
            (trust, tokens.id_token, tokens.refresh_token)
        }
    };
    let base = BaseUrl(feed.to_owned());
    let exchanged = identity::exchange(&base, trust, &proof).await;
    let Exchanged { key, expires } = exchanged.map_err(|error| match error {
        IdentityError::Refused { status: StatusCode::UNAUTHORIZED, said } => {
            SignInError::NotAdmitted { feed: feed.to_owned(), said }
        }
        error => error.into(),
    })?;
    let expires = OffsetDateTime::parse(&expires, &Rfc3339);
    let expires = expires.map_or(0, OffsetDateTime::unix_timestamp);
    let kept = Kept { key: key.reveal().to_owned(), expires, refresh };
    store.set(feed, &kept)?;
    Ok(kept)
}

async fn tokens(
    device: &Device<'_>,
    refresh: Option<String>,
    feed: &str,
    prompt: &Prompt,
) -> Result<Tokens, SignInError> {
    if let Some(refresh) = refresh
        && let Some(tokens) = device.refresh(&refresh).await?
    {
        return Ok(tokens);
    }
    match prompt {
        Prompt::Nobody => Err(SignInError::Ended(feed.to_owned())),
        prompt => Ok(device.sign_in(feed, prompt).await?),
    }
}
