//! PUT of a package: the push.
//!
//! | answer | when |
//! |---|---|
//! | 201 | the version is in, now or by an earlier try of this very push |
//! | 400 | the upload or the package breaks a rule |
//! | 401, 403 | there is no key, or it is not good for the id |
//! | 409 | the version exists, or did |
//! | 413 | the package is too large |
//!
//! Three AWS calls: read the version's row, put the object under a key that no
//! other push has, commit; one more for each readme, icon and license file, which
//! are kept beside the package; and one more for each object, to remove it, of a
//! push that lost a race. Nothing can be seen before the commit, and everything after it. A crash
//! in between leaves an object that nothing points to, and a retry simply works.

mod multipart;
mod receive;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use feed::{
    AttachedFile, Aws, Caller, Commit, ConfigError, Content, Environment, KeyName, ObjectError,
    ObjectKey, Objects, PackageBytes, PathParameters, Refusal, Reply, Request, Spooling, State,
    Table, VersionRow, timestamp,
};
use http::{HeaderMap, StatusCode};
use nupkg::{Attached, Limits, Nuspec, Package};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use receive::{Received, receive};

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Push {
    /// Where versions are committed.
    pub table: Table,
    /// Where packages go.
    pub objects: Objects,
    /// Where a package is kept while it arrives.
    pub spooling: Spooling,
    /// The largest package taken.
    pub package_bytes: PackageBytes,
    /// What a package may have.
    pub limits: Limits,
}

impl Push {
    /// The verb as a function's environment configures it.
    ///
    /// # Errors
    /// A setting is missing or wrong.
    pub fn from_environment(environment: &Environment<'_>, aws: Aws) -> Result<Self, ConfigError> {
        Ok(Self {
            table: Table::new(aws.dynamodb, environment.required(feed::TableName::SETTING)?),
            objects: Objects::new(aws.s3, environment.required(feed::BucketName::SETTING)?),
            spooling: Spooling::Memory,
            package_bytes: environment.or_default(PackageBytes::SETTING)?,
            limits: Limits::default(),
        })
    }

    /// Answers a push.
    pub async fn handle(&self, request: Request) -> Reply {
        match self.push(request).await {
            Ok(warning) => feed::warned(feed::status(StatusCode::CREATED), warning),
            Err(refusal) => refusal.into(),
        }
    }

    /// Pushes; gives what the client should hear even so.
    async fn push(&self, request: Request) -> Result<Option<&'static str>, Refusal> {
        let caller = Caller::of(&request);
        if caller == Caller::Anonymous {
            return Err(Refusal::NoKey);
        }
        // Clients push to the address and a slash, which the route with the
        // variable part takes in; nothing may stand behind it.
        if !PathParameters::of(&request).get("proxy").is_empty() {
            return Err(Refusal::NoSuchAddress);
        }
        let (parts, body) = request.into_parts();
        let received = receive(&parts.headers, body, &self.spooling, self.package_bytes.0).await?;
        let package = self.inspect(&received).await?;
        let key = caller.key_for(&package.nuspec.id)?;
        let row = version_row(&package, &received, key, session(&parts.headers));
        let warning = warning(&package, &row);
        self.store(row, package, &received).await?;
        Ok(warning)
    }

    async fn inspect(&self, received: &Received) -> Result<Package, Refusal> {
        let (reader, limits) = (received.content.reader(), self.limits.clone());
        let inspected = tokio::task::spawn_blocking(move || {
            nupkg::inspect(reader, &limits, OffsetDateTime::now_utc())
        });
        Ok(inspected.await.map_err(|panic| Refusal::Broken(panic.into()))??)
    }

    async fn store(
        &self,
        row: VersionRow,
        mut package: Package,
        received: &Received,
    ) -> Result<(), Refusal> {
        let Nuspec { id, version, .. } = &package.nuspec;
        if let Some(found) = self.table.version(id, version).await?
            && !found.is_restored_by(&row)
        {
            return judge(&found, &row, &package.nuspec);
        }
        let attached = std::mem::take(&mut package.attached);
        tokio::try_join!(
            Box::pin(self.objects.put(&row.object, &received.content, &received.sha256)),
            Box::pin(self.put_attached(&row, attached)),
        )?;
        let nuspec = package.nuspec.clone();
        // Where the commit's answer is lost the version may be in: its object
        // must stay, and the client's next try finds out.
        match self.table.commit(&row, package).await? {
            Commit::Done => Ok(()),
            Commit::Lost(found) => {
                if found.object != row.object {
                    self.discard(&row).await;
                }
                judge(&found, &row, &nuspec)
            }
        }
    }

    async fn put_attached(&self, row: &VersionRow, attached: Attached) -> Result<(), ObjectError> {
        let Attached { mut readme, mut icon, mut license } = attached;
        for file in &row.files {
            let bytes = match file {
                AttachedFile::Readme => readme.take(),
                AttachedFile::License => license.take(),
                AttachedFile::Png | AttachedFile::Jpeg => icon.take(),
            };
            let bytes = bytes.unwrap_or_default();
            let sha256 = Sha256::digest(&bytes).into();
            let (key, content) = (row.object.attached(*file), Content::Memory(bytes.into()));
            self.objects.put(&key, &content, &sha256).await?;
        }
        Ok(())
    }

    /// Removes the objects of a push that lost. Nothing points to them, so
    /// nobody minds if they stay.
    async fn discard(&self, row: &VersionRow) {
        for object in row.objects() {
            if let Err(error) = self.objects.delete(&object).await {
                tracing::warn!(object = %object, "left an object that nothing points to: {error}");
            }
        }
    }
}

/// What is not as its author meant it, and no reason to refuse a package.
fn warning(package: &Package, row: &VersionRow) -> Option<&'static str> {
    let is_shown = package.attached.icon.is_none() || row.icon().is_some();
    (!is_shown).then_some("the icon is neither PNG nor JPEG, so it is not shown; convert it")
}

/// What a push gets to hear whose number is taken by `found`.
fn judge(found: &VersionRow, pushed: &VersionRow, nuspec: &Nuspec) -> Result<(), Refusal> {
    let (id, version) = (nuspec.id.clone(), nuspec.version.clone());
    match found.state {
        State::Visible if found.is_replayed_by(pushed) || found.object == pushed.object => Ok(()),
        State::Visible => Err(Refusal::VersionExists { id, version }),
        State::Deleted => Err(Refusal::VersionDeleted { id, version }),
    }
}

fn version_row(
    package: &Package,
    received: &Received,
    key: &KeyName,
    session: Option<String>,
) -> VersionRow {
    let Package { nuspec, attached, .. } = package;
    let files = [
        attached.readme.as_ref().map(|_| AttachedFile::Readme),
        attached.license.as_ref().map(|_| AttachedFile::License),
        attached.icon.as_deref().and_then(AttachedFile::icon),
    ];
    VersionRow {
        id: nuspec.id.to_string(),
        version: nuspec.version.full(),
        listed: true,
        state: State::Visible,
        object: ObjectKey::unique(&nuspec.id, &nuspec.version),
        size: received.content.size(),
        sha512: BASE64_STANDARD.encode(received.sha512),
        published: timestamp(),
        pushed_by: key.clone(),
        session,
        changed: None,
        files: files.into_iter().flatten().collect(),
    }
}

/// The client's session, one for all tries of one push: a GUID. Anything else
/// is not kept.
fn session(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 64;
    let session = headers.get("x-nuget-session-id")?.to_str().ok()?;
    let plain = session.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    (plain && (1..=LONGEST).contains(&session.len())).then(|| session.to_owned())
}
