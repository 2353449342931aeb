//! The feed's state in `DynamoDB` and S3, API keys, HTTP replies and
//! configuration: all that the verbs share, and no verb.
//!
//! A package version is one row in the table that points to one write-once
//! object in the bucket; the row's conditional write is the only commit there
//! is ([`Table::commit`]).

mod authorization;
mod aws;
mod body;
mod config;
mod content;
mod cookie;
mod credentials;
mod door;
mod files;
mod keys;
pub mod lambda;
mod links;
mod memory;
mod negotiation;
mod objects;
mod observation;
mod path;
mod refusal;
mod releases;
mod reply;
mod request;
mod table;

pub use authorization::{Caller, IdGlob, IdGlobError, Scope, ScopeError};
pub use aws::Aws;
pub use body::{Body, BoxError};
pub use config::{
    BucketName, ConfigError, DeleteBehavior, Environment, PackageBytes, ReadAccess, TableName,
};
pub use content::{Content, FileBody, Spool, Spooling};
pub use cookie::SessionCookie;
pub use credentials::presented_key;
pub use door::{Door, DoorError, KeyProblem};
pub use files::AttachedFile;
pub use keys::{ApiKey, ApiKeyError, KeyHash, KeyName, KeyNameError, KeyRecord};
pub use links::{Hive, Links, escape};
pub use memory::Memory;
pub use negotiation::Asked;
pub use objects::{
    ListedObject, ObjectError, ObjectKey, ObjectKind, ObjectName, ObjectPage, Objects, Parts,
    Place, RedirectLifetime, RemoteObject, Stored, UploadAddress, UploadLifetime,
};
pub use observation::{Observation, Observed, Subject};
pub use path::{package_version, path_version};
pub use refusal::{Refusal, one_line};
pub use releases::Releases;
pub use reply::{
    Lifetime, Reply, Words, behind, contained, json, json_tagged, no_content, redirect, stamped,
    status, stream, tagged, warned,
};
pub use request::{BaseUrl, PathParameters, Peer, Request};
pub use table::{
    Change, Changes, Commit, Deletion, Dependency, DependencyGroup, Listing, LoggedChange,
    Metadata, Release, Row, RowPosition, Rows, Stamp, Stamped, State, Table, TableError,
    VersionRow, timestamp,
};

/// What `work` writes to the log.
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
