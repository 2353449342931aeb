//! POST to a version: lists it again.
//!
//! | answer | when |
//! |---|---|
//! | 200 | it is listed now, or was already |
//! | 401, 403 | there is no key, or it is not good for the id |
//! | 404 | there is no such version |
//!
//! One AWS call.

use access::Scope;
use feed::{Context, Verb};
use http::StatusCode;
use protocol::{
    Access, Caller, ConfigError, PathParameters, Refusal, Reply, Request, Route, paths,
};
use store::{Listing, Table};

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Relist {
    /// The table of versions.
    pub table: Table,
}

impl Verb for Relist {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[Route::post(paths::VERSION, Access::Key(Scope::Unlist))];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self { table: context.table()? })
    }

    async fn handle(&self, request: Request) -> Reply {
        match self.relist(&request).await {
            Ok(()) => protocol::status(StatusCode::OK),
            Err(refusal) => refusal.into(),
        }
    }
}

impl Relist {
    async fn relist(&self, request: &Request) -> Result<(), Refusal> {
        let (id, version) = PathParameters::of(request).id_and_version()?;
        let caller = Caller::of(request);
        let key = caller.key_for(&id, Scope::Unlist)?;
        match self.table.set_listed(&id, &version, true, key).await? {
            Listing::Changed | Listing::Unchanged => Ok(()),
            Listing::NoSuchVersion => Err(Refusal::NoSuchVersion { id, version }),
        }
    }
}
