//! GET of a PDB: the symbol server that debuggers ask (SSQP, `Simple_Symbol_Query_Protocol.md`
//! of dotnet/symstore).
//!
//! | answer | when |
//! |---|---|
//! | 302 | the PDB, at a presigned address of the bucket |
//! | 200, 206, 416 | the PDB or a part of it, where the feed streams it itself |
//! | 401 | reading needs a key |
//! | 404 | anything else: after another refusal, debuggers do not ask again |
//!
//! Two AWS calls: look up the PDB by its id, and check that its symbols are still those of
//! their version. One call where there is none; no call for a path that no PDB can have,
//! because debuggers ask for every module.

mod asked;

use feed::{Context, Delivery, ReadAccess, StoredFile, SymbolAccess, Verb};
use nupkg::{PackageId, Version};
use protocol::{
    Access, Caller, ConfigError, PathParameters, Refusal, Reply, Request, Route, Subject, paths,
};
use store::{ObjectError, ObjectKey, Objects, PdbRow, Table, TableError};

use asked::{AskedPdb, Checksums};

/// The most versions that are looked at in one call (AWS quota).
const AT_ONCE: usize = 100;

/// How often a PDB is looked up that is gone when it is read.
const TRIES: usize = 3;

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Symbols {
    /// The table of PDBs.
    pub table: Table,
    /// The PDBs.
    pub objects: Objects,
    /// How PDBs reach the client.
    pub delivery: Delivery,
    /// The callers that may read.
    pub read_access: ReadAccess,
    /// The callers that get symbols without a key.
    pub symbol_access: SymbolAccess,
}

/// A PDB that a version has.
struct Found {
    row: PdbRow,
    id: PackageId,
    version: Version,
}

impl Verb for Symbols {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[Route::read(paths::SYMBOL_FILE, Access::ReadOrChecksum)];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self {
            table: context.table()?,
            objects: context.objects()?,
            delivery: context.hosting.delivery,
            read_access: context.environment.or_default(ReadAccess::SETTING)?,
            symbol_access: context.environment.or_default(SymbolAccess::SETTING)?,
        })
    }

    async fn handle(&self, request: Request) -> Reply {
        let mut subject = Subject::default();
        let reply = self.give(&request, &mut subject).await.unwrap_or_else(Reply::from);
        subject.of_reply(reply)
    }
}

impl Symbols {
    async fn give(&self, request: &Request, subject: &mut Subject) -> Result<Reply, Refusal> {
        let asked = AskedPdb::of(PathParameters::of(request).get("proxy"));
        let asked = asked.ok_or(Refusal::NoSuchSymbols)?;
        let caller = Caller::of(request);
        let checksums = Checksums::of(request.headers());
        if checksums.is_empty() && self.must_prove(&caller) {
            return Err(Refusal::NoSuchSymbols);
        }
        let mut missing = None;
        for _ in 0..TRIES {
            let found = self.find(&asked, &checksums, &caller).await?;
            let Found { row, id, version } = found.ok_or(Refusal::NoSuchSymbols)?;
            *subject = Subject::new(&id, &version);
            let object = ObjectKey::symbols(&id, &version, row.push).pdb(row.number);
            let file = StoredFile {
                object: &object,
                name: &asked.file_name(),
                size: row.size,
                tag: &format!("{}-{}", row.push, row.number),
            };
            match self.delivery.deliver(&self.objects, request, file).await {
                // The symbols may have been replaced or deleted since they were looked up.
                Err(error @ ObjectError::Missing(_)) => missing = Some(error),
                delivered => return Ok(delivered?),
            }
        }
        Err(missing.map_or(Refusal::NoSuchSymbols, Refusal::from))
    }

    /// The PDB that is asked for, if a version has one that the caller may read.
    async fn find(
        &self,
        asked: &AskedPdb,
        checksums: &Checksums,
        caller: &Caller,
    ) -> Result<Option<Found>, TableError> {
        let mut rows = self.table.pdbs(&asked.guid).await?;
        rows.retain(|row| row.names.contains(&asked.name) && checksums.allow(&row.checksums));
        // Of several PDBs with one id, those come first that nobody else can have made, and
        // then the oldest.
        rows.sort_by_key(|row| !row.self_certified);
        self.current(rows, caller).await
    }

    /// Whether the caller has to know the checksum.
    fn must_prove(&self, caller: &Caller) -> bool {
        *caller == Caller::Anonymous && self.read_access == ReadAccess::Keys
    }

    /// The first of the PDBs that a version has now, and that the caller may read. One call
    /// per 100.
    async fn current(
        &self,
        rows: Vec<PdbRow>,
        caller: &Caller,
    ) -> Result<Option<Found>, TableError> {
        let mut readable = Vec::with_capacity(rows.len());
        for row in rows {
            let (id, version) = row.of()?;
            if caller.covers(&id) {
                readable.push(Found { row, id, version });
            }
        }
        let mut rest = readable.into_iter();
        loop {
            let some: Vec<Found> = rest.by_ref().take(AT_ONCE).collect();
            if some.is_empty() {
                return Ok(None);
            }
            let versions: Vec<(PackageId, Version)> =
                some.iter().map(|found| (found.id.clone(), found.version.clone())).collect();
            let pushes = self.table.pushes_of_symbols(&versions).await?;
            let is_current = |found: &Found| {
                let key = (found.id.key(), found.version.key());
                pushes.get(&key) == Some(&found.row.push)
            };
            if let Some(found) = some.into_iter().find(is_current) {
                return Ok(Some(found));
            }
        }
    }
}
