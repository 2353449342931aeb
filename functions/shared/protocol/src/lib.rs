//! The feed's HTTP, without AWS: routes and addresses, requests, ranges, multipart bodies,
//! replies, and the refusals with their statuses and texts.

mod body;
mod caller;
mod config;
mod links;
mod multipart;
mod negotiation;
mod nuget_config;
mod observation;
mod path;
pub mod paths;
mod pattern;
mod range;
mod refusal;
mod reply;
mod request;
mod route;

pub use body::{Body, BoxError, ShortBodyError, with_causes};
pub use caller::Caller;
pub use config::{ConfigError, Environment, Expected};
pub use links::{Hive, Links, escape};
pub use multipart::{Boundary, FirstFile, MultipartError};
pub use negotiation::RequestedShape;
pub use nuget_config::nuget_config;
pub use observation::{Observation, Observed, Subject};
pub use path::{package_version, path_version};
pub use range::{AskedRange, describe, nowhere};
pub use refusal::{Refusal, one_line};
pub use reply::{
    Lifetime, Reply, Words, behind, contained, json, json_tagged, no_content, redirect, status,
    stream, stream_tagged, tagged, warned,
};
pub use request::{BaseUrl, PathParameters, Peer, Request};
pub use route::{Access, Route, Work, closest};

/// The lines that `work` writes to the log.
#[cfg(test)]
fn logged(work: impl FnOnce()) -> String {
    use std::io::{Read, Seek};
    let mut file = tempfile::tempfile().unwrap();
    let log = tracing_subscriber::fmt().with_ansi(false);
    let log = log.with_writer(std::sync::Arc::new(file.try_clone().unwrap())).finish();
    tracing::subscriber::with_default(log, work);
    let mut written = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut written).unwrap();
    written
}
