//! A request's body, read to its end even when nobody wants it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use protocol::{Body, BoxError, Request};
use tokio::time::{Instant, Sleep};

use super::allowance::Allowance;

/// The limits for reading an unwanted body: its size, the time in all (as long as a NuGet
/// client waits for a push), the time without progress, and the minimum bytes per second.
const MOST_BYTES: u64 = 5 * 1024 * 1024 * 1024;
const LONGEST: Duration = Duration::from_mins(5);
const STILL: Duration = Duration::from_secs(10);
const LEAST_UNWANTED: u32 = 32 * 1024;
/// The limits for a client that sends a body: the time without progress, the minimum bytes
/// per second, and the time for the whole body.
const IDLE: Duration = Duration::from_mins(1);
const LEAST: u32 = 4 * 1024;
const WHOLE: Duration = Duration::from_hours(1);

/// The body of a request. When it is dropped before its end, the rest is read
/// and thrown away: a NuGet client reads no answer before it has sent
/// everything, and would see a broken connection instead of its refusal.
pub(super) struct Inbound {
    incoming: Option<Incoming>,
    /// Whether the client waits for `100 Continue` before it sends the body. Reading the body
    /// would send that answer.
    is_waiting: bool,
    allowance: Allowance,
    timer: Pin<Box<Sleep>>,
    ends: Instant,
}

impl Inbound {
    /// The request as verbs take it.
    pub(super) fn wrap(request: http::Request<Incoming>) -> Request {
        let expectation = request.headers().get(EXPECT);
        let is_waiting = expectation.is_some_and(|value| value == "100-continue");
        request.map(|body| {
            Body::stream(Self {
                incoming: Some(body),
                is_waiting,
                allowance: Allowance::new(IDLE, LEAST),
                timer: Box::pin(tokio::time::sleep(IDLE)),
                ends: Instant::now() + WHOLE,
            })
        })
    }
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        this.is_waiting = false;
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(incoming).poll_frame(context) {
            let bytes = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            this.allowance.earn(bytes.map_or(0, Bytes::len));
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        // The client's time counts only while more of the body is asked for.
        let (ends, is_new) = this.allowance.ends();
        if is_new {
            this.timer.as_mut().reset(this.ends.min(ends));
        }
        ready!(this.timer.as_mut().poll(context));
        // The rest of the body is not waited for either.
        this.incoming = None;
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        let unread = self.incoming.take().filter(|incoming| !incoming.is_end_stream());
        if let Some(incoming) = unread.filter(|_| !self.is_waiting) {
            // This takes no more than the connection does, and connections are limited.
            tokio::spawn(tokio::time::timeout(LONGEST, drain(incoming)));
        }
    }
}

async fn drain(mut body: Incoming) {
    let (mut drained, mut allowance) = (0, Allowance::new(STILL, LEAST_UNWANTED));
    while let Ok(Some(Ok(frame))) = tokio::time::timeout_at(allowance.ends().0, body.frame()).await
    {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        allowance.earn(bytes);
        drained += bytes as u64;
        if drained > MOST_BYTES {
            return;
        }
    }
}
