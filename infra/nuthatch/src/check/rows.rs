//! The table's half of the check: every row can be read, and the rows of a version are
//! consistent.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use store::{PdbRow, Row, SymbolsRow, VersionRow, VersionState};
use ulid::Ulid;

use super::findings::Problem;
use super::{ById, CheckError, Checked, Findings};

/// The rows to compare the bucket with.
#[derive(Debug, Default)]
pub(super) struct Versions {
    pub(super) all: ById<VersionRow>,
    pub(super) symbols: ById<SymbolsRow>,
    /// The rows of PDBs, by their GUIDs.
    pub(super) pdbs: Vec<(String, PdbRow)>,
}

/// The other rows, until all are read.
#[derive(Debug, Default)]
struct Others {
    metadata: BTreeSet<(String, String)>,
    nuspecs: BTreeSet<(String, String)>,
    stamps: BTreeMap<String, Ulid>,
    changes: HashSet<Ulid>,
    keys: HashSet<String>,
    key_names: Vec<(String, String)>,
    trusts: BTreeSet<String>,
    trust_names: BTreeSet<String>,
}

/// Reads all rows and checks them against each other.
pub(super) async fn read(
    checked: &Checked,
    findings: &mut Findings,
) -> Result<Versions, CheckError> {
    let (mut versions, mut others) = (Versions::default(), Others::default());
    let mut position = None;
    loop {
        let page = checked.table.rows(position).await?;
        for row in page.rows {
            sort(row, &mut versions, &mut others, findings);
        }
        position = page.next;
        if position.is_none() {
            break;
        }
    }
    let is_visible = |row: &&VersionRow| row.state == VersionState::Visible;
    findings.versions = versions.all.values().filter(is_visible).count() as u64;
    findings.deleted = versions.all.len() as u64 - findings.versions;
    findings.symbols = versions.symbols.len() as u64;
    findings.changes = others.changes.len() as u64;
    findings.keys += others.keys.len() as u64;
    // A version may have changed while the rows were read, so its row is read again.
    let mut problems = compare(&versions, &others);
    confirm(checked, &versions, &mut problems).await?;
    findings.problems.extend(problems.into_iter().map(|(_, problem)| problem));
    Ok(versions)
}

fn sort(row: Row, versions: &mut Versions, others: &mut Others, findings: &mut Findings) {
    match row {
        Row::Version { id, version, row } => {
            versions.all.insert((id, version), *row);
        }
        Row::Metadata { id, version } => {
            others.metadata.insert((id, version));
        }
        Row::Nuspec { id, version } => {
            others.nuspecs.insert((id, version));
        }
        Row::Stamp { id, change } => {
            others.stamps.insert(id, change);
        }
        Row::Symbols { id, version, row } => {
            versions.symbols.insert((id, version), row);
        }
        Row::Pdb { guid, row } => versions.pdbs.push((guid, row)),
        Row::Change(change) => {
            others.changes.insert(change);
        }
        Row::Key(hash) => {
            others.keys.insert(hash);
        }
        Row::KeyName { name, hash } => others.key_names.push((name, hash.as_str().to_owned())),
        Row::Trust(name) => {
            others.trusts.insert(name.to_string());
        }
        Row::TrustName(name) => {
            others.trust_names.insert(name);
        }
        Row::TrustedKey => findings.keys += 1,
        Row::OfTrusts | Row::Act | Row::Quota | Row::Books => {}
        Row::Unreadable { pk, sk, reason } => {
            findings.problems.push(Problem::UnreadableRow { pk, sk, reason });
        }
    }
}

/// A problem, and the version that it concerns.
type Suspicion = (Option<(String, String)>, Problem);

fn compare(versions: &Versions, others: &Others) -> Vec<Suspicion> {
    let mut found = Vec::new();
    for (key @ (id, version), row) in &versions.all {
        let package = || format!("{id} {version}");
        let mut report = |problem| found.push((Some(key.clone()), problem));
        let is_visible = row.state == VersionState::Visible;
        for (rows, row) in [(&others.metadata, "metadata"), (&others.nuspecs, "nuspec")] {
            match (is_visible, rows.contains(key)) {
                (true, false) => report(Problem::MissingRow { package: package(), row }),
                (false, true) => report(Problem::StrayRow { package: package(), row }),
                _ => {}
            }
        }
        match row.changed {
            Some(change) if others.changes.contains(&change) => {}
            change => {
                let change = change.map(|change| change.to_string()).unwrap_or_default();
                report(Problem::GapInLog { package: package(), change });
            }
        }
        match others.stamps.get(id) {
            None => report(Problem::MissingRow { package: package(), row: "head" }),
            Some(stamp) if !others.changes.contains(stamp) => {
                report(Problem::GapInLog { package: package(), change: stamp.to_string() });
            }
            Some(_) => {}
        }
    }
    for (rows, row) in [(&others.metadata, "metadata"), (&others.nuspecs, "nuspec")] {
        for key @ (id, version) in rows.iter().filter(|key| !versions.all.contains_key(*key)) {
            let package = format!("{id} {version}");
            found.push((Some(key.clone()), Problem::StrayRow { package, row }));
        }
    }
    for (name, _) in others.key_names.iter().filter(|(_, hash)| !others.keys.contains(hash)) {
        found.push((None, Problem::MissingKey { name: name.clone() }));
    }
    for name in others.trusts.symmetric_difference(&others.trust_names) {
        found.push((None, Problem::MissingTrust { name: name.clone() }));
    }
    found
}

/// Drops the problems of versions that have changed since they were read.
async fn confirm(
    checked: &Checked,
    versions: &Versions,
    problems: &mut Vec<Suspicion>,
) -> Result<(), CheckError> {
    let suspects: BTreeSet<_> = problems.iter().filter_map(|(key, _)| key.clone()).collect();
    for key in suspects {
        let before = versions.all.get(&key).and_then(|row| row.changed);
        let now = current(checked, &key).await?.and_then(|row| row.changed);
        if before != now {
            problems.retain(|(suspect, _)| *suspect != Some(key.clone()));
        }
    }
    Ok(())
}

/// The version's row as it is now.
pub(super) async fn current(
    checked: &Checked,
    (id, version): &(String, String),
) -> Result<Option<VersionRow>, CheckError> {
    let (Ok(id), Ok(version)) = (nupkg::PackageId::parse(id), version.parse()) else {
        return Ok(None);
    };
    Ok(checked.table.version(&id, &version).await?)
}
