//! PUT of a package: the push.
//!
//! | answer | when |
//! |---|---|
//! | 201 | the version is in, from this push or an earlier try of it |
//! | 400 | the upload or the package breaks a rule |
//! | 401, 403 | there is no key, or it is not good for the id |
//! | 408 | the client sent nothing for too long |
//! | 409 | the version exists, or did |
//! | 413 | the package is too large |
//! | 503 | the feed received as many packages as it may at once, for half a minute |
//! | 507 | the disk is full |
//!
//! Four AWS calls: read the version's row, put the object under a key that no other push
//! has, commit, mark the object as committed. One more for each readme, icon and license
//! file, which are kept beside the package. A push that loses a race makes one more to
//! remove each object.

use access::Scope;
use feed::{Context, KeyCache, PackageBytes, Verb};
use ingest::{Accepted, Arrival, Bytes, Ingest, Permits};
use nupkg::{Limits, Package};
use protocol::{
    Access, Caller, ConfigError, PathParameters, Refusal, Reply, Request, Route, Subject, paths,
};
use store::{Content, ObjectKey, Spooling};
use tokio::sync::Semaphore;

/// The most packages that one process inspects at once: the inspection of one with 65,000
/// entries takes some 50 MB.
static INSPECTIONS: Semaphore = Semaphore::const_new(4);

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Push {
    /// The intake of packages.
    pub ingest: Ingest,
    /// Where a package is kept while it arrives.
    pub spooling: Spooling,
    /// The largest package that is accepted.
    pub package_bytes: PackageBytes,
    /// How many may arrive at once.
    pub permits: Permits,
    /// The keys, to check the key of a long push once more. A function has 28 seconds
    /// behind the authorizer, and may not read keys.
    pub keys: Option<KeyCache>,
}

impl Verb for Push {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[
        Route::put(paths::PACKAGES, Access::Key(Scope::Push)),
        Route::put(paths::VERSION, Access::Key(Scope::Push)),
    ];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self {
            ingest: Ingest {
                table: context.table()?,
                objects: context.objects()?,
                limits: Limits::default(),
            },
            spooling: context.hosting.spooling.clone(),
            package_bytes: context.environment.or_default(PackageBytes::SETTING)?,
            permits: context.hosting.permits.clone(),
            keys: context.keys_to_ask_again()?,
        })
    }

    async fn handle(&self, request: Request) -> Reply {
        let (mut subject, caller) = (Subject::default(), Caller::of(&request));
        let reply = self.push(request, &mut subject).await.map_or_else(Reply::from, Reply::from);
        subject.of_reply(caller.warned(reply))
    }
}

impl Push {
    async fn inspect(&self, content: Content) -> Result<Package, Refusal> {
        let turn = INSPECTIONS.acquire().await;
        let _turn = turn.map_err(|closed| Refusal::Broken(closed.into()))?;
        self.ingest.inspect(content).await
    }

    /// Pushes the package; returns a warning for the client, if there is one.
    async fn push(&self, request: Request, subject: &mut Subject) -> Result<Accepted, Refusal> {
        let caller = Caller::of(&request);
        let key = caller.key(Scope::Push)?;
        // Clients push to the address plus a slash, which matches the route with the
        // variable part. Nothing may follow the slash.
        if !PathParameters::of(&request).get("proxy").is_empty() {
            return Err(Refusal::NoSuchAddress);
        }
        let declared = ingest::declared_length(request.headers());
        let mut permit = self.permits.take(key, declared).await?;
        let (parts, body) = request.into_parts();
        let limit = self.package_bytes.0;
        let received =
            ingest::receive(&parts.headers, body, &self.spooling, limit, &mut permit).await?;
        let package = self.inspect(received.content.clone()).await?;
        *subject = Subject::new(&package.nuspec.id, &package.nuspec.version);
        let arrival = Arrival {
            pushed_by: caller.key_for(&package.nuspec.id, Scope::Push)?.clone(),
            may_restore: caller.may(Scope::Unlist),
            object: ObjectKey::unique(&package.nuspec.id, &package.nuspec.version),
            session: ingest::session(&parts.headers),
            bytes: Bytes::Received(received),
            published: None,
            quotas: caller.quotas().to_vec(),
            package,
        };
        if let Some(keys) = &self.keys {
            keys.ask_again(&parts.headers, Scope::Push).await?;
        }
        Box::pin(self.ingest.store(arrival)).await
    }
}
