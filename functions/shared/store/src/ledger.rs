//! The ledger: usage out of the log of changes, and the books of months beside it.
//!
//! The log tells all that was pushed and deleted, and never changes. A month's book adds the
//! downloads of each day, and the bytes that were stored when the month began, so that a report
//! need not read the log from its first month.

use std::collections::{BTreeMap, BTreeSet};

use access::Quota;
use time::{Date, OffsetDateTime};
use usage::{Book, DayDownloads, Grouping, Month, Movement, Owner, Report, Stock, Tally, Totals};

use crate::table::{
    CountedQuota, CountedVersion, LoggedMovement, QuotaSet, SETTLING_TIME, TableError,
    first_ulid_of, time_of,
};
use crate::{DownloadCounts, ObjectError, Objects, Table};

/// The ledger of a feed.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// The table with the log.
    pub table: Table,
    /// The bucket with the books.
    pub objects: Objects,
}

/// The ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The table does not answer.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The bucket does not answer.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

impl Ledger {
    /// The usage of a month: of the packages that `covers` is true for, by their ids in lower
    /// case. A call for the list of books, one or two for books, and one for each MB of changes
    /// in the month; one more for each month since the last book before it.
    ///
    /// # Errors
    /// The table or the bucket does not answer, or holds something else.
    pub async fn report(
        &self,
        month: Month,
        by: Grouping,
        covers: impl Fn(&str) -> bool,
    ) -> Result<Report, LedgerError> {
        let now = self.table.now();
        let books = self.table.books().await?;
        let own =
            if books.contains(&month) { Some(self.objects.read_book(month).await?) } else { None };
        let opening = match &own {
            Some(book) => book.opening.clone(),
            None => self.stock_at(month.start(), &books).await?,
        };
        let mut tally = Tally::new(month, now, by);
        tally.open(&opening, &covers);
        let take = |LoggedMovement { movement, .. }| {
            if covers(&movement.id) {
                tally.take(&movement);
            }
        };
        self.table.each_movement(month.start(), month.end(), take).await?;
        let downloads = own.iter().flat_map(|book| &book.downloads);
        downloads.filter(|day| covers(&day.id)).for_each(|day| tally.take_downloads(day));
        let through = own.as_ref().map(|book| book.through);
        Ok(Report::of(tally, now - SETTLING_TIME, through))
    }

    /// The bytes that were stored at `time`.
    async fn stock_at(
        &self,
        time: OffsetDateTime,
        books: &BTreeSet<Month>,
    ) -> Result<Stock, LedgerError> {
        let last = books.iter().filter(|book| book.start() <= time).max();
        let (mut stock, from) = match last {
            Some(month) => (self.objects.read_book(*month).await?.opening, month.start()),
            None => (Stock::default(), OffsetDateTime::UNIX_EPOCH),
        };
        let take = |LoggedMovement { movement, .. }| stock.apply(&movement);
        self.table.each_movement(from, time, take).await?;
        Ok(stock)
    }

    /// Writes down the downloads of all days until yesterday, and counts in quotas what was
    /// pushed or deleted without them. It can be run at any time, and as often as wanted: once
    /// a day it reads the whole table, and else it makes four calls.
    ///
    /// # Errors
    /// The table or the bucket does not answer, or holds something else. The next run goes on.
    pub async fn close_days(&self) -> Result<Option<Date>, LedgerError> {
        self.count_quotas().await?;
        // Yesterday, once it is past by all clocks.
        let Some(yesterday) = (self.table.now() - SETTLING_TIME).date().previous_day() else {
            return Ok(None);
        };
        let books = self.table.books().await?;
        let last = match books.last() {
            Some(month) => Some(self.objects.read_book(*month).await?),
            None => None,
        };
        let book = match last {
            Some(book) if book.through >= yesterday => book,
            last => {
                let book = self.next_book(last, yesterday, &books).await?;
                self.objects.write_book(&book).await?;
                if !books.contains(&book.month) {
                    self.table.add_book(book.month).await?;
                }
                book
            }
        };
        let shown = self.objects.read_download_counts().await?;
        let through = book.through.to_string();
        if shown.is_none_or(|shown| shown.through != through) {
            let counts = DownloadCounts { through, totals: book.totals };
            self.objects.write_download_counts(&counts).await?;
        }
        Ok(Some(book.through))
    }

    /// The book of the month of `day`, with the downloads since `last`. Those of days between the
    /// two, on which nobody wrote a book, are of `day`.
    async fn next_book(
        &self,
        last: Option<Book>,
        day: Date,
        books: &BTreeSet<Month>,
    ) -> Result<Book, LedgerError> {
        let month = Month::of_day(day);
        let mut book = match last {
            Some(book) if book.month == month => book,
            last => Book {
                month,
                through: day,
                opening: self.stock_at(month.start(), books).await?,
                downloads: Vec::new(),
                totals: last.map(|last| last.totals).unwrap_or_default(),
            },
        };
        let (name, mut totals) = (day.to_string(), Totals::new());
        let mut of_day: BTreeMap<Owner, DayDownloads> = BTreeMap::new();
        let take = |counted: CountedVersion| {
            let now = counted.downloads_until(&name);
            let known = book.totals.get(&counted.id).and_then(|known| known.get(&counted.version));
            // A table that was restored from a backup has lower counts.
            let known = known.copied().filter(|known| *known <= now).unwrap_or_default();
            if now > known {
                let (id, key) = (counted.id.clone(), counted.pushed_by);
                let owner = Owner { id: id.clone(), key: key.clone() };
                let new = DayDownloads { day: day.day(), id, key, downloads: 0, bytes: 0 };
                let entry = of_day.entry(owner).or_insert(new);
                entry.downloads += now - known;
                entry.bytes += (now - known).saturating_mul(counted.size);
            }
            if now > 0 {
                totals.entry(counted.id).or_default().insert(counted.version, now);
            }
        };
        self.table.each_counted_version(take).await?;
        book.downloads.extend(of_day.into_values());
        Ok(Book { through: day, totals, ..book })
    }

    /// Sets a quota on behalf of `by`, with the bytes that are stored already; or changes the
    /// limits of the one of its name.
    ///
    /// # Errors
    /// The table or the bucket does not answer, or holds something else.
    pub async fn set_quota(&self, mut quota: Quota, by: &str) -> Result<QuotaSet, LedgerError> {
        let until = self.table.now() - SETTLING_TIME;
        // One that stands counts its bytes already.
        if self.table.quotas(std::slice::from_ref(&quota.name)).await?.is_empty() {
            let stock = self.stock_at(until, &self.table.books().await?).await?;
            let covered = stock.iter().filter(|(owner, _)| quota.covers(&owner.id, &owner.key));
            quota.stored = covered.map(|(_, bytes)| bytes).sum();
        }
        let set = self.table.set_quota(&quota, first_ulid_of(until), by).await?;
        self.count_quotas().await?;
        Ok(set)
    }

    /// Counts in every quota the changes that it does not have: those by requests that did not
    /// know of it.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn count_quotas(&self) -> Result<(), LedgerError> {
        let quotas = self.table.counted_quotas().await?;
        let until = self.table.now() - SETTLING_TIME;
        let counted = |quota: &CountedQuota| time_of(quota.counted);
        let Some(from) = quotas.iter().map(counted).min() else { return Ok(()) };
        let mut missing = vec![0_i64; quotas.len()];
        let take = |logged: LoggedMovement| {
            for (missing, quota) in missing.iter_mut().zip(&quotas) {
                if logged.movement.at >= counted(quota) {
                    *missing += uncounted(&quota.quota, &logged);
                }
            }
        };
        self.table.each_movement(from, until, take).await?;
        for (quota, missing) in quotas.iter().zip(missing) {
            if counted(quota) < until {
                let boundary = first_ulid_of(until);
                self.table.count_quota(quota, boundary, missing).await?;
            }
        }
        Ok(())
    }
}

/// The bytes of a change that a quota is for, and that were not counted in it.
fn uncounted(quota: &Quota, LoggedMovement { movement, quotas }: &LoggedMovement) -> i64 {
    let Movement { id, by, taken, freed, .. } = movement;
    let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let came = if quota.covers(id, by) { signed(*taken) } else { 0 };
    let went = freed.iter().filter(|(key, _)| quota.covers(id, key));
    let went: i64 = went.map(|(_, bytes)| signed(*bytes)).sum();
    came - went - quotas.get(&quota.name).copied().unwrap_or_default()
}
