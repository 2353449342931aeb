//! `nuthatch usage`: what a month took, and its price.

use std::io::{self, Write};
use std::path::PathBuf;

use protocol::{one_line, paths, with_causes};
use store::LedgerError;
use time::OffsetDateTime;
use usage::{Figures, Month, Prices, PricesError, Report, ReportRow};

use crate::columns::columns;
use crate::command::UsageOptions;
use crate::place::PlaceError;
use crate::remote::{RemoteError, RemoteFeed};

/// The usage cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// There is no feed in the place that was named.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The feed does not tell.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The table or the bucket does not answer.
    #[error("{}", with_causes(.0))]
    Ledger(#[from] LedgerError),
    /// The file of prices cannot be read.
    #[error("cannot read '{}': {source}", .path.display())]
    NoPrices {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The prices are not as they should be.
    #[error(transparent)]
    Prices(#[from] PricesError),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Prints the usage of a month.
///
/// # Errors
/// It cannot be read or written.
pub async fn run(options: UsageOptions) -> Result<(), UsageError> {
    let prices = options.prices.as_ref().map(|path| {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| UsageError::NoPrices { path: path.clone(), source })?;
        Ok::<_, UsageError>(Prices::read(&text)?)
    });
    let prices = prices.transpose()?;
    let month = options.month.unwrap_or_else(|| Month::of(OffsetDateTime::now_utc()));
    let report = if let Some(feed) = RemoteFeed::of(&options.remote).await? {
        feed.document(&format!("{}?month={month}&by={}", paths::USAGE, options.by)).await?
    } else {
        let ledger = options.place.ledger(options.bucket.as_ref()).await?;
        ledger.report(month, options.by, |_| true).await?
    };
    let report = match &prices {
        Some(prices) => report.priced(prices),
        None => report,
    };
    let mut stdout = io::stdout().lock();
    if options.json {
        let json = serde_json::to_string_pretty(&report).map_err(io::Error::from)?;
        writeln!(stdout, "{json}")?;
    } else if options.csv {
        write!(stdout, "{}", report.to_csv())?;
    } else {
        write!(stdout, "{}", for_people(&report, prices.as_ref()))?;
    }
    Ok(stdout.flush()?)
}

/// The report in columns. Bytes are rounded here, and exact in JSON and CSV.
fn for_people(report: &Report, prices: Option<&Prices>) -> String {
    let hours = report.month.hours();
    let names = [&report.by, "pushes", "taken", "stored", "downloads", "sent", "other", ""];
    let mut rows = vec![names.map(str::to_owned)];
    rows.extend(report.rows.iter().chain([&report.total]).map(|row| {
        let ReportRow { name, figures, amount } = row;
        let Figures { pushes, symbols, unlists, relists, deletes, .. } = figures;
        let stored = u64::try_from(figures.byte_hours / hours.max(1)).unwrap_or_default();
        let amount = amount.zip(prices).map(|(amount, prices)| prices.display(amount));
        [
            one_line(name),
            pushes.to_string(),
            size(figures.bytes_taken),
            size(stored),
            figures.downloads.to_string(),
            size(figures.bytes_sent),
            (symbols + unlists + relists + deletes).to_string(),
            amount.unwrap_or_default(),
        ]
    }));
    let downloads = match &report.downloads_through {
        Some(day) => format!("downloads until the end of {day}"),
        None => "downloads not counted yet".to_owned(),
    };
    let state = if report.complete { "complete" } else { "not complete" };
    format!(
        "{}: {state}, {downloads}. 'stored' is the mean of the whole month.\n\n{}",
        report.month,
        columns(&rows)
    )
}

/// Bytes to a tenth of a decimal unit.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1_000;
        unit += 1;
    }
    match UNITS.get(unit) {
        Some(name) if unit > 0 => format!("{}.{} {name}", tenths / 10, tenths % 10),
        _ => format!("{bytes} B"),
    }
}
