//! `nuthatch check`: compares the table with the bucket, down to the hash of every package.
//! It can remove objects that nothing points to, and rebuild a lost table.

mod bucket;
mod findings;
mod rebuild;
mod rows;
mod symbols;

use std::collections::BTreeMap;
use std::io::{self, Write};

use protocol::Refusal;
use store::{BucketName, ObjectError, Objects, Table, TableError, TableName};

use crate::command::CheckOptions;
use crate::engines::{DataFolder, Engines, RecyclePeriod};
use crate::place::{self, PlaceError};
use crate::stack::OnAws;
use findings::Findings;

/// The number of versions checked at the same time.
const AT_ONCE: usize = 16;

/// The check cannot be made, or found something.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no feed in the place that was named.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The table does not answer.
    #[error("{}", protocol::with_causes(.0))]
    Table(#[from] TableError),
    /// The bucket does not answer.
    #[error("{}", protocol::with_causes(.0))]
    Object(#[from] ObjectError),
    /// A package could not be brought back.
    #[error("{}", protocol::with_causes(.0))]
    Refused(#[from] Refusal),
    /// The table is not lost.
    #[error(
        "the table holds versions that were not rebuilt; --rebuild is for a table that is lost, and would publish what was never committed"
    )]
    NotLost,
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// The findings have been printed already.
    #[error("{0} problems; see above")]
    Problems(usize),
}

/// The feed to check, and how thoroughly to check it.
#[derive(Debug, Clone)]
struct Checked {
    table: Table,
    objects: Objects,
    /// Whether every package is read and hashed.
    read_all: bool,
}

/// Checks a feed.
///
/// # Errors
/// It cannot be checked, or there is a problem.
pub async fn run(options: CheckOptions) -> Result<(), CheckError> {
    let (table, objects, _engines) = open(&options).await?;
    let checked = Checked { table, objects, read_all: options.read };
    let mut findings = Findings::default();
    if options.rebuild {
        rebuild::rebuild(&checked, &mut findings).await?;
        rebuild::symbols(&checked, &mut findings).await?;
    }
    let rows = rows::read(&checked, &mut findings).await?;
    bucket::check_versions(&checked, &rows, &mut findings).await?;
    let older_than = options.repair.then_some(options.older_than.0);
    symbols::check(&checked, &rows, older_than, &mut findings).await?;
    bucket::check_objects(&checked, &rows, older_than, &mut findings).await?;
    let text = if options.json { findings.to_json() } else { findings.to_string() };
    writeln!(io::stdout(), "{}", text.trim_end())?;
    match findings.problems.len() {
        0 => Ok(()),
        count => Err(CheckError::Problems(count)),
    }
}

/// Opens the table and bucket that the options name. A data folder stays locked during the
/// check, so that no server can start on it.
async fn open(options: &CheckOptions) -> Result<(Table, Objects, Option<Engines>), PlaceError> {
    let at = &options.place;
    if let Some(OnAws { table, bucket }) = OnAws::at(at).await? {
        let bucket = bucket.or_else(|| options.bucket.clone()).ok_or(PlaceError::NoBucket)?;
        let aws = place::aws(at.endpoint_url.as_deref()).await;
        return Ok((Table::new(aws.dynamodb, table), Objects::new(aws.s3, bucket), None));
    }
    if !at.data.exists() {
        return Err(PlaceError::NoFeed(at.data.clone()));
    }
    let engines = DataFolder::open(&at.data)?.start(RecyclePeriod::default()).await?;
    let aws = engines.aws();
    let table = Table::new(aws.dynamodb, TableName::default());
    let objects = Objects::new(aws.s3, BucketName::default());
    Ok((table, objects, Some(engines)))
}

/// Values by package id and version, both in the form that keys use.
type ById<T> = BTreeMap<(String, String), T>;
