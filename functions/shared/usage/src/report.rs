//! The report of a month.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use crate::{Figures, Month, Prices, Tally};

/// The usage of a month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The month.
    pub month: Month,
    /// Whether the month has ended, and all of it is known: the report stays as it is.
    pub complete: bool,
    /// The last day whose downloads are counted; absent where none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downloads_through: Option<String>,
    /// The grouping of its rows.
    pub by: String,
    /// The currency of its amounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// The rows, by name.
    pub rows: Vec<ReportRow>,
    /// Their sum.
    pub total: ReportRow,
}

/// A row of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRow {
    /// The group.
    pub name: String,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// Their price, in the smallest unit of the currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<u64>,
}

impl Report {
    /// The report of `tally`. `settled` is the time before which all changes are known; downloads
    /// are, until the end of `through`.
    #[must_use]
    pub fn of(tally: Tally, settled: OffsetDateTime, through: Option<Date>) -> Self {
        let Tally { month, by, groups, .. } = tally;
        let mut total = Figures::default();
        for figures in groups.values() {
            total.add(figures);
        }
        let row = |name, figures| ReportRow { name, figures, amount: None };
        let all_downloads = through >= Some(month.last_day());
        let through = through.map(|day| day.min(month.last_day()));
        Self {
            month,
            complete: settled >= month.end() && all_downloads,
            downloads_through: through.map(|day| day.to_string()),
            by: by.to_string(),
            currency: None,
            rows: groups.into_iter().map(|(name, figures)| row(name, figures)).collect(),
            total: row("total".to_owned(), total),
        }
    }

    /// The report with the amounts that its figures come to.
    #[must_use]
    pub fn priced(mut self, prices: &Prices) -> Self {
        let figures: Vec<Figures> = self.rows.iter().map(|row| row.figures).collect();
        let amounts = prices.amounts(self.month, &figures, &self.total.figures);
        for (row, amount) in self.rows.iter_mut().zip(amounts.rows) {
            row.amount = Some(amount);
        }
        self.total.amount = Some(amounts.total);
        self.currency = Some(prices.currency.clone());
        self
    }

    /// The report as CSV (RFC 4180): a line of names, the rows, and their total.
    #[must_use]
    pub fn to_csv(&self) -> String {
        // Writing to a string cannot fail.
        let mut csv = self.by.clone();
        for (name, _) in self.total.figures.named() {
            csv.push(',');
            csv.push_str(name);
        }
        if let Some(currency) = &self.currency {
            let _ = write!(csv, ",{}", quoted(&format!("amount {currency}")));
        }
        csv.push_str("\r\n");
        for row in self.rows.iter().chain([&self.total]) {
            csv.push_str(&quoted(&row.name));
            for (_, figure) in row.figures.named() {
                let _ = write!(csv, ",{figure}");
            }
            if let Some(amount) = row.amount {
                let _ = write!(csv, ",{amount}");
            }
            csv.push_str("\r\n");
        }
        csv
    }
}

/// A field of CSV. None begins a formula: names and ids are plain.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
