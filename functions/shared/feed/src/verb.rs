//! The declaration of a verb.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use protocol::{ConfigError, Reply, Request, Route};

use crate::Context;

/// A verb of the feed: a folder under functions/, with its endpoint, its permissions and
/// its code. Everything that serves, deploys, tests or measures verbs follows from this.
pub trait Verb: Sized + Send + Sync + 'static {
    /// The name of its folder and of its crate.
    const NAME: &'static str;
    /// Where it answers, and who may ask.
    const ROUTES: &'static [Route];

    /// The verb, configured by its settings.
    ///
    /// # Errors
    /// A setting is missing.
    fn new(context: &Context) -> Result<Self, ConfigError>;

    /// Answers a request to one of its routes.
    fn handle(&self, request: Request) -> impl Future<Output = Reply> + Send;
}

/// Any verb. Clones share it.
#[derive(Clone)]
pub struct AnyVerb {
    /// Its name.
    pub name: &'static str,
    /// Its routes.
    pub routes: &'static [Route],
    verb: Arc<dyn Answer>,
}

trait Answer: Send + Sync {
    fn answer<'a>(&'a self, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>>;
}

impl<V: Verb> Answer for V {
    fn answer<'a>(&'a self, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send + 'a>> {
        Box::pin(self.handle(request))
    }
}

impl AnyVerb {
    /// The verb `V`.
    ///
    /// # Errors
    /// A setting is missing.
    pub fn new<V: Verb>(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self { name: V::NAME, routes: V::ROUTES, verb: Arc::new(V::new(context)?) })
    }

    /// Answers a request to one of its routes.
    pub async fn handle(&self, request: Request) -> Reply {
        self.verb.answer(request).await
    }
}

impl fmt::Debug for AnyVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyVerb").field("name", &self.name).finish_non_exhaustive()
    }
}
