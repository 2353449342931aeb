//! PUT of a symbols package, and POST to an upload of one: the push of symbols.
//!
//! | answer | when |
//! |---|---|
//! | 201 | the version has these symbols, from this push or an earlier one |
//! | 400 | the symbols package breaks a rule, or its PDBs belong to no assembly of its package |
//! | 401, 403 | there is no key, or it is not good for the id |
//! | 404 | the version is not there, or the upload |
//! | 408 | the client sent nothing for too long |
//! | 409 | the version has symbols, and these belong to another build |
//! | 413 | the symbols package is too large |
//! | 503 | the feed received as many packages as it may at once, for half a minute |
//! | 507 | the disk is full |
//!
//! Four AWS calls besides one for each PDB: read the version and its symbols, get the
//! package, put the symbols package, commit. A package of more than 16 MiB is read in
//! ranges. Symbols that replace others take one more call for each object of those, and one
//! for their rows. An upload takes one more to look at it, one or more to read it, and one
//! to remove it.

use access::Scope;
use feed::{Context, KeyCache, PackageBytes, Verb};
use http::{HeaderMap, Method, StatusCode};
use ingest::{AnySource, Bytes, Declaration, Permits, SymbolsArrival, SymbolsIntake, UploadKind};
use nupkg::Limits;
use protocol::{
    Access, Caller, ConfigError, PathParameters, Refusal, Reply, Request, Route, Subject, paths,
};
use store::{ObjectKey, Parts, Spooling};
use ulid::Ulid;

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct PushSymbols {
    /// The intake of symbols packages.
    pub intake: SymbolsIntake,
    /// Where a symbols package is kept while it arrives.
    pub spooling: Spooling,
    /// The largest symbols package that is accepted.
    pub package_bytes: PackageBytes,
    /// How many may arrive at once.
    pub permits: Permits,
    /// The keys, to check the key of a long push once more, as in a push.
    pub keys: Option<KeyCache>,
}

impl Verb for PushSymbols {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[
        Route::put(paths::SYMBOL_PACKAGES, Access::Key(Scope::Push)),
        Route::put(paths::SYMBOL_PACKAGES_WITH_SLASH, Access::Key(Scope::Push)),
        Route::post(paths::COMMIT_SYMBOLS, Access::Key(Scope::Push)),
    ];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        let spooling = context.hosting.spooling.clone();
        Ok(Self {
            intake: SymbolsIntake {
                table: context.table()?,
                objects: context.objects_in(Parts::for_copies())?,
                limits: Limits::default(),
                // Unpacked, the PDBs may be larger than a function's memory.
                spooling: match &spooling {
                    Spooling::Memory => Spooling::Folder(std::env::temp_dir()),
                    Spooling::Folder(_) => spooling.clone(),
                },
            },
            spooling,
            package_bytes: context.environment.or_default(PackageBytes::SETTING)?,
            permits: context.hosting.permits.clone(),
            keys: context.keys_to_ask_again()?,
        })
    }

    async fn handle(&self, request: Request) -> Reply {
        let (mut subject, caller) = (Subject::default(), Caller::of(&request));
        let pushed = match *request.method() {
            Method::POST => self.commit(request, &mut subject).await,
            _ => self.push(request, &mut subject).await,
        };
        let created = pushed.map(|()| protocol::status(StatusCode::CREATED));
        subject.of_reply(caller.warned(created.unwrap_or_else(Reply::from)))
    }
}

impl PushSymbols {
    /// Pushes the symbols package in the body.
    async fn push(&self, request: Request, subject: &mut Subject) -> Result<(), Refusal> {
        let caller = Caller::of(&request);
        let key = caller.key(Scope::Push)?;
        // As in a push: clients add a slash, and nothing may follow it.
        if !PathParameters::of(&request).get("proxy").is_empty() {
            return Err(Refusal::NoSuchAddress);
        }
        let declared = ingest::declared_length(request.headers());
        let mut permit = self.permits.take(key, declared).await?;
        let (parts, body) = request.into_parts();
        let limit = self.package_bytes.0;
        let received =
            ingest::receive(&parts.headers, body, &self.spooling, limit, &mut permit).await?;
        let source = AnySource::new(received.content.clone());
        let bytes = Bytes::Received(received);
        let arriving = Arriving { source, bytes, upload: None };
        self.store(arriving, &caller, &parts.headers, subject, None).await
    }

    /// Commits the upload that the path names.
    async fn commit(&self, request: Request, subject: &mut Subject) -> Result<(), Refusal> {
        let caller = Caller::of(&request);
        let name = PathParameters::of(&request).get("upload").to_owned();
        let upload: Ulid = name.parse().map_err(|_| Refusal::NoSuchAddress)?;
        let (parts, body) = request.into_parts();
        let declared = Declaration::read(body).await?.of_kind(UploadKind::Symbols)?;
        *subject = Subject::new(&declared.id, &declared.version);
        caller.key_for(&declared.id, Scope::Push)?;
        let object = declared.object(upload).upload();
        let committed = self.commit_stored(&object, &declared, &caller, &parts.headers).await;
        // The same upload may have been committed meanwhile, and be gone for that reason.
        if committed.as_ref().is_err_and(|refusal| !refusal.status().is_client_error())
            && self.intake.objects.stored(&object).await?.is_none()
        {
            return self.gone(&declared, &object).await;
        }
        committed
    }

    async fn commit_stored(
        &self,
        object: &ObjectKey,
        declared: &Declaration,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        let objects = &self.intake.objects;
        if objects.stored(object).await? != Some(declared.stored) {
            return self.gone(declared, object).await;
        }
        let source = AnySource::new(objects.open(object, declared.stored.size).await?);
        let bytes = Bytes::Uploaded(declared.stored);
        let arriving = Arriving { source, bytes, upload: Some(object.clone()) };
        let mut subject = Subject::default();
        let stored = self.store(arriving, caller, headers, &mut subject, Some(declared)).await;
        // It is done with, unless another try may succeed.
        if stored.as_ref().err().is_none_or(|refusal| refusal.status().is_client_error()) {
            objects.discard(object).await;
        }
        stored
    }

    /// The answer about a missing upload: it may be gone because it was committed.
    async fn gone(&self, declared: &Declaration, object: &ObjectKey) -> Result<(), Refusal> {
        let symbols = self.intake.table.symbols(&declared.id, &declared.version).await?;
        match symbols {
            Some(known) if known.sha256 == declared.sha256() => Ok(()),
            _ => Err(Refusal::NoSuchUpload(object.ulid().to_owned())),
        }
    }

    /// Inspects, stores and commits a symbols package.
    async fn store(
        &self,
        arriving: Arriving,
        caller: &Caller,
        headers: &HeaderMap,
        subject: &mut Subject,
        declared: Option<&Declaration>,
    ) -> Result<(), Refusal> {
        let Arriving { source, bytes, upload } = arriving;
        let package = self.intake.inspect(&source).await?;
        *subject = Subject::new(&package.id, &package.version);
        if let Some(declared) = declared {
            declared.is_of(&package.id, &package.version)?;
        }
        let arrival = SymbolsArrival {
            pushed_by: caller.key_for(&package.id, Scope::Push)?.clone(),
            package,
            source,
            bytes,
            upload,
            push: Ulid::new(),
            session: ingest::session(headers),
            published: None,
            quotas: caller.quotas().to_vec(),
        };
        if let Some(keys) = &self.keys {
            keys.ask_again(headers, Scope::Push).await?;
        }
        Box::pin(self.intake.store(&arrival)).await
    }
}

/// A symbols package that was not inspected yet.
struct Arriving {
    source: AnySource,
    bytes: Bytes,
    upload: Option<ObjectKey>,
}
