//! The feed's state in `DynamoDB` and S3.
//!
//! A package version is one row in the table that points to one write-once
//! object in the bucket; the row's conditional write is the only commit there
//! is ([`Table::commit`]).

mod aws;
mod content;
mod files;
mod memory;
mod names;
mod objects;
mod refusals;
mod releases;
mod table;

pub use aws::Aws;
pub use content::{Content, FileBody, Spool, Spooling};
pub use files::AttachedFile;
pub use memory::Memory;
pub use names::{BucketName, TableName};
pub use objects::{
    ListedObject, ObjectError, ObjectKey, ObjectKind, ObjectName, ObjectPage, Objects, OpenObject,
    Parts, Place, RedirectLifetime, RemoteObject, Stored, UploadAddress, UploadLifetime,
};
pub use refusals::stamped;
pub use releases::Releases;
pub use table::{
    Attempt, Change, Changes, CommitOutcome, Deletion, Dependency, DependencyGroup, Exchange,
    Exchanged, Listing, LogEntry, LogKind, LogKindError, LoggedChange, Metadata, PdbRow, Release,
    Row, RowPosition, Rows, Stamp, Stamped, SymbolsOutcome, SymbolsRow, Table, TableError,
    TrustAdded, TrustRows, TrustUse, Verdict, VersionRow, VersionState, VersionWithSymbols,
    Visibility, timestamp,
};
