//! The HTTPS client that reads the documents of token issuers: configurations and key sets. It
//! also asks AWS for the signer of a presigned request.
//!
//! An issuer is named by an owner of the feed, and never by a caller. Nevertheless it is a
//! stranger: its documents are small and come soon, it cannot redirect the feed elsewhere,
//! and its name does not lead into a private network.

mod addresses;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::{BoxError, with_causes};
use reqwest::header::ACCEPT;
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, RequestBuilder};
use trust::{
    DiscoveryError, FEED_HEADER, IssuerUrl, KeySetError, PresignedIdentity, PublicKey, SecureUrl,
};

use addresses::PublicAddresses;

/// A document of an issuer cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Its host is an address of a private network, or of this machine.
    #[error("the host {0} is in a private network; name it with --private-issuer if it is yours")]
    PrivateAddress(String),
    /// It does not answer in time, or not over TLS as it must be.
    #[error("{address} does not answer ({})", with_causes(.source))]
    Unreachable {
        /// The address.
        address: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// It answers something else.
    #[error("{address} answers {status}")]
    Status {
        /// The address.
        address: String,
        /// The status.
        status: u16,
    },
    /// Its document is too large.
    #[error("{address} answers with more than {most} KiB")]
    TooLarge {
        /// The address.
        address: String,
        /// The limit in KiB.
        most: usize,
    },
    /// Its document is not a key set.
    #[error("{address}: {source}")]
    KeySet {
        /// The address.
        address: String,
        /// The fault.
        source: KeySetError,
    },
    /// Its document is not its configuration.
    #[error("{address}: {source}")]
    Discovery {
        /// The address.
        address: String,
        /// The fault.
        source: DiscoveryError,
    },
}

/// The client. It trusts the authorities of the system. Clones share it; connections are
/// made anew, as they are rare.
#[derive(Debug, Clone, Default)]
pub struct IssuerClient {
    authorities: Arc<[Certificate]>,
    sts: Option<SocketAddr>,
}

impl IssuerClient {
    /// A client that also trusts the authorities whose certificates are in a file, in PEM.
    ///
    /// # Errors
    /// It is not such a file.
    pub fn trusting(file: &Path) -> Result<Self, BoxError> {
        let certificates = Certificate::from_pem_bundle(&std::fs::read(file)?)?;
        if certificates.is_empty() {
            return Err("it has no certificate".into());
        }
        Ok(Self { authorities: certificates.into(), sts: None })
    }

    /// The same client, which finds the endpoints of STS at `address`, if there is one.
    #[must_use]
    pub fn with_sts_at(self, address: Option<SocketAddr>) -> Self {
        Self { sts: address, ..self }
    }

    /// The answer of STS to a presigned request that names `feed` in its signed header.
    ///
    /// # Errors
    /// STS refuses the signature with the status 403, or cannot be asked.
    pub async fn caller_identity(
        &self,
        identity: &PresignedIdentity,
        feed: &str,
    ) -> Result<Vec<u8>, FetchError> {
        let address = identity.address();
        // The log gets errors with their addresses, and the query is a secret for a minute.
        let shown = address.split('?').next().unwrap_or_default();
        let unreachable = |source: reqwest::Error| FetchError::Unreachable {
            address: shown.to_owned(),
            source: source.without_url(),
        };
        // Its host is one of a fixed list, and may be at a private address: an endpoint of the
        // network's own.
        let mut builder = self.builder();
        if let Some(sts) = self.sts {
            let host = shown.trim_start_matches("https://").trim_end_matches('/');
            builder = builder.resolve(host, sts);
        }
        let client = builder.build().map_err(unreachable)?;
        let request = client.get(&address).header(FEED_HEADER, feed);
        let request = request.header(ACCEPT, "application/json");
        read(request, shown, 8 * 1024).await
    }

    /// The keys that are published at `address`.
    ///
    /// # Errors
    /// They cannot be read, or none of them can be used.
    pub async fn keys(
        &self,
        address: &SecureUrl,
        private: bool,
    ) -> Result<Vec<PublicKey>, FetchError> {
        let document = self.document(address.as_str(), private).await?;
        let address = address.to_string();
        trust::public_keys(&document).map_err(|source| FetchError::KeySet { address, source })
    }

    /// The address of the keys of `iss`, according to its configuration.
    ///
    /// # Errors
    /// The configuration cannot be read, or is not that of this issuer.
    pub async fn jwks_uri(&self, iss: &IssuerUrl, private: bool) -> Result<SecureUrl, FetchError> {
        let address = iss.discovery();
        let document = self.document(&address, private).await?;
        trust::jwks_uri(&document, iss).map_err(|source| FetchError::Discovery { address, source })
    }

    /// The document at `address`, tried twice.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn document(&self, address: &str, private: bool) -> Result<Vec<u8>, FetchError> {
        let client = self.client(address, private)?;
        match get(&client, address).await {
            Err(
                error @ (FetchError::Unreachable { .. } | FetchError::Status { status: 500.., .. }),
            ) => {
                tracing::debug!("tries again: {error}");
                get(&client, address).await
            }
            done => done,
        }
    }

    fn builder(&self) -> ClientBuilder {
        const CONNECT: Duration = Duration::from_secs(2);
        const IN_ALL: Duration = Duration::from_secs(4);
        let builder = reqwest::Client::builder()
            .https_only(true)
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(IN_ALL)
            // The forges' APIs want one.
            .user_agent(concat!("nuthatch/", env!("CARGO_PKG_VERSION")));
        let authorities = self.authorities.iter().cloned();
        authorities.fold(builder, ClientBuilder::add_root_certificate)
    }

    fn client(&self, address: &str, private: bool) -> Result<reqwest::Client, FetchError> {
        let mut builder = self.builder();
        if !private {
            // A host that is an address is not resolved.
            if let Some(host) = addresses::private_host(address) {
                return Err(FetchError::PrivateAddress(host));
            }
            builder = builder.dns_resolver(PublicAddresses);
        }
        let unreachable = |source| FetchError::Unreachable { address: address.to_owned(), source };
        builder.build().map_err(unreachable)
    }
}

async fn get(client: &reqwest::Client, address: &str) -> Result<Vec<u8>, FetchError> {
    read(client.get(address), address, 64 * 1024).await
}

/// The answer to `request`, of `most` bytes at most. Errors name it `address`.
async fn read(request: RequestBuilder, address: &str, most: usize) -> Result<Vec<u8>, FetchError> {
    let unreachable = |source: reqwest::Error| FetchError::Unreachable {
        address: address.to_owned(),
        source: source.without_url(),
    };
    let mut answer = request.send().await.map_err(unreachable)?;
    if answer.status() != reqwest::StatusCode::OK {
        let status = answer.status().as_u16();
        return Err(FetchError::Status { address: address.to_owned(), status });
    }
    let mut document = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
        if document.len() + piece.len() > most {
            return Err(FetchError::TooLarge { address: address.to_owned(), most: most / 1024 });
        }
        document.extend_from_slice(&piece);
    }
    Ok(document)
}
