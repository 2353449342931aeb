//! POST of a declaration: the first step of a push that goes straight to the
//! bucket, for packages and symbols that no function could carry.
//!
//! | step | who | what |
//! |---|---|---|
//! | 1 | this verb | judges the declared id, version, size and SHA-256; gives an address |
//! | 2 | the bucket | takes a PUT of exactly those bytes, once, for a quarter of an hour |
//! | 3 | `commit`, `push-symbols` | inspects what has been stored, and makes it visible |
//!
//! | answer | when |
//! |---|---|
//! | 200 | the upload's name, its address, and the headers to send |
//! | 201 | the version is in, from an earlier try of this push |
//! | 400 | the declaration cannot be read |
//! | 401, 403 | there is no key, or it is not good for the id |
//! | 404 | the version that symbols belong to is not there |
//! | 409 | the version exists, or did |
//! | 413 | the package is too large |
//!
//! One AWS call.

use std::collections::BTreeMap;

use access::{KeyName, Scope};
use feed::{Context, PackageBytes, Verb};
use http::StatusCode;
use ingest::{Counted, CountedKind, Declaration, UploadKind};
use protocol::{Access, Caller, ConfigError, Refusal, Reply, Request, Route, Subject, paths};
use serde::Serialize;
use store::{ObjectKey, Objects, Stored, Table, UploadLifetime, Verdict};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use ulid::Ulid;

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The table of versions.
    pub table: Table,
    /// The bucket as clients reach it. It is not called: it only signs addresses.
    pub objects: Objects,
    /// The largest package that is accepted.
    pub package_bytes: PackageBytes,
    /// How long an upload may wait to begin.
    pub lifetime: UploadLifetime,
}

/// The client's next step.
#[derive(Debug, Serialize)]
struct Invitation {
    /// The name to commit it by.
    upload: Ulid,
    method: &'static str,
    url: String,
    /// The headers that the signature covers, host and length among them.
    headers: BTreeMap<String, String>,
    expires: String,
}

impl Verb for Upload {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[Route::post(paths::UPLOADS, Access::Key(Scope::Push))];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self {
            table: context.table()?,
            objects: context.public_objects()?,
            package_bytes: context.environment.or_default(PackageBytes::SETTING)?,
            lifetime: UploadLifetime::default(),
        })
    }

    async fn handle(&self, request: Request) -> Reply {
        let mut subject = Subject::default();
        let reply = self.invite(request, &mut subject).await.unwrap_or_else(Reply::from);
        subject.of_reply(reply)
    }
}

impl Upload {
    async fn invite(&self, request: Request, subject: &mut Subject) -> Result<Reply, Refusal> {
        let caller = Caller::of(&request);
        let (parts, body) = request.into_parts();
        let session = ingest::session(&parts.headers);
        let declared = Declaration::read(body).await?;
        *subject = Subject::new(&declared.id, &declared.version);
        let key = caller.key_for(&declared.id, Scope::Push)?;
        let limit = self.package_bytes.0;
        if declared.stored.size > limit {
            return Err(Refusal::TooLarge { limit });
        }
        let is_in = match declared.kind {
            UploadKind::Package => {
                let attempt = (key, session.as_deref(), caller.may(Scope::Unlist));
                self.is_package_in(&declared, attempt).await?
            }
            UploadKind::Symbols => self.are_symbols_in(&declared).await?,
        };
        if is_in {
            return Ok(protocol::status(StatusCode::CREATED));
        }
        if declared.kind == UploadKind::Package {
            // Before a gigabyte is on its way; the commit looks again.
            let (id, bytes, kind) = (&declared.id, declared.stored.size, CountedKind::Package);
            let counted = Counted { id, key, quotas: caller.quotas(), bytes, kind };
            counted.charges(&self.table).await?;
        }
        let upload = Ulid::new();
        let object = declared.object(upload).upload();
        self.invitation(upload, &object, declared.stored, key).await
    }

    /// Whether the package is in, from an earlier try of this push.
    ///
    /// # Errors
    /// Another push has its number.
    async fn is_package_in(
        &self,
        declared: &Declaration,
        (key, session, may_restore): (&KeyName, Option<&str>, bool),
    ) -> Result<bool, Refusal> {
        let found = self.table.version(&declared.id, &declared.version).await?;
        let Some(found) = found else { return Ok(false) };
        let verdict = declared.verdict(&found, (key, session), None);
        if verdict == Verdict::Restorable && may_restore {
            return Ok(false);
        }
        ingest::refuse_taken(verdict, &found, &declared.id, &declared.version)?;
        Ok(true)
    }

    /// Whether the version has these symbols.
    ///
    /// # Errors
    /// The version is not there.
    async fn are_symbols_in(&self, declared: &Declaration) -> Result<bool, Refusal> {
        let (id, version) = (&declared.id, &declared.version);
        let found = self.table.version_with_symbols(id, version).await?;
        if found.visible().is_none() {
            let (id, version) = (id.clone(), version.clone());
            return Err(Refusal::NoVersionForSymbols { id, version });
        }
        Ok(found.symbols.is_some_and(|known| known.sha256 == declared.sha256()))
    }

    async fn invitation(
        &self,
        upload: Ulid,
        object: &ObjectKey,
        stored: Stored,
        key: &KeyName,
    ) -> Result<Reply, Refusal> {
        let expires = OffsetDateTime::now_utc() + self.lifetime.0;
        let address = self.objects.upload_address(object, stored, self.lifetime, key).await?;
        let invitation = Invitation {
            upload,
            method: "PUT",
            url: address.url,
            headers: address.headers,
            expires: expires.format(&Rfc3339).map_err(|error| Refusal::Broken(error.into()))?,
        };
        Ok(protocol::json(&invitation))
    }
}
