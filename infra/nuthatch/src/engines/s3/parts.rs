//! Multipart uploads: each part is a file of its own until the parts are joined into an
//! object. Uploads that are not completed are lost when the process ends.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use s3s::dto::CompletedPart;
use s3s::{S3Error, S3Result, s3_error};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::super::files::{Condition, Draft, NewContent, NewObject, Store, StoreError};

/// The minimum size in bytes of every part except the last (AWS quota).
const LEAST: u64 = 5 * 1024 * 1024;

/// The uploads that are not complete yet.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<HashMap<String, Upload>>);

#[derive(Debug)]
struct Upload {
    key: String,
    content_type: Option<String>,
    parts: BTreeMap<i32, Arc<Part>>,
}

/// A part that has arrived.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) draft: Draft,
    pub(super) size: u64,
    /// Base64.
    pub(super) sha256: String,
}

impl Uploads {
    /// Begins an upload; gives its id.
    pub(super) fn create(&self, key: String, content_type: Option<String>) -> String {
        let id = Ulid::new().to_string();
        let upload = Upload { key, content_type, parts: BTreeMap::new() };
        self.lock().insert(id.clone(), upload);
        id
    }

    pub(super) fn put(&self, id: &str, key: &str, number: i32, part: Part) -> S3Result<()> {
        let mut uploads = self.lock();
        let upload = uploads.get_mut(id).filter(|upload| upload.key == key);
        let Some(upload) = upload else { return Err(s3_error!(NoSuchUpload)) };
        upload.parts.insert(number, Arc::new(part));
        Ok(())
    }

    /// Aborts an upload.
    pub(super) fn abort(&self, id: &str, key: &str) -> S3Result<()> {
        let mut uploads = self.lock();
        match uploads.get(id) {
            Some(upload) if upload.key == key => {
                uploads.remove(id);
                Ok(())
            }
            _ => Err(s3_error!(NoSuchUpload)),
        }
    }

    /// The parts that the client lists, if they are those that it sent.
    pub(super) fn listed(&self, id: &str, key: &str, list: &[CompletedPart]) -> S3Result<Listed> {
        let uploads = self.lock();
        let upload = uploads.get(id).filter(|upload| upload.key == key);
        let Some(upload) = upload else { return Err(s3_error!(NoSuchUpload)) };
        let (mut parts, mut before) = (Vec::new(), 0);
        for listed in list {
            let number = listed.part_number.unwrap_or_default();
            if number <= before {
                return Err(s3_error!(InvalidPartOrder));
            }
            before = number;
            let part = upload.parts.get(&number).ok_or_else(|| s3_error!(InvalidPart))?;
            if listed.checksum_sha256.as_ref().is_some_and(|declared| *declared != part.sha256) {
                return Err(s3_error!(InvalidPart));
            }
            parts.push(Arc::clone(part));
        }
        let small = parts
            .split_last()
            .is_some_and(|(_, all_but_last)| all_but_last.iter().any(|part| part.size < LEAST));
        if small || parts.is_empty() {
            return Err(s3_error!(EntityTooSmall));
        }
        Ok(Listed { key: key.to_owned(), content_type: upload.content_type.clone(), parts })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Upload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parts that make an object.
pub(super) struct Listed {
    key: String,
    content_type: Option<String>,
    parts: Vec<Arc<Part>>,
}

impl Listed {
    /// Joins the parts into one object. Returns its checksum, or `None` if the condition does
    /// not hold.
    pub(super) fn join(
        self,
        store: &Store,
        condition: Condition,
    ) -> Result<Option<String>, StoreError> {
        let (draft, mut file) = store.draft()?;
        let (mut hashes, mut size) = (Sha256::new(), 0);
        let copied = self.parts.iter().try_for_each(|part| {
            size += part.size;
            hashes.update(BASE64_STANDARD.decode(&part.sha256).map_err(io::Error::other)?);
            io::copy(&mut File::open(part.draft.path())?, &mut file).map(drop)
        });
        copied.map_err(|source| draft.error(source))?;
        // The hash of the parts' hashes, and the number of parts, in S3's format.
        let sha256 = format!("{}-{}", BASE64_STANDARD.encode(hashes.finalize()), self.parts.len());
        let content_type = self.content_type;
        let object = NewObject { key: self.key, size, sha256: sha256.clone(), content_type };
        Ok(store.commit(NewContent::File { draft, file }, &object, condition)?.then_some(sha256))
    }
}

/// The condition that `If-None-Match` states.
pub(super) fn condition(header: Option<&s3s::dto::IfNoneMatch>) -> Result<Condition, S3Error> {
    match header {
        None => Ok(Condition::None),
        Some(condition) if condition.is_any() => Ok(Condition::Absent),
        Some(_) => Err(s3_error!(NotImplemented, "only If-None-Match: * is known")),
    }
}
