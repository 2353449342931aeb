//! Symbols: pushed beside their package, and found by debuggers.

use access::Scope;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use feed::{DeleteBehavior, ReadAccess, SymbolAccess};
use http::StatusCode;
use nuthatch_tests::{
    Answer, AssemblyBuilder, Client, Entry, FeedOptions, PackageBuilder, Pdb, Server, TestFeed,
    framed, noise, symbols, symbols_corpus,
};

use crate::package;

/// A package with one assembly, and the PDB of that.
struct Pair {
    pdb: Pdb,
    nupkg: Vec<u8>,
    snupkg: Vec<u8>,
}

fn pair_of(id: &str, pdb: Pdb) -> Pair {
    let assembly = AssemblyBuilder::of(&pdb).build();
    Pair {
        nupkg: PackageBuilder::new(id, "1.0.0").file("lib/net8.0/A.dll", &assembly).build(),
        snupkg: symbols(id, "1.0.0").file("lib/net8.0/A.pdb", &pdb.bytes).build(),
        pdb,
    }
}

fn pair(id: &str, content: &str) -> Pair {
    pair_of(id, Pdb::new(content.as_bytes()))
}

impl Pair {
    async fn push(&self, client: &Client) {
        client.push(&self.nupkg).await.expect(StatusCode::CREATED);
        client.push_symbols(&self.snupkg).await.expect(StatusCode::CREATED);
    }

    async fn get(&self, client: &Client) -> Answer {
        client.get(&self.pdb.path("a.pdb")).await
    }
}

async fn feed(options: FeedOptions) -> (TestFeed, Client) {
    let feed = TestFeed::with(options).await;
    let owner = feed.owner().await;
    (feed, owner)
}

async fn deleting() -> (TestFeed, Client) {
    let delete_behavior = DeleteBehavior::Delete;
    feed(FeedOptions { delete_behavior, ..FeedOptions::default() }).await
}

#[tokio::test]
async fn pushed_symbols_are_found_at_once_in_every_casing() {
    let (feed, owner) = feed(FeedOptions::default()).await;
    let pair = pair("Acme", "one");
    pair.push(&owner).await;
    let reader = owner.at(&feed.another_instance());
    let guid = pair.pdb.guid();
    for path in [
        format!("/symbols/a.pdb/{guid}FFFFFFFF/a.pdb"),
        format!("/symbols/A.PDB/{}ffffffff/A.PDB", guid.to_uppercase()),
        format!("/symbols/a.pdb/{guid}1/a.pdb"),
        format!("/symbols/a./a.pdb/{guid}FFFFFFFF/a.pdb"),
        format!("/symbols//a.pdb//{guid}FFFFFFFF/a.pdb"),
    ] {
        let answer = reader.get(&path).await.expect(StatusCode::OK);
        assert_eq!(answer.body, pair.pdb.bytes, "{path}");
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("content-encoding"), "");
    }
    let head = reader.head(&pair.pdb.path("a.pdb")).await.expect(StatusCode::OK);
    assert_eq!(head.header("content-length"), pair.pdb.bytes.len().to_string());
    let part = reader.get_with(&pair.pdb.path("a.pdb"), ("range", "bytes=0-3")).await;
    assert_eq!(part.expect(StatusCode::PARTIAL_CONTENT).body, "BSJB");
    let path = "/v3/package/acme/1.0.0/acme.1.0.0.snupkg";
    assert_eq!(reader.get(path).await.expect(StatusCode::OK).body, pair.snupkg);
}

#[tokio::test]
#[cfg_attr(not(has_corpus), ignore = "the corpus of real packages is not beside this checkout")]
async fn real_pairs_are_pushed_and_found() {
    let (_feed, owner) = feed(FeedOptions::default()).await;
    for pair in symbols_corpus(false) {
        owner.push(&pair.nupkg).await.expect(StatusCode::CREATED);
        owner.push_symbols(&pair.snupkg).await.expect(StatusCode::CREATED);
        for pdb in &pair.pdbs {
            let key = pdb["key"].as_str().unwrap();
            for key in [key.to_owned(), key.to_uppercase(), key.replace("ffffffff", "FFFFFFFF")] {
                let answer = owner.get(&format!("/symbols/{key}")).await.expect(StatusCode::OK);
                assert_eq!(sha256(&answer.body), pdb["sha256"].as_str().unwrap(), "{key}");
            }
        }
    }
    for pair in symbols_corpus(true) {
        let said = owner.push_symbols(&pair.snupkg).await.refusal();
        assert!(said.starts_with("409 the package 'Sym.Portable' 1.0.0 has symbols"), "{said}");
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(bytes);
    hash.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[tokio::test]
async fn the_page_of_a_version_with_symbols_says_how_to_debug_it() {
    let (_feed, owner) = feed(FeedOptions::default()).await;
    pair("Acme", "one").push(&owner).await;
    owner.push(&package("Acme", "2.0.0", "x")).await.expect(StatusCode::CREATED);
    let page = async |version: &str| {
        let request = http::Request::get(format!("/packages/Acme/{version}"));
        let cookie = format!("__Host-nuthatch={}", owner.key());
        let answer = owner.send(request.header("cookie", cookie), "").await;
        String::from_utf8(answer.expect(StatusCode::OK).body.to_vec()).unwrap()
    };
    let shown = page("1.0.0").await;
    for words in [
        "https://packages.example.org/symbols",
        "/packages/acme/1.0.0/acme.1.0.0.snupkg",
        "dotnet-symbol --symbols --authenticated-server-path KEY",
        "setsymbolserver -pat KEY",
        ".sympath+ srv*",
        "launch.json",
    ] {
        assert!(shown.contains(words), "{words}");
    }
    assert!(!page("2.0.0").await.contains("/symbols"));
}

#[tokio::test]
async fn functions_redirect_to_the_bucket() {
    let (_feed, owner) = feed(FeedOptions { redirect: true, ..FeedOptions::default() }).await;
    let pair = pair("Acme", "one");
    pair.push(&owner).await;
    let answer = pair.get(&owner).await.expect(StatusCode::FOUND);
    let address = answer.header("location");
    assert!(address.contains("/symbols/acme/1.0.0/") && address.contains("/0.pdb?"), "{address}");
    assert!(address.contains("octet-stream") && address.contains("a.pdb"), "{address}");
}

#[tokio::test]
async fn a_path_that_no_pdb_has_is_404_without_a_call() {
    let (feed, owner) = feed(FeedOptions::default()).await;
    let pair = pair("Acme", "one");
    pair.push(&owner).await;
    let id = format!("{}FFFFFFFF", pair.pdb.guid());
    feed.calls.forget();
    for path in [
        String::new(),
        "index2.txt".to_owned(),
        "pingme.txt".to_owned(),
        format!("a.pdb/{id}/a.pd_"),
        format!("a.pdb/{id}/file.ptr"),
        "a.dll/CE0143078000/a.dll".to_owned(),
        format!("a.pdb/{id}/msfz0/a.pdb"),
        format!("a.pdb/{id}/b.pdb"),
        format!("a.pdb/{}/a.pdb", &id[..31]),
        format!("a.pdb/{id}f/a.pdb"),
        format!("%2e%2e%2fa.pdb/{id}/a.pdb"),
        format!("..%5ca.pdb/{id}/..%5ca.pdb"),
        format!("a%00.pdb/{id}/a%00.pdb"),
        format!("{0}.pdb/{id}/{0}.pdb", "x".repeat(300)),
    ] {
        let answer = owner.get(&format!("/symbols/{path}")).await.expect(StatusCode::NOT_FOUND);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
    }
    assert_eq!(feed.calls.take(), [""; 0]);
}

#[tokio::test]
async fn symbols_are_read_with_a_key_that_covers_their_package() {
    let (feed, owner) = feed(FeedOptions::default()).await;
    let pair = pair("Acme", "one");
    pair.push(&owner).await;
    let reader = feed.client("reader", &[Scope::Read], &["Acme"]).await;
    let other = feed.client("other", &[Scope::Read], &["Other.*"]).await;
    let pusher = feed.client("pusher", &[Scope::Push], &["*"]).await;
    let status = async |client: &Client| pair.get(client).await.status;
    let nobody = pair.get(&feed.stranger()).await.expect(StatusCode::UNAUTHORIZED);
    assert!(nobody.header("www-authenticate").starts_with("Basic"));
    assert_eq!(status(&owner.with_key("nuthatch_wrong")).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&pusher).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&reader).await, StatusCode::OK);
    assert_eq!(status(&other).await, StatusCode::NOT_FOUND);
    for user in ["", "x"] {
        let basic = BASE64_STANDARD.encode(format!("{user}:{}", reader.key()));
        let header = ("authorization", format!("Basic {basic}"));
        let path = pair.pdb.path("a.pdb");
        let answer = feed.stranger().get_with(&path, (header.0, &header.1)).await;
        assert_eq!(answer.status, StatusCode::OK, "{user}");
    }
    let snupkg = "/v3/package/acme/1.0.0/acme.1.0.0.snupkg";
    assert_eq!(other.get(snupkg).await.status, StatusCode::NOT_FOUND);
    // A checksum is no key.
    let header = ("symbolchecksum", pair.pdb.checksum_header());
    let answer = feed.stranger().get_with(&pair.pdb.path("a.pdb"), (header.0, &header.1)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn who_knows_the_checksum_needs_no_key_where_that_is_enough() {
    let symbol_access = SymbolAccess::Checksum;
    let (feed, owner) = feed(FeedOptions { symbol_access, ..FeedOptions::default() }).await;
    let pair = pair("Acme", "one");
    pair.push(&owner).await;
    let (stranger, path) = (feed.stranger(), pair.pdb.path("a.pdb"));
    let own = pair.pdb.checksum_header();
    let zeros = format!("SHA384:{}", "0".repeat(96));
    let many = format!("{}{own}", format!("SHA256:{}, ", "1".repeat(64)).repeat(200));
    for checksum in [own.clone(), own.to_uppercase(), format!("{zeros};{own}"), many] {
        let answer = stranger.get_with(&path, ("symbolchecksum", &checksum)).await;
        assert_eq!(answer.expect(StatusCode::OK).body, pair.pdb.bytes);
    }
    let two = http::Request::get(&path).header("symbolchecksum", &zeros);
    let two = stranger.send(two.header("symbolchecksum", &own), "").await;
    assert_eq!(two.status, StatusCode::OK);
    let plain = format!("SHA256:{}", sha256(&pair.pdb.bytes));
    for checksum in ["SHA256:00", "invalid", &plain] {
        let answer = stranger.get_with(&path, ("symbolchecksum", checksum)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{checksum}");
    }
    feed.calls.forget();
    assert_eq!(stranger.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(feed.calls.take(), [""; 0]);
    // With a key: any checksum that is sent has to match, because the debugger would throw.
    assert_eq!(pair.get(&owner).await.status, StatusCode::OK);
    let other = owner.get_with(&path, ("symbolchecksum", &plain)).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    assert_eq!(owner.with_key("nuthatch_wrong").get(&path).await.status, StatusCode::UNAUTHORIZED);
    // Nothing else is open.
    assert_eq!(stranger.nupkg("acme", "1.0.0").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn everybody_gets_the_symbols_of_an_open_feed() {
    let read_access = ReadAccess::Anonymous;
    let (feed, owner) = feed(FeedOptions { read_access, ..FeedOptions::default() }).await;
    let pair = pair("Acme", "one");
    pair.push(&owner).await;
    assert_eq!(pair.get(&feed.stranger()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn symbols_need_their_version() {
    let (_feed, owner) = deleting().await;
    let pair = pair("Acme", "one");
    let refusal = "404 the feed has no package 'Acme' 1.0.0 that these symbols could belong to; \
                   push its .nupkg first";
    assert_eq!(owner.push_symbols(&pair.snupkg).await.refusal(), refusal);
    owner.push(&pair.nupkg).await.expect(StatusCode::CREATED);
    owner.delete("Acme/1.0.0").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(owner.push_symbols(&pair.snupkg).await.refusal(), refusal);
}

#[tokio::test]
async fn an_unlisted_version_takes_and_keeps_symbols() {
    let (_feed, owner) = feed(FeedOptions::default()).await;
    let pair = pair("Acme", "one");
    owner.push(&pair.nupkg).await.expect(StatusCode::CREATED);
    owner.delete("Acme/1.0.0").await.expect(StatusCode::NO_CONTENT);
    owner.push_symbols(&pair.snupkg).await.expect(StatusCode::CREATED);
    assert_eq!(pair.get(&owner).await.status, StatusCode::OK);
    owner.relist("Acme/1.0.0").await.expect(StatusCode::OK);
    assert_eq!(pair.get(&owner).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_same_symbols_again_are_welcome_and_change_nothing() {
    let (feed, owner) = feed(FeedOptions::default()).await;
    let pair = pair("Acme", "one");
    pair.push(&owner).await;
    let (rows, objects) = (feed.rows().await, feed.objects().await);
    assert_eq!(objects.iter().filter(|key| key.starts_with("symbols/")).count(), 2);
    feed.calls.forget();
    owner.push_symbols(&pair.snupkg).await.expect(StatusCode::CREATED);
    assert_eq!(feed.calls.take(), ["BatchGetItem"]);
    assert_eq!((feed.rows().await, feed.objects().await), (rows, objects));
    assert_eq!(feed.changes().await, ["pushed acme 1.0.0", "symbols acme 1.0.0"]);
}

#[tokio::test]
async fn symbols_replace_older_ones_as_a_whole() {
    let (feed, owner) = feed(FeedOptions::default()).await;
    let (one, two) = (Pdb::new(b"one"), Pdb::new(b"two"));
    let nupkg = PackageBuilder::new("Acme", "1.0.0")
        .file("lib/A.dll", &AssemblyBuilder::of(&one).build())
        .file("lib/B.dll", &AssemblyBuilder::of(&two).build());
    owner.push(&nupkg.build()).await.expect(StatusCode::CREATED);
    let of = |name: &str, pdb: &Pdb| symbols("Acme", "1.0.0").file(name, &pdb.bytes).build();
    owner.push_symbols(&of("lib/A.pdb", &one)).await.expect(StatusCode::CREATED);
    owner.push_symbols(&of("lib/B.pdb", &two)).await.expect(StatusCode::CREATED);
    assert_eq!(owner.get(&one.path("a.pdb")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(owner.get(&two.path("b.pdb")).await.status, StatusCode::OK);
    // Nothing of the older ones is left.
    let rows = feed.rows().await;
    let pdbs: Vec<&String> = rows.keys().filter(|key| key.starts_with("PDB#")).collect();
    assert_eq!(pdbs.len(), 1, "{pdbs:?}");
    let objects = feed.objects().await;
    assert_eq!(objects.iter().filter(|key| key.starts_with("symbols/")).count(), 2);
}

#[tokio::test]
async fn symbols_of_another_build_are_refused_and_skipped_where_there_are_some() {
    let (feed, owner) = feed(FeedOptions::default()).await;
    let (own, other) = (pair("Acme", "one"), pair("Acme", "other"));
    owner.push(&own.nupkg).await.expect(StatusCode::CREATED);
    let objects = feed.objects().await;
    let said = owner.push_symbols(&other.snupkg).await.refusal();
    assert!(said.starts_with("400 no assembly of the package names the PDB"), "{said}");
    assert!(said.contains(&own.pdb.guid()) && said.contains(&other.pdb.guid()), "{said}");
    assert!(
        said.ends_with("(the .nupkg is not affected, and a .snupkg can be pushed alone)"),
        "{said}"
    );
    assert_eq!(feed.objects().await, objects);
    owner.push_symbols(&own.snupkg).await.expect(StatusCode::CREATED);
    let said = owner.push_symbols(&other.snupkg).await.refusal();
    assert!(said.starts_with("409 the package 'Acme' 1.0.0 has symbols, and these are"), "{said}");
    // A broken one stays an error.
    let broken = symbols("Acme", "1.0.0").file("lib/A.pdb", b"nonsense").build();
    assert_eq!(owner.push_symbols(&broken).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(own.get(&owner).await.status, StatusCode::OK);
}

#[tokio::test]
async fn each_kind_of_package_has_an_address_of_its_own() {
    let (_feed, owner) = feed(FeedOptions::default()).await;
    let pair = pair("Acme", "one");
    let said = owner.push(&pair.snupkg).await.refusal();
    assert!(said.starts_with("400 ") && said.contains("SymbolPackagePublish"), "{said}");
    let said = owner.push_symbols(&pair.nupkg).await.refusal();
    assert!(said.starts_with("400 ") && said.contains("PackagePublish"), "{said}");
    let index = owner.get("/v3/index.json").await.json();
    let resources = index["resources"].as_array().unwrap();
    let symbols = resources.iter().find(|of| of["@type"] == "SymbolPackagePublish/4.9.0").unwrap();
    assert_eq!(symbols["@id"], "https://packages.example.org/api/v2/symbolpackage");
}

#[tokio::test]
async fn a_key_pushes_symbols_of_its_own_ids_alone() {
    let (feed, owner) = feed(FeedOptions::default()).await;
    let pair = pair("Acme", "one");
    owner.push(&pair.nupkg).await.expect(StatusCode::CREATED);
    let evil = feed.client("evil", &[Scope::Push], &["Evil*"]).await;
    let said = evil.push_symbols(&pair.snupkg).await.refusal();
    assert!(said.starts_with("403 the API key 'evil' may not touch"), "{said}");
    // A client that was given no key for symbols sends the source's password when it is asked.
    let asked = feed.stranger().push_symbols(&pair.snupkg).await.expect(StatusCode::UNAUTHORIZED);
    assert!(asked.header("www-authenticate").starts_with("Basic"));
    let (content_type, body) = framed(&pair.snupkg);
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("any:{}", owner.key())));
    let put = http::Request::put("/api/v2/symbolpackage/").header("content-type", content_type);
    let answer = feed.stranger().send(put.header("authorization", basic), body).await;
    answer.expect(StatusCode::CREATED);
    let reader = feed.client("reader", &[Scope::Read], &["*"]).await;
    assert_eq!(reader.push_symbols(&pair.snupkg).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn deleted_symbols_are_gone_and_come_back_only_by_a_push() {
    let (feed, owner) = deleting().await;
    let pair = pair("Acme", "one");
    pair.push(&owner).await;
    owner.delete("Acme/1.0.0").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(pair.get(&owner).await.status, StatusCode::NOT_FOUND);
    let snupkg = "/v3/package/acme/1.0.0/acme.1.0.0.snupkg";
    assert_eq!(owner.get(snupkg).await.status, StatusCode::NOT_FOUND);
    assert_eq!(feed.objects().await, [""; 0]);
    let rows = feed.rows().await;
    assert!(!rows.keys().any(|key| key.starts_with("PDB#") || key.starts_with("SYMBOLS#")));
    owner.push(&pair.nupkg).await.expect(StatusCode::CREATED);
    assert_eq!(pair.get(&owner).await.status, StatusCode::NOT_FOUND);
    owner.push_symbols(&pair.snupkg).await.expect(StatusCode::CREATED);
    assert_eq!(pair.get(&owner).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_pdb_in_two_packages_is_found_until_both_are_deleted() {
    let (feed, owner) = deleting().await;
    let (one, two) = (pair("Acme.One", "same"), pair("Acme.Two", "same"));
    one.push(&owner).await;
    two.push(&owner).await;
    let reader = feed.client("reader", &[Scope::Read], &["Acme.One"]).await;
    assert_eq!(one.get(&reader).await.status, StatusCode::OK);
    owner.delete("Acme.One/1.0.0").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(one.get(&reader).await.status, StatusCode::NOT_FOUND);
    assert_eq!(one.get(&owner).await.status, StatusCode::OK);
    owner.delete("Acme.Two/1.0.0").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(one.get(&owner).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_puts_a_pdb_before_one_that_certifies_itself() {
    let (feed, owner) = feed(FeedOptions::default()).await;
    let acme = pair("Acme", "one");
    let evil_pdb = Pdb::with_id(b"evil", acme.pdb.id);
    let evil = pair_of("Evil", evil_pdb.clone());
    let attacker = feed.client("evil", &[Scope::Push], &["Evil*"]).await;
    evil.push(&attacker).await;
    acme.push(&owner).await;
    assert_eq!(acme.get(&owner).await.body, acme.pdb.bytes);
    for pdb in [&acme.pdb, &evil_pdb] {
        let checksum = pdb.checksum_header();
        let path = pdb.path("a.pdb");
        let answer = owner.get_with(&path, ("symbolchecksum", &checksum)).await;
        assert_eq!(answer.expect(StatusCode::OK).body, pdb.bytes);
    }
    // Of two that do not, the older one is given out.
    let (first, second) = (Pdb::with_id(b"first", [9; 20]), Pdb::with_id(b"second", [9; 20]));
    pair_of("First", first.clone()).push(&owner).await;
    pair_of("Second", second).push(&owner).await;
    assert_eq!(owner.get(&first.path("a.pdb")).await.body, first.bytes);
}

#[tokio::test]
async fn many_pdbs_are_all_found() {
    let (feed, owner) = feed(FeedOptions { quick: true, ..FeedOptions::default() }).await;
    let pdbs: Vec<Pdb> = (0..250).map(|number: u32| Pdb::new(&number.to_le_bytes())).collect();
    let (mut nupkg, mut snupkg) = (PackageBuilder::new("Acme", "1.0.0"), symbols("Acme", "1.0.0"));
    for (number, pdb) in pdbs.iter().enumerate() {
        nupkg = nupkg.file(&format!("lib/A{number}.dll"), &AssemblyBuilder::of(pdb).build());
        snupkg = snupkg.file(&format!("lib/A{number}.pdb"), &pdb.bytes);
    }
    owner.push(&nupkg.build()).await.expect(StatusCode::CREATED);
    feed.calls.forget();
    owner.push_symbols(&snupkg.build()).await.expect(StatusCode::CREATED);
    let calls = feed.calls.take();
    let puts = calls.iter().filter(|call| *call == "PUT object").count();
    // 97 rows fit into the transaction of the commit.
    let transactions = calls.iter().filter(|call| *call == "TransactWriteItems").count();
    assert_eq!((puts, transactions, calls.len()), (251, 3, 256));
    for (number, pdb) in pdbs.iter().enumerate() {
        let answer = owner.get(&pdb.path(&format!("a{number}.pdb"))).await;
        assert_eq!(answer.expect(StatusCode::OK).body, pdb.bytes);
    }
}

/// Not in the client's process: only the server's memory counts.
#[tokio::test]
async fn very_many_and_very_large_pdbs_take_little_memory() {
    const MB: usize = 1 << 20;
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]);
    let key = server.owner.clone().unwrap();
    let push = async |path: &str, bytes: &[u8]| {
        let (content_type, body) = framed(bytes);
        let put = http::Request::put(format!("/api/v2/{path}/"));
        let put = put.header("content-type", content_type).header("x-nuget-apikey", &key);
        server.send(put, body).await.expect(StatusCode::CREATED);
    };
    let many: Vec<Pdb> = (0..1_000_u32).map(|number| Pdb::new(&number.to_le_bytes())).collect();
    // All that is allowed, which does not deflate.
    let content = noise(64 * MB - 128);
    let large: Vec<Pdb> = (0..4).map(|number| Pdb::new(&content[number..])).collect();
    for (id, pdbs) in [("Many", many), ("Large", large)] {
        let (mut nupkg, mut snupkg) = (PackageBuilder::new(id, "1.0.0"), symbols(id, "1.0.0"));
        for (number, pdb) in pdbs.iter().enumerate() {
            nupkg = nupkg.file(&format!("A{number}.dll"), &AssemblyBuilder::of(pdb).build());
            snupkg = snupkg.entry(Entry::stored(&format!("A{number}.pdb"), &pdb.bytes));
        }
        push("package", &nupkg.build()).await;
        push("symbolpackage", &snupkg.build()).await;
        let last = pdbs.last().unwrap();
        let path = last.path(&format!("a{}.pdb", pdbs.len() - 1));
        let get = http::Request::get(path).header("x-nuget-apikey", &key);
        let answer = server.send(get, "").await.expect(StatusCode::OK);
        assert!(answer.body == last.bytes);
    }
    let peak = server.memory("VmHWM:") - server.memory("RssFile:");
    println!("1,000 PDBs, and 256 MiB in four: {} MiB at most", peak / 1024);
    assert!(peak < 128 * 1024, "{peak} kB");
}

#[tokio::test]
async fn a_pdb_that_inflates_to_more_than_it_declares_is_refused() {
    let (feed, owner) = feed(FeedOptions::default()).await;
    owner.push(&package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    let objects = feed.objects().await;
    let mut bomb = Entry::file("lib/A.pdb", &[0; 4 << 20]);
    bomb.declared_inflated = 10_000;
    bomb.local_inflated = 10_000;
    let snupkg = symbols("Acme", "1.0.0").entry(bomb).build();
    assert_eq!(owner.push_symbols(&snupkg).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(feed.objects().await, objects);
}
