//! Symbols, and the symbol server.

use bytes::Bytes;
use http::{Method, StatusCode};
use nuthatch_tests::{Answer, AssemblyBuilder, Host, PackageBuilder, Pdb, framed, noise, symbols};

use crate::push;
use crate::upload::{commit_symbols, declaration, declare, invitation};

fn package(pdb: &Pdb) -> Vec<u8> {
    let assembly = AssemblyBuilder::of(pdb).build();
    PackageBuilder::new("Acme", "1.0.0").file("lib/A.dll", &assembly).build()
}

fn of_package(pdb: &Pdb) -> Vec<u8> {
    symbols("Acme", "1.0.0").file("lib/A.pdb", &pdb.bytes).build()
}

async fn push_symbols(host: &Host, key: &str, symbols: &[u8]) -> Answer {
    let (content_type, body) = framed(symbols);
    let headers = [("content-type", content_type)];
    host.send((Method::PUT, "/api/v2/symbolpackage/"), key, &headers, body).await
}

/// A PDB, wherever the feed sends a debugger for it; none where there is none.
async fn pdb(host: &Host, path: &str) -> Option<Bytes> {
    let answer = host.get(path).await;
    match answer.status {
        StatusCode::NOT_FOUND => None,
        StatusCode::FOUND if host.redirects() => {
            let location = answer.header("location").to_owned();
            let answer = host.follow(Method::GET, &location, &[], Bytes::new()).await;
            Some(answer.expect(StatusCode::OK).body)
        }
        _ => Some(answer.expect(StatusCode::OK).body),
    }
}

pub(crate) async fn symbols_are_pushed_after_their_package_and_found_in_every_casing(host: &Host) {
    let one = Pdb::new(b"one");
    push(host, &host.owner, &package(&one)).await.expect(StatusCode::CREATED);
    for _ in 0..2 {
        let answer = push_symbols(host, &host.owner, &of_package(&one)).await;
        assert!(answer.expect(StatusCode::CREATED).body.is_empty());
    }
    let guid = one.guid();
    for path in [
        one.path("a.pdb"),
        format!("/symbols/A.pdb/{}ffffffff/A.pdb", guid.to_uppercase()),
        format!("/symbols/a.pdb/{guid}1/a.pdb"),
        format!("/symbols/a./a.pdb/{guid}FFFFFFFF/a.pdb"),
    ] {
        assert_eq!(pdb(host, &path).await.unwrap(), one.bytes, "{path}");
    }
    for path in [Pdb::new(b"two").path("a.pdb"), "/symbols/index2.txt".to_owned()] {
        assert_eq!(pdb(host, &path).await, None, "{path}");
    }
    let nobody = host.send((Method::GET, &one.path("a.pdb")), "", &[], "").await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert!(nobody.header("www-authenticate").starts_with("Basic"));
    let path = "/v3/package/acme/1.0.0/acme.1.0.0.snupkg";
    assert_eq!(pdb(host, path).await.unwrap(), of_package(&one));
}

pub(crate) async fn uploaded_symbols_are_found_once_they_are_committed(host: &Host) {
    let (one, other) = (Pdb::new(b"one"), Pdb::new(b"other"));
    let bytes = of_package(&one);
    let mut declared = declaration("Acme", "1.0.0", &bytes);
    declared["kind"] = "symbols".into();
    let early = declare(host, &host.owner, &declared).await;
    assert!(early.refusal().starts_with("404 the feed has no package 'Acme' 1.0.0 that these"));
    push(host, &host.owner, &package(&one)).await.expect(StatusCode::CREATED);
    let invited = invitation(host, &declared).await;
    assert_eq!(invited.put(host, &bytes).await, StatusCode::OK);
    assert_eq!(pdb(host, &one.path("a.pdb")).await, None);
    for _ in 0..2 {
        commit_symbols(host, &invited.upload, &declared).await.expect(StatusCode::CREATED);
    }
    assert_eq!(pdb(host, &one.path("a.pdb")).await.unwrap(), one.bytes);
    declare(host, &host.owner, &declared).await.expect(StatusCode::CREATED);
    // Symbols of another build, uploaded or not.
    let bytes = of_package(&other);
    let mut declared = declaration("Acme", "1.0.0", &bytes);
    declared["kind"] = "symbols".into();
    let invited = invitation(host, &declared).await;
    let missing = commit_symbols(host, &invited.upload, &declared).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(invited.put(host, &bytes).await, StatusCode::OK);
    let refused = commit_symbols(host, &invited.upload, &declared).await;
    assert!(refused.refusal().starts_with("409 the package 'Acme' 1.0.0 has symbols"));
    assert_eq!(pdb(host, &one.path("a.pdb")).await.unwrap(), one.bytes);
    if let Some(objects) = host.objects().await {
        assert!(!objects.iter().any(|key| key.starts_with("uploads/")), "{objects:?}");
    }
}

pub(crate) async fn symbols_need_their_package_and_its_build(host: &Host) {
    let (one, other) = (Pdb::new(b"one"), Pdb::new(b"other"));
    let early = push_symbols(host, &host.owner, &of_package(&one)).await;
    assert!(early.refusal().ends_with("could belong to; push its .nupkg first"));
    push(host, &host.owner, &package(&one)).await.expect(StatusCode::CREATED);
    let said = push_symbols(host, &host.owner, &of_package(&other)).await.refusal();
    assert!(said.starts_with("400 ") && said.contains(&one.guid()), "{said}");
    let said = push_symbols(host, &host.owner, &package(&one)).await.refusal();
    assert!(said.starts_with("400 this is not a symbols package"), "{said}");
    assert_eq!(pdb(host, &one.path("a.pdb")).await, None);
}

pub(crate) async fn symbols_of_six_mebibytes_are_taken_or_the_ways_for_larger_ones_named(
    host: &Host,
) {
    let large = Pdb::new(&noise(6 << 20));
    push(host, &host.owner, &package(&large)).await.expect(StatusCode::CREATED);
    let pushed = push_symbols(host, &host.owner, &of_package(&large)).await;
    if host.redirects() {
        let said = pushed.expect(StatusCode::PAYLOAD_TOO_LARGE).refusal();
        assert!(said.contains("nuthatch push") && said.contains("push host"), "{said}");
        return;
    }
    pushed.expect(StatusCode::CREATED);
    assert_eq!(pdb(host, &large.path("a.pdb")).await.unwrap(), large.bytes);
}

/// As `dotnet-symbol` does for several files at once: each request has the checksums of all
/// assemblies so far.
pub(crate) async fn a_debugger_goes_on_after_a_pdb_that_the_feed_lacks(host: &Host) {
    let pdbs = [b"one", b"two", b"six"].map(|content: &[u8; 3]| Pdb::new(content));
    let [one, _, six] = &pdbs;
    let nupkg = [one, six].iter().enumerate().fold(
        PackageBuilder::new("Acme", "1.0.0"),
        |nupkg, (number, pdb)| {
            nupkg.file(&format!("lib/A{number}.dll"), &AssemblyBuilder::of(pdb).build())
        },
    );
    push(host, &host.owner, &nupkg.build()).await.expect(StatusCode::CREATED);
    let snupkg = symbols("Acme", "1.0.0").file("lib/A0.pdb", &one.bytes);
    let snupkg = snupkg.file("lib/A1.pdb", &six.bytes).build();
    push_symbols(host, &host.owner, &snupkg).await.expect(StatusCode::CREATED);
    let mut checksums = Vec::new();
    for (asked, known) in pdbs.iter().zip([true, false, true]) {
        checksums.push(asked.checksum_header());
        let header = checksums.join(";");
        let headers = [("symbolchecksum", header.as_str())];
        let path = asked.path("a.pdb");
        let answer = host.send((Method::GET, &path), &host.owner, &headers, "").await;
        let found = if host.redirects() { StatusCode::FOUND } else { StatusCode::OK };
        answer.expect(if known { found } else { StatusCode::NOT_FOUND });
    }
}
