//! `nuthatch serve`: the gateway on a socket.

mod disk;
pub(crate) mod heaps;
mod host;
mod welcome;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use access::{IdGlob, KeyName, Scope};
use feed::{
    Context, DeleteBehavior, Delivery, Hosting, PackageBytes, PublicBucket, ReadAccess,
    SymbolAccess,
};
use ingest::Permits;
use protocol::{BaseUrl, Environment};
use store::{Aws, BucketName, Clock, Parts, Spooling, Table, TableName, Visibility};
use tokio::net::TcpListener;

use crate::command::ServeOptions;
use crate::engines::{DataFolder, EngineError, Engines, RecyclePeriod};
use crate::gateway::{Gateway, GatewayError};
use crate::keys::{self, KeyError};
use crate::place;
use crate::socket::{
    Connections, Hosts, Listening, Timeouts, accept, raise_descriptors, told_to_stop,
};
use crate::stack::{OnAws, StackError};

pub use disk::Disk;
pub use host::Host;

/// How often expired data is removed, the snapshot of the index is written, and downloads are
/// written down.
const UPKEEP: Duration = Duration::from_mins(10);

/// The server cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The table and bucket of the stack cannot be looked up.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The first key cannot be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The template cannot be followed: a fault of the build.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; choose another address with --listen or --metrics"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The address that clients use is not known.
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
    let descriptors = raise_descriptors();
    let listener = listen(options.listen).await?;
    let base_url = base_url(options.url.as_ref(), listener.local_addr()?)?;
    let metrics = match options.metrics {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    // Each connection may have a file of its own open, and the engines have some.
    let connections = Connections::new(
        options.max_connections.get().min(descriptors / 2),
        options.max_connections_per_address.get(),
        &options.trusted_proxies,
    );
    // If reading needs no key, any web page could read the feed through a visitor's browser.
    let hosts = match options.read_access {
        ReadAccess::Anonymous => Hosts::of(listener.local_addr()?.ip(), &base_url),
        ReadAccess::Keys => Hosts::default(),
    };
    let timeouts = Timeouts::with_clients();
    let listening = Listening { timeouts, connections, hosts };
    match OnAws::at(&options.place).await? {
        Some(OnAws { table, bucket }) => {
            let bucket = bucket.or_else(|| options.bucket.clone()).ok_or(ServeError::NoBucket)?;
            on_aws(&options, (table, bucket), (listener, metrics), (base_url, listening)).await
        }
        None => on_this_machine(&options, (listener, metrics), (base_url, listening)).await,
    }
}

async fn on_this_machine(
    options: &ServeOptions,
    (listener, metrics): (TcpListener, Option<TcpListener>),
    (base_url, listening): (BaseUrl, Listening),
) -> Result<(), ServeError> {
    let folder = DataFolder::open(&options.place.data)?;
    let disk = Disk::of(vec![options.place.data.clone()]);
    let engines = folder.start(RecyclePeriod::default()).await?;
    let aws = engines.aws();
    let hosting = Hosting {
        public_bucket: Some(PublicBucket {
            client: engines.s3_at(&base_url),
            mount: base_url.split().1.to_owned(),
        }),
        visibility: Visibility::AtOnce,
        revisions: Some(folder.revisions()?),
        ..hosting(options, Spooling::Folder(folder.spool()?), Parts::default())
    };
    let table = Table::new(aws.dynamodb.clone(), TableName::default());
    let is_first_start = table.keys().await.map_err(KeyError::from)?.is_empty();
    let owner = if is_first_start { Some(make_owner(&table).await?) } else { None };
    let permits = hosting.permits.clone();
    let environment = environment(options, (TableName::default(), BucketName::default()));
    let gateway = Gateway::new(&Context::new(environment, hosting, aws), base_url.clone())?;
    serve_metrics(&gateway, &disk, metrics);
    welcome::print(&base_url, &options.place.data, options.read_access, owner.as_ref())?;
    let host = Host::from(gateway.clone())
        .with_bucket(engines.s3.clone(), &base_url, permits)
        .on_disk(disk);
    let upkeep = tokio::spawn(update(engines, gateway));
    accept(listener, host, listening, told_to_stop()).await?;
    upkeep.abort();
    Ok(())
}

async fn on_aws(
    options: &ServeOptions,
    names: (TableName, BucketName),
    (listener, metrics): (TcpListener, Option<TcpListener>),
    (base_url, listening): (BaseUrl, Listening),
) -> Result<(), ServeError> {
    let aws: Aws = place::aws(options.place.endpoint_url.as_deref()).await;
    let spooling = Spooling::Folder(std::env::temp_dir());
    let disk = Disk::of(vec![std::env::temp_dir()]);
    let hosting = hosting(options, spooling, Parts::for_aws());
    let context = Context::new(environment(options, names), hosting, aws);
    let gateway = Gateway::new(&context, base_url.clone())?;
    serve_metrics(&gateway, &disk, metrics);
    tracing::info!("serving {}", base_url.0);
    let listening = Listening { timeouts: Timeouts::with_a_load_balancer(), ..listening };
    let host = Host::from(gateway).on_disk(disk);
    accept(listener, host, listening, told_to_stop()).await?;
    Ok(())
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| ServeError::Listen { address, source })
}

/// Serves the metrics of the feed at `listener`.
fn serve_metrics(gateway: &Gateway, disk: &Disk, listener: Option<TcpListener>) {
    if let Some(listener) = listener {
        let metrics = gateway.metrics().clone().of_disk(disk.clone());
        let listening = Listening {
            timeouts: Timeouts::with_clients(),
            connections: Connections::few(),
            hosts: Hosts::default(),
        };
        tokio::spawn(accept(listener, metrics, listening, std::future::pending()));
    }
}

/// The settings that verbs read, taken from the options.
fn environment(options: &ServeOptions, (table, bucket): (TableName, BucketName)) -> Environment {
    let read_access = options.read_access.to_string();
    let symbol_access = options.symbol_access.to_string();
    let delete_behavior = options.delete_behavior.to_string();
    let package_bytes = options.max_package_bytes.unwrap_or_default().0.to_string();
    Environment::new(move |name| match name {
        TableName::SETTING => Some(table.as_str().to_owned()),
        BucketName::SETTING => Some(bucket.as_str().to_owned()),
        ReadAccess::SETTING => Some(read_access.clone()),
        SymbolAccess::SETTING => Some(symbol_access.clone()),
        DeleteBehavior::SETTING => Some(delete_behavior.clone()),
        PackageBytes::SETTING => Some(package_bytes.clone()),
        _ => None,
    })
}

fn hosting(options: &ServeOptions, spooling: Spooling, parts: Parts) -> Hosting {
    Hosting {
        spooling,
        permits: Permits::new(options.max_pushes.get(), options.max_pushes_per_key.get())
            .per_minute(options.max_pushes_per_minute.get()),
        parts: Some(parts),
        delivery: Delivery::Stream,
        public_bucket: None,
        asks_again: true,
        visibility: Visibility::OneByOne,
        revisions: None,
        issuer_authorities: options.issuer_authorities.clone(),
        sts: None,
        clock: Clock::default(),
    }
}

async fn make_owner(table: &Table) -> Result<access::ApiKey, KeyError> {
    keys::create(table, KeyName::owner(), vec![Scope::Admin], vec![IdGlob::any()], None, "serve")
        .await
}

/// The address that clients use: the given one, or the listening address. It never comes
/// from a request.
fn base_url(given: Option<&BaseUrl>, listening: SocketAddr) -> Result<BaseUrl, ServeError> {
    match given {
        None if listening.ip().is_unspecified() => Err(ServeError::NoUrl(listening)),
        None => Ok(BaseUrl(format!("http://{listening}"))),
        Some(url) => Ok(url.clone()),
    }
}

async fn update(engines: Engines, gateway: Gateway) {
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
        if let Err(error) = gateway.meter().await {
            tracing::warn!("cannot write down the downloads: {error}");
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
