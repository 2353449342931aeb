//! Packages as readers see them.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use flate2::read::ZlibDecoder;
use nupkg::{PackageId, Version};
use time::OffsetDateTime;
use ulid::Ulid;

use super::heads::Unseen;
use super::rows::{
    METADATA, NuspecRow, STAMP, VERSION, metadata_key, nuspec_key, package_key, version_key,
};
use super::{
    Head, Item, Metadata, Release, Stamp, Table, TableError, VersionRow, VersionState, Visibility,
    at_key, end_of, from_item, text, unavailable, unreadable,
};

/// A value read from a package, and the package's stamp at that time. The value is valid as
/// long as the package has this stamp.
#[derive(Debug, Clone)]
pub struct Stamped<T> {
    /// The stamp.
    pub stamp: Stamp,
    /// Whether everything that was changed with the stamp is in the value.
    pub is_settled: bool,
    /// The value.
    pub value: T,
}

impl<T> Stamped<T> {
    /// The same package with a value made of this one.
    #[must_use]
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Stamped<U> {
        let Self { stamp, is_settled, value } = self;
        Stamped { stamp, is_settled, value: make(value) }
    }
}

/// A version that was changed, as its last change left it.
#[derive(Debug, Clone)]
pub struct ChangedVersion {
    /// The version.
    pub version: Version,
    /// All that is shown of it; none where it was deleted.
    pub release: Option<Release>,
}

impl Table {
    /// The visible versions of a package, ascending, listed and unlisted; none
    /// where the feed never had the package. One call per MB of their rows.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn versions(
        &self,
        id: &PackageId,
    ) -> Result<Option<Stamped<Vec<Version>>>, TableError> {
        let (pk, last, now) = (package_key(id), end_of(VERSION), self.now());
        let attributes: Vec<_> =
            ["sk", "state", "changed"].into_iter().chain(Head::attributes()).collect();
        let (mut package, mut versions) = (None, Vec::new());
        let take = |item: Item| {
            // The head is read first: a later change also changes the head.
            let Some((_, unseen)) = &mut package else {
                package = Some(with_unseen(&item, now)?);
                return Ok(());
            };
            let row: VersionKey = from_item(item)?;
            let version = row.sk.strip_prefix(VERSION).unwrap_or_default();
            unseen.see(version, row.changed);
            if row.state == VersionState::Visible {
                versions.push(version.parse::<Version>().map_err(unreadable)?);
            }
            Ok(())
        };
        self.each_item("list versions", &pk, (STAMP, &last), &attributes, take).await?;
        let Some((head, unseen)) = package else { return Ok(None) };
        versions.sort_unstable();
        Ok(Some(self.stamped(head.stamp, &unseen, versions)))
    }

    fn stamped<T>(&self, stamp: Stamp, unseen: &Unseen, value: T) -> Stamped<T> {
        let is_settled = match self.visibility {
            Visibility::OneByOne => unseen.is_none(),
            Visibility::AtOnce => true,
        };
        Stamped { stamp, is_settled, value }
    }

    /// The visible versions of a package with their metadata, ascending, listed
    /// and unlisted; none where the feed never had the package. One call per MB
    /// of their rows.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn releases(
        &self,
        id: &PackageId,
    ) -> Result<Option<Stamped<Vec<Release>>>, TableError> {
        const MOST_TRIES: u32 = 5;
        let (pk, last) = (package_key(id), end_of(VERSION));
        for _ in 0..MOST_TRIES {
            let (mut found, now) = (Found::default(), self.now());
            let take = |item| found.take(item, now);
            self.each_item("list releases", &pk, (METADATA, &last), &[], take).await?;
            if found.is_whole() {
                let Some((head, unseen)) = found.package.take() else { return Ok(None) };
                let releases = found.releases()?;
                return Ok(Some(self.stamped(head.stamp, &unseen, releases)));
            }
        }
        Err(unreadable("a version without its metadata"))
    }

    /// The versions of a package that were changed since it had `stamp`, as the changes that
    /// `head` names left them; `None` where there may be more changes than it names, or where
    /// not all of them can be read yet. One call per 50.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn changed_since(
        &self,
        id: &PackageId,
        stamp: Stamp,
        head: &Head,
    ) -> Result<Option<Vec<ChangedVersion>>, TableError> {
        let Some(changes) = head.since(stamp) else { return Ok(None) };
        let names: Vec<_> =
            changes.iter().map(|change| (id.clone(), change.version.clone())).collect();
        let rows = self.named(&names).await?;
        let mut versions = Vec::with_capacity(changes.len());
        for (change, row) in changes.into_iter().zip(rows) {
            // There may still be rows of the change before, or already those of the next one.
            let Some((row, metadata)) = row.filter(|(row, _)| row.changed == Some(change.ulid))
            else {
                return Ok(None);
            };
            let release = match (row.state, metadata) {
                (VersionState::Deleted, _) => None,
                (VersionState::Visible, Some(metadata)) => Some(Release::of(row, metadata)?),
                (VersionState::Visible, None) => return Ok(None),
            };
            versions.push(ChangedVersion { version: change.version.clone(), release });
        }
        Ok(Some(versions))
    }

    /// The named versions as they are now, in the order of the names: visible, deleted or
    /// missing. One call per 50.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn named(
        &self,
        names: &[(PackageId, Version)],
    ) -> Result<Vec<Option<(VersionRow, Option<Metadata>)>>, TableError> {
        // AWS quota: 100 items per call.
        const AT_ONCE: usize = 50;
        let mut found = Vec::with_capacity(names.len());
        for names in names.chunks(AT_ONCE) {
            let keys = names.iter().flat_map(|(id, version)| {
                let keys = [version_key(id, version), metadata_key(id, version)];
                keys.map(|key| at_key(key, Item::new()))
            });
            let mut rows = HashMap::new();
            for item in self.batch(keys.collect()).await? {
                rows.insert((text(&item, "pk")?, text(&item, "sk")?), item);
            }
            for (id, version) in names {
                let row = rows.remove(&version_key(id, version)).map(from_item::<VersionRow>);
                let metadata = rows.remove(&metadata_key(id, version)).map(from_item::<Metadata>);
                let metadata = metadata.transpose()?;
                found.push(row.transpose()?.map(|row| (row, metadata)));
            }
        }
        Ok(found)
    }

    /// The items at `keys`, in any order, as the last finished writes left them.
    pub(super) async fn batch(&self, mut keys: Vec<Item>) -> Result<Vec<Item>, TableError> {
        let action = "give out rows";
        let mut items = Vec::with_capacity(keys.len());
        while !keys.is_empty() {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut keys)))
                .consistent_read(true)
                .build()
                .map_err(unreadable)?;
            let name = self.name.as_str();
            let got = self.client.batch_get_item().request_items(name, wanted).send().await;
            let got = got.map_err(|error| unavailable(action, error))?;
            items.extend(got.responses.into_iter().flatten().flat_map(|(_, items)| items));
            // Rows that did not fit into 16 MB (AWS quota).
            let rest = got.unprocessed_keys.into_iter().flatten();
            keys.extend(rest.flat_map(|(_, rest)| rest.keys));
        }
        Ok(items)
    }

    /// The nuspec of a visible version, as it stands in the package. One call.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn nuspec(
        &self,
        id: &PackageId,
        version: &Version,
    ) -> Result<Option<Vec<u8>>, TableError> {
        let Some(item) = self.item("give out a nuspec", nuspec_key(id, version)).await? else {
            return Ok(None);
        };
        let row: NuspecRow = from_item(item)?;
        let mut xml = Vec::new();
        ZlibDecoder::new(row.zlib.as_slice()).read_to_end(&mut xml).map_err(unreadable)?;
        Ok(Some(xml))
    }
}

/// A version's row as a version list reads it.
#[derive(serde::Deserialize)]
struct VersionKey {
    sk: String,
    state: VersionState,
    changed: Option<Ulid>,
}

/// The rows of a package by the versions' keys.
#[derive(Default)]
struct Found {
    package: Option<(Head, Unseen)>,
    rows: BTreeMap<String, VersionRow>,
    metadata: HashMap<String, Metadata>,
}

impl Found {
    /// Takes in a row, read at `now`. The head comes before the versions.
    fn take(&mut self, item: Item, now: OffsetDateTime) -> Result<(), TableError> {
        let sk = text(&item, "sk")?;
        if let Some(version) = sk.strip_prefix(METADATA) {
            self.metadata.insert(version.to_owned(), from_item(item)?);
        } else if let Some(version) = sk.strip_prefix(VERSION) {
            let row: VersionRow = from_item(item)?;
            if let Some((_, unseen)) = &mut self.package {
                unseen.see(version, row.changed);
            }
            if row.state == VersionState::Visible {
                self.rows.insert(version.to_owned(), row);
            }
        } else {
            self.package = Some(with_unseen(&item, now)?);
        }
        Ok(())
    }

    /// Whether every version has its metadata. A version that appeared during the read may
    /// not, if its metadata's place in the order was already past.
    fn is_whole(&self) -> bool {
        self.rows.keys().all(|version| self.metadata.contains_key(version))
    }

    fn releases(self) -> Result<Vec<Release>, TableError> {
        let Self { rows, mut metadata, .. } = self;
        let mut releases = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            releases.push(Release::of(row, metadata.remove(&key).unwrap_or_default())?);
        }
        releases.sort_unstable_by(|left, right| left.version.cmp(&right.version));
        Ok(releases)
    }
}

impl Release {
    fn of(row: VersionRow, metadata: Metadata) -> Result<Self, TableError> {
        let version = row.version.parse().map_err(unreadable)?;
        Ok(Self { version, row, metadata })
    }
}

/// A package's head, and its changes that may not be in the rows that are read at `now`.
fn with_unseen(head: &Item, now: OffsetDateTime) -> Result<(Head, Unseen), TableError> {
    let head = Head::read(head)?;
    let unseen = Unseen::of(&head, now);
    Ok((head, unseen))
}
