//! The gateway: from an HTTP request to a verb, as API Gateway would.

mod functions;
mod pattern;
mod route;
mod template;

use std::sync::Arc;
use std::time::Instant;

use authorize::Decision;
use feed::{Asked, BaseUrl, BoxError, Caller, Reply, Request};
use http::Method;

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
        Ok(Self { template: Template::of_this_feed()?, functions: Arc::new(functions), base_url })
    }

    /// Does what AWS does on a schedule.
    ///
    /// # Errors
    /// Table or bucket do not answer; the next time finds out.
    pub async fn compact(&self) -> Result<(), BoxError> {
        self.functions.compact.handle(compact::Event {}).await?;
        Ok(())
    }

    /// Answers a request, and logs a line about it.
    pub async fn handle(&self, request: Request) -> Reply {
        let start = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let asked = Asked::of(&request);
        let (caller, reply) = self.route(request).await;
        let reply = asked.shape(reply).await;
        let duration = start.elapsed().as_secs_f64() * 1000.0;
        tracing::info!(
            http.status = reply.status().as_u16(),
            duration_ms = (duration * 10.0).round() / 10.0,
            key = caller.as_ref().map(Caller::name),
            "{method} {path}",
        );
        reply
    }

    async fn route(&self, mut request: Request) -> (Option<Caller>, Reply) {
        let found = self.template.routes.find(request.method(), request.uri().path());
        let Some((route, parameters)) = found else {
            return (None, self.template.respond("MISSING_AUTHENTICATION_TOKEN"));
        };
        let caller = if route.authorized {
            match self.authorize(&route.path, &request).await {
                Ok(caller) => caller,
                Err(response) => return (None, self.template.respond(response)),
            }
        } else {
            Caller::Anonymous
        };
        let verb = route.verb;
        request.extensions_mut().insert(parameters);
        request.extensions_mut().insert(caller.clone());
        request.extensions_mut().insert(self.base_url.clone());
        // A panic is one failed request, here as behind the Lambda runtime.
        let functions = Arc::clone(&self.functions);
        let answered = tokio::spawn(async move { functions.call(verb, request).await }).await;
        let reply = answered.unwrap_or_else(|panic| {
            tracing::error!("a handler panicked: {panic}");
            self.template.respond("DEFAULT_5XX")
        });
        (Some(caller), reply)
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
