//! An issuer of identity tokens on TLS, with keys and a certificate that are made when a test
//! runs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use http::header::LOCATION;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use serde_json::{Value, json};
use store::TableName;
use tokens::{Signer, key_set};
use trust::{Algorithm, GitHub, Grant, Issuer, KeyLifetime, KeySource, Trust, Workload};

use crate::TestFeed;
use crate::tls::{Certificate, serve_tls};

/// An issuer. Clones are the same one.
#[derive(Clone)]
pub struct TestIssuer {
    /// Its name in its tokens: `https://localhost:<port>`.
    pub iss: String,
    pages: Arc<Mutex<Pages>>,
    certificate: Arc<Certificate>,
}

/// The workflow that trusts in runs of the issuer are for: `release.yml` of `acme/core`.
#[must_use]
pub fn github() -> GitHub {
    GitHub {
        repository: "acme/core".parse().unwrap(),
        repository_id: "74".parse().unwrap(),
        owner_id: "65".parse().unwrap(),
        workflow: "release.yml".parse().unwrap(),
        environment: Some("release".parse().unwrap()),
        reference: None,
        events: GitHub::EVENTS.map(|event| event.parse().unwrap()).into(),
        reusable: None,
        hosted: false,
    }
}

/// A trust in [`github`]'s workflow, which gives keys to push `Acme.*`, and the issuer of its
/// tokens: `https://issuer.example`, whose keys were given, so that nothing is fetched.
#[must_use]
pub fn given_trust(name: &str, signer: &Signer) -> (Trust, Issuer) {
    let keys = trust::public_keys(key_set(&[signer]).to_string().as_bytes()).unwrap();
    let iss: trust::IssuerUrl = GIVEN_ISSUER.parse().unwrap();
    let keys = KeySource::Given { keys };
    let issuer = Issuer { iss: iss.clone(), algorithms: vec![Algorithm::Rs256], keys };
    (a_trust(name, iss), issuer)
}

/// The issuer of [`given_trust`].
pub const GIVEN_ISSUER: &str = "https://issuer.example";

fn a_trust(name: &str, iss: trust::IssuerUrl) -> Trust {
    let ids = vec!["Acme.*".parse().unwrap()];
    Trust {
        name: name.parse().unwrap(),
        iss,
        audience: None,
        workload: Workload::GitHub(github()),
        grant: Grant::new(Vec::new(), ids, KeyLifetime::default()).unwrap(),
        revision: ulid::Ulid::new(),
        created: store::timestamp(),
        created_by: None,
        removed: None,
        removed_by: None,
    }
}

/// The answers of an issuer.
#[derive(Default)]
struct Pages {
    by_path: HashMap<String, Page>,
    asked: Vec<String>,
}

/// An answer of an issuer.
#[derive(Debug, Clone)]
pub enum Page {
    /// 200 with these bytes.
    Document(Bytes),
    /// 302 to another address.
    Redirect(String),
    /// This status.
    Status(u16),
    /// Never the whole of it.
    Never,
}

impl TestIssuer {
    /// The path of its keys.
    pub const KEYS: &'static str = "/keys";
    /// The path of its configuration.
    pub const CONFIGURATION: &'static str = "/.well-known/openid-configuration";

    /// An issuer that publishes the keys of `signers`.
    pub async fn start(signers: &[&Signer]) -> Self {
        let pages = Arc::<Mutex<Pages>>::default();
        let pages_here = Arc::clone(&pages);
        let serving =
            serve_tls("localhost", move |request| answer(request, Arc::clone(&pages_here)));
        let (address, certificate) = serving.await;
        let iss = format!("https://localhost:{}", address.port());
        let issuer = Self { iss, pages, certificate: Arc::new(certificate) };
        issuer.publish(signers);
        issuer.set(
            Self::CONFIGURATION,
            &json!({
                "issuer": issuer.iss, "jwks_uri": issuer.keys()
            }),
        );
        issuer
    }

    /// The address of its keys.
    #[must_use]
    pub fn keys(&self) -> String {
        format!("{}{}", self.iss, Self::KEYS)
    }

    /// Itself, as a feed knows it.
    #[must_use]
    pub fn issuer(&self) -> Issuer {
        Issuer {
            iss: self.iss.parse().unwrap(),
            algorithms: vec![Algorithm::Rs256, Algorithm::Es256],
            keys: KeySource::Published { jwks_uri: self.keys().parse().unwrap(), private: true },
        }
    }

    /// A trust in [`github`]'s workflow, which gives keys to push `Acme.*`.
    #[must_use]
    pub fn trust(&self, name: &str) -> Trust {
        a_trust(name, self.iss.parse().unwrap())
    }

    /// Makes the keys that a feed knows this many seconds older, and the last attempt to
    /// fetch them, too.
    pub async fn age_keys(&self, feed: &TestFeed, seconds: i64) {
        let table = feed.table();
        let known = table.issuer_keys(&self.iss.parse().unwrap()).await.unwrap().unwrap();
        let number = |number: i64| AttributeValue::N(number.to_string());
        let update = feed.aws.dynamodb.update_item().table_name(TableName::default().as_str());
        update
            .key("pk", AttributeValue::S(format!("JWKS#{}", self.iss)))
            .key("sk", AttributeValue::S("JWKS".to_owned()))
            .update_expression("SET fetched = :fetched, attempted = :attempted")
            .expression_attribute_values(":fetched", number((known.fetched - seconds).max(0)))
            .expression_attribute_values(":attempted", number(known.attempted - seconds))
            .send()
            .await
            .unwrap();
    }

    /// The file with its certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.certificate.file()
    }

    /// Publishes the keys of `signers`, and no others.
    pub fn publish(&self, signers: &[&Signer]) {
        self.set(Self::KEYS, &key_set(signers));
    }

    /// Answers at `path` with a document.
    pub fn set(&self, path: &str, document: &Value) {
        self.answer(path, Page::Document(document.to_string().into()));
    }

    /// Answers at `path` like this.
    pub fn answer(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().by_path.insert(path.to_owned(), page);
    }

    /// The paths that it was asked for since the last time.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.pages.lock().unwrap().asked)
    }
}

async fn answer(request: Request<Incoming>, pages: Arc<Mutex<Pages>>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let page = {
        let mut pages = pages.lock().unwrap();
        pages.asked.push(path.clone());
        pages.by_path.get(&path).cloned().unwrap_or(Page::Status(404))
    };
    page.into_response().await
}

impl Page {
    /// The page as an answer.
    pub(crate) async fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::default());
        match self {
            Self::Document(document) => *response.body_mut() = Full::new(document),
            Self::Redirect(address) => {
                *response.status_mut() = StatusCode::FOUND;
                response.headers_mut().insert(LOCATION, address.parse().unwrap());
            }
            Self::Status(status) => *response.status_mut() = status.try_into().unwrap(),
            Self::Never => std::future::pending().await,
        }
        response
    }
}
