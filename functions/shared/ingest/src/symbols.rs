//! The intake of symbols packages: one is inspected, matched with its package, stored and
//! committed.
//!
//! As with packages, the commit is one transaction, and nothing is visible before it. The
//! objects of a push are named after it, and no push is committed a second time: so the
//! objects of replaced symbols can be removed without a look at anything else.

use std::fmt;
use std::sync::Arc;

use access::{KeyName, QuotaName};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use nupkg::{
    Limits, MatchedPdb, PackageError, PackageId, PdbContents, PdbEntry, Source, SymbolsPackage,
    Version, inspect_symbols, match_symbols,
};
use protocol::Refusal;
use store::{
    Charges, ObjectError, ObjectKey, Objects, OpenObject, PdbRow, Spooling, SymbolsOutcome,
    SymbolsRow, Table, VersionWithSymbols, timestamp,
};
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use ulid::Ulid;

use crate::receive::{Written, unavailable};
use crate::{Bytes, Counted, CountedKind, Received};

/// The most symbols packages that one process inspects at once.
static INSPECTIONS: Semaphore = Semaphore::const_new(4);
/// PDBs that are stored at once.
const AT_ONCE: usize = 8;
/// How often a push begins again because its version was changed meanwhile.
const TRIES: usize = 5;

/// The intake of symbols packages.
#[derive(Debug, Clone)]
pub struct SymbolsIntake {
    /// Where symbols are committed.
    pub table: Table,
    /// Where packages are, and where symbols go.
    pub objects: Objects,
    /// The limits of a symbols package.
    pub limits: Limits,
    /// Where PDBs are kept between their package and the bucket.
    pub spooling: Spooling,
}

/// The bytes of a symbols package, wherever they are. Clones share them.
#[derive(Clone)]
pub struct AnySource(Arc<dyn Source + Send + Sync>);

/// An inspected symbols package on its way into the feed.
#[derive(Debug)]
pub struct SymbolsArrival {
    /// The symbols package.
    pub package: SymbolsPackage,
    /// Its bytes, to be read.
    pub source: AnySource,
    /// Where its bytes are.
    pub bytes: Bytes,
    /// The upload that its bytes are in, if they are.
    pub upload: Option<ObjectKey>,
    /// The push: a name that was never used before.
    pub push: Ulid,
    /// The key that it is pushed with.
    pub pushed_by: KeyName,
    /// The client's session.
    pub session: Option<String>,
    /// When it was pushed, if that is not now.
    pub published: Option<String>,
    /// The quotas that its bytes may be counted in.
    pub quotas: Vec<QuotaName>,
}

impl AnySource {
    /// The bytes in `source`.
    pub fn new(source: impl Source + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }
}

impl fmt::Debug for AnySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnySource({} bytes)", self.0.size())
    }
}

impl SymbolsIntake {
    /// Inspects a symbols package, apart from its PDBs. Blocks no runtime.
    ///
    /// # Errors
    /// It breaks a rule, or cannot be read.
    pub async fn inspect(&self, source: &AnySource) -> Result<SymbolsPackage, Refusal> {
        let (source, limits) = (Arc::clone(&source.0), self.limits.clone());
        let inspected =
            spawn_blocking(move || inspect_symbols(source, &limits, OffsetDateTime::now_utc()));
        let inspected = inspected.await.map_err(|panic| Refusal::Broken(panic.into()))?;
        inspected.map_err(invalid_symbols)
    }

    /// Stores and commits a symbols package. Four calls, and one for each PDB; more for a
    /// large package, whose assemblies are read in ranges, and for symbols that it replaces.
    /// One call if the version has these symbols already.
    ///
    /// # Errors
    /// The version is not there, the PDBs do not belong to it, or a service does not answer.
    pub async fn store(&self, arrival: &SymbolsArrival) -> Result<(), Refusal> {
        let SymbolsPackage { id, version, .. } = &arrival.package;
        let object = ObjectKey::symbols(id, version, arrival.push);
        let mut missing = None;
        for _ in 0..TRIES {
            let found = self.table.version_with_symbols(id, version).await?;
            let Some(row) = found.visible() else { return Err(no_version(id, version)) };
            if has(&found, arrival) {
                return Ok(());
            }
            let package = match self.objects.open(&row.object, row.size).await {
                // The version may have been deleted, and restored, since its row was read.
                Err(error @ ObjectError::Missing(_)) => {
                    missing = Some(error);
                    continue;
                }
                opened => opened?,
            };
            let charges = self.charges(arrival, &found).await?;
            let matched = self.matched(arrival, package).await;
            let matched = matched.map_err(|refusal| of_taken(refusal, arrival, &found))?;
            let upload = arrival.upload.as_ref().unwrap_or(&object);
            arrival.bytes.put(&self.objects, &object, upload).await?;
            self.put_pdbs(&object, &arrival.source, &matched).await?;
            return self.commit(arrival, &matched, (found, charges)).await;
        }
        Err(missing.map_or_else(|| Refusal::Broken("no try was made".into()), Refusal::from))
    }

    /// Commits symbols whose objects are stored, in place of those that were `found`, and with
    /// their part in quotas.
    async fn commit(
        &self,
        arrival: &SymbolsArrival,
        matched: &[MatchedPdb],
        (mut found, mut charges): (VersionWithSymbols, Charges),
    ) -> Result<(), Refusal> {
        let SymbolsPackage { id, version, .. } = &arrival.package;
        let (mut row, pdbs) = rows(arrival, matched);
        for _ in 0..TRIES {
            let replaced = found.symbols.as_ref();
            row.quotas = charges.names();
            let committed =
                self.table.commit_symbols((id, version), &row, &pdbs, replaced, &charges);
            match committed.await? {
                SymbolsOutcome::Done => {
                    if let Some(replaced) = replaced {
                        self.forget((id, version), replaced).await;
                    }
                    return Ok(());
                }
                SymbolsOutcome::Changed | SymbolsOutcome::QuotaChanged => {
                    found = self.table.version_with_symbols(id, version).await?;
                }
            }
            if found.visible().is_none() {
                self.forget((id, version), &row).await;
                return Err(no_version(id, version));
            }
            // Never those of this very push, whose commit was answered with an error.
            if found.symbols.as_ref().is_some_and(|known| known.push == row.push) {
                return Ok(());
            }
            if has(&found, arrival) {
                self.forget((id, version), &row).await;
                return Ok(());
            }
            charges = match self.charges(arrival, &found).await {
                Ok(charges) => charges,
                Err(refusal) => {
                    self.forget((id, version), &row).await;
                    return Err(refusal);
                }
            };
        }
        Err(Refusal::Unavailable("others push symbols of this version all the time".into()))
    }

    /// The part of the symbols in each quota, less that of those which they replace.
    async fn charges(
        &self,
        arrival: &SymbolsArrival,
        found: &VersionWithSymbols,
    ) -> Result<Charges, Refusal> {
        let counted = Counted {
            id: &arrival.package.id,
            key: &arrival.pushed_by,
            quotas: &arrival.quotas,
            bytes: arrival.bytes.stored().size,
            kind: CountedKind::Symbols(found.symbols.as_ref()),
        };
        counted.charges(&self.table).await
    }

    /// Removes symbols that nothing points to any more, as far as that is possible.
    async fn forget(&self, (id, version): (&PackageId, &Version), row: &SymbolsRow) {
        for object in row.objects(id, version) {
            self.objects.discard(&object).await;
        }
        if let Err(error) = self.table.forget_pdbs(row).await {
            tracing::warn!(push = %row.push, "left the rows of PDBs that are gone: {error}");
        }
    }

    /// The PDBs of a symbols package, each with its assembly in `package`.
    async fn matched(
        &self,
        arrival: &SymbolsArrival,
        package: OpenObject,
    ) -> Result<Vec<MatchedPdb>, Refusal> {
        let turn = INSPECTIONS.acquire().await;
        let _turn = turn.map_err(|closed| Refusal::Broken(closed.into()))?;
        let (symbols, limits) = (arrival.package.clone(), self.limits.clone());
        let source = Arc::clone(&arrival.source.0);
        let matched = spawn_blocking(move || {
            match_symbols(&symbols, &mut PdbContents::open(source)?, package, &limits)
        });
        matched.await.map_err(|panic| Refusal::Broken(panic.into()))?.map_err(invalid_symbols)
    }

    /// Stores the PDBs of the symbols package at `object`, a few at once.
    async fn put_pdbs(
        &self,
        object: &ObjectKey,
        source: &AnySource,
        matched: &[MatchedPdb],
    ) -> Result<(), Refusal> {
        let source = Arc::clone(&source.0);
        let opened = spawn_blocking(move || PdbContents::open(source));
        let opened = opened.await.map_err(|panic| Refusal::Broken(panic.into()))?;
        let mut contents = opened.map_err(invalid_symbols)?;
        let mut putting: JoinSet<Result<(), ObjectError>> = JoinSet::new();
        for (number, pdb) in matched.iter().enumerate() {
            if putting.len() == AT_ONCE {
                stored(putting.join_next().await)?;
            }
            let received;
            (contents, received) = self.unpack(contents, pdb.entry.clone()).await?;
            let (objects, key) = (self.objects.clone(), object.pdb(number));
            putting.spawn(async move {
                let Received { content, sha256 } = received;
                objects.put(&key, &content, &sha256).await
            });
        }
        while let Some(put) = putting.join_next().await {
            stored(Some(put))?;
        }
        Ok(())
    }

    /// Unpacks a PDB, and gives the contents back.
    async fn unpack(&self, mut contents: Pdbs, pdb: PdbEntry) -> Result<(Pdbs, Received), Refusal> {
        let spool = self.spooling.start(Some(pdb.size));
        let unpacked = spawn_blocking(move || {
            let mut written = Written::to(spool);
            contents.copy(&pdb, &mut written)?;
            Ok((contents, written.finish()))
        });
        unpacked.await.map_err(|panic| Refusal::Broken(panic.into()))?.map_err(invalid_symbols)
    }
}

type Pdbs = PdbContents<Arc<dyn Source + Send + Sync>>;

/// The outcome of one of several puts.
fn stored(
    put: Option<Result<Result<(), ObjectError>, tokio::task::JoinError>>,
) -> Result<(), Refusal> {
    match put {
        Some(Ok(put)) => Ok(put?),
        Some(Err(panic)) => Err(Refusal::Broken(panic.into())),
        None => Ok(()),
    }
}

/// The refusal of symbols of another build, where a version has some.
fn of_taken(refusal: Refusal, arrival: &SymbolsArrival, found: &VersionWithSymbols) -> Refusal {
    match refusal {
        Refusal::InvalidSymbols(PackageError::Symbols(error))
            if error.is_of_another_build() && found.symbols.is_some() =>
        {
            let SymbolsPackage { id, version, .. } = arrival.package.clone();
            Refusal::SymbolsOfAnotherBuild { id, version, error: Box::new(error) }
        }
        refusal => refusal,
    }
}

/// Whether a version has the symbols that arrive.
fn has(found: &VersionWithSymbols, arrival: &SymbolsArrival) -> bool {
    let sha256 = BASE64_STANDARD.encode(arrival.bytes.stored().sha256);
    found.symbols.as_ref().is_some_and(|known| known.sha256 == sha256)
}

fn rows(arrival: &SymbolsArrival, matched: &[MatchedPdb]) -> (SymbolsRow, Vec<PdbRow>) {
    let stored = arrival.bytes.stored();
    let row = SymbolsRow {
        push: arrival.push,
        size: stored.size,
        sha256: BASE64_STANDARD.encode(stored.sha256),
        published: arrival.published.clone().unwrap_or_else(timestamp),
        pushed_by: arrival.pushed_by.clone(),
        session: arrival.session.clone(),
        pdbs: matched.iter().map(|pdb| pdb.identity.id.guid()).collect(),
        quotas: Vec::new(),
    };
    let pdbs = matched.iter().enumerate().map(|(number, pdb)| PdbRow {
        id: arrival.package.id.key(),
        version: arrival.package.version.key(),
        push: arrival.push,
        number,
        names: pdb.names.clone(),
        checksums: pdb.checksums.iter().map(ToString::to_string).collect(),
        size: pdb.entry.size,
        self_certified: pdb.identity.is_self_certified(),
    });
    (row, pdbs.collect())
}

fn no_version(id: &PackageId, version: &Version) -> Refusal {
    Refusal::NoVersionForSymbols { id: id.clone(), version: version.clone() }
}

/// The refusal of a symbols package with this fault.
#[must_use]
pub fn invalid_symbols(error: PackageError) -> Refusal {
    match error {
        PackageError::Unreadable(error) => unavailable(error),
        error => Refusal::InvalidSymbols(error),
    }
}
