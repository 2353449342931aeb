//! The settings and permissions that functions are given, held against those that they use:
//! neither more nor less.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use access::{IdGlob, Quota, QuotaLimits, Scope};
use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use feed::{Context, Hosting};
use http::{HeaderMap, Method, StatusCode};
use lambda::EventFunction;
use nuthatch_tests::{
    ADDRESS, Answer, AssemblyBuilder, EngineServer, LambdaGateway, PackageBuilder, Pdb, Sandboxes,
    TemplateRoute, TestFeed, TestIssuer, Use, framed, functions, key_header, nuspec, send_to,
    symbols, variables_of, verb,
};
use protocol::{Access, Environment};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{QuotaSet, TrustAdded};
use time::OffsetDateTime;
use tokens::Signer;
use trust::{People, Trust, Workload};

use crate::TEMPLATE;

/// The permissions of a statement: actions on partition keys or object keys, by patterns. A
/// statement about transactions names all keys that they touch.
struct Allowance {
    actions: Vec<String>,
    patterns: Vec<String>,
    /// Whether it is there only where DELETE deletes.
    is_conditional: bool,
}

/// The permissions of a role.
fn allowed(function: &str) -> Vec<Allowance> {
    let documents = Yaml::load_from_str(TEMPLATE).unwrap();
    let resources = documents[0].as_mapping_get("Resources").unwrap().as_mapping().unwrap();
    let folder = format!("functions/{function}");
    let of_folder = |resource: &Yaml<'_>| {
        let properties = resource.as_mapping_get("Properties")?;
        Some(properties.as_mapping_get("CodeUri")?.as_str()? == folder)
    };
    let (name, _) =
        resources.iter().find(|(_, resource)| of_folder(resource) == Some(true)).unwrap();
    let role = name.as_str().unwrap().replace("Function", "Role");
    let role = resources.iter().find(|(name, _)| name.as_str() == Some(&role)).unwrap().1;
    let policies = role.as_mapping_get("Properties").unwrap().as_mapping_get("Policies").unwrap();
    let document = policies.as_vec().unwrap()[0].as_mapping_get("PolicyDocument").unwrap();
    let statements = document.as_mapping_get("Statement").unwrap().as_vec().unwrap();
    statements.iter().map(Allowance::of).filter(|of| !of.actions.is_empty()).collect()
}

impl Allowance {
    fn allows(&self, (action, name): &Use) -> bool {
        self.actions.contains(action) && self.patterns.iter().any(|of| matches(of, name))
    }

    fn of(statement: &Yaml<'_>) -> Self {
        let (statement, is_conditional) = match statement {
            // `!If`: the branch for a condition that holds.
            Yaml::Tagged(_, branches) => (&branches.as_vec().unwrap()[1], true),
            plain => (plain, false),
        };
        let get = |name: &str| statement.as_mapping_get(name);
        let texts = |list: &Yaml<'_>| -> Vec<String> {
            list.as_vec().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
        };
        let keys = get("Condition").and_then(|condition| {
            let like = condition.as_mapping_get("ForAllValues:StringLike")?;
            Some(texts(like.as_mapping_get("dynamodb:LeadingKeys").unwrap()))
        });
        let pattern = |resource: &Yaml<'_>| match resource {
            Yaml::Tagged(_, resource) => resource.as_str().unwrap().replace("${Bucket.Arn}/", ""),
            plain => plain.as_str().unwrap().to_owned(),
        };
        let resource = get("Resource").unwrap();
        let resources = || match resource.as_vec() {
            Some(several) => several.iter().map(pattern).collect(),
            None => vec![pattern(resource)],
        };
        let patterns = keys.unwrap_or_else(resources);
        let actions = texts(get("Action").unwrap()).into_iter();
        let actions = actions.filter(|action| !action.starts_with("logs:")).collect();
        Self { actions, patterns, is_conditional }
    }
}

/// Whether `name` matches a pattern of one star.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => name.starts_with(start) && name.ends_with(end),
        None => name == pattern,
    }
}

/// The binaries. Each reaches the engines at its own address, so that its calls are seen.
struct Watched {
    gateway: LambdaGateway,
    key: String,
}

impl Watched {
    async fn send(&self, method: Method, path: &str, kind: &str, body: impl Into<Bytes>) -> Answer {
        let mut headers = HeaderMap::from_iter([key_header(&method, &self.key)]);
        headers.insert("cookie", format!("__Host-nuthatch={}", self.key).parse().unwrap());
        headers.insert("content-type", kind.parse().unwrap());
        Box::pin(self.gateway.answer(method, path, headers, body.into())).await
    }

    async fn push(&self, package: &[u8]) -> StatusCode {
        let (kind, body) = framed(package);
        self.send(Method::PUT, "/api/v2/package/", kind, body).await.status
    }

    async fn get(&self, path: &str) -> Answer {
        let answer = self.send(Method::GET, path, "text/plain", "").await;
        let location = answer.header("location").to_owned();
        let Some((host, path)) =
            location.strip_prefix("http://").and_then(|url| url.split_once('/'))
        else {
            return answer;
        };
        send_to(host, http::Request::get(format!("/{path}")), "").await.expect(StatusCode::OK)
    }

    async fn push_symbols(&self, symbols: &[u8]) -> StatusCode {
        let (kind, body) = framed(symbols);
        self.send(Method::PUT, "/api/v2/symbolpackage/", kind, body).await.status
    }

    /// Declares, uploads and commits; returns the status of the commit.
    async fn upload(&self, id: &str, bytes: &[u8]) -> StatusCode {
        self.upload_of((id, "package", "commit"), bytes).await
    }

    async fn upload_of(&self, (id, kind, commit): (&str, &str, &str), bytes: &[u8]) -> StatusCode {
        let sha256 = BASE64_STANDARD.encode(Sha256::digest(bytes));
        let size = bytes.len();
        let declaration = json!({
            "kind": kind, "id": id, "version": "1.0.0", "size": size, "sha256": sha256
        });
        let declaration = declaration.to_string();
        let declared =
            self.send(Method::POST, "/api/v2/upload", "application/json", declaration.clone());
        let invitation: Value = declared.await.expect(StatusCode::OK).json();
        let url = invitation["url"].as_str().unwrap().strip_prefix("http://").unwrap();
        let (host, path) = url.split_once('/').unwrap();
        let mut put = http::Request::put(format!("/{path}"));
        for (name, value) in invitation["headers"].as_object().unwrap() {
            put = put.header(name, value.as_str().unwrap());
        }
        send_to(host, put, bytes.to_vec()).await.expect(StatusCode::OK);
        let upload = invitation["upload"].as_str().unwrap();
        let path = format!("/api/v2/upload/{upload}/{commit}");
        self.send(Method::POST, &path, "application/json", declaration).await.status
    }
}

/// A package with all files that a package can attach.
fn package(id: &str, content: &str) -> Vec<u8> {
    let attached = "<readme>R.md</readme><icon>i.png</icon><license type=\"file\">L.txt</license>";
    PackageBuilder::default()
        .nuspec(&nuspec(id, "1.0.0", attached))
        .file("R.md", b"# R")
        .file("i.png", b"\x89PNG\r\n\x1a\n")
        .file("L.txt", b"free")
        .file("content.txt", content.as_bytes())
        .build()
}

/// A package, the PDB of its assembly, and its symbols, which are named by `file`.
fn pair(id: &str) -> (Vec<u8>, Pdb, impl Fn(&str) -> Vec<u8>) {
    let pdb = Pdb::new(id.as_bytes());
    let assembly = AssemblyBuilder::of(&pdb).build();
    let nupkg = PackageBuilder::new(id, "1.0.0").file("lib/A.dll", &assembly).build();
    let (id, bytes) = (id.to_owned(), pdb.bytes.clone());
    let of_file = move |file: &str| symbols(&id, "1.0.0").file(file, &bytes).build();
    (nupkg, pdb, of_file)
}

/// Pushes symbols in both ways, replaces and reads them.
async fn live_with_symbols(watched: &Watched) {
    let (nupkg, pdb, symbols) = pair("Sym");
    assert_eq!(watched.push(&nupkg).await, StatusCode::CREATED);
    assert_eq!(watched.push_symbols(&symbols("A.pdb")).await, StatusCode::CREATED);
    let of_symbols = ("Sym", "symbols", "commit-symbols");
    let uploaded = symbols("lib/A.pdb");
    assert_eq!(watched.upload_of(of_symbols, &uploaded).await, StatusCode::CREATED);
    let commit = format!("/api/v2/upload/{}/commit-symbols", ulid::Ulid::new());
    let declaration = json!({
        "kind": "symbols", "id": "Sym", "version": "1.0.0", "size": uploaded.len(),
        "sha256": BASE64_STANDARD.encode(Sha256::digest(&uploaded)),
    });
    let again = watched.send(Method::POST, &commit, "application/json", declaration.to_string());
    assert_eq!(again.await.status, StatusCode::CREATED);
    for path in [pdb.path("a.pdb"), "/v3/package/sym/1.0.0/sym.1.0.0.snupkg".to_owned()] {
        assert_eq!(watched.get(&path).await.status, StatusCode::OK, "{path}");
    }
}

/// Exchanges tokens of `issuer`: while somebody else fetches its keys, and then with them.
async fn live_with_tokens(feed: &TestFeed, watched: &Watched, issuer: &TestIssuer, key: &Signer) {
    let (table, trust) = (feed.table(), issuer.trust("ci"));
    assert_eq!(table.add_trust(&trust, &issuer.issuer()).await.unwrap(), TrustAdded::Done);
    let exchange = async || {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let claims = tokens::github(&issuer.iss, ADDRESS, now);
        let mut headers = HeaderMap::new();
        let bearer = format!("Bearer {}", key.sign(&claims));
        headers.insert("authorization", bearer.parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        let body = json!({"username": "ci", "tokenType": "ApiKey"}).to_string();
        Box::pin(watched.gateway.answer(Method::POST, "/api/v2/token", headers, body.into())).await
    };
    let people = People { client_id: "cli".parse().unwrap(), claims: Vec::new() };
    let people = Trust { workload: Workload::People(people), ..issuer.trust("people") };
    assert_eq!(table.add_trust(&people, &issuer.issuer()).await.unwrap(), TrustAdded::Done);
    watched.get("/api/v2/token").await.expect(StatusCode::OK);
    let now = OffsetDateTime::now_utc().unix_timestamp();
    assert!(table.begin_fetch(&trust.iss, now - 8).await.unwrap());
    exchange().await.expect(StatusCode::SERVICE_UNAVAILABLE);
    issuer.age_keys(feed, 60).await;
    let granted = exchange().await.expect(StatusCode::OK).json();
    exchange().await.expect(StatusCode::UNAUTHORIZED);
    live_with_runs(feed, watched, granted["apiKey"].as_str().unwrap()).await;
}

/// Pushes with the key of a trust. The page of the package shows the run, to somebody whose key
/// no function has met.
async fn live_with_runs(feed: &TestFeed, watched: &Watched, granted: &str) {
    let (kind, body) = framed(&package("Acme.Traced", "x"));
    let mut headers = HeaderMap::new();
    headers.insert("x-nuget-apikey", granted.parse().unwrap());
    headers.insert("content-type", kind.parse().unwrap());
    let answer =
        |method, path, headers, body| Box::pin(watched.gateway.answer(method, path, headers, body));
    let pushed = answer(Method::PUT, "/api/v2/package/", headers, body.into()).await;
    assert_eq!(pushed.status, StatusCode::CREATED);
    let person = feed.client("person", &[Scope::Read], &["*"]).await;
    let mut headers = HeaderMap::new();
    headers.insert("cookie", format!("__Host-nuthatch={}", person.key()).parse().unwrap());
    let page = answer(Method::GET, "/packages/Acme.Traced", headers, Bytes::new()).await;
    let page = String::from_utf8(page.expect(StatusCode::OK).body.to_vec()).unwrap();
    assert!(page.contains("repository=acme/core"), "{page}");
}

/// Sets a quota that every push is counted in, and that has counted nothing yet.
async fn live_with_quota(feed: &TestFeed) {
    let limits = QuotaLimits { bytes: Some(1 << 40), ..QuotaLimits::default() };
    let quota = Quota { id: Some(IdGlob::any()), ..Quota::new("all".parse().unwrap(), limits) };
    assert_eq!(feed.own_ledger().set_quota(quota, "tests").await.unwrap(), QuotaSet::Done);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let update = feed.aws.dynamodb.update_item().table_name("nuthatch");
    let update = update.key("pk", text("QUOTA#all")).key("sk", text("QUOTA"));
    let update = update.update_expression("SET counted = :first");
    let update = update.expression_attribute_values(":first", text(&ulid::Ulid::nil().to_string()));
    update.send().await.unwrap();
}

/// Makes the changes so far as they were logged at first: without their bytes.
async fn forget_bytes(feed: &TestFeed) {
    for key in feed.rows().await.into_keys().filter(|key| key.starts_with("CHANGES#")) {
        let (pk, sk) = key.split_once(' ').unwrap();
        let update = feed.aws.dynamodb.update_item().table_name("nuthatch");
        let update = update.key("pk", AttributeValue::S(pk.to_owned()));
        let update = update.key("sk", AttributeValue::S(sk.to_owned()));
        update.update_expression("REMOVE bytes").send().await.unwrap();
    }
}

/// Makes every kind of request that a feed can answer.
async fn live(feed: &TestFeed, watched: &Watched) {
    let acme = package("Acme", "x");
    assert_eq!(watched.push(&acme).await, StatusCode::CREATED);
    assert_eq!(watched.upload("Uploaded", &package("Uploaded", "x")).await, StatusCode::CREATED);
    assert_eq!(watched.upload("Broken", b"nonsense").await, StatusCode::BAD_REQUEST);
    unlist_and_relist(watched).await;
    live_with_symbols(watched).await;
    // Search takes in what is settled.
    feed.settle().await;
    for path in [
        "/v3/index.json",
        "/v3/package/acme/index.json",
        "/v3/package/acme/1.0.0/acme.1.0.0.nupkg",
        "/v3/package/acme/1.0.0/acme.nuspec",
        "/v3/package/acme/1.0.0/readme",
        "/v3/registration/acme/index.json",
        "/v3/registration/acme/1.0.0.json",
        "/v3/search?q=acme",
        "/v3/log",
        "/v3/usage",
        "/?q=acme",
        "/packages/Acme",
        "/packages/Acme/1.0.0",
    ] {
        // The first time, and again when the function remembers the answer.
        for _ in 0..2 {
            assert_eq!(watched.get(path).await.status, StatusCode::OK, "{path}");
        }
    }
    // Of what is remembered, only what changed is read again.
    unlist_and_relist(watched).await;
    for path in ["/v3/package/acme/index.json", "/v3/registration/acme/index.json"] {
        watched.get(path).await.expect(StatusCode::OK);
    }
}

async fn unlist_and_relist(watched: &Watched) {
    for (method, status) in
        [(Method::DELETE, StatusCode::NO_CONTENT), (Method::POST, StatusCode::OK)]
    {
        let answer = watched.send(method, "/api/v2/package/Acme/1.0.0", "text/plain", "").await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_allows_what_its_function_was_seen_to_do_and_no_more() {
    let feed = TestFeed::start().await;
    let key = feed.owner().await.key().to_owned();
    let mut servers = BTreeMap::new();
    for function in functions() {
        servers.insert(function, EngineServer::start(&feed.engines).await);
    }
    let some = servers.values().next().unwrap().environment();
    let signer = Signer::rsa("k1");
    let issuer = TestIssuer::start(&[&signer]).await;
    let authority = issuer.authority().to_str().unwrap().to_owned();
    let sandboxes = |delete_behavior: &str| {
        let all = Sandboxes::new(some.clone()).with("NUTHATCH_DELETE_BEHAVIOR", delete_behavior);
        let all = all.with("SSL_CERT_FILE", &authority);
        servers.iter().fold(all, |all, (function, server)| all.reaching(function, &server.url))
    };
    let unlisting = LambdaGateway::before_sandboxes(sandboxes("unlist"));
    let watched = Watched { gateway: unlisting, key: key.clone() };
    live_with_quota(&feed).await;
    live(&feed, &watched).await;
    forget_bytes(&feed).await;
    live_with_tokens(&feed, &watched, &issuer, &signer).await;
    // Of several pushes at once, some lose after they have stored an object.
    for round in 0..20 {
        let used = servers["push"].uses();
        if used.iter().any(|(action, _)| action == "s3:DeleteObject") {
            break;
        }
        let (one, other) =
            (package(&format!("Race{round}"), "1"), package(&format!("Race{round}"), "2"));
        tokio::join!(watched.push(&one), watched.push(&other), watched.push(&one));
    }
    // Two scheduled runs of each: the first writes, and the second reads that.
    let scheduled = sandboxes("unlist");
    for function in ["compact", "meter"] {
        for _ in 0..2 {
            scheduled.start(function).await.invoke(&json!({})).await.unwrap();
        }
    }
    watched.get("/v3/usage").await.expect(StatusCode::OK);
    watched.get("/v3/search?q=acme").await;
    // Until here, nothing was deleted.
    for (function, server) in &servers {
        let allowed = allowed(function);
        for does in server.uses() {
            let always = allowed.iter().filter(|allowance| !allowance.is_conditional);
            let may = always.clone().any(|allowance| allowance.allows(&does));
            assert!(may, "the role of {function} does not always allow {does:?}");
        }
    }
    let deleting = sandboxes("delete").with("NUTHATCH_BUCKET", "nuthatch");
    let deleting = LambdaGateway::before_sandboxes(deleting);
    let watched = Watched { gateway: deleting, key };
    for path in ["/api/v2/package/Acme/1.0.0", "/api/v2/package/Sym/1.0.0"] {
        let deleted = watched.send(Method::DELETE, path, "text/plain", "").await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    }
    for (function, server) in &servers {
        let (allowed, used) = (allowed(function), server.uses());
        for does in &used {
            let may = allowed.iter().any(|allowance| allowance.allows(does));
            assert!(may, "the role of {function} does not allow {does:?}");
        }
        for allowance in &allowed {
            for action in &allowance.actions {
                let is_used = used.iter().any(|does| does.0 == *action && allowance.allows(does));
                assert!(is_used, "{function} never does {action}, which its role allows");
            }
            for of in &allowance.patterns {
                let is_used = used.iter().any(|(_, name)| matches(of, name));
                assert!(is_used, "{function} never touches {of}, which its role allows");
            }
        }
    }
}

#[tokio::test]
async fn every_variable_of_a_function_is_read_and_there_are_no_others() {
    let feed = TestFeed::start().await;
    let read = Arc::new(Mutex::new(BTreeSet::new()));
    let reading = Arc::clone(&read);
    let environment = Environment::new(move |name| {
        reading.lock().unwrap().insert(name.to_owned());
        match name {
            "NUTHATCH_TABLE" | "NUTHATCH_BUCKET" => Some("nuthatch".to_owned()),
            // The value for which a function needs the most settings.
            "NUTHATCH_DELETE_BEHAVIOR" => Some("delete".to_owned()),
            _ => None,
        }
    });
    // Each in a process of its own, so that nothing is shared.
    let context = || Context::new(environment.clone(), Hosting::default(), feed.aws.clone());
    for function in functions() {
        read.lock().unwrap().clear();
        match function.as_str() {
            "authorize" => drop(authorize::Authorize::new(&context()).unwrap()),
            "compact" => drop(compact::Compact::new(&context()).unwrap()),
            "meter" => drop(meter::Meter::new(&context()).unwrap()),
            name => drop(verb(name, &context())),
        }
        assert_eq!(*read.lock().unwrap(), variables_of(&function), "{function}");
    }
}

#[test]
fn every_function_has_a_folder_and_every_folder_a_function() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions");
    let folders = std::fs::read_dir(folder).unwrap();
    let folders = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap());
    let folders: BTreeSet<String> = folders.filter(|folder| folder != "shared").collect();
    assert_eq!(functions().into_iter().collect::<BTreeSet<_>>(), folders);
}

#[test]
fn the_template_s_routes_are_those_that_the_verbs_declare() {
    let declared = registry::ROUTES.iter().flat_map(|(verb, routes)| {
        routes.iter().flat_map(move |route| {
            route.methods.iter().map(move |method| TemplateRoute {
                function: (*verb).to_owned(),
                path: route.path.to_owned(),
                method: method.to_string(),
                authorizer: match route.access {
                    Access::Open => None,
                    Access::Key(Scope::Read) => Some(TemplateRoute::BY_READ_ACCESS.to_owned()),
                    _ => Some("EveryRequest".to_owned()),
                },
            })
        })
    });
    let deployed: BTreeSet<_> = TemplateRoute::all().iter().cloned().collect();
    assert_eq!(deployed, declared.collect());
}
