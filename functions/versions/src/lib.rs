//! GET of a package's version list: the first request of a restore.
//!
//! | answer | when |
//! |---|---|
//! | 200 | `{"versions": […]}`: listed and unlisted, normalized and lower-cased, ascending |
//! | 401 | reading needs a key |
//! | 404 | the feed has no such package, or the key is not good for it |
//!
//! One AWS call while the package is remembered and its head shows that it is unchanged, and
//! one more where it has changed. Otherwise one call per MB of versions: not remembered, more
//! than 15 changes, or rows that do not show a change yet.

use access::Scope;
use bytes::Bytes;
use feed::{Context, Verb};
use nupkg::{PackageId, Version};
use protocol::{
    Access, Body, Caller, ConfigError, PathParameters, Refusal, Reply, Request, Route, Work, paths,
};
use serde_json::json;
use store::{ChangedVersion, Memory, Remembered, Stamped, Table, TableError};

/// The verb, with all it may touch.
#[derive(Debug)]
pub struct Versions {
    table: Table,
    memory: Memory<List>,
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
        let found = self.memory.get(&self.table, &id).await?;
        let Some(list) = found.filter(|list| !list.value.versions.is_empty()) else {
            return Err(Refusal::NoSuchPackage(id));
        };
        let reply = protocol::stream(Body::from(list.value.document.clone()), "application/json");
        Ok(store::stamped(reply, &list))
    }
}

/// The versions of a package, ascending, also in the form in which they are sent.
#[derive(Debug)]
struct List {
    versions: Vec<Version>,
    document: Bytes,
}

impl From<Vec<Version>> for List {
    fn from(versions: Vec<Version>) -> Self {
        let keys: Vec<String> = versions.iter().map(Version::key).collect();
        let document = json!({ "versions": keys }).to_string().into();
        Self { versions, document }
    }
}

impl Remembered for List {
    async fn read(table: &Table, id: &PackageId) -> Result<Option<Stamped<Self>>, TableError> {
        let package = table.versions(id).await?;
        Ok(package.map(|package| package.map(Self::from)))
    }

    fn changed(&self, versions: Vec<ChangedVersion>) -> Self {
        let mut changed = self.versions.clone();
        for ChangedVersion { version, release } in versions {
            let place = changed.binary_search(&version);
            let place = place.map_or_else(|place| place..place, |place| place..place + 1);
            changed.splice(place, release.map(|_| version));
        }
        changed.into()
    }

    fn bytes(&self) -> usize {
        // The texts of versions are in both.
        self.versions.len() * size_of::<Version>() + 2 * self.document.len()
    }
}
