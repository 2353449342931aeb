//! Receiving: from the request's body to a package in a spool, hashed on the
//! way.

use bytes::Bytes;
use feed::{Body, BoxError, Content, Refusal, Spooling};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256, Sha512};

use crate::multipart::{FirstPart, MultipartError};

/// What a multipart framing may add to a package's size.
const FRAMING: u64 = 64 * 1024;

/// A package that has arrived whole.
pub(crate) struct Received {
    pub(crate) content: Content,
    pub(crate) sha256: [u8; 32],
    pub(crate) sha512: [u8; 64],
}

/// Receives the package that `body` carries: the first part of a multipart
/// body, or a raw body whole.
pub(crate) async fn receive(
    headers: &HeaderMap,
    mut body: Body,
    spooling: &Spooling,
    limit: u64,
) -> Result<Received, Refusal> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let mut part = FirstPart::of(header(CONTENT_TYPE).unwrap_or_default()).map_err(unreadable)?;
    let declared = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let most = limit.saturating_add(FRAMING);
    if declared.is_some_and(|length| length > most) {
        return Err(Refusal::TooLarge { limit });
    }
    let mut spool = spooling.start().await.map_err(unavailable)?;
    let (mut sha256, mut sha512) = (Sha256::new(), Sha512::new());
    let (mut total, mut size) = (0, 0);
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(Refusal::CutOff)?.into_data() else { continue };
        // What stands around the package has to end, too.
        total += chunk.len() as u64;
        if total > most {
            return Err(Refusal::TooLarge { limit });
        }
        let piece: Bytes = match &mut part {
            Some(part) => part.next(chunk).map_err(unreadable)?,
            None => chunk,
        };
        if piece.is_empty() {
            continue;
        }
        size += piece.len() as u64;
        if size > limit {
            return Err(Refusal::TooLarge { limit });
        }
        sha256.update(&piece);
        sha512.update(&piece);
        spool.append(piece).await.map_err(unavailable)?;
    }
    if let Some(part) = part {
        part.finish().map_err(unreadable)?;
    }
    Ok(Received {
        content: spool.finish().await.map_err(unavailable)?,
        sha256: sha256.finalize().into(),
        sha512: sha512.finalize().into(),
    })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn unreadable(error: MultipartError) -> Refusal {
    Refusal::UnreadableUpload(error.to_string())
}

/// The spool cannot take more, such as on a full disk.
fn unavailable(error: impl Into<BoxError>) -> Refusal {
    Refusal::Unavailable(error.into())
}
