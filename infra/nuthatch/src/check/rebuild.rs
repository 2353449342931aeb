//! Rebuilds the table from the bucket: every committed package is inspected and committed
//! again.

use std::collections::{BTreeMap, BTreeSet};

use access::KeyName;
use ingest::{AnySource, Arrival, Bytes, Ingest, SymbolsArrival, SymbolsIntake};
use nupkg::Limits;
use protocol::Refusal;
use store::{ObjectKind, ObjectName, Place, RemoteObject, Spooling, Stored, VersionRow};
use ulid::Ulid;

use super::bucket::measure;
use super::findings::Problem;
use super::{ById, CheckError, Checked, Findings};

/// The pusher of rebuilt rows.
const REBUILDER: &str = "nuthatch-check";

/// Facts that the bucket does not hold.
const UNKNOWN: [&str; 3] = [
    "which versions were unlisted: all are listed",
    "the keys, who pushed what, and the log before now: create keys with 'nuthatch key create'",
    "downloads, usage and quotas before now: what is there counts as pushed now",
];

/// A version's objects in the bucket.
#[derive(Debug, Default)]
struct Candidate {
    packages: BTreeMap<Ulid, ObjectName>,
    committed: BTreeSet<Ulid>,
    deleted: BTreeSet<Ulid>,
}

/// Restores every version whose package is marked as committed and matches its key. Nothing
/// else is trusted, because anyone who may upload could have stored anything.
pub(super) async fn rebuild(checked: &Checked, findings: &mut Findings) -> Result<(), CheckError> {
    let rebuilder: KeyName = REBUILDER.parse().map_err(std::io::Error::other)?;
    if !is_lost(checked, &rebuilder).await? {
        return Err(CheckError::NotLost);
    }
    let limits = Limits::default();
    let (table, objects) = (checked.table.clone(), checked.objects.clone());
    let ingest = Ingest { table, objects, limits };
    findings.unknown = UNKNOWN.map(str::to_owned).to_vec();
    for ((id, version), candidate) in candidates(checked).await? {
        let package = format!("{id} {version}");
        findings.unknown.extend(candidate.unknown(&package));
        let committed: Vec<&Ulid> = candidate.committed.difference(&candidate.deleted).collect();
        let not_rebuilt = |reason: &str| Problem::NotRebuilt {
            object: package.clone(),
            reason: reason.to_owned(),
        };
        let problem = match committed.as_slice() {
            [] => None,
            [push] => match candidate.packages.get(push) {
                Some(name) => match bring_back(checked, &ingest, name, &rebuilder).await {
                    Ok(()) => {
                        findings.rebuilt.push(package.clone());
                        None
                    }
                    Err(CheckError::Refused(refusal)) if refusal.status().is_client_error() => {
                        Some(not_rebuilt(&refusal.to_string()))
                    }
                    Err(error) => return Err(error),
                },
                None => Some(not_rebuilt("its package is missing")),
            },
            _ => Some(not_rebuilt("more than one package is marked as committed")),
        };
        findings.problems.extend(problem);
    }
    Ok(())
}

impl Candidate {
    /// The facts about `package` that are unknown.
    fn unknown(&self, package: &str) -> Vec<String> {
        let mut unknown = Vec::new();
        let committed: BTreeSet<_> = self.committed.difference(&self.deleted).collect();
        if committed.is_empty() && !self.deleted.is_empty() {
            unknown
                .push(format!("{package} was deleted, or about to be: its number is free again"));
        }
        for (push, name) in &self.packages {
            if !self.committed.contains(push) && !self.deleted.contains(push) {
                let object = name.package();
                unknown.push(format!("whether {object} was ever committed: it is left out"));
            }
        }
        unknown
    }
}

/// Whether the table has no versions except rebuilt ones.
async fn is_lost(checked: &Checked, rebuilder: &KeyName) -> Result<bool, CheckError> {
    let mut position = None;
    loop {
        let page = checked.table.rows(position).await?;
        let is_original = |row: &VersionRow| row.pushed_by != *rebuilder;
        if page
            .rows
            .iter()
            .any(|row| matches!(row, store::Row::Version { row, .. } if is_original(row)))
        {
            return Ok(false);
        }
        position = page.next;
        if position.is_none() {
            return Ok(true);
        }
    }
}

/// The bucket's objects, by version.
async fn candidates(checked: &Checked) -> Result<ById<Candidate>, CheckError> {
    let mut candidates: ById<Candidate> = BTreeMap::new();
    let mut position = None;
    loop {
        let page = checked.objects.list(Place::Packages, position).await?;
        for name in page.objects.iter().filter_map(|object| ObjectName::parse(&object.key)) {
            let candidate = candidates.entry((name.id.key(), name.version.key())).or_default();
            match name.kind {
                ObjectKind::Package => {
                    candidate.packages.insert(name.push, name);
                }
                ObjectKind::Committed => {
                    candidate.committed.insert(name.push);
                }
                ObjectKind::Deleted => {
                    candidate.deleted.insert(name.push);
                }
                ObjectKind::Attached | ObjectKind::Symbols | ObjectKind::Pdb => {}
            }
        }
        position = page.next;
        if position.is_none() {
            return Ok(candidates);
        }
    }
}

/// Restores the symbols of every version that has none: the newest that belong to it. They are
/// stored only after that was found, so no mark is needed to trust them.
pub(super) async fn symbols(checked: &Checked, findings: &mut Findings) -> Result<(), CheckError> {
    let pushed_by: KeyName = REBUILDER.parse().map_err(std::io::Error::other)?;
    let intake = SymbolsIntake {
        table: checked.table.clone(),
        objects: checked.objects.clone(),
        limits: Limits::default(),
        spooling: Spooling::Folder(std::env::temp_dir()),
    };
    let mut pushed: ById<Vec<ObjectName>> = BTreeMap::new();
    let mut position = None;
    loop {
        let page = checked.objects.list(Place::Symbols, position).await?;
        let names = page.objects.iter().filter_map(|object| ObjectName::parse(&object.key));
        for name in names.filter(|name| name.kind == ObjectKind::Symbols) {
            pushed.entry((name.id.key(), name.version.key())).or_default().push(name);
        }
        position = page.next;
        if position.is_none() {
            break;
        }
    }
    for ((id, version), mut names) in pushed {
        names.sort_by_key(|name| std::cmp::Reverse(name.push));
        for name in names {
            match bring_back_symbols(checked, &intake, &name, &pushed_by).await {
                Ok(true) => findings.rebuilt.push(format!("the symbols of {id} {version}")),
                Ok(false) => {}
                Err(CheckError::Refused(refusal)) if refusal.status().is_client_error() => {
                    let object = name.symbols();
                    findings.unknown.push(format!("{object} is left out: {refusal}"));
                    continue;
                }
                Err(error) => return Err(error),
            }
            break;
        }
    }
    Ok(())
}

/// Commits symbols again, unless their version has some or is not there; returns whether they
/// were committed.
async fn bring_back_symbols(
    checked: &Checked,
    intake: &SymbolsIntake,
    name: &ObjectName,
    pushed_by: &KeyName,
) -> Result<bool, CheckError> {
    let found = checked.table.version_with_symbols(&name.id, &name.version).await?;
    if found.visible().is_none() || found.symbols.is_some() {
        return Ok(false);
    }
    let object = name.symbols();
    let Some((size, sha256)) = measure(checked, &object).await? else { return Ok(false) };
    let source = AnySource::new(checked.objects.open(&object, size).await?);
    let package = intake.inspect(&source).await?;
    if package.id != name.id || package.version != name.version {
        let declared = format!("{} {}", name.id, name.version);
        let found = format!("{} {}", package.id, package.version);
        return Err(Refusal::NotAsDeclared { declared, found }.into());
    }
    let arrival = SymbolsArrival {
        package,
        source,
        bytes: Bytes::InPlace(Stored { size, sha256 }),
        upload: None,
        push: name.push,
        pushed_by: pushed_by.clone(),
        session: None,
        published: Some(VersionRow::published_by(name.push)),
        quotas: Vec::new(),
    };
    Box::pin(intake.store(&arrival)).await?;
    Ok(true)
}

async fn bring_back(
    checked: &Checked,
    ingest: &Ingest,
    name: &ObjectName,
    rebuilder: &KeyName,
) -> Result<(), CheckError> {
    let object = name.package();
    if checked.table.version(&name.id, &name.version).await?.is_some() {
        return Ok(());
    }
    let Some((size, sha256)) = measure(checked, &object).await? else { return Ok(()) };
    let remote = RemoteObject::new(checked.objects.clone(), object.clone(), size);
    let package = ingest.inspect(remote).await?;
    let (id, version) = (&package.nuspec.id, &package.nuspec.version);
    if *id != name.id || *version != name.version {
        let declared = format!("{} {}", name.id, name.version);
        let found = format!("{id} {version}");
        return Err(Refusal::NotAsDeclared { declared, found }.into());
    }
    let arrival = Arrival {
        package,
        object,
        bytes: Bytes::InPlace(Stored { size, sha256 }),
        pushed_by: rebuilder.clone(),
        session: None,
        published: Some(VersionRow::published_by(name.push)),
        quotas: Vec::new(),
        may_restore: false,
    };
    Box::pin(ingest.store(arrival)).await?;
    Ok(())
}
