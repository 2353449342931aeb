//! The HTTPS client that reads the documents of token issuers: configurations and key sets.
//!
//! An issuer is named by an owner of the feed, and never by a caller. Nevertheless it is a
//! stranger: its documents are small and come soon, it cannot redirect the feed elsewhere,
//! and its name does not lead into a private network.

mod addresses;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::{BoxError, with_causes};
use reqwest::Certificate;
use reqwest::redirect::Policy;
use trust::{DiscoveryError, IssuerUrl, KeySetError, PublicKey, SecureUrl};

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
    #[error("{0} answers with more than 64 KiB")]
    TooLarge(String),
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
        Ok(Self { authorities: certificates.into() })
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

    fn client(&self, address: &str, private: bool) -> Result<reqwest::Client, FetchError> {
        const CONNECT: Duration = Duration::from_secs(2);
        const IN_ALL: Duration = Duration::from_secs(4);
        let unreachable = |source| FetchError::Unreachable { address: address.to_owned(), source };
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(IN_ALL)
            // The forges' APIs want one.
            .user_agent(concat!("nuthatch/", env!("CARGO_PKG_VERSION")));
        for certificate in self.authorities.iter() {
            builder = builder.add_root_certificate(certificate.clone());
        }
        if !private {
            // A host that is an address is not resolved.
            if let Some(host) = addresses::private_host(address) {
                return Err(FetchError::PrivateAddress(host));
            }
            builder = builder.dns_resolver(PublicAddresses);
        }
        builder.build().map_err(unreachable)
    }
}

async fn get(client: &reqwest::Client, address: &str) -> Result<Vec<u8>, FetchError> {
    const MOST: usize = 64 * 1024;
    let unreachable = |source| FetchError::Unreachable { address: address.to_owned(), source };
    let mut answer = client.get(address).send().await.map_err(unreachable)?;
    if answer.status() != reqwest::StatusCode::OK {
        let status = answer.status().as_u16();
        return Err(FetchError::Status { address: address.to_owned(), status });
    }
    let mut document = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
        if document.len() + piece.len() > MOST {
            return Err(FetchError::TooLarge(address.to_owned()));
        }
        document.extend_from_slice(&piece);
    }
    Ok(document)
}
