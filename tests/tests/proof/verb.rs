//! The verbs for the tests of faults and races: the state before each, its action, and the
//! state after it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Method, Request, StatusCode};
use nuthatch_tests::{Client, Entry, PackageBuilder, TestFeed, nuspec};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::world::Seen;

/// A verb on version 1.0.0 of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Push,
    PushWithFiles,
    Restore,
    Declare,
    Commit,
    CommitWithFiles,
    Unlist,
    Relist,
    Delete,
    Versions,
    Download,
    Nuspec,
    Readme,
    Registration,
    Leaf,
    Search,
    Page,
}

/// A verb about to be done.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    verb: Verb,
    id: String,
    /// The bytes that it pushes, or that are there.
    pub(crate) bytes: Vec<u8>,
    session: String,
    upload: Option<(String, String)>,
}

impl Verb {
    pub(crate) const WRITING: [Self; 8] = [
        Self::Push,
        Self::PushWithFiles,
        Self::Restore,
        Self::Commit,
        Self::CommitWithFiles,
        Self::Unlist,
        Self::Relist,
        Self::Delete,
    ];
    pub(crate) const READING: [Self; 9] = [
        Self::Declare,
        Self::Versions,
        Self::Download,
        Self::Nuspec,
        Self::Readme,
        Self::Registration,
        Self::Leaf,
        Self::Search,
        Self::Page,
    ];

    /// Whether it needs a feed whose DELETE deletes.
    pub(crate) fn deletes(self) -> bool {
        matches!(self, Self::Restore | Self::Delete)
    }

    /// The state before it.
    pub(crate) fn before(self) -> Seen {
        match self {
            Self::Push
            | Self::PushWithFiles
            | Self::Declare
            | Self::Commit
            | Self::CommitWithFiles => Seen::Absent,
            Self::Restore => Seen::Deleted,
            Self::Relist => Seen::Unlisted,
            _ => Seen::Listed,
        }
    }

    /// The state when it is done.
    pub(crate) fn after(self) -> Seen {
        match self {
            Self::Unlist => Seen::Unlisted,
            Self::Delete => Seen::Deleted,
            Self::Declare => Seen::Absent,
            _ => Seen::Listed,
        }
    }

    /// The lines of the log when it is done.
    pub(crate) fn changes(self) -> &'static [&'static str] {
        match self {
            Self::Declare => &[],
            Self::Restore => &["pushed", "deleted", "pushed"],
            Self::Unlist => &["pushed", "unlisted"],
            Self::Relist => &["pushed", "unlisted", "relisted"],
            Self::Delete => &["pushed", "deleted"],
            _ => &["pushed"],
        }
    }

    fn success(self) -> StatusCode {
        match self {
            Self::Push
            | Self::PushWithFiles
            | Self::Restore
            | Self::Commit
            | Self::CommitWithFiles => StatusCode::CREATED,
            Self::Unlist | Self::Delete => StatusCode::NO_CONTENT,
            _ => StatusCode::OK,
        }
    }

    /// A package of this id, with a readme where files matter.
    fn package(self, id: &str, content: &str) -> Vec<u8> {
        let builder = match self {
            Self::PushWithFiles | Self::CommitWithFiles | Self::Readme | Self::Page => {
                let xml = nuspec(id, "1.0.0", "<readme>R.md</readme><icon>i.png</icon>");
                let png = b"\x89PNG\r\n\x1a\n";
                PackageBuilder::default().nuspec(&xml).file("R.md", b"# R").file("i.png", png)
            }
            _ => PackageBuilder::new(id, "1.0.0"),
        };
        builder.entry(Entry::stored("content.txt", content.as_bytes())).build()
    }

    /// Prepares everything for the verb, on a feed where nothing fails.
    pub(crate) async fn prepare(self, feed: &TestFeed, owner: &Client, id: &str) -> Deed {
        let bytes = self.package(id, "alone");
        let session = format!("session-of-{id}");
        let mut deed =
            Deed { verb: self, id: id.to_owned(), bytes: bytes.clone(), session, upload: None };
        if self.before() != Seen::Absent {
            owner.push(&bytes).await.expect(StatusCode::CREATED);
        }
        let version = format!("{id}/1.0.0");
        match self {
            Self::Relist | Self::Restore => {
                owner.delete(&version).await.expect(StatusCode::NO_CONTENT);
            }
            Self::Commit | Self::CommitWithFiles => deed.upload(feed, owner).await,
            _ => {}
        }
        deed
    }
}

impl Deed {
    fn pushes(verb: Verb) -> bool {
        use Verb::{Commit, CommitWithFiles, Push, PushWithFiles, Restore};
        matches!(verb, Push | PushWithFiles | Restore | Commit | CommitWithFiles)
    }

    /// The deed of one of several actors in a race. Each pushes bytes of its own, unless it
    /// restores the bytes in `same`.
    pub(crate) async fn racing(
        verb: Verb,
        actor: usize,
        feed: &TestFeed,
        owner: &Client,
        id: &str,
        same: Option<&[u8]>,
    ) -> Self {
        // A reader gets the bytes that the first one pushes.
        let pusher = if Self::pushes(verb) { actor } else { 0 };
        let own = || verb.package(id, &format!("of {pusher}"));
        let bytes = same.map_or_else(own, <[u8]>::to_vec);
        let session = format!("session-of-{actor}");
        let mut deed = Self { verb, id: id.to_owned(), bytes, session, upload: None };
        if verb == Verb::Commit {
            deed.upload(feed, owner).await;
        }
        deed
    }

    /// Declares and uploads, so that only the commit is left.
    async fn upload(&mut self, feed: &TestFeed, owner: &Client) {
        let declaration = self.declaration();
        let answer = self.post(owner, "/api/v2/upload", &declaration).await;
        let invitation = answer.expect(StatusCode::OK).json();
        let mut put = Request::put(invitation["url"].as_str().unwrap());
        for (name, value) in invitation["headers"].as_object().unwrap() {
            put = put.header(name, value.as_str().unwrap());
        }
        let body = http_body_util::Full::new(bytes::Bytes::from(self.bytes.clone()));
        let put = put.header("host", "embedded.invalid").body(s3s::Body::http_body(body));
        let put = feed.engines.s3.call(put.unwrap()).await.unwrap();
        assert_eq!(put.status(), StatusCode::OK);
        let upload = invitation["upload"].as_str().unwrap().to_owned();
        self.upload = Some((upload, declaration));
    }

    fn declaration(&self) -> String {
        let sha256 = BASE64_STANDARD.encode(Sha256::digest(&self.bytes));
        let size = self.bytes.len();
        json!({ "id": self.id, "version": "1.0.0", "size": size, "sha256": sha256 }).to_string()
    }

    async fn post(&self, client: &Client, path: &str, document: &str) -> nuthatch_tests::Answer {
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header("x-nuget-session-id", &self.session);
        client.send(request, document.to_owned()).await
    }

    /// Does it; returns the answer, and for a read whether its content is correct.
    pub(crate) async fn act(&self, client: &Client) -> Told {
        let id = self.id.to_lowercase();
        let version = format!("{id}/1.0.0");
        let get = async |path: String| client.get(&path).await;
        let answer = match self.verb {
            Verb::Push | Verb::PushWithFiles | Verb::Restore => {
                client.push_in_session(&self.bytes, Some(&self.session)).await
            }
            Verb::Declare => self.post(client, "/api/v2/upload", &self.declaration()).await,
            Verb::Commit | Verb::CommitWithFiles => {
                let (upload, declaration) = self.upload.as_ref().unwrap();
                self.post(client, &format!("/api/v2/upload/{upload}/commit"), declaration).await
            }
            Verb::Unlist | Verb::Delete => client.delete(&version).await,
            Verb::Relist => client.relist(&version).await,
            Verb::Versions => get(format!("/v3/package/{id}/index.json")).await,
            Verb::Download => get(format!("/v3/package/{version}/{id}.1.0.0.nupkg")).await,
            Verb::Nuspec => get(format!("/v3/package/{version}/{id}.nuspec")).await,
            Verb::Readme => get(format!("/v3/package/{version}/readme")).await,
            Verb::Registration => get(format!("/v3/registration/{id}/index.json")).await,
            Verb::Leaf => get(format!("/v3/registration/{version}.json")).await,
            Verb::Search => get(format!("/v3/search?q=packageid:{id}")).await,
            Verb::Page => {
                let request = Request::get(format!("/packages/{}/1.0.0", self.id));
                let cookie = format!("__Host-nuthatch={}", client.key());
                client.send(request.header("cookie", cookie), "").await
            }
        };
        let text = String::from_utf8_lossy(&answer.body).to_lowercase();
        let is_true = match self.verb {
            Verb::Versions => text.contains("\"1.0.0\""),
            Verb::Download => answer.body == self.bytes,
            Verb::Readme => text == "# r",
            // If reading new changes takes too long, search answers without them and says so.
            Verb::Search => {
                text.contains("\"totalhits\":1") || answer.header("x-nuthatch-index") == "behind"
            }
            Verb::Nuspec | Verb::Registration | Verb::Leaf | Verb::Page => text.contains(&id),
            _ => true,
        };
        let is_success = answer.status == self.verb.success();
        Told { status: answer.status, is_success: is_success && is_true, is_true }
    }
}

/// The answer that a client got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    /// Whether it was done, and the content of the answer is correct.
    pub(crate) is_success: bool,
    /// Whether the content of the answer is correct.
    pub(crate) is_true: bool,
}
