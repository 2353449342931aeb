//! The invariants that hold at every moment, checked by a fresh process.

use access::{IdGlob, Quota, QuotaLimits, QuotaName};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use nupkg::{PackageId, Version};
use nuthatch_tests::{Client, TestFeed};
use sha2::{Digest, Sha256};
use store::{Objects, QuotaSet, VersionRow, VersionState};

use crate::verb::Symbols;

/// The view of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It was never there.
    Absent,
    /// It is there, and search shows it.
    Listed,
    /// It is there, but search does not show it.
    Unlisted,
    /// It was deleted.
    Deleted,
}

/// Sets a quota that every push is counted in, and that refuses none: before any key is made.
pub(crate) async fn set_quota(feed: &TestFeed) {
    let limits = QuotaLimits { bytes: Some(1 << 50), pushes_per_day: Some(1 << 30), ..NO_LIMITS };
    let id = Some(IdGlob::any());
    let quota = Quota { id, ..Quota::new(quota_name(), limits) };
    let set = feed.own_ledger().set_quota(quota, "tests").await.unwrap();
    assert_eq!(set, QuotaSet::Done);
}

const NO_LIMITS: QuotaLimits =
    QuotaLimits { bytes: None, pushes_per_day: None, package_bytes: None };

fn quota_name() -> QuotaName {
    "all".parse().unwrap()
}

/// The bytes that the quota counts.
pub(crate) async fn counted(feed: &TestFeed) -> i64 {
    feed.table().quotas(&[quota_name()]).await.unwrap()[0].stored
}

/// Checks that the quota counts as many bytes more than `before` as there are of a package.
pub(crate) async fn check_quota(feed: &TestFeed, id: &str, before: i64, case: &str) {
    let (package, version) = (PackageId::parse(id).unwrap(), "1.0.0".parse::<Version>().unwrap());
    let found = feed.table().version_with_symbols(&package, &version).await.unwrap();
    let version = found.visible().map_or(0, |row| row.size);
    let symbols = found.symbols.as_ref().map_or(0, |row| row.size);
    let there = i64::try_from(version + symbols).unwrap();
    assert_eq!(counted(feed).await - before, there, "{case}: not what the quota counts");
}

/// The view of a version in a fresh instance, and the last change that its row names. Also
/// checks the invariants that hold whatever happened: `bytes` are the only packages that
/// anybody pushed.
pub(crate) async fn look(
    feed: &TestFeed,
    owner: &Client,
    id: &str,
    bytes: &[&[u8]],
) -> (Seen, Option<String>) {
    let fresh = feed.another_instance();
    let (owner, table) = (owner.at(&fresh), fresh.table());
    let (package, version) = (PackageId::parse(id).unwrap(), "1.0.0".parse::<Version>().unwrap());
    let named = table.named(&[(package.clone(), version.clone())]).await.unwrap().remove(0);
    let (row, metadata) = named.unzip();
    let metadata = metadata.flatten();
    let seen = match &row {
        None => Seen::Absent,
        Some(row) if row.state == VersionState::Deleted => Seen::Deleted,
        Some(row) if row.listed => Seen::Listed,
        Some(_) => Seen::Unlisted,
    };
    let is_visible = matches!(seen, Seen::Listed | Seen::Unlisted);
    // All rows of a version come and go together.
    assert_eq!(metadata.is_some(), is_visible, "metadata of a version that is {seen:?}");
    let nuspec = table.nuspec(&package, &version).await.unwrap();
    assert_eq!(nuspec.is_some(), is_visible, "nuspec of a version that is {seen:?}");
    let head = table.head(&package).await.unwrap();
    assert_eq!(head.is_some(), row.is_some(), "head of the package of a version that is {seen:?}");
    let change = row.as_ref().map(|row| row.changed.unwrap().to_string());
    let listed = owner.versions(&package.key()).await.contains(&"1.0.0".to_owned());
    assert_eq!(listed, is_visible, "in the list of versions, and {seen:?}");
    let nupkg = owner.nupkg(&package.key(), "1.0.0").await;
    if !is_visible {
        assert_eq!(nupkg.status, StatusCode::NOT_FOUND);
        return (seen, change);
    }
    assert_eq!(nupkg.status, StatusCode::OK, "the object of a visible version");
    assert!(bytes.iter().any(|bytes| **bytes == nupkg.body), "bytes that nobody pushed");
    check_row(&row.unwrap(), &nupkg.body);
    (seen, change)
}

/// A visible version's object has the row's hash and size, and its files are there.
fn check_row(row: &VersionRow, bytes: &[u8]) {
    assert_eq!(row.size, bytes.len() as u64);
    assert_eq!(row.sha256, BASE64_STANDARD.encode(Sha256::digest(bytes)));
}

/// Checks that an acknowledged version is marked in the bucket, so that a rebuild restores
/// it, and that a deleted version has its own mark, so that no rebuild restores it.
pub(crate) async fn check_marks(feed: &TestFeed, id: &str) {
    let (package, version) = (PackageId::parse(id).unwrap(), "1.0.0".parse::<Version>().unwrap());
    let row = feed.table().version(&package, &version).await.unwrap().unwrap();
    let marks = feed.marks_of(&package.key()).await;
    let mark = |ending: &str| row.object.as_str().replace("nupkg", ending);
    let is_deleted = row.state == VersionState::Deleted;
    assert!(marks.contains(&mark("committed")), "{id} is not marked: {marks:?}");
    assert_eq!(marks.contains(&mark("deleted")), is_deleted, "{id}: {marks:?}");
}

/// The actor whose symbols a version has, in a fresh instance. Also checks the invariants:
/// all of them are there, and nothing of any others.
pub(crate) async fn look_at_symbols(feed: &TestFeed, owner: &Client, id: &str) -> Option<usize> {
    let owner = owner.at(&feed.another_instance());
    let (package, version) = (PackageId::parse(id).unwrap(), "1.0.0".parse::<Version>().unwrap());
    let found = feed.table().version_with_symbols(&package, &version).await.unwrap();
    assert!(found.symbols.is_none() || found.visible().is_some(), "symbols of no version");
    let key = package.key();
    let snupkg = owner.get(&format!("/v3/package/{key}/1.0.0/{key}.1.0.0.snupkg")).await;
    let mut current = None;
    for actor in 0..Symbols::ACTORS {
        let symbols = Symbols::of(id, actor);
        let answer = owner.get(&symbols.path()).await;
        let is_there = snupkg.status == StatusCode::OK && snupkg.body == symbols.snupkg;
        if is_there {
            assert_eq!(answer.status, StatusCode::OK, "a PDB of the symbols of {actor}");
            assert_eq!(answer.body, symbols.pdb.bytes);
            current = Some(actor);
        } else {
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "a PDB of no symbols: {actor}");
        }
    }
    assert_eq!(current.is_some(), found.symbols.is_some(), "{:?}", snupkg.status);
    assert_eq!(current.is_some(), snupkg.status == StatusCode::OK);
    current
}

/// The files of a visible version are objects.
pub(crate) async fn check_files(feed: &TestFeed, id: &str) {
    let (package, version) = (PackageId::parse(id).unwrap(), "1.0.0".parse::<Version>().unwrap());
    let row = feed.table().version(&package, &version).await.unwrap().unwrap();
    let objects = Objects::new(feed.aws.s3.clone(), store::BucketName::default());
    for object in row.objects() {
        assert!(objects.stored(&object).await.unwrap().is_some(), "{object} is missing");
    }
}
