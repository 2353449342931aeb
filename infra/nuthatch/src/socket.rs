//! HTTP on a socket: connections, their time limits, and their end.

mod allowance;
mod connections;
mod hosts;
mod inbound;
mod outbound;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use hyper::ext::ReasonPhrase;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use protocol::{Body, Peer, Reply, Request, Words};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

pub use connections::Connections;
pub(crate) use connections::raise_descriptors;
pub use hosts::Hosts;
use inbound::Inbound;
use outbound::Outbound;

/// The limits of a listener.
#[derive(Debug, Clone)]
pub struct Listening {
    /// How long it waits for requests.
    pub timeouts: Timeouts,
    /// How many connections.
    pub connections: Connections,
    /// The hosts that it answers to.
    pub hosts: Hosts,
}

/// How long a connection may be idle, and how long a client may take to send the head of a
/// request.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts(Duration);

impl Timeouts {
    /// For clients: half a minute.
    #[must_use]
    pub fn with_clients() -> Self {
        Self(Duration::from_secs(30))
    }

    /// For a load balancer: a little more than the five minutes for which it keeps idle
    /// connections (infra/push-host.yaml).
    #[must_use]
    pub fn with_a_load_balancer() -> Self {
        Self(Duration::from_secs(310))
    }
}

/// The size of a connection's buffers in bytes. It is small, so that many large uploads at
/// once take little memory.
const BUFFER: usize = 64 * 1024;
/// How long requests may take to finish once the server is told to stop: as long as a NuGet
/// client waits for a push.
const DRAIN: Duration = Duration::from_mins(5);
/// A service that answers requests. Clones share it.
pub trait Service: Clone + Send + Sync + 'static {
    /// Answers a request.
    fn answer(&self, request: Request) -> impl Future<Output = Reply> + Send;
}

/// Accepts connections until `stop` is done; then lets requests finish.
///
/// # Errors
/// The operating system fails.
pub async fn accept(
    listener: TcpListener,
    service: impl Service,
    listening: Listening,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    serve_connection((stream, peer), service.clone(), &listening, &graceful);
                }
                // For example, too many files are open: some connections will end soon.
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    drop(listener);
    tracing::info!("stopping: letting requests finish");
    tokio::select! {
        () = graceful.shutdown() => {}
        // A second signal means: stop now.
        () = told_to_stop() => tracing::warn!("stopped before all requests were finished"),
        () = tokio::time::sleep(DRAIN) => tracing::warn!("some requests did not finish in time"),
    }
    Ok(())
}

fn serve_connection(
    (stream, peer): (TcpStream, SocketAddr),
    service: impl Service,
    listening: &Listening,
    graceful: &GracefulShutdown,
) {
    let peer = peer.ip().to_canonical();
    let Some(place) = listening.connections.take(peer) else {
        tracing::debug!("{peer} has too many connections");
        // Sends as much as it can without waiting for a client that does not read.
        let _ = stream.try_write(
            b"HTTP/1.1 503 The feed has too many connections: try again in a moment\r\n\
            Retry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        );
        return;
    };
    // A reply's head and body are written separately.
    let _ = stream.set_nodelay(true);
    let (hosts, connections) = (listening.hosts.clone(), listening.connections.clone());
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let service = service.clone();
        let refused = hosts.refuse(request.version(), request.headers());
        let peer = client(&connections, peer, request.headers());
        async move {
            if let Some(status) = refused {
                return Ok::<_, Infallible>(misdirected(status));
            }
            let mut request = Inbound::wrap(request);
            request.extensions_mut().insert(Peer(peer));
            Ok(phrased(service.answer(request).await))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // A client may close its sending side, and then wait for the answer.
        .half_close(true)
        .header_read_timeout(listening.timeouts.0)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(Outbound::new(stream)), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        let _place = place;
        if let Err(error) = connection.await {
            tracing::debug!("a connection ended: {error}");
        }
    });
}

/// The address that a request comes from: the peer, or the client that a proxy names. Only
/// the last address in the header was written by the proxy itself.
fn client(connections: &Connections, peer: IpAddr, headers: &http::HeaderMap) -> IpAddr {
    if !connections.is_proxy(peer) {
        return peer;
    }
    let forwarded = headers.get_all("x-forwarded-for").into_iter().next_back();
    let forwarded = forwarded.and_then(|value| value.to_str().ok());
    let last = forwarded.and_then(|value| value.rsplit(',').next());
    last.and_then(|address| address.trim().parse().ok()).unwrap_or(peer)
}

/// `reply` with the words of its refusal in the status line.
fn phrased(mut reply: Reply) -> Reply {
    if let Some(reason) = Words::of(&reply).map(|words| words.reason) {
        reply.extensions_mut().insert(ReasonPhrase::from_static(reason.as_bytes()));
    }
    reply
}

/// The refusal of a request for another host, or for none.
fn misdirected(status: http::StatusCode) -> Reply {
    let mut reply = Reply::new(Body::from(
        "this server does not answer to that Host; use the address that --url names\n",
    ));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}

/// Done when the process is told to stop.
pub(crate) async fn told_to_stop() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
