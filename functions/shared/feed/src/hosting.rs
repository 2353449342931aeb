//! The differences between a function and a server.

use std::net::SocketAddr;
use std::path::PathBuf;

use ingest::Permits;
use store::{Clock, Parts, RedirectLifetime, Revisions, Spooling, Visibility};

use crate::Delivery;

/// How verbs are hosted. By default, as functions.
#[derive(Debug, Clone)]
pub struct Hosting {
    /// Where packages are kept while they arrive.
    pub spooling: Spooling,
    /// How many may arrive at once.
    pub permits: Permits,
    /// The packages that are stored in parts, unless a verb decides that itself.
    pub parts: Option<Parts>,
    /// How packages reach the client.
    pub delivery: Delivery,
    /// The bucket as clients reach it, if that differs from how verbs reach it.
    pub public_bucket: Option<PublicBucket>,
    /// Whether a push checks its key once more before it commits. A function has no more
    /// than 28 seconds, and no permission to read keys.
    pub asks_again: bool,
    /// How the table's transactions become visible.
    pub visibility: Visibility,
    /// The revisions of the table, where its engine counts them.
    pub revisions: Option<Revisions>,
    /// A file of certificates, in PEM, that issuers of identity tokens may have besides those
    /// that the system trusts.
    pub issuer_authorities: Option<PathBuf>,
    /// The address at which the endpoints of STS are, if that is not the one that their names
    /// lead to: for tests.
    pub sts: Option<SocketAddr>,
    /// The time by which changes are made; for tests, one that is set.
    pub clock: Clock,
}

impl Default for Hosting {
    fn default() -> Self {
        Self {
            spooling: Spooling::Memory,
            // Lambda gives every request a process of its own.
            permits: Permits::unlimited(),
            parts: None,
            delivery: Delivery::Redirect(RedirectLifetime::default()),
            public_bucket: None,
            asks_again: false,
            visibility: Visibility::OneByOne,
            revisions: None,
            issuer_authorities: None,
            sts: None,
            clock: Clock::default(),
        }
    }
}

/// The bucket as clients reach it.
#[derive(Debug, Clone)]
pub struct PublicBucket {
    /// A client that signs for it.
    pub client: aws_sdk_s3::Client,
    /// The path that it is mounted at.
    pub mount: String,
}
