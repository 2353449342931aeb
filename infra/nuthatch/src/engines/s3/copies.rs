//! Copies within the bucket: of a whole object, whose bytes are not read unless they are few,
//! or of a part of an object into a multipart upload.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use s3s::dto::CopySource;
use s3s::{S3Result, s3_error};
use sha2::{Digest, Sha256};

use super::super::files::{Condition, NewObject, Object, Store, StoreError};
use super::parts::Part;

/// The bucket and key of the object to copy.
pub(super) fn source(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket { bucket, key, version_id: None } => Ok((bucket, key)),
        _ => Err(s3_error!(NotImplemented, "only objects of this bucket are copied")),
    }
}

/// Copies the object `from` to `key`.
pub(super) fn whole(store: &Store, from: &Object, key: String) -> Result<(), StoreError> {
    let content = store.copied(from)?;
    let (size, sha256) = (from.size, from.sha256.clone());
    let object = NewObject { key, size, sha256, content_type: from.content_type.clone() };
    store.commit(content, &object, Condition::None).map(drop)
}

/// Copies a range of an object into a part of an upload.
pub(super) fn part(store: &Store, from: &Object, range: &Range<u64>) -> Result<Part, StoreError> {
    let (draft, file) = store.draft()?;
    let size = range.end - range.start;
    let copied = match store.small(from, range)? {
        Some(bytes) => copy(bytes.as_slice(), file),
        None => rest(store.content(from)?, range).and_then(|rest| copy(rest, file)),
    };
    let sha256 = copied.map_err(|source| draft.error(source))?;
    Ok(Part { draft, size, sha256 })
}

fn rest(mut file: File, range: &Range<u64>) -> io::Result<io::Take<File>> {
    file.seek(SeekFrom::Start(range.start))?;
    Ok(file.take(range.end - range.start))
}

fn copy(mut from: impl Read, mut to: File) -> io::Result<String> {
    let (mut sha256, mut piece) = (Sha256::new(), vec![0; 256 * 1024]);
    loop {
        let read = from.read(&mut piece)?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        sha256.update(bytes);
        to.write_all(bytes)?;
    }
    Ok(BASE64_STANDARD.encode(sha256.finalize()))
}

/// The bytes that `bytes=0-9` names, of an object of `size`.
pub(super) fn range(text: Option<&str>, size: u64) -> S3Result<Range<u64>> {
    let Some(text) = text else { return Ok(0..size) };
    let bounds = text.strip_prefix("bytes=").and_then(|bounds| bounds.split_once('-'));
    let range = bounds.and_then(|(first, last)| {
        let (first, last) = (first.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
        (first <= last && last < size).then_some(first..last + 1)
    });
    range.ok_or_else(|| s3_error!(InvalidRange))
}
