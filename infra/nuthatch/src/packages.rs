//! `nuthatch package`: the versions of a package.

use std::io::{self, Write};

use nupkg::PackageId;
use protocol::with_causes;
use serde::Serialize;
use store::{Release, TableError};
use usage::ByteSize;

use crate::columns::columns;
use crate::command::PackageAction;
use crate::place::PlaceError;

/// A package cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// There is no feed in the place that was named.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The table does not answer.
    #[error("{}", with_causes(.0))]
    Table(#[from] TableError),
    /// There is no such package.
    #[error("the feed has no package '{0}'; check the id")]
    NoSuchPackage(PackageId),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// A version, as a line of JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    version: &'a str,
    listed: bool,
    size: u64,
    published: &'a str,
    by: &'a str,
    downloads: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    downloaded: Option<&'a str>,
}

/// Runs a package command.
///
/// # Errors
/// The command failed.
pub async fn run(action: PackageAction) -> Result<(), PackageError> {
    let PackageAction::Show { id, json, place } = action;
    let releases = place.existing_table().await?.releases(&id).await?;
    let releases = releases.map(|found| found.value).filter(|releases| !releases.is_empty());
    let releases = releases.ok_or(PackageError::NoSuchPackage(id))?;
    let mut stdout = io::stdout().lock();
    if json {
        for release in &releases {
            let line = serde_json::to_string(&Line::of(release)).map_err(io::Error::from)?;
            writeln!(stdout, "{line}")?;
        }
    } else {
        write!(stdout, "{}", listing(&releases))?;
    }
    Ok(stdout.flush()?)
}

impl<'a> Line<'a> {
    fn of(Release { row, .. }: &'a Release) -> Self {
        Self {
            version: &row.version,
            listed: row.listed,
            size: row.size,
            published: &row.published,
            by: row.pushed_by.as_str(),
            downloads: row.downloads,
            downloaded: row.downloaded.as_deref(),
        }
    }
}

fn listing(releases: &[Release]) -> String {
    let names = ["VERSION", "LISTED", "SIZE", "PUSHED", "BY", "DOWNLOADS", "LAST"];
    let mut rows = vec![names.map(str::to_owned)];
    rows.extend(releases.iter().map(|release| {
        let line = Line::of(release);
        [
            line.version.to_owned(),
            if line.listed { "yes" } else { "no" }.to_owned(),
            ByteSize(line.size).to_string(),
            line.published.get(..10).unwrap_or(line.published).to_owned(),
            line.by.to_owned(),
            line.downloads.to_string(),
            line.downloaded.unwrap_or("never").to_owned(),
        ]
    }));
    columns(&rows)
}
