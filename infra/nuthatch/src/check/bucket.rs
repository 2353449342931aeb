//! The bucket's half of the check: every visible version has its objects, and every object
//! belongs to a visible version.

use std::collections::HashSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use store::{
    ListedObject, ObjectError, ObjectKey, ObjectKind, ObjectName, Place, VersionRow, VersionState,
};
use time::{Duration, OffsetDateTime};
use tokio::task::JoinSet;

use super::findings::{Orphan, Problem, Unmarked};
use super::rows::{Versions, current};
use super::{AT_ONCE, CheckError, Checked, Findings, symbols};

/// Checks the objects of all visible versions, several at once.
pub(super) async fn check_versions(
    checked: &Checked,
    versions: &Versions,
    findings: &mut Findings,
) -> Result<(), CheckError> {
    let visible = versions.all.iter().filter(|(_, row)| row.state == VersionState::Visible);
    let (mut rest, mut checking) = (visible, JoinSet::new());
    loop {
        while checking.len() < AT_ONCE
            && let Some((key, row)) = rest.next()
        {
            let (checked, key, row) = (checked.clone(), key.clone(), row.clone());
            checking.spawn(async move { check_version(&checked, &key, &row).await });
        }
        let Some(done) = checking.join_next().await else { break };
        findings.problems.extend(done.map_err(std::io::Error::other)??);
    }
    Ok(())
}

async fn check_version(
    checked: &Checked,
    key: &(String, String),
    row: &VersionRow,
) -> Result<Vec<Problem>, CheckError> {
    let package = || format!("{} {}", row.id, row.version);
    let mut problems = Vec::new();
    let object = row.object.to_string();
    if !lies_under(&row.object, key) {
        problems.push(Problem::OtherObject { package: package(), object: object.clone() });
    }
    match measure(checked, &row.object).await? {
        None => problems.push(Problem::MissingObject { package: package(), object }),
        Some((found, _)) if found != row.size => {
            let expected = row.size;
            problems.push(Problem::WrongSize { package: package(), object, expected, found });
        }
        Some((_, sha256)) if BASE64_STANDARD.encode(sha256) != row.sha256 => {
            problems.push(Problem::WrongHash { package: package(), object });
        }
        Some(_) => {}
    }
    for object in row.objects().skip(1) {
        if measure(checked, &object).await?.is_none() {
            let object = object.to_string();
            problems.push(Problem::MissingObject { package: package(), object });
        }
    }
    // It may have been deleted meanwhile.
    if !problems.is_empty() && current(checked, key).await?.as_ref() != Some(row) {
        problems.clear();
    }
    Ok(problems)
}

/// Whether the object is one that a push of this version may have stored.
fn lies_under(object: &ObjectKey, (id, version): &(String, String)) -> bool {
    ObjectName::parse(object.as_str()).is_some_and(|name| {
        name.package() == *object && name.id.key() == *id && name.version.key() == *version
    })
}

/// The size and SHA-256 of an object: as verified by the bucket, or computed by reading it.
pub(super) async fn measure(
    checked: &Checked,
    object: &ObjectKey,
) -> Result<Option<(u64, [u8; 32])>, CheckError> {
    let proven = checked.objects.stored(object).await?;
    if let Some(stored) = proven.filter(|_| !checked.read_all) {
        return Ok(Some((stored.size, stored.sha256)));
    }
    // An object stored in parts has no hash of the whole.
    let mut body = match checked.objects.get(object, None).await {
        Ok(body) => body,
        Err(ObjectError::Missing(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (mut size, mut sha256) = (0, Sha256::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(std::io::Error::other)?;
        if let Some(data) = frame.data_ref() {
            size += data.len() as u64;
            sha256.update(data);
        }
    }
    Ok(Some((size, sha256.finalize().into())))
}

/// Finds the objects in the bucket that nothing points to. Removes those that are older than
/// `older_than`, if it is set.
pub(super) async fn check_objects(
    checked: &Checked,
    versions: &Versions,
    older_than: Option<Duration>,
    findings: &mut Findings,
) -> Result<(), CheckError> {
    let visible = || versions.all.values().filter(|row| row.state == VersionState::Visible);
    let of_symbols = versions.symbols.iter().flat_map(symbols::objects);
    let known: HashSet<String> = visible()
        .flat_map(VersionRow::objects)
        .chain(of_symbols)
        .map(|key| key.to_string())
        .collect();
    let mut marked = HashSet::new();
    for place in [Place::Packages, Place::Symbols, Place::Uploads] {
        let mut position = None;
        loop {
            let page = checked.objects.list(place, position).await?;
            for object in &page.objects {
                let name = ObjectName::parse(&object.key);
                match name.as_ref().map(|name| name.kind) {
                    Some(ObjectKind::Committed) => {
                        marked.extend(name.map(|name| name.package().to_string()));
                    }
                    // The mark is kept forever, as the version number stays taken.
                    Some(ObjectKind::Deleted) => {}
                    _ if known.contains(&object.key) => findings.objects += 1,
                    _ => {
                        findings.objects += 1;
                        findings.orphans.extend(check_orphan(checked, object, older_than).await?);
                    }
                }
            }
            position = page.next;
            if position.is_none() {
                break;
            }
        }
    }
    let unmarked = visible().filter(|row| !marked.contains(row.object.as_str()));
    for row in unmarked {
        let marks = older_than.is_some();
        if marks {
            checked.objects.mark_committed(&row.object).await?;
        }
        findings
            .unmarked
            .push(Unmarked { package: format!("{} {}", row.id, row.version), marked: marks });
    }
    Ok(())
}

async fn check_orphan(
    checked: &Checked,
    object: &ListedObject,
    older_than: Option<Duration>,
) -> Result<Option<Orphan>, CheckError> {
    let name = ObjectName::parse(&object.key);
    // It may have been committed since the rows were read.
    if let Some(ObjectName { id, version, .. }) = &name {
        let now = checked.table.version_with_symbols(id, version).await?;
        let of_version = now.visible().into_iter().flat_map(VersionRow::objects);
        let of_symbols = now.symbols.iter().flat_map(|row| row.objects(id, version));
        if of_version.chain(of_symbols).any(|known| known.as_str() == object.key) {
            return Ok(None);
        }
    }
    let now = OffsetDateTime::now_utc();
    let made = name.map(|name| OffsetDateTime::from(name.push.datetime()));
    // An object whose key does not come from a push is not ours to remove.
    let age = made.map_or(Duration::ZERO, |made| now - made);
    let removed = made.is_some() && older_than.is_some_and(|limit| age >= limit);
    if removed {
        checked.objects.delete_listed(object).await?;
    }
    let age_seconds = age.whole_seconds();
    let (object, bytes) = (object.key.clone(), object.size);
    Ok(Some(Orphan { object, bytes, age_seconds, removed }))
}
