//! DELETE of a version: unlists it, or deletes it where the feed is so
//! configured.
//!
//! | answer | when |
//! |---|---|
//! | 204 | it is unlisted (or deleted) now, or was already |
//! | 401, 403 | there is no key, or it is not good for the id |
//! | 404 | there is no such version |
//!
//! One AWS call to unlist. Four to delete: look up the object, write a mark beside it for a
//! rebuild from the bucket alone, run the transaction, and delete the object, whose bytes
//! the bucket keeps for its recycle period. One more for each file beside it and for each
//! object of its symbols, and one for the rows of their PDBs.

use access::{KeyName, Scope};
use feed::{Context, DeleteBehavior, Verb};
use nupkg::{PackageId, Version};
use protocol::{
    Access, Caller, ConfigError, PathParameters, Refusal, Reply, Request, Route, paths,
};
use store::{Deletion, Listing, Objects, Table, VersionState};

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Unlist {
    /// The table of versions.
    pub table: Table,
    /// The packages; only where DELETE deletes.
    pub objects: Option<Objects>,
}

impl Verb for Unlist {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[Route::delete(paths::VERSION, Access::Key(Scope::Unlist))];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self {
            table: context.table()?,
            objects: match context.environment.or_default(DeleteBehavior::SETTING)? {
                DeleteBehavior::Unlist => None,
                DeleteBehavior::Delete => Some(context.objects()?),
            },
        })
    }

    async fn handle(&self, request: Request) -> Reply {
        match self.remove(&request).await {
            Ok(()) => protocol::no_content(),
            Err(refusal) => refusal.into(),
        }
    }
}

impl Unlist {
    async fn remove(&self, request: &Request) -> Result<(), Refusal> {
        let (id, version) = PathParameters::of(request).id_and_version()?;
        let caller = Caller::of(request);
        let key = caller.key_for(&id, Scope::Unlist)?;
        match &self.objects {
            None => self.unlist(id, version, key).await,
            Some(objects) => self.delete(objects, id, version, key).await,
        }
    }

    async fn unlist(&self, id: PackageId, version: Version, key: &KeyName) -> Result<(), Refusal> {
        match self.table.set_listed(&id, &version, false, key).await? {
            Listing::Changed | Listing::Unchanged => Ok(()),
            Listing::NoSuchVersion => Err(Refusal::NoSuchVersion { id, version }),
        }
    }

    async fn delete(
        &self,
        objects: &Objects,
        id: PackageId,
        version: Version,
        key: &KeyName,
    ) -> Result<(), Refusal> {
        let (row, symbols) = loop {
            let found = self.table.version_with_symbols(&id, &version).await?;
            let Some(row) = found.version else {
                return Err(Refusal::NoSuchVersion { id, version });
            };
            if row.state == VersionState::Deleted {
                break (row, found.symbols);
            }
            objects.mark_deleted(&row.object).await?;
            let symbols = found.symbols.as_ref();
            if self.table.delete((&id, &version), &row, symbols, key).await? == Deletion::Deleted {
                break (row, found.symbols);
            }
        };
        for object in row.objects() {
            objects.delete(&object).await?;
        }
        // They are gone with their version; this only frees their place.
        if let Some(symbols) = symbols {
            for object in symbols.objects(&id, &version) {
                objects.discard(&object).await;
            }
            self.table.forget_pdbs(&symbols).await?;
        }
        Ok(())
    }
}
