//! The intake of packages, common to all ways of pushing: a package is received, inspected,
//! stored and committed.
//!
//! Nothing is visible before the commit, and everything is visible after it. A crash before
//! the commit leaves an object that nothing points to, and a retry simply works. After the
//! commit, and before the client gets its answer, a mark is written beside the package's
//! object: if the table is lost, it is rebuilt from the marked packages.

mod declaration;
mod permits;
mod quota;
mod receive;
mod symbols;

use access::{KeyName, QuotaName};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, StatusCode};
use nupkg::{Attached, Limits, Package, PackageId, Source, Version};
use protocol::{Refusal, Reply};
use sha2::{Digest, Sha256};
use store::{
    AttachedFile, Attempt, Charges, CommitOutcome, Content, ObjectError, ObjectKey, Objects,
    Stored, Table, Verdict, VersionRow, VersionState, timestamp,
};
use time::OffsetDateTime;

pub use declaration::{Declaration, UploadKind};
pub use permits::{Permit, Permits};
pub use quota::{Counted, CountedKind};
pub use receive::{Received, declared_length, receive};
pub use symbols::{AnySource, SymbolsArrival, SymbolsIntake, invalid_symbols};

/// How often a push looks at its quotas again because others changed them meanwhile.
const TRIES: usize = 20;

/// The intake of packages.
#[derive(Debug, Clone)]
pub struct Ingest {
    /// Where versions are committed.
    pub table: Table,
    /// Where packages go.
    pub objects: Objects,
    /// The limits of a package.
    pub limits: Limits,
}

/// An inspected package on its way into the feed.
#[derive(Debug)]
pub struct Arrival {
    /// The package.
    pub package: Package,
    /// Its object's key.
    pub object: ObjectKey,
    /// Where its bytes are.
    pub bytes: Bytes,
    /// The key that it is pushed with.
    pub pushed_by: KeyName,
    /// The client's session.
    pub session: Option<String>,
    /// When it was pushed, if that is not now.
    pub published: Option<String>,
    /// Whether it may restore a deleted version.
    pub may_restore: bool,
    /// The quotas that it may be counted in.
    pub quotas: Vec<QuotaName>,
}

/// The bytes of a package that is on its way.
#[derive(Debug)]
pub enum Bytes {
    /// Received here, and no object yet.
    Received(Received),
    /// Uploaded to the bucket, which proved size and hash.
    Uploaded(Stored),
    /// At its object's key already.
    InPlace(Stored),
}

impl Bytes {
    /// Their size and hash.
    fn stored(&self) -> Stored {
        match self {
            Self::Received(received) => {
                Stored { size: received.content.size(), sha256: received.sha256 }
            }
            Self::Uploaded(stored) | Self::InPlace(stored) => *stored,
        }
    }

    /// Stores them as `object`, from `upload` if they were uploaded.
    async fn put(
        &self,
        objects: &Objects,
        object: &ObjectKey,
        upload: &ObjectKey,
    ) -> Result<(), ObjectError> {
        match self {
            Self::Received(received) => {
                objects.put(object, &received.content, &received.sha256).await
            }
            Self::Uploaded(stored) => objects.adopt(upload, object, stored.size).await,
            Self::InPlace(_) => Ok(()),
        }
    }
}

impl Ingest {
    /// Inspects a package. Blocks no runtime.
    ///
    /// # Errors
    /// The package breaks a rule, or cannot be read.
    pub async fn inspect<S>(&self, source: S) -> Result<Package, Refusal>
    where
        S: Source + Send + 'static,
    {
        let limits = self.limits.clone();
        let inspected = tokio::task::spawn_blocking(move || {
            nupkg::inspect(source, &limits, OffsetDateTime::now_utc())
        });
        Ok(inspected.await.map_err(|panic| Refusal::Broken(panic.into()))??)
    }

    /// Stores and commits a package. Four calls, and one more for each attached file; or
    /// one call if its number is taken. One more to remove each object of a push that lost,
    /// one more to remove an upload, and one more for a key with quotas.
    ///
    /// # Errors
    /// The number is taken, a quota has no room, or a service does not answer.
    pub async fn store(&self, arrival: Arrival) -> Result<Accepted, Refusal> {
        let mut row = version_row(&arrival);
        let Arrival { mut package, bytes, may_restore, quotas, .. } = arrival;
        let (id, version) = (package.nuspec.id.clone(), package.nuspec.version.clone());
        if let Some(found) = self.table.version(&id, &version).await? {
            let verdict = found.judge(&attempt(&row));
            if !(verdict == Verdict::Restorable && may_restore) {
                self.forget_upload(&row, &bytes).await;
                refuse_taken(verdict, &found, &id, &version)?;
                return self.acknowledge(&found, Accepted::default()).await;
            }
            // The same bytes were downloaded before.
            row.downloads = found.downloads;
            row.downloaded = found.downloaded;
            row.downloads_before = found.downloads_before;
        }
        let key = row.pushed_by.clone();
        let counted = Counted {
            id: &id,
            key: &key,
            quotas: &quotas,
            bytes: row.size,
            kind: CountedKind::Package,
        };
        let charges = counted.charges(&self.table).await?;
        let accepted = Accepted { warning: warning(&package, &row) };
        let attached = std::mem::take(&mut package.attached);
        tokio::try_join!(
            Box::pin(self.put(&row, &bytes)),
            Box::pin(self.put_attached(&row, attached)),
        )?;
        // If the answer to the commit is lost, the version may be in: its object must stay,
        // and the client's next try finds out.
        let committed = self.commit(&mut row, &package, may_restore, (&counted, charges)).await;
        if matches!(committed, Err(Refusal::OverQuota { .. })) {
            self.discard_received(&row, &bytes).await;
        }
        match committed? {
            CommitOutcome::Done => {
                self.objects.mark_committed(&row.object).await?;
                self.forget_upload(&row, &bytes).await;
                Ok(accepted)
            }
            CommitOutcome::Lost(found) => {
                if !matches!(bytes, Bytes::InPlace(_)) {
                    for object in row.objects() {
                        self.discard(&found, &object).await;
                    }
                }
                self.forget_upload(&row, &bytes).await;
                refuse_taken(found.judge(&attempt(&row)), &found, &id, &version)?;
                self.acknowledge(&found, accepted).await
            }
            CommitOutcome::QuotaChanged => {
                Err(Refusal::Unavailable("others push into the same quota all the time".into()))
            }
        }
    }

    /// Commits a version with its part in quotas, and looks at them again as long as others
    /// change them meanwhile.
    ///
    /// # Errors
    /// A quota has no room any more, and the version is not in; or the table does not answer.
    async fn commit(
        &self,
        row: &mut VersionRow,
        package: &Package,
        may_restore: bool,
        (counted, mut charges): (&Counted<'_>, Charges),
    ) -> Result<CommitOutcome, Refusal> {
        for _ in 0..TRIES {
            row.quotas = charges.names();
            let outcome = self.table.commit(row, package, may_restore, &charges).await?;
            if !matches!(outcome, CommitOutcome::QuotaChanged) {
                return Ok(outcome);
            }
            charges = counted.charges(&self.table).await?;
        }
        Ok(CommitOutcome::QuotaChanged)
    }

    /// Removes the objects of a package that was received here and refused. Those of an upload
    /// stay: another commit of the same upload may be under way, and nothing points to them.
    async fn discard_received(&self, row: &VersionRow, bytes: &Bytes) {
        if let Bytes::Received(_) = bytes {
            for object in row.objects() {
                self.objects.discard(&object).await;
            }
        }
    }

    /// Acknowledges a push that an earlier try committed. The package is marked first,
    /// because that try may have ended before it wrote the mark. One call.
    async fn acknowledge(
        &self,
        found: &VersionRow,
        accepted: Accepted,
    ) -> Result<Accepted, Refusal> {
        self.objects.mark_committed(&found.object).await?;
        Ok(accepted)
    }

    /// Acknowledges an upload that is gone, if it became `found`: the version with the
    /// upload's object, or with the object of another try.
    ///
    /// # Errors
    /// Another push has its number, or the bucket does not answer.
    pub async fn replay(
        &self,
        found: &VersionRow,
        (declared, object): (&Declaration, &ObjectKey),
        key: &KeyName,
        session: Option<&str>,
    ) -> Result<Accepted, Refusal> {
        match declared.verdict(found, (key, session), Some(object)) {
            Verdict::Replayed => self.acknowledge(found, Accepted::default()).await,
            // No bytes are left to restore.
            Verdict::Restorable | Verdict::Taken => {
                Err(taken(found, &declared.id, &declared.version))
            }
        }
    }

    /// Removes the upload of a package that was accepted or refused, if there is one.
    /// Nothing points to it, so it does no harm until the bucket removes it.
    async fn forget_upload(&self, row: &VersionRow, bytes: &Bytes) {
        if let Bytes::Uploaded(_) = bytes {
            self.objects.discard(&row.object.upload()).await;
        }
    }

    async fn put(&self, row: &VersionRow, bytes: &Bytes) -> Result<(), ObjectError> {
        bytes.put(&self.objects, &row.object, &row.object.upload()).await
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

    /// Removes an object of a push that lost to `found`, unless it is the winner's: the
    /// same upload may be committed twice at once. Nothing points to the object, so it does
    /// no harm if it stays.
    async fn discard(&self, found: &VersionRow, object: &ObjectKey) {
        let is_kept =
            found.state == VersionState::Visible && found.objects().any(|kept| kept == *object);
        if is_kept {
            return;
        }
        self.objects.discard(object).await;
    }
}

/// A warning about a fault that is no reason to refuse a package.
fn warning(package: &Package, row: &VersionRow) -> Option<&'static str> {
    let is_shown = package.attached.icon.is_none() || row.icon().is_some();
    (!is_shown).then_some("the icon is neither PNG nor JPEG, so it is not shown; convert it")
}

/// A push that is in, and a warning for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// A fault that is no reason to refuse the package.
    pub warning: Option<&'static str>,
}

impl From<Accepted> for Reply {
    fn from(accepted: Accepted) -> Self {
        let created = protocol::status(StatusCode::CREATED);
        match accepted.warning {
            Some(warning) => protocol::warned(created, warning),
            None => created,
        }
    }
}

/// The push that `row` would become.
fn attempt(row: &VersionRow) -> Attempt<'_> {
    Attempt {
        key: &row.pushed_by,
        session: row.session.as_deref(),
        sha256: &row.sha256,
        object: Some(&row.object),
    }
}

/// Refuses a push whose number is taken by `found`, according to its verdict.
///
/// # Errors
/// It is not the push that made the version.
pub fn refuse_taken(
    verdict: Verdict,
    found: &VersionRow,
    id: &PackageId,
    version: &Version,
) -> Result<(), Refusal> {
    match verdict {
        Verdict::Replayed => Ok(()),
        // The bytes match, but the key may not restore them.
        Verdict::Restorable => {
            Err(Refusal::MayNotRestore { id: id.clone(), version: version.clone() })
        }
        Verdict::Taken => Err(taken(found, id, version)),
    }
}

/// The refusal of a push whose number is taken by `found`.
fn taken(found: &VersionRow, id: &PackageId, version: &Version) -> Refusal {
    let (id, version) = (id.clone(), version.clone());
    match found.state {
        VersionState::Visible => Refusal::VersionExists { id, version },
        VersionState::Deleted => Refusal::VersionDeleted { id, version },
    }
}

fn version_row(arrival: &Arrival) -> VersionRow {
    let Package { nuspec, attached, .. } = &arrival.package;
    let files = [
        attached.readme.as_ref().map(|_| AttachedFile::Readme),
        attached.license.as_ref().map(|_| AttachedFile::License),
        attached.icon.as_deref().and_then(AttachedFile::icon),
    ];
    let Stored { size, sha256 } = arrival.bytes.stored();
    VersionRow {
        id: nuspec.id.to_string(),
        version: nuspec.version.full(),
        listed: true,
        state: VersionState::Visible,
        object: arrival.object.clone(),
        size,
        sha256: BASE64_STANDARD.encode(sha256),
        published: arrival.published.clone().unwrap_or_else(timestamp),
        pushed_by: arrival.pushed_by.clone(),
        session: arrival.session.clone(),
        changed: None,
        files: files.into_iter().flatten().collect(),
        quotas: Vec::new(),
        downloads: 0,
        downloaded: None,
        downloads_before: 0,
    }
}

/// The client's session, one for all tries of one push: a GUID. Anything else
/// is not kept.
#[must_use]
pub fn session(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 64;
    let session = headers.get("x-nuget-session-id")?.to_str().ok()?;
    let plain = session.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    (plain && (1..=LONGEST).contains(&session.len())).then(|| session.to_owned())
}
