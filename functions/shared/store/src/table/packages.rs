//! Packages as readers see them.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use flate2::read::ZlibDecoder;
use nupkg::{PackageId, Version};

use super::rows::{
    METADATA, NuspecRow, STAMP, VERSION, metadata_key, nuspec_key, package_key, stamp_key,
    version_key,
};
use super::{
    Item, Metadata, Release, Stamp, Table, TableError, VersionRow, VersionState, Visibility,
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
    pub fn with<U>(&self, value: U) -> Stamped<U> {
        Stamped { stamp: self.stamp, is_settled: self.is_settled, value }
    }
}

impl Table {
    /// The package's stamp; none where the feed never had the package. One call.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn stamp(&self, id: &PackageId) -> Result<Option<Stamp>, TableError> {
        let item = self.item("give out a package's stamp", stamp_key(id)).await?;
        item.as_ref().map(read_stamp).transpose()
    }

    /// The visible versions of a package, ascending, listed and unlisted; none
    /// where the feed never had the package. One call per MB of their rows.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn versions(
        &self,
        id: &PackageId,
    ) -> Result<Option<Stamped<Vec<Version>>>, TableError> {
        let (pk, attributes) = (package_key(id), ["sk", "state", "stamp"]);
        let range = (STAMP, end_of(VERSION));
        let (mut stamp, mut versions) = (None, Vec::new());
        let take = |item: Item| {
            // The stamp is read first: a later change also changes the stamp.
            if stamp.is_none() {
                stamp = Some(read_stamp(&item)?);
                return Ok(());
            }
            let row: VersionKey = from_item(item)?;
            if row.state == VersionState::Visible {
                let version = row.sk.strip_prefix(VERSION).unwrap_or_default();
                versions.push(version.parse::<Version>().map_err(unreadable)?);
            }
            Ok(())
        };
        self.each_item("list versions", &pk, (range.0, &range.1), &attributes, take).await?;
        let Some(stamp) = stamp else { return Ok(None) };
        versions.sort_unstable();
        Ok(Some(self.stamped(stamp, versions)))
    }

    fn stamped<T>(&self, stamp: Stamp, value: T) -> Stamped<T> {
        let is_settled = match self.visibility {
            Visibility::OneByOne => stamp.is_settled(),
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
            let mut found = Found::default();
            let take = |item| found.take(item);
            self.each_item("list releases", &pk, (METADATA, &last), &[], take).await?;
            if found.is_whole() {
                let releases = found.releases()?;
                return Ok(releases.map(|(stamp, releases)| self.stamped(stamp, releases)));
            }
        }
        Err(unreadable("a version without its metadata"))
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
}

/// The rows of a package by the versions' keys.
#[derive(Default)]
struct Found {
    stamp: Option<Stamp>,
    rows: BTreeMap<String, VersionRow>,
    metadata: HashMap<String, Metadata>,
}

impl Found {
    fn take(&mut self, item: Item) -> Result<(), TableError> {
        let sk = text(&item, "sk")?;
        if let Some(version) = sk.strip_prefix(METADATA) {
            self.metadata.insert(version.to_owned(), from_item(item)?);
        } else if let Some(version) = sk.strip_prefix(VERSION) {
            let row: VersionRow = from_item(item)?;
            if row.state == VersionState::Visible {
                self.rows.insert(version.to_owned(), row);
            }
        } else {
            self.stamp = Some(read_stamp(&item)?);
        }
        Ok(())
    }

    /// Whether every version has its metadata. A version that appeared during the read may
    /// not, if its metadata's place in the order was already past.
    fn is_whole(&self) -> bool {
        self.rows.keys().all(|version| self.metadata.contains_key(version))
    }

    fn releases(self) -> Result<Option<(Stamp, Vec<Release>)>, TableError> {
        let Self { stamp, rows, mut metadata } = self;
        let Some(stamp) = stamp else { return Ok(None) };
        let mut releases = Vec::with_capacity(rows.len());
        for (key, row) in rows {
            let version = row.version.parse().map_err(unreadable)?;
            let metadata = metadata.remove(&key).unwrap_or_default();
            releases.push(Release { version, row, metadata });
        }
        releases.sort_unstable_by(|left, right| left.version.cmp(&right.version));
        Ok(Some((stamp, releases)))
    }
}

fn read_stamp(item: &Item) -> Result<Stamp, TableError> {
    Stamp::read(&text(item, "stamp")?).map_err(unreadable)
}
