//! HTTP on a socket: connections, their time limits, and their end.

mod inbound;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::time::Duration;

use feed::{Reply, Request};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_io_timeout::TimeoutStream;

use inbound::Inbound;

/// How long a connection may be without a request, and a client take for the head of
/// one.
#[derive(Debug, Clone, Copy)]
pub struct Patience(Duration);

impl Patience {
    /// With clients: half a minute.
    #[must_use]
    pub fn with_clients() -> Self {
        Self(Duration::from_secs(30))
    }

    /// With a load balancer, which sends requests over connections that it has kept
    /// for up to five minutes (infra/push-host.yaml): a little more.
    #[must_use]
    pub fn with_a_load_balancer() -> Self {
        Self(Duration::from_secs(310))
    }
}

/// Bytes of a connection's buffers: what keeps many large uploads at once small.
const BUFFER: usize = 64 * 1024;
/// How long a client may leave an answer unread.
const UNREAD: Duration = Duration::from_mins(1);
/// How long requests may take to finish once the server was told to stop:
/// what a NuGet client waits for a push.
const DRAIN: Duration = Duration::from_mins(5);
/// What answers requests. Clones share it.
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
    patience: Patience,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => serve_connection(stream, service.clone(), patience, &graceful),
                // Such as too many open files: those that are open will end.
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
        // Who asks twice does not want to wait.
        () = told_to_stop() => tracing::warn!("stopped before all requests were finished"),
        () = tokio::time::sleep(DRAIN) => tracing::warn!("some requests did not finish in time"),
    }
    Ok(())
}

fn serve_connection(
    stream: TcpStream,
    service: impl Service,
    patience: Patience,
    graceful: &GracefulShutdown,
) {
    // A reply's head and body are written apart.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNREAD));
    let stream = Box::pin(stream);
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.answer(Inbound::wrap(request)).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.0)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("a connection ended: {error}");
        }
    });
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
