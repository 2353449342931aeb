//! All objects of the bucket, for checks of the feed. No function may list them.

use nupkg::{PackageId, Version};
use ulid::Ulid;

use super::marks::Mark;
use super::{
    ObjectError, ObjectKey, Objects, PACKAGES, PDB, SNUPKG, SYMBOLS, UPLOADS, unavailable,
};

/// An object of a package, as the bucket lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Objects, and where to read on.
#[derive(Debug, Default)]
pub struct ObjectPage {
    /// Up to 1,000 objects.
    pub objects: Vec<ListedObject>,
    /// Where to read on; none where these are the last.
    pub next: Option<String>,
}

/// The parts of the key of a package's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// The package.
    pub id: PackageId,
    /// The version.
    pub version: Version,
    /// The push that made it.
    pub push: Ulid,
    /// The kind of object.
    pub kind: ObjectKind,
}

/// The part that an object plays for its package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// The package itself.
    Package,
    /// A file out of it.
    Attached,
    /// Its symbols package.
    Symbols,
    /// A PDB out of its symbols package.
    Pdb,
    /// The mark of its commit.
    Committed,
    /// The mark of its deletion.
    Deleted,
}

/// A part of the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Packages that pushes have stored.
    Packages,
    /// Symbols packages, and their PDBs.
    Symbols,
    /// Uploads that may still be committed.
    Uploads,
}

impl ObjectName {
    /// The parts of `key`; none where no push makes such keys.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let place =
            [PACKAGES, SYMBOLS, UPLOADS].iter().find_map(|place| key.strip_prefix(place))?;
        let mut segments = place.split('/');
        let (id, version, file) = (segments.next()?, segments.next()?, segments.next()?);
        let (push, extension) = match (segments.next(), segments.next()) {
            (None, _) => file.split_once('.')?,
            // A PDB stands in the folder of its push.
            (Some(pdb), None) => (file, pdb.split_once('.')?.1),
            _ => return None,
        };
        Some(Self {
            id: PackageId::parse(id).ok()?,
            version: version.parse().ok()?,
            push: Ulid::from_string(push).ok()?,
            kind: match extension {
                "nupkg" => ObjectKind::Package,
                SNUPKG => ObjectKind::Symbols,
                PDB => ObjectKind::Pdb,
                _ if extension == Mark::Committed.extension() => ObjectKind::Committed,
                _ if extension == Mark::Deleted.extension() => ObjectKind::Deleted,
                _ => ObjectKind::Attached,
            },
        })
    }

    /// The key of the package.
    #[must_use]
    pub fn package(&self) -> ObjectKey {
        ObjectKey::of(&self.id, &self.version, self.push)
    }

    /// The key of the symbols package.
    #[must_use]
    pub fn symbols(&self) -> ObjectKey {
        ObjectKey::symbols(&self.id, &self.version, self.push)
    }
}

impl Objects {
    /// The objects of a part of the bucket from `position` on. One call.
    ///
    /// # Errors
    /// The bucket did not answer.
    pub async fn list(
        &self,
        place: Place,
        position: Option<String>,
    ) -> Result<ObjectPage, ObjectError> {
        let page = self
            .client
            .list_objects_v2()
            .bucket(self.bucket.as_str())
            .prefix(match place {
                Place::Packages => PACKAGES,
                Place::Symbols => SYMBOLS,
                Place::Uploads => UPLOADS,
            })
            .set_continuation_token(position)
            .send()
            .await
            .map_err(|error| unavailable("list its objects", error))?;
        let objects = page.contents().iter().map(|object| ListedObject {
            key: object.key().unwrap_or_default().to_owned(),
            size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        });
        let next = page.next_continuation_token().map(str::to_owned);
        Ok(ObjectPage { objects: objects.collect(), next })
    }

    /// Deletes a listed object, whatever it is. One call.
    ///
    /// # Errors
    /// The bucket did not say that it is gone.
    pub async fn delete_listed(&self, object: &ListedObject) -> Result<(), ObjectError> {
        self.delete(&ObjectKey(object.key.clone())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_whose_it_is() {
        let key = "packages/acme.core/1.0.0-rc.1/01ARZ3NDEKTSV4RRFFQ69G5FAV.nupkg";
        let name = ObjectName::parse(key).unwrap();
        assert_eq!((name.id.as_str(), name.kind), ("acme.core", ObjectKind::Package));
        assert_eq!(name.package().as_str(), key);
        for (extension, kind) in [
            ("readme", ObjectKind::Attached),
            ("committed", ObjectKind::Committed),
            ("deleted", ObjectKind::Deleted),
        ] {
            let key = key.replace("nupkg", extension);
            assert_eq!(ObjectName::parse(&key).unwrap().kind, kind);
        }
        assert!(ObjectName::parse(&key.replace("packages", "uploads")).is_some());
        let symbols = "symbols/acme.core/1.0.0/01ARZ3NDEKTSV4RRFFQ69G5FAV.snupkg";
        let pdb = "symbols/acme.core/1.0.0/01ARZ3NDEKTSV4RRFFQ69G5FAV/0.pdb";
        for (key, kind) in [(symbols, ObjectKind::Symbols), (pdb, ObjectKind::Pdb)] {
            let name = ObjectName::parse(key).unwrap();
            assert_eq!((name.kind, name.symbols().as_str()), (kind, symbols));
        }
        for key in ["search/snapshot", "packages/a/1.0.0/x.nupkg", "packages/a/b", "packages/"] {
            assert_eq!(ObjectName::parse(key), None, "{key}");
        }
    }
}
