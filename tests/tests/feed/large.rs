//! Packages that are too large for a function: how much of them is read, and how they are
//! stored.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use nuthatch_tests::{
    Answer, Client, Entry, FeedOptions, PackageBuilder, TestFeed, corpus, noise,
    write_large_package,
};
use protocol::Body;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{FileBody, Parts};

use crate::package;

const UPLOAD: &str = "/api/v2/upload";

async fn post(client: &Client, path: &str, document: &Value) -> Answer {
    let request = http::Request::builder().method(Method::POST).uri(path);
    client.send(request, document.to_string()).await
}

/// A body to send to the bucket.
fn body(file: &Arc<File>) -> s3s::Body {
    let size = file.metadata().unwrap().len();
    s3s::Body::http_body(FileBody::new(Arc::clone(file), 0..size))
}

/// Uploads the file; returns its declaration, its name and the invitation, or the feed's
/// refusal.
async fn put(
    feed: &TestFeed,
    client: &Client,
    file: &Path,
    declared: (&str, &str),
) -> Result<(Value, String, Value), Answer> {
    let (mut hashed, mut sha256) = (File::open(file).unwrap(), Sha256::new());
    std::io::copy(&mut hashed, &mut sha256).unwrap();
    let file = Arc::new(File::open(file).unwrap());
    let declaration = json!({
        "id": declared.0,
        "version": declared.1,
        "size": file.metadata().unwrap().len(),
        "sha256": BASE64_STANDARD.encode(sha256.finalize()),
    });
    let answer = post(client, UPLOAD, &declaration).await;
    if answer.status != StatusCode::OK {
        return Err(answer);
    }
    let invitation = answer.json();
    assert_eq!(put_to(feed, &invitation, &file).await, StatusCode::OK);
    let upload = invitation["upload"].as_str().unwrap().to_owned();
    Ok((declaration, upload, invitation))
}

/// Sends the file to the address that an invitation names.
async fn put_to(feed: &TestFeed, invitation: &Value, file: &Arc<File>) -> StatusCode {
    let mut request =
        http::Request::put(invitation["url"].as_str().unwrap()).header("host", "embedded.invalid");
    for (name, value) in invitation["headers"].as_object().unwrap() {
        request = request.header(name, value.as_str().unwrap());
    }
    feed.engines.s3.call(request.body(body(file)).unwrap()).await.unwrap().status()
}

async fn commit(client: &Client, declaration: &Value, upload: &str) -> Answer {
    post(client, &format!("{UPLOAD}/{upload}/commit"), declaration).await
}

/// Uploads the file and commits it; returns the feed's answer.
pub(crate) async fn upload(
    feed: &TestFeed,
    client: &Client,
    file: &Path,
    declared: (&str, &str),
) -> Answer {
    let (declaration, upload, _) = match put(feed, client, file, declared).await {
        Ok(uploaded) => uploaded,
        Err(answer) => return answer,
    };
    feed.calls.forget();
    let _ = feed.calls.take_bytes();
    commit(client, &declaration, &upload).await
}

#[tokio::test]
async fn what_was_deleted_does_not_come_back_as_the_object_that_it_had() {
    let delete_behavior = feed::DeleteBehavior::Delete;
    let feed = TestFeed::with(FeedOptions { delete_behavior, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    let path = feed.folder().join("a.nupkg");
    std::fs::write(&path, package("Acme", "1.0.0", "x")).unwrap();
    let first = put(&feed, &owner, &path, ("Acme", "1.0.0")).await.unwrap();
    let (declaration, upload, invitation) = first;
    commit(&owner, &declaration, &upload).await.expect(StatusCode::CREATED);
    owner.delete("Acme/1.0.0").await.expect(StatusCode::NO_CONTENT);
    // The address still works, but a late DELETE would remove the object that it stores.
    let file = Arc::new(File::open(&path).unwrap());
    assert_eq!(put_to(&feed, &invitation, &file).await, StatusCode::OK);
    let refused = commit(&owner, &declaration, &upload).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.refusal());
    assert!(owner.versions("acme").await.is_empty());
    // Only a new upload of the same bytes restores it.
    let (declaration, upload, _) = put(&feed, &owner, &path, ("Acme", "1.0.0")).await.unwrap();
    commit(&owner, &declaration, &upload).await.expect(StatusCode::CREATED);
    assert_eq!(owner.nupkg("acme", "1.0.0").await.body, package("Acme", "1.0.0", "x"));
}

#[tokio::test]
async fn a_commit_whose_refusal_was_lost_is_refused_in_the_same_words() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let path = feed.folder().join("a.nupkg");
    let bytes = package("Acme", "1.0.0", "x");
    std::fs::write(&path, &bytes).unwrap();
    let (declaration, upload, _) = put(&feed, &owner, &path, ("Acme", "1.0.0")).await.unwrap();
    owner.push(&bytes).await.expect(StatusCode::CREATED);
    let refusal = commit(&owner, &declaration, &upload).await.refusal();
    assert!(refusal.starts_with("409 the package 'Acme' 1.0.0 exists already"), "{refusal}");
    assert_eq!(commit(&owner, &declaration, &upload).await.refusal(), refusal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_1_gb_reads_some_tens_of_kb() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let file = feed.folder().join("large.nupkg");
    write_large_package(&file, ("Acme.Large", "1.0.0"), 1_000_000_000);
    let answer = upload(&feed, &owner, &file, ("Acme.Large", "1.0.0")).await;
    answer.expect(StatusCode::CREATED);
    let (calls, bytes) = (feed.calls.take(), feed.calls.take_bytes());
    println!("a commit of 1 GB: {bytes} bytes read in {} calls", calls.len());
    assert!((1..256 * 1024).contains(&bytes), "{bytes}");
    // It is copied within the bucket, marked, and the upload removed.
    let reads = ["HEAD object", "GET object", "GET object", "GetItem"];
    let writes = ["PUT object", "TransactWriteItems", "PUT object", "DELETE object"];
    assert_eq!(calls, [reads, writes].concat());
    let path = "/v3/package/acme.large/1.0.0/acme.large.1.0.0.nupkg";
    let end = owner.get_with(path, ("range", "bytes=-22")).await;
    assert!(end.expect(StatusCode::PARTIAL_CONTENT).body.starts_with(b"PK\x05\x06"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_many_entries_reads_their_headers_together() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let mut builder = PackageBuilder::new("Acme.Many", "1.0.0");
    let content = noise(64 * 1024);
    for entry in 0..400 {
        let mut entry = Entry::stored(&format!("lib/net8.0/{entry}.dll"), &content);
        entry.streamed = true;
        builder = builder.entry(entry);
    }
    let file = feed.folder().join("many.nupkg");
    let bytes = builder.build();
    std::fs::write(&file, &bytes).unwrap();
    let answer = upload(&feed, &owner, &file, ("Acme.Many", "1.0.0")).await;
    answer.expect(StatusCode::CREATED);
    let (calls, read) = (feed.calls.take().len(), feed.calls.take_bytes());
    println!("a commit of {} bytes in 400 entries: {read} read in {calls} calls", bytes.len());
    assert!(read < 256 * 1024, "{read}");
    assert!(calls < 410, "{calls}");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_corpus), ignore = "the corpus of real packages is not beside this checkout")]
async fn every_real_package_is_judged_alike_whether_pushed_or_uploaded() {
    let (pushing, uploading) = (TestFeed::start().await, TestFeed::start().await);
    let (left, right) = (pushing.owner().await, uploading.owner().await);
    let mut taken = 0;
    for package in corpus() {
        let id = if package.id.is_empty() { "None" } else { &package.id };
        let declared = (id, package.version.as_str());
        let push = left.push(&package.bytes()).await;
        let upload = upload(&uploading, &right, &package.path, declared).await;
        // A package without a valid id and version cannot be declared.
        if !upload.header("x-nuget-warning").starts_with("the declaration") {
            assert_eq!(upload.refusal(), push.refusal(), "{}", package.name());
        }
        assert_eq!(upload.status, push.status, "{}", package.name());
        taken += usize::from(upload.status == StatusCode::CREATED);
    }
    assert!(taken > 90, "{taken}");
    assert_eq!(uploading.objects().await.len(), pushing.objects().await.len());
}

/// A feed that stores packages of more than 6 MB in parts of 5 MiB.
async fn feed_in_parts() -> TestFeed {
    let parts = Parts { above: 6_000_000, of: 5 * 1024 * 1024 };
    TestFeed::with(FeedOptions { parts, ..FeedOptions::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_is_copied_in_parts() {
    let feed = feed_in_parts().await;
    let owner = feed.owner().await;
    let file = feed.folder().join("large.nupkg");
    let bytes = PackageBuilder::new("Acme", "2.0.0").file("a.bin", &noise(12 << 20)).build();
    std::fs::write(&file, &bytes).unwrap();
    upload(&feed, &owner, &file, ("Acme", "2.0.0")).await.expect(StatusCode::CREATED);
    let calls = feed.calls.take();
    let copies = ["POST object", "PUT object", "PUT object", "PUT object", "POST object"];
    assert!(calls.windows(5).any(|calls| calls == copies), "{calls:?}");
    assert!(owner.nupkg("acme", "2.0.0").await.body == bytes);
    assert_eq!(feed.objects().await.len(), 1);
}

#[tokio::test]
async fn a_large_push_is_stored_in_parts() {
    let feed = feed_in_parts().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "small")).await.expect(StatusCode::CREATED);
    assert!(!feed.calls.take().contains(&"POST object".to_owned()));
    let bytes = PackageBuilder::new("Acme", "2.0.0").file("a.bin", &noise(12 << 20)).build();
    owner.push(&bytes).await.expect(StatusCode::CREATED);
    assert_eq!(
        feed.calls.take(),
        [
            "GetItem",
            "POST object",
            "PUT object",
            "PUT object",
            "PUT object",
            "POST object",
            "TransactWriteItems",
            "PUT object"
        ]
    );
    assert!(owner.nupkg("acme", "2.0.0").await.body == bytes);
    assert_eq!(feed.objects().await.len(), 2);
}

#[tokio::test]
async fn a_push_beyond_the_permits_waits_and_is_told_when_to_come_back() {
    let feed = TestFeed::with(FeedOptions { pushes: 1, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    // A push that waits longer than half a minute by the paused clock is refused.
    tokio::time::pause();
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let arriving = Arriving(receiver);
    let slow = owner.clone();
    let slow = tokio::spawn(async move {
        slow.send(http::Request::put("/api/v2/package"), Body::stream(arriving)).await
    });
    let large = |id| PackageBuilder::new(id, "1.0.0").file("a", &noise(2 << 20)).build();
    let bytes = large("Acme");
    let (first, rest) = bytes.split_at(3 << 19);
    // The channel has room for one piece: once both are sent, the first has arrived, and its
    // push has the place.
    for piece in first.chunks(5 << 18) {
        sender.send(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    let other = large("Other");
    let refused = owner.push(&other).await;
    assert_eq!(
        refused.refusal(),
        "503 the feed receives as many packages as it can at once; try again in a moment"
    );
    assert_eq!(refused.header("retry-after"), "20");
    tokio::time::resume();
    // Small packages go past it.
    owner.push(&package("Small", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    let waiting = tokio::spawn(async move { owner.push(&other).await });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    sender.send(Bytes::copy_from_slice(rest)).await.unwrap();
    drop(sender);
    assert_eq!(slow.await.unwrap().status, StatusCode::CREATED);
    assert_eq!(waiting.await.unwrap().status, StatusCode::CREATED);
}

/// A body that arrives piece by piece through a channel.
pub(crate) struct Arriving(pub(crate) tokio::sync::mpsc::Receiver<Bytes>);

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        let frame = std::task::ready!(self.0.poll_recv(context));
        std::task::Poll::Ready(frame.map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}

#[tokio::test]
async fn parts_that_are_not_those_sent_make_no_object() {
    let feed = TestFeed::start().await;
    let (s3, key) = (&feed.aws.s3, "packages/a/1.0.0/x.nupkg");
    let create = s3.create_multipart_upload().bucket("nuthatch").key(key).send().await.unwrap();
    let upload = create.upload_id().unwrap().to_owned();
    let part = async |number: i32, bytes: Vec<u8>| {
        let put = s3.upload_part().bucket("nuthatch").key(key).upload_id(&upload);
        let sha256 = BASE64_STANDARD.encode(Sha256::digest(&bytes));
        let put = put.part_number(number).checksum_sha256(&sha256).body(bytes.into());
        put.send().await.unwrap();
        aws_sdk_s3::types::CompletedPart::builder()
            .part_number(number)
            .checksum_sha256(sha256)
            .build()
    };
    let complete = async |parts: Vec<aws_sdk_s3::types::CompletedPart>| {
        let list = aws_sdk_s3::types::CompletedMultipartUpload::builder().set_parts(Some(parts));
        let complete = s3.complete_multipart_upload().bucket("nuthatch").key(key);
        let complete = complete.upload_id(&upload).multipart_upload(list.build()).send().await;
        let code = |error: &aws_sdk_s3::error::SdkError<_>| {
            use aws_sdk_s3::error::ProvideErrorMetadata;
            error.code().unwrap_or_default().to_owned()
        };
        complete.map(drop).map_err(|error| code(&error))
    };
    let small = part(1, vec![1; 1000]).await;
    let large = part(2, vec![2; 5 << 20]).await;
    let said = |code: &str| Err(code.to_owned());
    assert_eq!(complete(vec![]).await, said("EntityTooSmall"));
    assert_eq!(complete(vec![small.clone(), large.clone()]).await, said("EntityTooSmall"));
    assert_eq!(complete(vec![large.clone(), small.clone()]).await, said("InvalidPartOrder"));
    let unknown = aws_sdk_s3::types::CompletedPart::builder().part_number(3).build();
    assert_eq!(complete(vec![large.clone(), unknown]).await, said("InvalidPart"));
    assert!(feed.objects().await.is_empty());
    assert_eq!(complete(vec![large]).await, Ok(()));
    let got = s3.get_object().bucket("nuthatch").key(key).send().await.unwrap();
    assert_eq!(got.body.collect().await.unwrap().to_vec(), vec![2; 5 << 20]);
}
