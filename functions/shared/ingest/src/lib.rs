//! How a package comes in, whichever way: received, inspected, stored,
//! committed.
//!
//! Nothing can be seen before the commit, and everything after it. A crash in
//! between leaves an object that nothing points to, and a retry simply works. Behind the
//! commit a mark beside the package's object says so, before anybody is told: a table
//! that is lost is rebuilt from what is marked.

mod declaration;
mod receive;

use access::KeyName;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use nupkg::{Attached, Limits, Nuspec, Package, PackageId, Source, Version};
use protocol::Refusal;
use sha2::{Digest, Sha256};
use store::{
    AttachedFile, CommitOutcome, Content, ObjectError, ObjectKey, Objects, Stored, Table,
    VersionRow, VersionState, timestamp,
};
use time::OffsetDateTime;

pub use declaration::Declaration;
pub use receive::{Received, receive};

/// Where packages go in.
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
    /// When it was pushed, where that is not now.
    pub published: Option<String>,
    /// Whether it may bring back what was deleted.
    pub may_restore: bool,
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

    /// Stores and commits a package; gives what its client should hear even so.
    /// Four calls and one more for each attached file, or one where its number
    /// is taken; one more per object of what lost, and to remove an upload.
    ///
    /// # Errors
    /// The number is taken, or a service does not answer.
    pub async fn store(&self, arrival: Arrival) -> Result<Option<&'static str>, Refusal> {
        let row = version_row(&arrival);
        let Arrival { mut package, bytes, may_restore, .. } = arrival;
        let nuspec = package.nuspec.clone();
        if let Some(found) = self.table.version(&nuspec.id, &nuspec.version).await? {
            let is_restored = found.is_restored(&row.sha256, Some(&row.object));
            if !(is_restored && may_restore) {
                self.forget_upload(&row, &bytes).await;
                let judged = judge(&found, &row, &nuspec);
                return self.acknowledge(&found, judged, is_restored).await.map(|()| None);
            }
        }
        let warning = warning(&package, &row);
        let attached = std::mem::take(&mut package.attached);
        tokio::try_join!(
            Box::pin(self.put(&row, &bytes)),
            Box::pin(self.put_attached(&row, attached)),
        )?;
        // Where the commit's answer is lost the version may be in: its object
        // must stay, and the client's next try finds out.
        match self.table.commit(&row, package, may_restore).await? {
            CommitOutcome::Done => {
                self.objects.mark_committed(&row.object).await?;
                self.forget_upload(&row, &bytes).await;
                Ok(warning)
            }
            CommitOutcome::Lost(found) => {
                if !matches!(bytes, Bytes::InPlace(_)) {
                    for object in row.objects() {
                        self.discard(&found, &object).await;
                    }
                }
                self.forget_upload(&row, &bytes).await;
                let is_restored = found.is_restored(&row.sha256, Some(&row.object));
                let judged = judge(&found, &row, &nuspec);
                self.acknowledge(&found, judged, is_restored).await.map(|()| warning)
            }
        }
    }

    /// Tells a push whose number is taken by `found` what was judged of it. One that is in
    /// by an earlier try is marked first, for that one may not have come so far: one call.
    async fn acknowledge(
        &self,
        found: &VersionRow,
        judged: Result<(), Refusal>,
        is_restored: bool,
    ) -> Result<(), Refusal> {
        match judged {
            Ok(()) => Ok(self.objects.mark_committed(&found.object).await?),
            // Only the key does not suffice.
            Err(Refusal::VersionDeleted { id, version }) if is_restored => {
                Err(Refusal::MayNotRestore { id, version })
            }
            Err(refusal) => Err(refusal),
        }
    }

    /// Acknowledges an upload that is gone, where `found` is what it has become: the
    /// version with its object, or that of another try.
    ///
    /// # Errors
    /// Another push has its number, or the bucket does not answer.
    pub async fn replay(
        &self,
        found: &VersionRow,
        (declared, object): (&Declaration, &ObjectKey),
        key: &KeyName,
        session: Option<&str>,
    ) -> Result<(), Refusal> {
        let is_this = found.state == VersionState::Visible && found.object == *object;
        let judged = if is_this { Ok(()) } else { declared.judge(found, key, session) };
        self.acknowledge(found, judged, false).await
    }

    /// Removes the upload of what has been judged, if it was uploaded. Nothing points to
    /// it, so nobody minds if it stays until the bucket forgets it.
    async fn forget_upload(&self, row: &VersionRow, bytes: &Bytes) {
        if let Bytes::Uploaded(_) = bytes {
            self.objects.discard(&row.object.upload()).await;
        }
    }

    async fn put(&self, row: &VersionRow, bytes: &Bytes) -> Result<(), ObjectError> {
        match bytes {
            Bytes::Received(received) => {
                self.objects.put(&row.object, &received.content, &received.sha256).await
            }
            Bytes::Uploaded(stored) => {
                self.objects.adopt(&row.object.upload(), &row.object, stored.size).await
            }
            Bytes::InPlace(_) => Ok(()),
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

    /// Removes an object of a push that lost against `found`, unless it is the
    /// winner's: one and the same upload may be committed twice at once. Nothing
    /// points to it, so nobody minds if it stays.
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

/// The verdict on a push whose number is taken by `found`.
fn judge(found: &VersionRow, pushed: &VersionRow, nuspec: &Nuspec) -> Result<(), Refusal> {
    let VersionRow { pushed_by, session, sha256, .. } = pushed;
    let is_this = found.state == VersionState::Visible && found.object == pushed.object;
    if is_this || found.is_replayed(pushed_by, session.as_deref(), sha256) {
        return Ok(());
    }
    Err(taken(found, &nuspec.id, &nuspec.version))
}

/// The refusal of a push whose number `found` has.
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
    let (size, sha256, sha512) = match &arrival.bytes {
        Bytes::Received(received) => {
            (received.content.size(), received.sha256, Some(received.sha512))
        }
        Bytes::Uploaded(stored) | Bytes::InPlace(stored) => (stored.size, stored.sha256, None),
    };
    VersionRow {
        id: nuspec.id.to_string(),
        version: nuspec.version.full(),
        listed: true,
        state: VersionState::Visible,
        object: arrival.object.clone(),
        size,
        sha256: BASE64_STANDARD.encode(sha256),
        sha512: sha512.map(|hash| BASE64_STANDARD.encode(hash)),
        published: arrival.published.clone().unwrap_or_else(timestamp),
        pushed_by: arrival.pushed_by.clone(),
        session: arrival.session.clone(),
        changed: None,
        files: files.into_iter().flatten().collect(),
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
