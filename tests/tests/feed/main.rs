//! The feed through its front door: HTTP in, HTTP out, then what table and
//! bucket hold.

mod access;
mod calls;
mod framing;
mod lambda;
mod listing;
mod push;
mod races;
mod reading;
mod server;

use nuthatch_tests::PackageBuilder;

/// A package with these bytes in it.
fn package(id: &str, version: &str, content: &str) -> Vec<u8> {
    PackageBuilder::new(id, version).file("content.txt", content.as_bytes()).build()
}
