//! `nuthatch serve`: the gateway on a socket.

mod host;
mod inbound;
mod welcome;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use download::Delivery;
use feed::{Aws, BaseUrl, BucketName, IdGlob, KeyName, Parts, Scope, Spooling, Table, TableName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use push::Permits;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_io_timeout::TimeoutStream;

use crate::command::ServeOptions;
use crate::engines::{DataFolder, EngineError, Engines, RecyclePeriod};
use crate::gateway::{Functions, Gateway, Settings, TemplateError};
use crate::keys::{self, KeyError};

pub use host::Host;

/// How long a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(30);
/// Bytes of a connection's buffers: what keeps many large uploads at once small.
const BUFFER: usize = 64 * 1024;
/// How long a client may leave an answer unread.
const UNREAD: Duration = Duration::from_mins(1);
/// How long requests may take to finish once the server was told to stop:
/// what a NuGet client waits for a push.
const DRAIN: Duration = Duration::from_mins(5);
/// How often what has expired is removed, and the snapshot of the index written.
const UPKEEP: Duration = Duration::from_mins(10);

/// The server cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The first key cannot be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The template cannot be followed: a fault of the build.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Nobody can tell what clients call this server.
    #[error(
        "clients cannot use the address {0}; name the one they use with --url, such as --url http://packages.example.org:5000"
    )]
    NoUrl(SocketAddr),
    /// A table without a bucket.
    #[error("--table needs --bucket; name the bucket that holds the packages")]
    NoBucket,
    /// The operating system fails.
    #[error("the system failed: {0}")]
    System(#[from] io::Error),
}

/// Serves the feed until the process is told to stop.
///
/// # Errors
/// The server cannot start.
pub async fn run(options: ServeOptions) -> Result<(), ServeError> {
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|source| ServeError::Listen { address: options.listen, source })?;
    let base_url = base_url(options.url.as_ref(), listener.local_addr()?)?;
    match options.place.table.clone() {
        None => on_this_machine(&options, listener, base_url).await,
        Some(table) => on_aws(&options, table, listener, base_url).await,
    }
}

async fn on_this_machine(
    options: &ServeOptions,
    listener: TcpListener,
    base_url: BaseUrl,
) -> Result<(), ServeError> {
    let folder = DataFolder::open(&options.place.data)?;
    let engines = folder.start(RecyclePeriod::default()).await?;
    let aws = engines.aws();
    let settings = Settings {
        public_bucket: Some((engines.s3_at(&base_url), base_url.split().1.to_owned())),
        ..settings(
            options,
            (TableName::default(), BucketName::default()),
            Spooling::Folder(folder.spool()?),
        )
    };
    let table = Table::new(aws.dynamodb.clone(), settings.table.clone());
    let is_first_start = table.keys().await.map_err(KeyError::from)?.is_empty();
    let owner = if is_first_start { Some(make_owner(&table).await?) } else { None };
    let gateway = Gateway::new(Functions::new(&aws, &settings), base_url.clone())?;
    welcome::print(&base_url, &options.place.data, options.read_access, owner.as_ref())?;
    let host = Host::from(gateway.clone()).with_bucket(engines.s3.clone(), &base_url);
    let upkeep = tokio::spawn(keep_up(engines, gateway));
    accept(listener, host, told_to_stop()).await?;
    upkeep.abort();
    Ok(())
}

async fn on_aws(
    options: &ServeOptions,
    table: TableName,
    listener: TcpListener,
    base_url: BaseUrl,
) -> Result<(), ServeError> {
    let bucket = options.bucket.clone().ok_or(ServeError::NoBucket)?;
    let aws: Aws = keys::aws(options.place.endpoint_url.as_deref()).await;
    let spooling = Spooling::Folder(std::env::temp_dir());
    let settings =
        Settings { parts: Parts::for_aws(), ..settings(options, (table, bucket), spooling) };
    let gateway = Gateway::new(Functions::new(&aws, &settings), base_url.clone())?;
    tracing::info!("serving {}", base_url.0);
    accept(listener, gateway.into(), told_to_stop()).await?;
    Ok(())
}

fn settings(
    options: &ServeOptions,
    (table, bucket): (TableName, BucketName),
    spooling: Spooling,
) -> Settings {
    Settings {
        table,
        bucket,
        read_access: options.read_access,
        delete_behavior: options.delete_behavior,
        package_bytes: options.max_package_bytes.unwrap_or_default(),
        spooling,
        permits: Permits::new(options.max_pushes.get(), options.max_pushes_per_key.get()),
        parts: Parts::default(),
        delivery: Delivery::Stream,
        public_bucket: None,
    }
}

async fn make_owner(table: &Table) -> Result<feed::ApiKey, KeyError> {
    keys::create(table, KeyName::owner(), vec![Scope::Admin], vec![IdGlob::any()], None).await
}

/// The address that clients use: the one given, or the one listened on. Never
/// what a request calls it.
fn base_url(given: Option<&BaseUrl>, listening: SocketAddr) -> Result<BaseUrl, ServeError> {
    match given {
        None if listening.ip().is_unspecified() => Err(ServeError::NoUrl(listening)),
        None => Ok(BaseUrl(format!("http://{listening}"))),
        Some(url) => Ok(url.clone()),
    }
}

/// Accepts connections until `stop` is done; then lets requests finish.
///
/// # Errors
/// The operating system fails.
pub async fn accept(
    listener: TcpListener,
    host: Host,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => serve_connection(stream, host.clone(), &graceful),
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

fn serve_connection(stream: TcpStream, host: Host, graceful: &GracefulShutdown) {
    // A reply's head and body are written apart.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNREAD));
    let stream = Box::pin(stream);
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let host = host.clone();
        async move { Ok::<_, std::convert::Infallible>(host.handle(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
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
async fn told_to_stop() {
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

async fn keep_up(engines: Engines, gateway: Gateway) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        let engines = engines.clone();
        let swept = tokio::task::spawn_blocking(move || engines.sweep()).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!("cannot remove what has expired: {error}");
        }
        if let Err(error) = gateway.compact().await {
            tracing::warn!("cannot write the snapshot of the index: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_begin_with_the_address_that_clients_use() {
        let local = "127.0.0.1:5000".parse().unwrap();
        assert_eq!(base_url(None, local).unwrap().0, "http://127.0.0.1:5000");
        let given = BaseUrl("https://packages.example.org".to_owned());
        assert_eq!(base_url(Some(&given), local).unwrap().0, given.0);
        assert!(base_url(None, "0.0.0.0:5000".parse().unwrap()).is_err());
    }
}
