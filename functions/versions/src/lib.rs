//! GET of a package's version list: the first request of a restore.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `{"versions": […]}`: listed and unlisted, normalized and lower-cased, ascending |
//! | 401 | reading needs a key |
//! | 404 | the feed has no such package, or the key is not good for it |
//!
//! One AWS call while the package is remembered and its stamp shows that it is unchanged.
//! Otherwise one call per MB of versions, and one more if a remembered package has changed.

use access::Scope;
use bytes::Bytes;
use feed::{Context, Verb};
use nupkg::{PackageId, Version};
use protocol::{
    Access, Body, Caller, ConfigError, PathParameters, Refusal, Reply, Request, Route, Work, paths,
};
use serde_json::json;
use store::{Memory, Stamped, Table, TableError};

/// The verb, with all it may touch.
#[derive(Debug)]
pub struct Versions {
    table: Table,
    /// Lists in the form in which they are sent.
    memory: Memory<Bytes>,
}

impl Verb for Versions {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] =
        &[Route::read(paths::VERSIONS, Access::Key(Scope::Read)).takes(Work::Document)];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self { table: context.table()?, memory: Memory::of(32 << 20, 1 << 10) })
    }

    async fn handle(&self, request: Request) -> Reply {
        self.list(&request).await.unwrap_or_else(Reply::from)
    }
}

impl Versions {
    async fn list(&self, request: &Request) -> Result<Reply, Refusal> {
        let id = PathParameters::of(request).id()?;
        if !Caller::of(request).covers(&id) {
            return Err(Refusal::NoSuchPackage(id));
        }
        let found = self.memory.get(&self.table, &id, || self.read(&id), Bytes::len).await?;
        let Some(list) = found.filter(|list| !list.value.is_empty()) else {
            return Err(Refusal::NoSuchPackage(id));
        };
        let reply = protocol::stream(Body::from(list.value.clone()), "application/json");
        Ok(store::stamped(reply, &list))
    }

    /// The list; empty bytes if all versions were deleted.
    async fn read(&self, id: &PackageId) -> Result<Option<Stamped<Bytes>>, TableError> {
        let Some(package) = self.table.versions(id).await? else { return Ok(None) };
        let versions: Vec<String> = package.value.iter().map(Version::key).collect();
        let list = match versions.as_slice() {
            [] => Bytes::new(),
            versions => json!({ "versions": versions }).to_string().into(),
        };
        Ok(Some(package.with(list)))
    }
}
