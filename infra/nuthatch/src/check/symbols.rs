//! The symbols' part of the check: they belong to a visible version, and their PDBs are there.

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use nupkg::{PackageId, Version};
use store::{ObjectKey, PdbRow, SymbolsRow, VersionWithSymbols};
use time::{Duration, OffsetDateTime};

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
    let known: HashSet<(&str, &str)> =
        versions.pdbs.iter().map(|(guid, row)| (guid.as_str(), row.id.as_str())).collect();
    for (key, row) in &versions.symbols {
        let Some((id, version)) = parse(key) else { continue };
        let mut problems = of_objects(checked, (&id, &version), row).await?;
        let package = || format!("{} {}", key.0, key.1);
        for guid in row.pdbs.iter().filter(|guid| !known.contains(&(guid.as_str(), key.0.as_str())))
        {
            problems.push(Problem::MissingPdb { package: package(), guid: guid.clone() });
        }
        let now = checked.table.version_with_symbols(&id, &version).await?;
        if now.visible().is_none() {
            problems.push(Problem::StrayRow { package: package(), row: "symbols" });
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

/// The problems with the objects of symbols.
async fn of_objects(
    checked: &Checked,
    (id, version): (&PackageId, &Version),
    row: &SymbolsRow,
) -> Result<Vec<Problem>, CheckError> {
    let package = || format!("{} {}", id.key(), version.key());
    let mut problems = Vec::new();
    let snupkg = row.object(id, version);
    for object in row.objects(id, version) {
        let is_package = object == snupkg;
        let key = object.to_string();
        match measure(checked, &object).await? {
            None => problems.push(Problem::MissingObject { package: package(), object: key }),
            Some((found, _)) if is_package && found != row.size => {
                let expected = row.size;
                problems.push(Problem::WrongSize {
                    package: package(),
                    object: key,
                    expected,
                    found,
                });
            }
            Some((_, sha256)) if is_package && BASE64_STANDARD.encode(sha256) != row.sha256 => {
                problems.push(Problem::WrongHash { package: package(), object: key });
            }
            Some(_) => {}
        }
    }
    Ok(problems)
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
