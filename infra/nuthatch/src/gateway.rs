//! The gateway: from an HTTP request to a verb, as API Gateway would.

mod budget;
mod functions;
mod pattern;
mod route;
mod template;

use std::sync::Arc;

use authorize::Decision;
use feed::{
    Asked, BaseUrl, BoxError, Caller, KeyProblem, Observation, Peer, Refusal, Reply, Request,
    one_line,
};
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Method, StatusCode};

use budget::Budget;

use crate::metrics::Metrics;
use crate::socket::Service;

pub use functions::{Functions, Settings, Verb};
pub use route::{Route, Routes};
pub use template::{GatewayResponse, Template, TemplateError};

/// The gateway with all functions behind it. Clones share them.
#[derive(Debug, Clone)]
pub struct Gateway {
    template: Arc<Template>,
    functions: Arc<Functions>,
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
    /// The gateway of template.yaml in front of `functions`, reached at
    /// `base_url`.
    ///
    /// # Errors
    /// The template cannot be read: a fault of the build.
    pub fn new(functions: Functions, base_url: BaseUrl) -> Result<Self, TemplateError> {
        Ok(Self {
            template: Template::of_this_feed()?,
            functions: Arc::new(functions),
            base_url,
            metrics: Metrics::default(),
            budget: Budget::default(),
        })
    }

    /// Does what AWS does on a schedule.
    ///
    /// # Errors
    /// Table or bucket do not answer; the next time finds out.
    pub async fn compact(&self) -> Result<(), BoxError> {
        self.functions.compact.handle(compact::Event {}).await?;
        Ok(())
    }

    /// What was answered so far.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Answers a request, and logs a line about it.
    pub async fn handle(&self, mut request: Request) -> Reply {
        let asked = Asked::of(&request);
        let opened = self.open(&mut request).await;
        let verb = opened.as_ref().map_or("gateway", |verb| verb.name());
        let observation = Observation::begin(verb, &request);
        let opened = match opened {
            Ok(verb) => self.budget.turn(verb, &request).await.map(|turn| (verb, turn)),
            Err(refusal) => Err(refusal),
        };
        let is_open = opened.is_ok();
        let (reply, turn) = match opened {
            Ok((verb, turn)) => (self.call(verb, request).await, Some(turn)),
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

    /// The verb that `request` is for, with what it should know besides in its
    /// extensions.
    async fn open(&self, request: &mut Request) -> Result<Verb, Refusal> {
        let found = self.template.routes.find(request.method(), request.uri().path());
        let (route, parameters) = found.ok_or(Refusal::NoSuchAddress)?;
        let caller = if route.authorized {
            self.authorize(&route.path, request).await?
        } else {
            Caller::Anonymous
        };
        let extensions = request.extensions_mut();
        extensions.insert(parameters);
        extensions.insert(caller);
        extensions.insert(self.base_url.clone());
        Ok(route.verb)
    }

    async fn call(&self, verb: Verb, request: Request) -> Reply {
        // A panic is one failed request, here as behind the Lambda runtime.
        let functions = Arc::clone(&self.functions);
        let answered = tokio::spawn(async move { functions.call(verb, request).await }).await;
        answered.unwrap_or_else(|panic| Refusal::Broken(panic.into()).into())
    }

    async fn authorize(&self, path: &str, request: &Request) -> Result<Caller, Refusal> {
        let method: &Method = request.method();
        match self.functions.authorize.decide(method, path, request.headers()).await? {
            Decision::Allow(caller) => Ok(caller),
            Decision::Refuse(problem, scope) => Err(Refusal::Key { problem, scope }),
        }
    }

    /// `reply`, which asks for credentials where it is a 401: as template.yaml has it.
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

/// A path as the log may have it: short, printable, and without a key that somebody put
/// into it.
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
