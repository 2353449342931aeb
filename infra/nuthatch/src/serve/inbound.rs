//! A request's body, read to its end even when nobody wants it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use feed::{Body, Request};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// How much of an unwanted body is read, in bytes and in time.
const MOST_BYTES: u64 = 1024 * 1024 * 1024;
const LONGEST: Duration = Duration::from_mins(1);

/// The body of a request. When it is dropped before its end, the rest is read
/// and thrown away: a NuGet client reads no answer before it has sent
/// everything, and would see a broken connection instead of its refusal.
pub(super) struct Inbound(Option<Incoming>);

impl Inbound {
    /// The request as verbs take it.
    pub(super) fn wrap(request: http::Request<Incoming>) -> Request {
        request.map(|body| Body::stream(Self(Some(body))))
    }
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(incoming) => Pin::new(incoming).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        if let Some(incoming) = self.0.take().filter(|incoming| !incoming.is_end_stream()) {
            tokio::spawn(tokio::time::timeout(LONGEST, drain(incoming)));
        }
    }
}

async fn drain(mut body: Incoming) {
    let mut drained = 0;
    while let Some(Ok(frame)) = body.frame().await {
        drained += frame.data_ref().map_or(0, |data| data.len() as u64);
        if drained > MOST_BYTES {
            return;
        }
    }
}
