//! A feed that the command serves, over a real socket.

use http::Request;
use nuthatch_tests::{Answer, Server, framed};
use tempfile::TempDir;

/// A process of the command, with a data folder of its own.
pub(crate) struct Served {
    pub(crate) data: TempDir,
    pub(crate) server: Server,
    /// The owner's key.
    pub(crate) owner: String,
}

impl Served {
    /// A new feed, served with these options.
    pub(crate) fn start(options: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), options);
        let owner = server.owner.clone().unwrap();
        Self { data, server, owner }
    }

    pub(crate) async fn push(&self, package: &[u8]) -> Answer {
        let (content_type, body) = framed(package);
        let request = Request::put("/api/v2/package/").header("content-type", content_type);
        self.server.send(request.header("x-nuget-apikey", &self.owner), body).await
    }
}
