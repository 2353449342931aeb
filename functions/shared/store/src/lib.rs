//! The feed's state in `DynamoDB` and S3.
//!
//! A package version is one row in the table that points to one write-once
//! object in the bucket; the row's conditional write is the only commit there
//! is ([`Table::commit`]).

mod aws;
mod clock;
mod content;
mod files;
mod ledger;
mod memory;
mod names;
mod objects;
mod refusals;
mod releases;
mod revision;
mod table;

pub use aws::Aws;
pub use clock::Clock;
pub use content::{Content, FileBody, Spool, Spooling};
pub use files::AttachedFile;
pub use ledger::{Ledger, LedgerError};
pub use memory::{Memory, Remembered};
pub use names::{BucketName, TableName};
pub use objects::{
    DownloadCounts, ListedObject, ObjectError, ObjectKey, ObjectKind, ObjectName, ObjectPage,
    Objects, OpenObject, Parts, Place, RedirectLifetime, RemoteObject, Stored, UploadAddress,
    UploadLifetime,
};
pub use refusals::stamped;
pub use releases::Releases;
pub use revision::{Revision, Revisions};
pub use table::{
    Attempt, ChangedVersion, Changes, Charge, Charges, CommitOutcome, CountedQuota, CountedVersion,
    Deletion, Dependency, DependencyGroup, Exchange, Exchanged, Head, Listing, LogEntry, LogKind,
    LogKindError, LogPage, LoggedChange, LoggedMovement, Metadata, PdbRow, QuotaIndex, QuotaSet,
    Release, Row, RowPosition, Rows, Stamp, Stamped, SymbolsOutcome, SymbolsRow, Table, TableError,
    TrustAdded, TrustRows, TrustUse, Verdict, VersionRow, VersionState, VersionWithSymbols,
    Visibility, timestamp,
};
