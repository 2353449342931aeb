//! The gateway: from an HTTP request to a verb, as API Gateway would.

mod budget;
mod template;

use std::sync::Arc;

use access::{KeyProblem, Scope};
use authorize::{Authorize, Decision, Memory};
use compact::Compact;
use feed::{AnyVerb, Context};
use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use lambda::EventFunction;
use meter::Meter;
use protocol::{
    Access, BaseUrl, BoxError, Caller, ConfigError, Observation, Peer, Refusal, Reply, Request,
    RequestedShape, Work, one_line,
};

use budget::Budget;

use crate::metrics::Metrics;
use crate::socket::Service;

pub use template::{GatewayResponse, Template, TemplateError};

/// The gateway cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A setting is missing.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The template that this binary was built with is not valid.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// The gateway with all verbs behind it. Clones share them.
#[derive(Debug, Clone)]
pub struct Gateway {
    template: Arc<Template>,
    verbs: Arc<[AnyVerb]>,
    authorize: Arc<Authorize>,
    compact: Compact,
    meter: Meter,
    base_url: BaseUrl,
    metrics: Metrics,
    budget: Budget,
}

impl Service for Gateway {
    async fn answer(&self, request: Request) -> Reply {
        self.handle(request).await
    }
}

impl Gateway {
    /// The gateway in front of all verbs, reached at `base_url`.
    ///
    /// # Errors
    /// A setting is missing, or the template cannot be read: a fault of the build.
    pub fn new(context: &Context, base_url: BaseUrl) -> Result<Self, GatewayError> {
        Ok(Self {
            template: Template::of_this_feed()?,
            verbs: registry::verbs(context)?.into(),
            authorize: Arc::new(Authorize::new(context)?),
            compact: Compact::new(context)?,
            meter: Meter::new(context)?,
            base_url,
            metrics: Metrics::default(),
            budget: Budget::default(),
        })
    }

    /// Writes the snapshot of the index, as AWS does on a schedule.
    ///
    /// # Errors
    /// The table or the bucket does not answer. The next run tries again.
    pub async fn compact(&self) -> Result<(), BoxError> {
        self.compact.handle(compact::Event {}).await?;
        Ok(())
    }

    /// Writes down the downloads of each day, as AWS does on a schedule.
    ///
    /// # Errors
    /// The table or the bucket does not answer. The next run goes on.
    pub async fn meter(&self) -> Result<(), BoxError> {
        self.meter.handle(meter::Event {}).await?;
        Ok(())
    }

    /// The counts of all answers so far.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers a request, and logs a line about it.
    pub async fn handle(&self, mut request: Request) -> Reply {
        let asked = RequestedShape::of(&request);
        let opened = self.open(&mut request).await;
        let verb = opened.as_ref().map_or("gateway", |(verb, _)| verb.name);
        let observation = Observation::begin(verb, &request);
        let opened = match opened {
            Ok((verb, work)) => self.budget.turn(work, &request).await.map(|turn| (verb, turn)),
            Err(refusal) => Err(refusal),
        };
        let is_open = opened.is_ok();
        let (reply, turn) = match opened {
            Ok((verb, turn)) => (call(verb, request).await, Some(turn)),
            Err(refusal) => {
                let address = Peer::of(&request).map(|peer| peer.0.to_string());
                let line = format!("refused {} {}", request.method(), shown(request.uri().path()));
                match refusal {
                    // Clients ask every address without a key first.
                    Refusal::Key { problem: KeyProblem::Missing, .. } | Refusal::NoSuchAddress => {
                        tracing::debug!(client.address = address, "{line}");
                    }
                    _ => tracing::info!(client.address = address, "{line}"),
                }
                (self.challenge(refusal.into()), None)
            }
        };
        let observed = observation.end(&reply);
        if is_open {
            observed.log();
        }
        self.metrics.count(&observed);
        let reply = asked.shape(reply).await;
        match turn {
            Some(turn) => turn.charge(reply).await,
            None => reply,
        }
    }

    /// The verb for `request`, and the work of its route. Adds the path's parameters, the
    /// caller and the base URL to the request's extensions.
    async fn open(&self, request: &mut Request) -> Result<(AnyVerb, Work), Refusal> {
        let routes =
            self.verbs.iter().flat_map(|verb| verb.routes.iter().map(move |route| (verb, route)));
        let found = protocol::closest(routes, request.method(), request.uri().path());
        let (verb, route, parameters) = found.ok_or(Refusal::NoSuchAddress)?;
        let caller = self.authorize(route.access, request).await?;
        let extensions = request.extensions_mut();
        extensions.insert(parameters);
        extensions.insert(caller);
        extensions.insert(self.base_url.clone());
        Ok((verb.clone(), route.work))
    }

    async fn authorize(&self, access: Access, request: &Request) -> Result<Caller, Refusal> {
        match self.authorize.decide(access, request.headers(), Memory::Keys).await? {
            Decision::Allow(caller) => Ok(caller),
            Decision::Refuse(problem) => {
                let scope = access.scope().unwrap_or(Scope::Read);
                Err(Refusal::Key { problem, scope })
            }
        }
    }

    /// `reply`; if it is a 401, with the challenge from template.yaml.
    fn challenge(&self, mut reply: Reply) -> Reply {
        let challenge = self.template.responses.get("UNAUTHORIZED").and_then(|response| {
            response.headers.iter().find(|(name, _)| name == WWW_AUTHENTICATE)
        });
        if let Some((name, value)) =
            challenge.filter(|_| reply.status() == StatusCode::UNAUTHORIZED)
        {
            let value: &HeaderValue = value;
            reply.headers_mut().insert(name, value.clone());
        }
        reply
    }
}

/// Lets `verb` answer. A panic fails only this request, as it does in the Lambda runtime.
async fn call(verb: AnyVerb, request: Request) -> Reply {
    let answered = tokio::spawn(async move { verb.handle(request).await }).await;
    answered.unwrap_or_else(|panic| Refusal::Broken(panic.into()).into())
}

/// A path as it may be logged: short, printable, and without any API key that it contains.
pub(crate) fn shown(path: &str) -> String {
    const LONGEST: usize = 200;
    const KEY: &str = "nuthatch_";
    let shortened: String = one_line(path).chars().take(LONGEST).collect();
    match shortened.split_once(KEY) {
        Some((before, _)) => format!("{before}{KEY}…"),
        None => shortened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_the_log_is_short_and_shows_no_key() {
        assert_eq!(shown("/v3/index.json"), "/v3/index.json");
        assert_eq!(shown("/api/v2/package/nuthatch_secret/1.0"), "/api/v2/package/nuthatch_…");
        assert_eq!(shown(&"/a".repeat(30_000)).len(), 200);
        assert_eq!(shown("/\u{9b}\u{202e}x"), "/??x");
    }
}
