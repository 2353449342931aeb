//! The verbs for the tests of faults and races: the state before each, its action, and the
//! state after it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Method, Request, StatusCode};
use nuthatch_tests::{
    AssemblyBuilder, Client, Entry, PackageBuilder, Pdb, TestFeed, nuspec, symbols,
};
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
    PushSymbols,
    /// Symbols in place of others.
    ReplaceSymbols,
    CommitSymbols,
    DeleteWithSymbols,
    Pdb,
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
    /// The symbols that it pushes, or asks for.
    pub(crate) symbols: Symbols,
}

/// The symbols of an actor. The package has the assemblies of all actors.
#[derive(Debug, Clone)]
pub(crate) struct Symbols {
    pub(crate) pdb: Pdb,
    pub(crate) snupkg: Vec<u8>,
}

impl Symbols {
    /// Those that a version has at first, and after them one for each actor.
    pub(crate) const ACTORS: usize = 4;

    pub(crate) fn of(id: &str, actor: usize) -> Self {
        let pdb = Pdb::new(format!("{id} {actor}").as_bytes());
        let snupkg = symbols(id, "1.0.0").file(&format!("A{actor}.pdb"), &pdb.bytes).build();
        Self { pdb, snupkg }
    }

    /// Where a debugger looks for its PDB.
    pub(crate) fn path(&self) -> String {
        self.pdb.path("a.pdb")
    }
}

impl Verb {
    pub(crate) const WRITING: [Self; 12] = [
        Self::Push,
        Self::PushWithFiles,
        Self::Restore,
        Self::Commit,
        Self::CommitWithFiles,
        Self::Unlist,
        Self::Relist,
        Self::Delete,
        Self::PushSymbols,
        Self::ReplaceSymbols,
        Self::CommitSymbols,
        Self::DeleteWithSymbols,
    ];
    pub(crate) const READING: [Self; 10] = [
        Self::Declare,
        Self::Versions,
        Self::Download,
        Self::Nuspec,
        Self::Readme,
        Self::Registration,
        Self::Leaf,
        Self::Search,
        Self::Page,
        Self::Pdb,
    ];

    /// The actor whose symbols a version has before it; 0 is the first one.
    pub(crate) fn symbols_before(self) -> Option<usize> {
        matches!(self, Self::ReplaceSymbols | Self::DeleteWithSymbols | Self::Pdb).then_some(0)
    }

    /// The actor whose symbols it has when it is done.
    pub(crate) fn symbols_after(self) -> Option<usize> {
        match self {
            Self::PushSymbols | Self::ReplaceSymbols | Self::CommitSymbols => Some(1),
            Self::Pdb => Some(0),
            _ => None,
        }
    }

    /// Whether its package has assemblies.
    fn has_assemblies(self) -> bool {
        self.symbols_before().is_some() || self.symbols_after().is_some()
    }

    /// Whether it needs a feed whose DELETE deletes.
    pub(crate) fn deletes(self) -> bool {
        matches!(self, Self::Restore | Self::Delete | Self::DeleteWithSymbols)
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
            Self::Delete | Self::DeleteWithSymbols => Seen::Deleted,
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
            Self::PushSymbols | Self::CommitSymbols | Self::Pdb => &["pushed", "symbols"],
            Self::ReplaceSymbols => &["pushed", "symbols", "symbols"],
            Self::DeleteWithSymbols => &["pushed", "symbols", "deleted"],
            _ => &["pushed"],
        }
    }

    fn success(self) -> StatusCode {
        match self {
            Self::Push
            | Self::PushWithFiles
            | Self::Restore
            | Self::Commit
            | Self::CommitWithFiles
            | Self::PushSymbols
            | Self::ReplaceSymbols
            | Self::CommitSymbols => StatusCode::CREATED,
            Self::Unlist | Self::Delete | Self::DeleteWithSymbols => StatusCode::NO_CONTENT,
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
            _ if self.has_assemblies() => with_assemblies(id),
            _ => PackageBuilder::new(id, "1.0.0"),
        };
        builder.entry(Entry::stored("content.txt", content.as_bytes())).build()
    }

    /// Prepares everything for the verb, on a feed where nothing fails.
    pub(crate) async fn prepare(self, feed: &TestFeed, owner: &Client, id: &str) -> Deed {
        let bytes = self.package(id, "alone");
        let session = format!("session-of-{id}");
        let symbols = Symbols::of(id, self.symbols_after().unwrap_or_default());
        let mut deed = Deed {
            verb: self,
            id: id.to_owned(),
            bytes: bytes.clone(),
            session,
            upload: None,
            symbols,
        };
        if self.before() != Seen::Absent {
            owner.push(&bytes).await.expect(StatusCode::CREATED);
        }
        if let Some(first) = self.symbols_before() {
            let snupkg = Symbols::of(id, first).snupkg;
            owner.push_symbols(&snupkg).await.expect(StatusCode::CREATED);
        }
        let version = format!("{id}/1.0.0");
        match self {
            Self::Relist | Self::Restore => {
                owner.delete(&version).await.expect(StatusCode::NO_CONTENT);
            }
            Self::Commit | Self::CommitWithFiles | Self::CommitSymbols => {
                deed.upload(feed, owner).await;
            }
            _ => {}
        }
        deed
    }
}

/// A package with an assembly for the symbols of each actor.
pub(crate) fn with_assemblies(id: &str) -> PackageBuilder {
    (0..Symbols::ACTORS).fold(PackageBuilder::new(id, "1.0.0"), |package, actor| {
        let pdb = Symbols::of(id, actor).pdb;
        package.file(&format!("A{actor}.dll"), &AssemblyBuilder::of(&pdb).build())
    })
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
        let symbols = Symbols::of(id, if verb == Verb::Pdb { 0 } else { actor + 1 });
        let mut deed = Self { verb, id: id.to_owned(), bytes, session, upload: None, symbols };
        if matches!(verb, Verb::Commit | Verb::CommitSymbols) {
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
        let body = http_body_util::Full::new(bytes::Bytes::from(self.uploaded().to_vec()));
        let put = put.header("host", "embedded.invalid").body(s3s::Body::http_body(body));
        let put = feed.engines.s3.call(put.unwrap()).await.unwrap();
        assert_eq!(put.status(), StatusCode::OK);
        let upload = invitation["upload"].as_str().unwrap().to_owned();
        self.upload = Some((upload, declaration));
    }

    /// The bytes of its upload.
    fn uploaded(&self) -> &[u8] {
        if self.verb == Verb::CommitSymbols { &self.symbols.snupkg } else { &self.bytes }
    }

    fn declaration(&self) -> String {
        let sha256 = BASE64_STANDARD.encode(Sha256::digest(self.uploaded()));
        let kind = if self.verb == Verb::CommitSymbols { "symbols" } else { "package" };
        let size = self.uploaded().len();
        json!({ "kind": kind, "id": self.id, "version": "1.0.0", "size": size, "sha256": sha256 })
            .to_string()
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
            Verb::CommitSymbols => {
                let (upload, declaration) = self.upload.as_ref().unwrap();
                let path = format!("/api/v2/upload/{upload}/commit-symbols");
                self.post(client, &path, declaration).await
            }
            Verb::PushSymbols | Verb::ReplaceSymbols => {
                client.push_symbols(&self.symbols.snupkg).await
            }
            Verb::Pdb => get(self.symbols.path()).await,
            Verb::Unlist | Verb::Delete | Verb::DeleteWithSymbols => client.delete(&version).await,
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
            Verb::Pdb => answer.body == self.symbols.pdb.bytes,
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
