//! Framings of uploads, cut off at every byte.

use http::StatusCode;
use nuthatch_tests::{TestFeed, framed};

use crate::package;

/// Every client's framing of a package: its name, content type and body, and how many of its
/// last bytes may be missing.
fn framings(package: &[u8]) -> Vec<(&'static str, &'static str, Vec<u8>, usize)> {
    let around = |head: &[u8], tail: &[u8]| [head, package, tail].concat();
    let (quoted, current) = framed(package);
    let bare = "multipart/form-data; boundary=----------8d1f3e";
    vec![
        ("NuGet since 2.12", quoted, current, 2),
        (
            "NuGet 2.8 on mono",
            bare,
            around(
                b"------------8d1f3e\r\nContent-Disposition: form-data; name=\"package\"; \
                  filename=\"package\"\r\nContent-Type: application/octet-stream\r\n\r\n",
                b"\n------------8d1f3e--",
            ),
            0,
        ),
        (
            "curl with a form",
            bare,
            around(
                b"------------8d1f3e\r\nContent-Disposition: attachment; name=\"x\"; \
                  filename=\"a.nupkg\"\r\nContent-Type: application/octet-stream\r\n\r\n",
                b"\r\n------------8d1f3e\r\nContent-Disposition: form-data; name=\"y\"\r\n\r\n\
                  later\r\n------------8d1f3e--\r\n",
            ),
            2,
        ),
        (
            "no disposition, a preamble",
            bare,
            around(b"preamble\r\n------------8d1f3e\r\n\r\n", b"\r\n------------8d1f3e--"),
            0,
        ),
    ]
}

#[tokio::test]
async fn every_framing_is_taken_byte_for_byte() {
    for (name, content_type, _, _) in framings(b"") {
        let feed = TestFeed::start().await;
        let owner = feed.owner().await;
        let bytes = package("Acme", "1.0.0", name);
        let framing = framings(&bytes).into_iter().find(|framing| framing.0 == name).unwrap();
        let request = http::Request::put("/api/v2/package").header("content-type", content_type);
        assert_eq!(owner.send(request, framing.2).await.status, StatusCode::CREATED, "{name}");
        assert_eq!(owner.nupkg("acme", "1.0.0").await.body, bytes, "{name}");
    }
}

#[tokio::test]
async fn an_upload_cut_off_anywhere_is_refused_and_leaves_nothing() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let bytes = package("Acme", "1.0.0", "x");
    let mut cuts = 0;
    for (name, content_type, body, spare) in framings(&bytes) {
        for cut in 0..body.len() - spare {
            let request =
                http::Request::put("/api/v2/package").header("content-type", content_type);
            let answer = owner.send(request, body[..cut].to_vec()).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name} cut at {cut}");
            cuts += 1;
        }
    }
    for cut in 0..bytes.len() {
        let request = http::Request::put("/api/v2/package");
        let answer = owner.send(request, bytes[..cut].to_vec()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "raw cut at {cut}");
        cuts += 1;
    }
    assert!(cuts > 2000, "{cuts} cuts");
    assert!(feed.objects().await.is_empty());
    assert!(feed.rows().await.is_empty());
}
