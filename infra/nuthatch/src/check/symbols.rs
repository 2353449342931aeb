//! The symbols' part of the check: they belong to a visible version, and their PDBs are there.

use std::collections::HashMap;
use std::io;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::BodyExt;
use nupkg::{PackageId, PdbChecksum, PdbIdentity, Version};
use store::{ObjectKey, PdbRow, SymbolsRow, VersionWithSymbols};
use time::{Duration, OffsetDateTime};
use ulid::Ulid;

use super::bucket::measure;
use super::findings::{Problem, StrayPdb};
use super::rows::Versions;
use super::{CheckError, Checked, Findings};

/// The objects of a version's symbols; none where its key is broken.
pub(super) fn objects((key, row): (&(String, String), &SymbolsRow)) -> Vec<ObjectKey> {
    parse(key).map_or(Vec::new(), |(id, version)| row.objects(&id, &version).collect())
}

fn parse((id, version): &(String, String)) -> Option<(PackageId, Version)> {
    Some((PackageId::parse(id).ok()?, version.parse().ok()?))
}

/// Checks all symbols, and finds the rows of PDBs that no symbols have. Removes those that are
/// older than `older_than`, if it is set.
pub(super) async fn check(
    checked: &Checked,
    versions: &Versions,
    older_than: Option<Duration>,
    findings: &mut Findings,
) -> Result<(), CheckError> {
    let known: HashMap<(Ulid, usize), &PdbRow> =
        versions.pdbs.iter().map(|(_, row)| ((row.push, row.number), row)).collect();
    for (key, row) in &versions.symbols {
        let Some((id, version)) = parse(key) else { continue };
        let package = format!("{} {}", key.0, key.1);
        let mut problems = of_package(checked, &package, &row.object(&id, &version), row).await?;
        for (number, guid) in row.pdbs.iter().enumerate() {
            let object = row.object(&id, &version).pdb(number);
            let Some(pdb) = known.get(&(row.push, number)) else {
                problems.push(Problem::MissingPdb { package: package.clone(), guid: guid.clone() });
                continue;
            };
            problems.extend(of_pdb(checked, &package, &object, pdb).await?);
        }
        let now = checked.table.version_with_symbols(&id, &version).await?;
        if now.visible().is_none() {
            problems.push(Problem::StrayRow { package, row: "symbols" });
        }
        // They may have been replaced or deleted meanwhile.
        if now.symbols.as_ref() == Some(row) {
            findings.problems.extend(problems);
        }
    }
    for (guid, row) in &versions.pdbs {
        let key = (row.id.clone(), row.version.clone());
        if versions.symbols.get(&key).is_none_or(|symbols| symbols.push != row.push) {
            findings.stray_pdbs.extend(check_stray(checked, guid, row, older_than).await?);
        }
    }
    Ok(())
}

/// The problem with a symbols package.
async fn of_package(
    checked: &Checked,
    package: &str,
    object: &ObjectKey,
    row: &SymbolsRow,
) -> Result<Vec<Problem>, CheckError> {
    let found = measure(checked, object).await?;
    let (package, object) = (package.to_owned(), object.to_string());
    Ok(match found {
        None => vec![Problem::MissingObject { package, object }],
        Some((found, _)) if found != row.size => {
            vec![Problem::WrongSize { package, object, expected: row.size, found }]
        }
        Some((_, sha256)) if BASE64_STANDARD.encode(sha256) != row.sha256 => {
            vec![Problem::WrongHash { package, object }]
        }
        Some(_) => Vec::new(),
    })
}

/// The problem with a PDB. Its row has the checksum that debuggers compare, and no other.
async fn of_pdb(
    checked: &Checked,
    package: &str,
    object: &ObjectKey,
    row: &PdbRow,
) -> Result<Option<Problem>, CheckError> {
    let found = measure(checked, object).await?;
    let key = object.to_string();
    let package = package.to_owned();
    match found {
        None => return Ok(Some(Problem::MissingObject { package, object: key })),
        Some((found, _)) if found != row.size => {
            let expected = row.size;
            return Ok(Some(Problem::WrongSize { package, object: key, expected, found }));
        }
        Some(_) if !checked.read_all => return Ok(None),
        Some(_) => {}
    }
    let body = checked.objects.get(object, None).await?.collect().await;
    let bytes = body.map_err(io::Error::other)?.to_bytes();
    let read = PdbIdentity::read(bytes.as_ref(), row.size).ok();
    let checksum = read.map(|read| PdbChecksum::sha256(&read).to_string());
    let is_sound = checksum.is_some_and(|checksum| row.checksums.contains(&checksum));
    Ok((!is_sound).then_some(Problem::WrongHash { package, object: key }))
}

async fn check_stray(
    checked: &Checked,
    guid: &str,
    row: &PdbRow,
    older_than: Option<Duration>,
) -> Result<Option<StrayPdb>, CheckError> {
    let (id, version) = row.of()?;
    // Its push may have been committed since the rows were read.
    let VersionWithSymbols { symbols, .. } =
        checked.table.version_with_symbols(&id, &version).await?;
    if symbols.is_some_and(|symbols| symbols.push == row.push) {
        return Ok(None);
    }
    let age = OffsetDateTime::now_utc() - OffsetDateTime::from(row.push.datetime());
    let removed = older_than.is_some_and(|limit| age >= limit);
    if removed {
        checked.table.forget_pdb(guid, row).await?;
    }
    let package = format!("{} {}", row.id, row.version);
    let age_seconds = age.whole_seconds();
    Ok(Some(StrayPdb { guid: guid.to_owned(), package, age_seconds, removed }))
}
