//! `nuthatch relay`: a feed on this machine's loopback that takes pushes of any
//! size from stock clients, and passes them straight to the bucket. All other requests go to
//! the feed behind it unchanged.

use std::io::{self, Write};
use std::net::SocketAddr;

use feed::PackageBytes;
use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, StatusCode};
use ingest::{Permit, UploadKind};
use protocol::{BaseUrl, Body, Refusal, Reply, Request, Words, paths};
use serde_json::Value;
use store::{Spooling, Stored};
use tokio::net::TcpListener;

use crate::client::{ClientError, Feed, PackageFile, Source, inspect};
use crate::command::RelayOptions;
use crate::gateway::shown;
use crate::push::{PushError, source};
use crate::socket::{Connections, Hosts, Listening, Service, Timeouts, accept, told_to_stop};

/// The resources that stock clients push to, and where.
const PUBLISH: [(&str, &str, UploadKind); 2] = [
    ("PackagePublish/", paths::PACKAGES, UploadKind::Package),
    ("SymbolPackagePublish/", paths::SYMBOL_PACKAGES, UploadKind::Symbols),
];
/// The headers that carry a client's credentials to the feed.
const CREDENTIALS: [HeaderName; 3] = [
    AUTHORIZATION,
    HeaderName::from_static("x-nuget-apikey"),
    HeaderName::from_static("x-nuget-session-id"),
];
/// Headers of a connection, and not of the requests that go over it.
const OF_THE_CONNECTION: [HeaderName; 5] =
    [CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("expect")];

/// The relay cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// There is no feed to relay to.
    #[error(transparent)]
    Source(#[from] PushError),
    /// The feed cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// Others on the network could read the keys.
    #[error(
        "{0} is not an address of this machine alone; a relay speaks without TLS, use 127.0.0.1"
    )]
    NotLoopback(SocketAddr),
    /// The operating system fails.
    #[error("the system failed: {0}")]
    System(#[from] io::Error),
}

/// Relays until the process is told to stop.
///
/// # Errors
/// The relay cannot start.
pub async fn run(options: RelayOptions) -> Result<(), RelayError> {
    let address = options.listen;
    if !address.ip().is_loopback() {
        return Err(RelayError::NotLoopback(address));
    }
    let source = source(&options.target)?;
    let insecure = options.target.allow_insecure_connections;
    let feed = Feed::at(Source { address: &source.address, insecure }).await?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| RelayError::Listen { address, source })?;
    let base_url = BaseUrl(format!("http://{}", listener.local_addr()?));
    announce(&base_url, &source.address)?;
    let listening = Listening {
        timeouts: Timeouts::with_clients(),
        connections: Connections::few(),
        hosts: Hosts::of(address.ip(), &base_url),
    };
    let relay = Relay {
        feed,
        base_url,
        spooling: Spooling::Folder(std::env::temp_dir()),
        // The feed's own limit is lower, and the feed enforces it.
        package_bytes: PackageBytes::MOST,
    };
    Ok(accept(listener, relay, listening, told_to_stop()).await?)
}

/// Prints the source for scripts, and instructions for people.
fn announce(base_url: &BaseUrl, feed: &str) -> io::Result<()> {
    let source = format!("{}{}", base_url.0, paths::INDEX);
    writeln!(
        io::stderr(),
        "Relays pushes of any size to {feed}. Push with the feed's key:\n\n  \
         dotnet nuget push '*.nupkg' --source {source} --allow-insecure-connections --api-key KEY\n"
    )?;
    writeln!(io::stdout(), "{source}")?;
    io::stdout().flush()
}

/// The relay's service on the loopback. Clones share it.
#[derive(Debug, Clone)]
struct Relay {
    feed: Feed,
    base_url: BaseUrl,
    spooling: Spooling,
    package_bytes: PackageBytes,
}

impl Service for Relay {
    async fn answer(&self, request: Request) -> Reply {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        // Clients add a slash to the address that they push to.
        let pushed =
            PUBLISH.iter().find(|(_, at, _)| path.strip_suffix('/').unwrap_or(&path) == *at);
        let answered = match (&method, path.as_str(), pushed) {
            (&Method::PUT, _, Some((.., kind))) => self.push(request, *kind).await,
            (&Method::GET, paths::INDEX, _) => Ok(protocol::json(&self.index())),
            _ => self.forward(request).await,
        };
        let mut reply = answered.unwrap_or_else(Reply::from);
        Words::warn(&method, &mut reply);
        tracing::info!(http.status = reply.status().as_u16(), "{method} {}", shown(&path));
        reply
    }
}

impl Relay {
    /// The feed's own service index, except for the addresses to push to.
    fn index(&self) -> Value {
        let mut index = self.feed.index().clone();
        let resources = index.get_mut("resources").and_then(Value::as_array_mut);
        for resource in resources.into_iter().flatten() {
            let kind = resource.get("@type").and_then(Value::as_str).unwrap_or_default();
            let at = PUBLISH.iter().find(|(name, ..)| kind.starts_with(name)).map(|(_, at, _)| at);
            if let Some(at) = at
                && let Some(address) = resource.get_mut("@id")
            {
                *address = Value::String(format!("{}{at}", self.base_url.0));
            }
        }
        index
    }

    async fn push(&self, request: Request, kind: UploadKind) -> Result<Reply, Refusal> {
        let (parts, body) = request.into_parts();
        let headers: HeaderMap = CREDENTIALS
            .into_iter()
            .filter_map(|name| Some((name.clone(), parts.headers.get(name)?.clone())))
            .collect();
        // An invalid key is refused before the package is received.
        let probed = self.feed.probe(&headers).await.map_err(unreachable)?;
        if matches!(probed.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Ok(probed.into_reply());
        }
        let limit = self.package_bytes.0;
        let permit = &mut Permit::unlimited();
        let received = ingest::receive(&parts.headers, body, &self.spooling, limit, permit).await?;
        let content = received.content.clone();
        let stored = Stored { size: content.size(), sha256: received.sha256 };
        let declared = tokio::task::spawn_blocking(move || inspect(content, kind, stored));
        let declared = declared.await.map_err(|panic| Refusal::Broken(panic.into()))?;
        let declaration = declared.map_err(|error| match kind {
            UploadKind::Symbols => ingest::invalid_symbols(error),
            UploadKind::Package => error.into(),
        })?;
        let package = PackageFile::declared(declaration, received.content);
        let answer = self.feed.push(&package, &headers, |_| {}).await.map_err(unreachable)?;
        Ok(answer.into_reply())
    }

    async fn forward(&self, request: Request) -> Result<Reply, Refusal> {
        let (mut parts, body) = request.into_parts();
        for name in OF_THE_CONNECTION {
            parts.headers.remove(name);
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let answer = self.feed.forward(parts.method, path, parts.headers, body).await;
        let answer = http::Response::<reqwest::Body>::from(answer.map_err(unreachable)?);
        let mut reply = answer.map(Body::stream);
        for name in OF_THE_CONNECTION {
            reply.headers_mut().remove(name);
        }
        Ok(reply)
    }
}

fn unreachable(error: ClientError) -> Refusal {
    Refusal::Unavailable(error.into())
}
