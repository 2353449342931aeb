//! The feed through its front door: HTTP in, HTTP out, then what table and
//! bucket hold.

mod access;
mod authorizers;
mod caching;
mod calls;
mod capacity;
mod downloads;
mod files;
mod framing;
mod freshness;
mod keys;
mod lambda;
mod large;
mod listing;
mod log;
mod old_data;
mod push;
mod quotas;
mod races;
mod ranges;
mod reading;
mod registration;
mod search;
mod served;
mod server;
mod sockets;
mod strangers;
mod symbols;
mod trust;
mod usage;
mod views;
mod web;

use nuthatch_tests::{PackageBuilder, nuspec};

/// A package with these bytes in it.
fn package(id: &str, version: &str, content: &str) -> Vec<u8> {
    PackageBuilder::new(id, version).file("content.txt", content.as_bytes()).build()
}

/// A package whose nuspec also has these elements.
fn described(id: &str, version: &str, more: &str) -> Vec<u8> {
    PackageBuilder::default().nuspec(&nuspec(id, version, more)).build()
}
