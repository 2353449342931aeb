//! Objects that are read to inspect them.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use http_body_util::BodyExt;
use nupkg::Source;

use super::{ObjectError, ObjectKey, Objects, RemoteObject, unavailable};

/// The largest object that is read whole. One call is quicker than several for less.
const WHOLE: u64 = 16 * 1024 * 1024;

/// An object that is read in any order: whole in memory where it is small, or in ranges.
#[derive(Debug)]
pub enum OpenObject {
    /// All of it.
    Whole(Bytes),
    /// The ranges that were asked for.
    InRanges(RemoteObject),
}

impl Objects {
    /// Opens the object of `size` bytes. One call for a small one, and none for a large one,
    /// whose ranges take one each.
    ///
    /// # Errors
    /// The object is missing, or the bucket did not answer.
    pub async fn open(&self, key: &ObjectKey, size: u64) -> Result<OpenObject, ObjectError> {
        if size > WHOLE {
            return Ok(OpenObject::InRanges(RemoteObject::new(self.clone(), key.clone(), size)));
        }
        let body = self.get(key, None).await?.collect().await;
        let body = body.map_err(|error| unavailable("give out the package", error))?;
        Ok(OpenObject::Whole(body.to_bytes()))
    }
}

impl Source for OpenObject {
    fn size(&self) -> u64 {
        match self {
            Self::Whole(bytes) => bytes.as_ref().size(),
            Self::InRanges(remote) => remote.size(),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Whole(bytes) => bytes.as_ref().read_at(buffer, offset),
            Self::InRanges(remote) => remote.read_at(buffer, offset),
        }
    }

    fn announce(&self, parts: &[Range<u64>]) -> io::Result<()> {
        match self {
            Self::Whole(_) => Ok(()),
            Self::InRanges(remote) => remote.announce(parts),
        }
    }

    fn forget(&self, part: Range<u64>) {
        if let Self::InRanges(remote) = self {
            remote.forget(part);
        }
    }
}
