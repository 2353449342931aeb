//! The gateway: from an HTTP request to a verb, as API Gateway would.

mod functions;
mod pattern;
mod route;
mod template;

use std::sync::Arc;

use authorize::Decision;
use feed::{Asked, BaseUrl, BoxError, Caller, Observation, Reply, Request};
use http::Method;

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
        let observation = Observation::begin(opened.map_or("gateway", Verb::name), &request);
        let reply = match opened {
            Ok(verb) => self.call(verb, request).await,
            Err(response) => {
                tracing::info!("{} {}: {response}", request.method(), request.uri().path());
                self.template.respond(response)
            }
        };
        let observed = observation.end(&reply);
        if opened.is_ok() {
            observed.log();
        }
        self.metrics.count(&observed);
        asked.shape(reply).await
    }

    /// The verb that `request` is for, with what it should know besides in its
    /// extensions; or the name of the gateway response that refuses it.
    async fn open(&self, request: &mut Request) -> Result<Verb, &'static str> {
        let found = self.template.routes.find(request.method(), request.uri().path());
        let (route, parameters) = found.ok_or("MISSING_AUTHENTICATION_TOKEN")?;
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
        answered.unwrap_or_else(|panic| {
            tracing::error!("a handler panicked: {panic}");
            self.template.respond("DEFAULT_5XX")
        })
    }

    /// The caller, or the name of the gateway response that refuses it.
    async fn authorize(&self, path: &str, request: &Request) -> Result<Caller, &'static str> {
        let method: &Method = request.method();
        match self.functions.authorize.decide(method, path, request.headers()).await {
            Ok(Decision::Allow(caller)) => Ok(caller),
            Ok(Decision::Challenge) => Err("UNAUTHORIZED"),
            Ok(Decision::Deny) => Err("ACCESS_DENIED"),
            Err(error) => {
                tracing::error!("could not authorize: {error}");
                Err("AUTHORIZER_FAILURE")
            }
        }
    }
}
