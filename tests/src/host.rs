//! The ways in which a feed is reached: functions behind API Gateway, a server, a server on
//! AWS, and a relay to a server. What holds for one holds for all.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use access::Scope;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::{BodyExt, Full};
use tempfile::TempDir;
use tokens::Signer;

use crate::lambda::{ADDRESS, LambdaGateway};
use crate::{
    Answer, EngineServer, GIVEN_ISSUER, Sandboxes, Server, TestFeed, given_trust, key_header,
    nuthatch, run, send_to,
};

/// A feed that is reached in one of these ways.
pub struct Host {
    /// The start of its addresses.
    pub address: String,
    /// A key for everything.
    pub owner: String,
    stage: Stage,
}

enum Stage {
    Lambda(Box<(TestFeed, LambdaGateway)>),
    /// The binaries, which reach the engines over TCP.
    Deployed {
        lambda: Box<(TestFeed, LambdaGateway)>,
        _engines: EngineServer,
    },
    /// A server on the table and the bucket of functions.
    PushHost {
        server: Server,
        feed: Box<TestFeed>,
        _engines: EngineServer,
    },
    Served {
        server: Server,
        data: TempDir,
        relay: Option<Relay>,
    },
}

/// A running `nuthatch relay`, killed when it is dropped.
#[derive(Debug)]
pub struct Relay {
    process: Child,
    /// Where it listens: `127.0.0.1:<port>`.
    pub address: String,
}

impl Relay {
    /// A relay to the feed at `source`.
    #[must_use]
    pub fn start(source: &str) -> Self {
        let mut process = nuthatch()
            .args(["relay", "--source", source])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("its output");
        let address = line.trim().strip_prefix("http://").expect("a source");
        let address = address.trim_end_matches("/v3/index.json").to_owned();
        Self { process, address }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Host {
    /// The functions, as AWS runs them.
    pub async fn lambda() -> Self {
        let feed = TestFeed::start().await;
        let owner = feed.owner().await.key().to_owned();
        let gateway = LambdaGateway::new(&feed.aws);
        let stage = Stage::Lambda(Box::new((feed, gateway)));
        Self { address: ADDRESS.to_owned(), owner, stage }
    }

    /// The binaries of the functions, as AWS runs them.
    pub async fn deployed() -> Self {
        let feed = TestFeed::start().await;
        let owner = feed.owner().await.key().to_owned();
        let engines = EngineServer::start(&feed.engines).await;
        let sandboxes = Sandboxes::new(engines.environment());
        let gateway = LambdaGateway::before_sandboxes(sandboxes);
        let stage = Stage::Deployed { lambda: Box::new((feed, gateway)), _engines: engines };
        Self { address: ADDRESS.to_owned(), owner, stage }
    }

    /// A push host: a server on AWS.
    pub async fn push_host() -> Self {
        let feed = TestFeed::start().await;
        let owner = feed.owner().await.key().to_owned();
        let engines = EngineServer::start(&feed.engines).await;
        let environment = engines.environment();
        let started = tokio::task::spawn_blocking(move || Server::start_on_aws(&environment)).await;
        let server = started.unwrap();
        let address = format!("http://{}", server.address);
        let stage = Stage::PushHost { server, feed: Box::new(feed), _engines: engines };
        Self { address, owner, stage }
    }

    /// A server.
    #[must_use]
    pub fn serve() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), &[]);
        let (address, owner) = (format!("http://{}", server.address), server.owner.clone());
        Self { address, owner: owner.unwrap(), stage: Stage::Served { server, data, relay: None } }
    }

    /// A relay to a server.
    #[must_use]
    pub fn relay() -> Self {
        let mut host = Self::serve();
        if let Stage::Served { relay, .. } = &mut host.stage {
            *relay = Some(Relay::start(&format!("{}/v3/index.json", host.address)));
        }
        host
    }

    /// Where a server listens.
    fn socket(&self) -> &str {
        match &self.stage {
            Stage::Served { relay: Some(relay), .. } => &relay.address,
            Stage::Served { server, .. } | Stage::PushHost { server, .. } => &server.address,
            Stage::Lambda(_) | Stage::Deployed { .. } => panic!("functions listen nowhere"),
        }
    }

    /// Whether packages are given out by redirects.
    #[must_use]
    pub fn redirects(&self) -> bool {
        matches!(self.stage, Stage::Lambda(_) | Stage::Deployed { .. })
    }

    /// A new key.
    pub async fn key(&self, name: &str, scope: Scope, ids: &str) -> String {
        match &self.stage {
            Stage::Lambda(lambda) | Stage::Deployed { lambda, .. } => {
                lambda.0.client(name, &[scope], &[ids]).await.key().to_owned()
            }
            Stage::PushHost { feed, .. } => {
                feed.client(name, &[scope], &[ids]).await.key().to_owned()
            }
            Stage::Served { data, .. } => {
                let scope = scope.to_string();
                let create = ["key", "create", name, "--scope", &scope, "--id", ids];
                let printed = run(&create, data.path()).stdout;
                String::from_utf8(printed).unwrap().trim().to_owned()
            }
        }
    }

    /// Adds the trust of [`given_trust`].
    pub async fn trust(&self, name: &str, signer: &Signer) {
        match &self.stage {
            Stage::Lambda(lambda) | Stage::Deployed { lambda, .. } => {
                let (trust, issuer) = given_trust(name, signer);
                lambda.0.table().add_trust(&trust, &issuer).await.unwrap();
            }
            Stage::PushHost { feed, .. } => {
                let (trust, issuer) = given_trust(name, signer);
                feed.table().add_trust(&trust, &issuer).await.unwrap();
            }
            Stage::Served { data, .. } => {
                let keys = data.path().join("keys.json");
                std::fs::write(&keys, tokens::key_set(&[signer]).to_string()).unwrap();
                let keys = keys.to_str().unwrap();
                let add = ["trust", "add", "github", "--name", name, "--repository", "acme/core"];
                let pins = ["--repository-id", "74", "--owner-id", "65", "--id", "Acme.*"];
                let run_by = ["--workflow", "release.yml", "--environment", "release"];
                let issued = ["--issuer", GIVEN_ISSUER, "--jwks-file", keys];
                let added = run(&[&add[..], &pins, &run_by, &issued].concat(), data.path());
                assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
            }
        }
    }

    /// Sends a request to a path of the feed's, with a key or without.
    pub async fn send(
        &self,
        (method, path): (Method, &str),
        key: &str,
        headers: &[(&'static str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .collect();
        if !key.is_empty() {
            let (name, value) = key_header(&method, key);
            map.insert(name, value);
        }
        match &self.stage {
            Stage::Lambda(lambda) | Stage::Deployed { lambda, .. } => {
                lambda.1.answer(method, path, map, body.into()).await
            }
            Stage::PushHost { .. } | Stage::Served { .. } => {
                let address = self.socket();
                let mut request = http::Request::builder().method(method).uri(path);
                *request.headers_mut().unwrap() = map;
                send_to(address, request, body).await
            }
        }
    }

    /// GETs a path with the owner's key.
    pub async fn get(&self, path: &str) -> Answer {
        self.send((Method::GET, path), &self.owner, &[], Bytes::new()).await
    }

    /// Sends a request to an address that the feed gave, on any host.
    pub async fn follow(
        &self,
        method: Method,
        url: &str,
        headers: &[(String, String)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (host, path) = url.split_once("://").unwrap().1.split_once('/').unwrap();
        let mut request = http::Request::builder().method(method).uri(format!("/{path}"));
        for (name, value) in headers.iter().filter(|(name, _)| name != "host") {
            request = request.header(name, value);
        }
        match &self.stage {
            Stage::Lambda(lambda) => {
                let body = body.into();
                if !headers.iter().any(|(name, _)| name == "content-length") && !body.is_empty() {
                    request = request.header("content-length", body.len());
                }
                let body = s3s::Body::http_body(Full::new(body));
                let request = request.header("host", host).body(body).unwrap();
                let answer = lambda.0.engines.s3.call(request).await.unwrap();
                let (parts, body) = answer.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                Answer { status: parts.status, headers: parts.headers, body }
            }
            Stage::Deployed { .. } | Stage::PushHost { .. } | Stage::Served { .. } => {
                send_to(host, request, body).await
            }
        }
    }

    /// The nupkg of a version, wherever it is.
    pub async fn nupkg(&self, id: &str, version: &str) -> Bytes {
        let path = format!("/v3/package/{id}/{version}/{id}.{version}.nupkg");
        let answer = self.get(&path).await;
        if !self.redirects() {
            return answer.expect(http::StatusCode::OK).body;
        }
        let answer = answer.expect(http::StatusCode::FOUND);
        let answer = self.follow(Method::GET, answer.header("location"), &[], Bytes::new()).await;
        answer.expect(http::StatusCode::OK).body
    }

    /// The keys of all objects in the bucket, or `None` if it cannot be listed.
    pub async fn objects(&self) -> Option<Vec<String>> {
        match &self.stage {
            Stage::Lambda(lambda) | Stage::Deployed { lambda, .. } => {
                Some(lambda.0.objects().await)
            }
            Stage::PushHost { feed, .. } => Some(feed.objects().await),
            Stage::Served { .. } => None,
        }
    }
}
