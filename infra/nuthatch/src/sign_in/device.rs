//! Signing in at an issuer with a second device: the command shows a code, the person enters
//! it in any browser (RFC 8628).

use std::io::{self, Write};
use std::time::Duration;

use protocol::{one_line, with_causes};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};
use trust::IssuerUrl;

use crate::client::{http_client, small_answer};

/// The most time that a person has, whatever the issuer says.
const LONGEST: Duration = Duration::from_mins(15);

/// The issuer gives no token.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Its configuration does not fit.
    #[error("{issuer} cannot be used to sign in: {reason}")]
    Issuer {
        /// The issuer.
        issuer: String,
        /// Why not.
        reason: String,
    },
    /// It answers something else.
    #[error("the issuer refuses the sign-in: {0}")]
    Refused(String),
    /// It does not answer as it must.
    #[error("the issuer does not answer as it must ({0}); try again")]
    Silent(String),
    /// The person did not come in time.
    #[error("nobody entered the code in time; try again")]
    TooLate,
    /// The words for the person cannot be shown.
    #[error("cannot show the code: {0}")]
    Output(#[from] io::Error),
}

/// How the person is told.
pub(crate) enum Prompt {
    /// By lines in the terminal.
    Terminal,
    /// By a message of the plugin.
    Plugin(Box<dyn Fn(String) + Send + Sync>),
    /// Not at all: nobody may be asked.
    Nobody,
}

/// The endpoints of an issuer, as a client of it sees them.
pub(crate) struct Device<'a> {
    http: reqwest::Client,
    client_id: &'a str,
    codes: String,
    tokens: String,
}

/// The tokens of a person.
pub(crate) struct Tokens {
    pub(crate) id_token: String,
    pub(crate) refresh_token: Option<String>,
}

/// The configuration of an issuer, as far as it is needed.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    device_authorization_endpoint: Option<String>,
    token_endpoint: String,
}

/// A code that a person has to enter.
#[derive(Deserialize)]
struct Code {
    #[serde(rename = "device_code")]
    of_device: String,
    #[serde(rename = "user_code")]
    of_person: String,
    // Google has the draft's name.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    expires_in: u64,
    /// In seconds.
    interval: Option<u64>,
}

/// An answer of a token endpoint.
enum Answer {
    Tokens(Tokens),
    /// The error of this name, with its description.
    Error(String, String),
}

impl<'a> Device<'a> {
    /// The endpoints of `issuer`, according to its configuration.
    pub(crate) async fn at(issuer: &IssuerUrl, client_id: &'a str) -> Result<Self, DeviceError> {
        let wrong = |reason: String| DeviceError::Issuer { issuer: issuer.to_string(), reason };
        let http = http_client().map_err(|error| wrong(error.to_string()))?;
        let answer = small_answer(http.get(issuer.discovery())).await;
        let (status, body) = answer.map_err(|error| wrong(with_causes(&error)))?;
        let read = serde_json::from_slice::<Configuration>(&body);
        let read = read.map_err(|_| wrong(format!("its configuration answers {status}")))?;
        if read.issuer != issuer.as_str() {
            return Err(wrong("its configuration is another issuer's".to_owned()));
        }
        let device_endpoint = read.device_authorization_endpoint;
        let device_endpoint = device_endpoint
            .ok_or_else(|| wrong("it has no sign-in with a second device (RFC 8628)".to_owned()))?;
        let token_endpoint = read.token_endpoint;
        if [&device_endpoint, &token_endpoint].iter().any(|url| !url.starts_with("https://")) {
            return Err(wrong("its endpoints are not at https addresses".to_owned()));
        }
        Ok(Self { http, client_id, codes: device_endpoint, tokens: token_endpoint })
    }

    /// The tokens of a person who enters the code that `prompt` shows.
    pub(crate) async fn sign_in(&self, feed: &str, prompt: &Prompt) -> Result<Tokens, DeviceError> {
        // The last one lets the issuer renew the tokens, where it does so at all.
        // The last scope lets the issuer renew the tokens, where it knows it.
        let mut asked = self.post(&self.codes, &[("scope", "openid email offline_access")]).await?;
        if asked.get("error").and_then(Value::as_str) == Some("invalid_scope") {
            asked = self.post(&self.codes, &[("scope", "openid email")]).await?;
        }
        let code: Code = serde_json::from_value(asked.clone())
            .map_err(|_| DeviceError::Refused(described(&asked)))?;
        prompt.tell(&format!(
            "To sign in to {feed}, open {} and enter {}",
            one_line(&code.verification_uri),
            one_line(&code.of_person)
        ))?;
        let life = Duration::from_secs(code.expires_in).min(LONGEST);
        let waiting = self.wait_for(&code);
        timeout_at(Instant::now() + life, waiting).await.unwrap_or(Err(DeviceError::TooLate))
    }

    async fn wait_for(&self, code: &Code) -> Result<Tokens, DeviceError> {
        // RFC 8628, 3.2 and 3.5.
        let mut pause = Duration::from_secs(code.interval.unwrap_or(5).clamp(1, 60));
        let grant = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", &code.of_device),
        ];
        loop {
            sleep(pause).await;
            match self.token(&grant).await {
                Ok(Answer::Tokens(tokens)) => return Ok(tokens),
                Ok(Answer::Error(error, _)) if error == "authorization_pending" => {}
                Ok(Answer::Error(error, _)) if error == "slow_down" => {
                    pause += Duration::from_secs(5);
                }
                Ok(Answer::Error(error, _)) if error == "expired_token" => {
                    return Err(DeviceError::TooLate);
                }
                Ok(Answer::Error(_, said)) => return Err(DeviceError::Refused(said)),
                // The person may have entered the code already.
                Err(error) => {
                    tracing::debug!("asks the issuer again: {error}");
                    pause = (pause * 2).min(Duration::from_mins(1));
                }
            }
        }
    }

    /// The tokens of a person who is still signed in; `None` if the issuer says that they are
    /// not.
    pub(crate) async fn refresh(&self, refresh: &str) -> Result<Option<Tokens>, DeviceError> {
        let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        match self.token(&grant).await? {
            Answer::Tokens(tokens) => Ok(Some(Tokens {
                // An issuer that names no other goes on to take this one.
                refresh_token: tokens.refresh_token.or_else(|| Some(refresh.to_owned())),
                ..tokens
            })),
            // RFC 6749, 5.2.
            Answer::Error(error, _) if error == "invalid_grant" => Ok(None),
            Answer::Error(_, said) => Err(DeviceError::Refused(said)),
        }
    }

    async fn token(&self, grant: &[(&str, &str)]) -> Result<Answer, DeviceError> {
        let document = self.post(&self.tokens, grant).await?;
        let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(match (text("id_token"), text("error")) {
            (Some(id_token), None) => {
                Answer::Tokens(Tokens { id_token, refresh_token: text("refresh_token") })
            }
            (_, Some(error)) => Answer::Error(error, described(&document)),
            (None, None) => Answer::Error(String::new(), "it gave no identity token".to_owned()),
        })
    }

    async fn post(&self, address: &str, form: &[(&str, &str)]) -> Result<Value, DeviceError> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", self.client_id)
            .extend_pairs(form)
            .finish();
        let request = self.http.post(address).body(form);
        let kind = (http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let (status, body) = small_answer(request.header(kind.0, kind.1))
            .await
            .map_err(|error| DeviceError::Silent(with_causes(&error)))?;
        serde_json::from_slice(&body)
            .map_err(|_| DeviceError::Silent(format!("it answers {status}")))
    }
}

impl Prompt {
    fn tell(&self, words: &str) -> io::Result<()> {
        match self {
            Self::Terminal => writeln!(io::stderr(), "{words}"),
            Self::Plugin(say) => {
                say(words.to_owned());
                Ok(())
            }
            Self::Nobody => Ok(()),
        }
    }
}

/// The words of an issuer's refusal.
fn described(document: &Value) -> String {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    one_line(
        text("error_description").or(text("error")).unwrap_or("its answer is of no known form"),
    )
}
