//! Lists for people, in columns.

use std::fmt::{Display, Write};

use time::OffsetDateTime;
use time::macros::format_description;

/// `rows` as lines whose cells stand below each other.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    rows.iter().fold(String::new(), |mut text, row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

/// `items` in one cell.
pub(crate) fn listed(items: &[impl Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// The day of a time in seconds since 1970.
pub(crate) fn day(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .map_or_else(|_| "?".to_owned(), |time| time.date().to_string())
}

/// The minute of a time in seconds since 1970.
pub(crate) fn minute(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds);
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    time.ok().and_then(|time| time.format(format).ok()).unwrap_or_else(|| "?".to_owned())
}
