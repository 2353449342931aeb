//! POST to an upload: the last step of a push that went straight to the bucket.
//!
//! | answer | when |
//! |---|---|
//! | 201 | the version is in, from this commit or an earlier try |
//! | 400 | the package breaks a rule, or is not the declared one |
//! | 401, 403 | there is no key, or it is not good for the id |
//! | 404 | there is no such upload |
//! | 409 | the version exists, or did |
//!
//! The bucket has verified the size and the SHA-256. The package stays there. Only its
//! directory, its local headers, its nuspec and the files that the nuspec names are read:
//! some tens of KB, whatever the size of the package. AWS calls: 1 for size and hash, the
//! reads (2 for a small package), 1 for the version's row, 1 to have the bucket copy the
//! package to its place (3 and more for more than 256 MiB), 1 to commit, 1 to mark the
//! package as committed, 1 to remove the upload; and, as in a push, 1 for each readme, icon
//! and license. A refused upload is removed.

use access::{KeyName, Scope};
use feed::{Context, KeyCache, Verb};
use http::HeaderMap;
use ingest::{Accepted, Arrival, Bytes, Declaration, Ingest, UploadKind};
use nupkg::{Limits, Package};
use protocol::{
    Access, Caller, ConfigError, PathParameters, Refusal, Reply, Request, Route, Subject, paths,
};
use store::{ObjectKey, Parts, RemoteObject};
use tokio::sync::Semaphore;
use ulid::Ulid;

/// The most packages that one process inspects at once.
static INSPECTIONS: Semaphore = Semaphore::const_new(16);

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The intake of packages.
    pub ingest: Ingest,
    /// The keys, to check the key once more, as in a push.
    pub keys: Option<KeyCache>,
}

impl Verb for Commit {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[Route::post(paths::COMMIT, Access::Key(Scope::Push))];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self {
            ingest: Ingest {
                table: context.table()?,
                objects: context.objects_in(Parts::for_copies())?,
                limits: Limits::default(),
            },
            keys: context.keys_to_ask_again()?,
        })
    }

    async fn handle(&self, request: Request) -> Reply {
        let (mut subject, caller) = (Subject::default(), Caller::of(&request));
        let reply = self.commit(request, &mut subject).await.map_or_else(Reply::from, Reply::from);
        subject.of_reply(caller.warned(reply))
    }
}

/// An upload as its commit names it.
struct Named {
    upload: Ulid,
    declared: Declaration,
    pushed_by: KeyName,
    session: Option<String>,
}

impl Named {
    /// The key of the package once it is committed.
    fn object(&self) -> ObjectKey {
        self.declared.object(self.upload)
    }
}

impl Commit {
    async fn commit(&self, request: Request, subject: &mut Subject) -> Result<Accepted, Refusal> {
        let caller = Caller::of(&request);
        let name = PathParameters::of(&request).get("upload").to_owned();
        let upload: Ulid = name.parse().map_err(|_| Refusal::NoSuchAddress)?;
        let (parts, body) = request.into_parts();
        let declared = Declaration::read(body).await?.of_kind(UploadKind::Package)?;
        *subject = Subject::new(&declared.id, &declared.version);
        let pushed_by = caller.key_for(&declared.id, Scope::Push)?.clone();
        let session = ingest::session(&parts.headers);
        let named = Named { upload, declared, pushed_by, session };
        let committed = self.commit_stored(&named, &caller, &parts.headers).await;
        // The same upload may have been committed meanwhile, and be gone for that reason.
        if committed.as_ref().is_err_and(|refusal| !refusal.status().is_client_error())
            && self.ingest.objects.stored(&named.object().upload()).await?.is_none()
        {
            return self.gone(&named).await;
        }
        committed
    }

    async fn commit_stored(
        &self,
        named: &Named,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<Accepted, Refusal> {
        let uploaded = named.object().upload();
        let stored = self.ingest.objects.stored(&uploaded).await?;
        if stored != Some(named.declared.stored) {
            return self.gone(named).await;
        }
        let package = match self.inspect(&uploaded, &named.declared).await {
            Err(refusal) if refusal.status().is_client_error() => {
                self.ingest.objects.discard(&uploaded).await;
                return Err(refusal);
            }
            inspected => inspected?,
        };
        if let Some(keys) = &self.keys {
            keys.ask_again(headers, Scope::Push).await?;
        }
        let arrival = Arrival {
            package,
            object: named.object(),
            bytes: Bytes::Uploaded(named.declared.stored),
            pushed_by: named.pushed_by.clone(),
            session: named.session.clone(),
            published: None,
            quotas: caller.quotas().to_vec(),
            may_restore: caller.may(Scope::Unlist),
        };
        Box::pin(self.ingest.store(arrival)).await
    }

    /// The answer about a missing upload: it may be gone because it was committed, or
    /// because it was refused and the client did not receive the refusal.
    async fn gone(&self, named: &Named) -> Result<Accepted, Refusal> {
        let Named { upload, declared, pushed_by, session } = named;
        match self.ingest.table.version(&declared.id, &declared.version).await? {
            Some(found) => {
                let replayed = (declared, &named.object());
                self.ingest.replay(&found, replayed, pushed_by, session.as_deref()).await
            }
            None => Err(Refusal::NoSuchUpload(upload.to_string())),
        }
    }

    async fn inspect(
        &self,
        object: &ObjectKey,
        declared: &Declaration,
    ) -> Result<Package, Refusal> {
        let objects = self.ingest.objects.clone();
        // Each inspection blocks one of the threads that the embedded bucket answers on.
        let turn = INSPECTIONS.acquire().await;
        let _turn = turn.map_err(|closed| Refusal::Broken(closed.into()))?;
        let remote = RemoteObject::new(objects, object.clone(), declared.stored.size);
        let package = self.ingest.inspect(remote).await?;
        declared.is_of(&package.nuspec.id, &package.nuspec.version)?;
        Ok(package)
    }
}
