//! The first file of a multipart body, as every NuGet client frames it.
//!
//! multer reads the parts. Before that, [`framing`] mends the two client framings that
//! multer cannot read.

mod boundary;
mod framing;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use futures_util::stream::Stream;
use http::header::CONTENT_DISPOSITION;
use multer::{Field, Multipart};

pub use boundary::Boundary;

use crate::BoxError;
use framing::{Budget, Framing};

/// The longest head of a part, in bytes; clients send some hundred.
const LONGEST_HEAD: usize = 4 * 1024;
/// The first bytes of every package.
const ZIP: &[u8] = b"PK";

/// The body is not a multipart one that can be read.
#[derive(Debug, thiserror::Error)]
pub enum MultipartError {
    /// The content type names no boundary.
    #[error("its multipart content type names no boundary")]
    NoBoundary,
    /// The beginning of a part was not found.
    #[error("it does not begin with the boundary of its content type")]
    NoPart,
    /// The head of a part does not end.
    #[error("the head of a part is longer than {LONGEST_HEAD} bytes")]
    HeadTooLong,
    /// The head of a part is not made of headers.
    #[error("the head of a part is not made of headers")]
    UnreadableHead,
    /// The body ended before it was closed, or has its boundary within a part.
    #[error("it ends before its closing boundary, or has text behind a boundary")]
    NotClosed,
    /// All parts are fields of a form.
    #[error("it has form fields and no file")]
    NoFile,
    /// The connection failed.
    #[error("it broke off")]
    BrokenOff(#[source] BoxError),
}

/// Reads the first file of a multipart body.
#[derive(Debug)]
pub struct FirstFile<'b> {
    parts: Multipart<'b>,
    /// `None` after its end.
    file: Option<Field<'b>>,
    /// Bytes of the file that were read to tell it from a field.
    beginning: Bytes,
    budget: Budget,
}

impl<'b> FirstFile<'b> {
    /// Reads up to the content of the first file. Fields of a form are passed over.
    ///
    /// # Errors
    /// There is no file, or the body breaks off or cannot be read.
    pub async fn find<S>(body: S, boundary: Boundary) -> Result<Self, MultipartError>
    where
        S: Stream<Item = Result<Bytes, BoxError>> + Send + Unpin + 'b,
    {
        let text = boundary.as_str().to_owned();
        let framing = Framing::new(body, boundary);
        let budget = framing.budget();
        let mut parts = Multipart::new(framing, text);
        let mut next = parts.next_field().await?;
        while let Some(mut part) = next {
            let may_be_field = names_a_field(&part);
            let beginning = if may_be_field { first_bytes(&mut part).await? } else { Bytes::new() };
            if !may_be_field || beginning.starts_with(ZIP) {
                return Ok(Self { parts, file: Some(part), beginning, budget });
            }
            pass_over(part).await?;
            next = next_part(&mut parts, &budget).await?;
        }
        Err(MultipartError::NoFile)
    }

    /// The next piece of the file; `None` once it and the body around it have ended.
    ///
    /// # Errors
    /// The body breaks off, is not closed or cannot be read.
    pub async fn next(&mut self) -> Result<Option<Bytes>, MultipartError> {
        if !self.beginning.is_empty() {
            return Ok(Some(std::mem::take(&mut self.beginning)));
        }
        if let Some(file) = &mut self.file
            && let Some(piece) = file.chunk().await?
        {
            return Ok(Some(piece));
        }
        self.file = None;
        while let Some(later) = next_part(&mut self.parts, &self.budget).await? {
            pass_over(later).await?;
        }
        Ok(None)
    }
}

async fn next_part<'b>(
    parts: &mut Multipart<'b>,
    budget: &Budget,
) -> Result<Option<Field<'b>>, MultipartError> {
    budget.limit_to_a_head();
    let Some(part) = parts.next_field().await? else { return Ok(None) };
    budget.lift();
    // If a part has no head, multer skips to the next empty line, wherever it is.
    if part.headers().is_empty() {
        return Err(MultipartError::UnreadableHead);
    }
    let lengths = part.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    if lengths.sum::<usize>() > LONGEST_HEAD {
        return Err(MultipartError::HeadTooLong);
    }
    Ok(Some(part))
}

async fn pass_over(mut part: Field<'_>) -> Result<(), MultipartError> {
    while part.chunk().await?.is_some() {}
    Ok(())
}

/// Whether a part has a disposition and names no file. It may still be the package: curl
/// names no file when it reads from a pipe.
fn names_a_field(part: &Field<'_>) -> bool {
    part.headers().get(CONTENT_DISPOSITION).is_some_and(|disposition| {
        memchr::memmem::find(&disposition.as_bytes().to_ascii_lowercase(), b"filename").is_none()
    })
}

/// The first bytes of a part: those of a ZIP archive or more.
async fn first_bytes(part: &mut Field<'_>) -> Result<Bytes, MultipartError> {
    let mut bytes = BytesMut::new();
    while bytes.len() < ZIP.len()
        && let Some(piece) = part.chunk().await?
    {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

impl From<multer::Error> for MultipartError {
    fn from(error: multer::Error) -> Self {
        match error {
            multer::Error::StreamReadFailed(error) => match error.downcast::<Self>() {
                Ok(own) => *own,
                Err(error) => Self::BrokenOff(error),
            },
            multer::Error::ReadHeaderFailed(_)
            | multer::Error::DecodeHeaderName { .. }
            | multer::Error::DecodeHeaderValue { .. } => Self::UnreadableHead,
            _ => Self::NotClosed,
        }
    }
}
