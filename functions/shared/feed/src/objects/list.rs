//! All objects of the bucket, for who checks them. No function may list it.

use nupkg::{PackageId, Version};
use ulid::Ulid;

use super::{ObjectError, ObjectKey, Objects, unavailable};

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

/// What the key of a package's object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName {
    /// The package.
    pub id: PackageId,
    /// The version.
    pub version: Version,
    /// The push that made it.
    pub push: Ulid,
    /// Whether it is the package itself, and not a file out of it.
    pub is_package: bool,
}

impl ObjectName {
    /// What `key` says; none where no push makes such keys.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let mut segments = key.strip_prefix("packages/")?.split('/');
        let (id, version, file) = (segments.next()?, segments.next()?, segments.next()?);
        if segments.next().is_some() {
            return None;
        }
        let (push, extension) = file.split_once('.')?;
        Some(Self {
            id: PackageId::parse(id).ok()?,
            version: version.parse().ok()?,
            push: Ulid::from_string(push).ok()?,
            is_package: extension == "nupkg",
        })
    }

    /// The key of the package.
    #[must_use]
    pub fn package(&self) -> ObjectKey {
        ObjectKey::of(&self.id, &self.version, self.push)
    }
}

impl Objects {
    /// The packages' objects from `position` on. One call.
    ///
    /// # Errors
    /// The bucket did not answer.
    pub async fn list(&self, position: Option<String>) -> Result<ObjectPage, ObjectError> {
        let page = self
            .client
            .list_objects_v2()
            .bucket(self.bucket.as_str())
            .prefix("packages/")
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

    /// Deletes what is at `key`, whatever it is. One call.
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
        assert_eq!((name.id.as_str(), name.is_package), ("acme.core", true));
        assert_eq!(name.package().as_str(), key);
        let readme = key.replace("nupkg", "readme");
        assert!(!ObjectName::parse(&readme).unwrap().is_package);
        for key in ["search/snapshot", "packages/a/1.0.0/x.nupkg", "packages/a/b", "packages/"] {
            assert_eq!(ObjectName::parse(key), None, "{key}");
        }
    }
}
