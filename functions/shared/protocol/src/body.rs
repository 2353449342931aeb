//! Bodies of requests and replies: the same type for a Lambda event that is in
//! memory and for a connection that streams.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, LengthLimitError, Limited};

/// An error of the connection or event that carries a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error with all its causes, as one line: many say little without them.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A short body did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum ShortBodyError {
    /// It has more than 4 KiB.
    #[error("the body has more than 4 KiB")]
    TooLong,
    /// The connection broke.
    #[error("the body was cut off")]
    CutOff(#[source] BoxError),
    /// It took more than ten seconds.
    #[error("the body took too long")]
    TooSlow(#[source] BoxError),
}

/// A body of a request or a reply, read frame by frame.
#[derive(Debug)]
pub struct Body {
    frames: BoxBody<Bytes, BoxError>,
    in_memory: bool,
}

impl Body {
    /// A body that streams.
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        Self { frames: body.map_err(Into::into).boxed(), in_memory: false }
    }

    /// The whole of a body that has 4 KiB at most, and arrives within ten seconds: one this
    /// small comes at once, unless the client stalls on purpose.
    ///
    /// # Errors
    /// It is longer, or does not arrive.
    pub async fn short(self) -> Result<Bytes, ShortBodyError> {
        const LONGEST: usize = 4 * 1024;
        const IN_TIME: Duration = Duration::from_secs(10);
        let read = tokio::time::timeout(IN_TIME, Limited::new(self, LONGEST).collect()).await;
        let read = read.map_err(|elapsed| ShortBodyError::TooSlow(elapsed.into()))?;
        let read = read.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => ShortBodyError::TooLong,
            None => ShortBodyError::CutOff(error),
        })?;
        Ok(read.to_bytes())
    }

    /// Whether the whole body is in memory, as long as nobody has read it.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    /// An empty body.
    #[must_use]
    pub fn empty() -> Self {
        Self::stream(Empty::new())
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self { in_memory: true, ..Self::stream(Full::new(bytes.into())) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        std::pin::Pin::new(&mut self.frames).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.frames.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;

    use super::*;

    #[test]
    fn a_body_without_a_byte_is_at_its_end() {
        assert!(Body::empty().is_end_stream());
        assert!(!Body::from("a").is_end_stream());
    }
}
