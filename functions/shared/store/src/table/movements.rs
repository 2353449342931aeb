//! The log of changes as usage reads it.

use std::collections::BTreeMap;

use access::QuotaName;
use nupkg::{PackageId, Version};
use time::OffsetDateTime;
use ulid::Ulid;
use usage::{Change, Month, Movement};

use super::changes::{ChangeRow, FIRST_MONTH, changes_key, first_ulid_of};
use super::rows::{SETTLING_TIME, time_of};
use super::{Item, Table, TableError, from_item, text, unreadable};

/// A change, and the quotas that it was counted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedMovement {
    /// The change.
    pub movement: Movement,
    /// The bytes that it added to quotas or, below 0, gave back.
    pub quotas: BTreeMap<QuotaName, i64>,
}

impl Table {
    /// Gives `take` the changes from `from` until before `until`, in their order. A call per MB
    /// of them, and one at least for each month; more where changes were logged without their
    /// bytes, as they were at first.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn each_movement(
        &self,
        from: OffsetDateTime,
        until: OffsetDateTime,
        mut take: impl FnMut(LoggedMovement),
    ) -> Result<(), TableError> {
        // No call for months before the first, or after the present one.
        let from = from.max(FIRST_MONTH);
        let until = until.min(self.clock.now() + SETTLING_TIME);
        let mut month = Month::of(from);
        while month.start() < until {
            let first = first_ulid_of(from.max(month.start())).to_string();
            let last = first_ulid_of(until.min(month.end()));
            // Both ends of a query are included.
            let last = Ulid(last.0.saturating_sub(1)).to_string();
            if first <= last {
                self.movements_of(&changes_key(month.start()), (&first, &last), &mut take).await?;
            }
            month = month.next();
        }
        Ok(())
    }

    async fn movements_of(
        &self,
        pk: &str,
        range: (&str, &str),
        take: &mut impl FnMut(LoggedMovement),
    ) -> Result<(), TableError> {
        let (mut rows, mut unknown) = (Vec::new(), false);
        let read = |item: Item| {
            let ulid = Ulid::from_string(&text(&item, "sk")?).map_err(unreadable)?;
            let row: ChangeRow = from_item(item)?;
            unknown |= lacks_bytes(&row);
            rows.push((ulid, row));
            Ok(())
        };
        self.each_item("read the log", pk, range, &[], read).await?;
        if unknown {
            self.fill_in(&mut rows).await?;
        }
        for (ulid, row) in rows {
            let freed = row.freed.into_iter().map(|(key, bytes)| (key.to_string(), bytes));
            let movement = Movement {
                at: time_of(ulid),
                id: row.id,
                change: row.change,
                by: row.by.to_string(),
                taken: row.bytes.unwrap_or_default(),
                freed: freed.collect(),
            };
            take(LoggedMovement { movement, quotas: row.quotas });
        }
        Ok(())
    }

    /// Fills in the bytes of changes that were logged without them. A version's row has them for
    /// good: its number never gets other bytes.
    async fn fill_in(&self, rows: &mut [(Ulid, ChangeRow)]) -> Result<(), TableError> {
        let name = |row: &ChangeRow| -> Result<(PackageId, Version), TableError> {
            let id = PackageId::parse(&row.id).map_err(unreadable)?;
            Ok((id, row.version.parse().map_err(unreadable)?))
        };
        let lacking = || rows.iter().filter(|(_, row)| lacks_bytes(row));
        let names: BTreeMap<(&str, &str), &ChangeRow> =
            lacking().map(|(_, row)| ((row.id.as_str(), row.version.as_str()), row)).collect();
        let names: Vec<_> = names.into_values().map(name).collect::<Result<_, _>>()?;
        let found = self.named(&names).await?;
        let known: BTreeMap<(String, String), _> = names
            .iter()
            .zip(found)
            .filter_map(|((id, version), found)| Some(((id.key(), version.key()), found?.0)))
            .collect();
        for (_, row) in rows.iter_mut().filter(|(_, row)| lacks_bytes(row)) {
            let Some(version) = known.get(&(row.id.clone(), row.version.clone())) else { continue };
            match row.change {
                Change::Pushed => row.bytes = Some(version.size),
                _ => row.free(&version.pushed_by, version.size),
            }
        }
        Ok(())
    }
}

/// Whether a change must have moved bytes, and does not say how many.
fn lacks_bytes(row: &ChangeRow) -> bool {
    match row.change {
        Change::Pushed => row.bytes.is_none(),
        Change::Deleted => row.freed.is_empty(),
        Change::Unlisted | Change::Relisted | Change::Symbols => false,
    }
}
