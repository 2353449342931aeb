//! A request's body, read to its end even when nobody wants it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use feed::{Body, BoxError, Request};
use http::header::EXPECT;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};

/// How much of an unwanted body is read, in bytes, in time (what a NuGet client
/// waits for a push), and how many at once.
const MOST_BYTES: u64 = 5 * 1024 * 1024 * 1024;
const LONGEST: Duration = Duration::from_mins(5);
static DRAINS: Semaphore = Semaphore::const_new(64);
/// How long a client may send nothing in the middle of a body, and how long it
/// may send one at all.
const IDLE: Duration = Duration::from_mins(1);
const WHOLE: Duration = Duration::from_hours(1);

/// The body of a request. When it is dropped before its end, the rest is read
/// and thrown away: a NuGet client reads no answer before it has sent
/// everything, and would see a broken connection instead of its refusal.
pub(super) struct Inbound {
    incoming: Option<Incoming>,
    /// Whether the client sends nothing before it is told to, which reading
    /// would do.
    is_waiting: bool,
    idle: Pin<Box<Sleep>>,
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
                idle: Box::pin(tokio::time::sleep(IDLE)),
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
            this.idle.as_mut().reset(this.ends.min(Instant::now() + IDLE));
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        ready!(this.idle.as_mut().poll(context));
        // Nor is the rest waited for.
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
            // Where too many are drained already, the connection breaks.
            if let Ok(permit) = DRAINS.try_acquire() {
                tokio::spawn(async move {
                    let _permit = permit;
                    let _ = tokio::time::timeout(LONGEST, drain(incoming)).await;
                });
            }
        }
    }
}

async fn drain(mut body: Incoming) {
    let mut drained = 0;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(IDLE, body.frame()).await {
        drained += frame.data_ref().map_or(0, |data| data.len() as u64);
        if drained > MOST_BYTES {
            return;
        }
    }
}
