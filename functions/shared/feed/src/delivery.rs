//! How files of the bucket reach a client.

use protocol::{AskedRange, Lifetime, Refusal, Reply, Request};
use store::{ObjectError, ObjectKey, Objects, RedirectLifetime};

/// How a large file reaches the client.
#[derive(Debug, Clone, Copy)]
pub enum Delivery {
    /// By a redirect to the bucket, so that no function has to carry the bytes.
    Redirect(RedirectLifetime),
    /// Through this process.
    Stream,
}

/// A file in the bucket, which never changes.
#[derive(Debug, Clone, Copy)]
pub struct StoredFile<'a> {
    /// Its object.
    pub object: &'a ObjectKey,
    /// The name that a client keeps it under. It must be fit for a header.
    pub name: &'a str,
    /// Its size in bytes.
    pub size: u64,
    /// A text that no other file at this address has, for its strong tag.
    pub tag: &'a str,
}

impl Delivery {
    /// Answers `request` with `file`: 302; or 200, 206 or 416 where it is streamed. One call
    /// to stream it.
    ///
    /// # Errors
    /// The object is missing, or the bucket does not answer.
    pub async fn deliver(
        self,
        objects: &Objects,
        request: &Request,
        file: StoredFile<'_>,
    ) -> Result<Reply, ObjectError> {
        let StoredFile { object, name, size, tag } = file;
        if let Self::Redirect(lifetime) = self {
            return Ok(protocol::redirect(&objects.address(object, name, lifetime).await?));
        }
        let tag = format!("\"{tag}\"");
        let part = match AskedRange::of(request, size, &tag) {
            AskedRange::Whole => None,
            AskedRange::Part(part) => Some(part),
            AskedRange::Nowhere => return Ok(protocol::nowhere(size)),
        };
        let body = objects.get(object, part.clone()).await?;
        let reply = protocol::stream(body, "application/octet-stream");
        let mut reply = protocol::tagged(reply, &tag, Lifetime::Unchanging);
        match protocol::describe(&mut reply, (name, &tag), part, size) {
            Ok(()) => Ok(reply),
            Err(error) => Ok(Refusal::Broken(error.into()).into()),
        }
    }
}
