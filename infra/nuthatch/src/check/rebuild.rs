//! A table out of a bucket: every package is inspected and committed anew.

use std::collections::BTreeMap;

use feed::{KeyName, ObjectName, RemoteObject, Stored, VersionRow};
use ingest::{Arrival, Bytes, Ingest};
use nupkg::Limits;

use super::bucket::measure;
use super::findings::Problem;
use super::{ById, CheckError, Checked, Findings};

/// Who has pushed what was brought back.
const REBUILDER: &str = "nuthatch-check";

/// What the bucket does not tell.
const UNKNOWN: [&str; 4] = [
    "which versions were unlisted: all are listed",
    "which versions were deleted: their numbers are free again, unless their objects are still there",
    "which of several objects of one version was committed: the oldest is taken",
    "the keys, who pushed what, and the log before now: create keys with 'nuthatch key create'",
];

/// Brings back every version that the bucket has a package of.
pub(super) async fn rebuild(checked: &Checked, findings: &mut Findings) -> Result<(), CheckError> {
    let rebuilder: KeyName = REBUILDER.parse().map_err(std::io::Error::other)?;
    if !is_lost(checked, &rebuilder).await? {
        return Err(CheckError::NotLost);
    }
    let limits = Limits::default();
    let (table, objects) = (checked.table.clone(), checked.objects.clone());
    let ingest = Ingest { table, objects, limits };
    findings.unknown = UNKNOWN.to_vec();
    for ((id, version), candidates) in candidates(checked).await? {
        for name in candidates.into_values() {
            let object = name.package().to_string();
            match bring_back(checked, &ingest, &name, &rebuilder).await {
                Ok(()) => {
                    findings.rebuilt.push(format!("{id} {version}"));
                    break;
                }
                Err(CheckError::Refused(refusal)) if refusal.status().is_client_error() => {
                    let reason = refusal.to_string();
                    findings.problems.push(Problem::NotRebuilt { object, reason });
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Whether no version is there but those that were brought back.
async fn is_lost(checked: &Checked, rebuilder: &KeyName) -> Result<bool, CheckError> {
    let mut position = None;
    loop {
        let page = checked.table.rows(position).await?;
        let is_original = |row: &VersionRow| row.pushed_by != *rebuilder;
        if page
            .rows
            .iter()
            .any(|row| matches!(row, feed::Row::Version { row, .. } if is_original(row)))
        {
            return Ok(false);
        }
        position = page.next;
        if position.is_none() {
            return Ok(true);
        }
    }
}

/// The packages in the bucket, by version, the oldest of each first.
async fn candidates(
    checked: &Checked,
) -> Result<ById<BTreeMap<ulid::Ulid, ObjectName>>, CheckError> {
    let mut candidates: ById<BTreeMap<_, _>> = BTreeMap::new();
    let mut position = None;
    loop {
        let page = checked.objects.list(position).await?;
        let names = page.objects.iter().filter_map(|object| ObjectName::parse(&object.key));
        for name in names.filter(|name| name.is_package) {
            let key = (name.id.key(), name.version.key());
            candidates.entry(key).or_default().insert(name.push, name);
        }
        position = page.next;
        if position.is_none() {
            return Ok(candidates);
        }
    }
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
    let arrival = Arrival {
        package,
        object,
        bytes: Bytes::Uploaded(Stored { size, sha256 }),
        pushed_by: rebuilder.clone(),
        session: None,
        published: Some(VersionRow::published_by(name.push)),
    };
    ingest.store(arrival).await?;
    Ok(())
}
