//! Versions of packages: one transaction per change, which is all there is to
//! a commit.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use nupkg::{Package, PackageId, Version};
use tokio::time::Instant;
use ulid::Ulid;

use super::rows::{
    ChangeRow, NuspecRow, changes_key, metadata_key, nuspec_key, stamp_key, symbols_key, time_of,
    version_key,
};
use super::{
    Change, Item, Metadata, Table, TableError, VersionRow, VersionState, at_key, from_item,
    to_item, unavailable, unreadable,
};
use access::KeyName;

/// The outcome of a push.
#[derive(Debug)]
pub enum CommitOutcome {
    /// It is in: visible to every request from now on.
    Done,
    /// Another push was first; its row.
    Lost(Box<VersionRow>),
}

/// The outcome of a change of `listed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// It was changed.
    Changed,
    /// It was in that state already, and nothing was written.
    Unchanged,
    /// There is no such version.
    NoSuchVersion,
}

/// The outcome of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// The version is gone from every view.
    Deleted,
    /// The version has changed meanwhile; its row, if there is one.
    Changed(Option<Box<VersionRow>>),
}

impl Table {
    /// The version's row, also when it was deleted. One call.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn version(
        &self,
        id: &PackageId,
        version: &Version,
    ) -> Result<Option<VersionRow>, TableError> {
        let item = self.item("give out a version", version_key(id, version)).await?;
        item.map(from_item).transpose()
    }

    /// Makes a pushed version visible, unless its number is taken. With `may_restore`, a
    /// deleted version comes back if the bytes are the same. One call.
    ///
    /// # Errors
    /// The table does not answer: the version may be in or not, and another try of the same
    /// push finds out.
    pub async fn commit(
        &self,
        row: &VersionRow,
        package: Package,
        may_restore: bool,
    ) -> Result<CommitOutcome, TableError> {
        let Package { nuspec, nuspec_zlib, .. } = package;
        let (id, version) = (&nuspec.id, &nuspec.version);
        // Named only now, because an upload may have taken a while.
        let ulid = Ulid::new();
        let mut version_item = to_item(version_key(id, version), row)?;
        version_item.insert("changed".to_owned(), AttributeValue::S(ulid.to_string()));
        let put_version = self.put(version_item);
        let put_version = if may_restore {
            put_version
                .condition_expression(
                    "attribute_not_exists(pk) \
                     OR (#state = :deleted AND sha256 = :sha256 AND #object <> :object)",
                )
                .expression_attribute_names("#state", "state")
                .expression_attribute_names("#object", "object")
                .expression_attribute_values(":object", AttributeValue::S(row.object.to_string()))
                .expression_attribute_values(":deleted", AttributeValue::S("deleted".to_owned()))
                .expression_attribute_values(":sha256", AttributeValue::S(row.sha256.clone()))
        } else {
            put_version.condition_expression("attribute_not_exists(pk)")
        };
        let put_version = put_version
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let metadata = to_item(metadata_key(id, version), &Metadata::from(&nuspec))?;
        let nuspec_row = NuspecRow { zlib: nuspec_zlib };
        let writes = vec![
            put(put_version)?,
            put(self.put(metadata))?,
            put(self.put(to_item(nuspec_key(id, version), &nuspec_row)?))?,
        ];
        let change = ChangeRow::new(ulid, (id, version), Change::Pushed, &row.pushed_by);
        let writes = self.with_change(writes, ulid, id, &change)?;
        match self.transact("commit a push", writes).await? {
            Transaction::Done => Ok(CommitOutcome::Done),
            Transaction::Refused(Some(item)) => Ok(CommitOutcome::Lost(Box::new(from_item(item)?))),
            Transaction::Refused(None) => Err(unreadable("a refused commit without a row")),
        }
    }

    /// Lists or unlists a version. One call.
    ///
    /// # Errors
    /// The table does not answer: it may be done or not, and trying again does
    /// no harm.
    pub async fn set_listed(
        &self,
        id: &PackageId,
        version: &Version,
        listed: bool,
        by: &KeyName,
    ) -> Result<Listing, TableError> {
        let change = if listed { Change::Relisted } else { Change::Unlisted };
        let ulid = Ulid::new();
        let update = self
            .update(version_key(id, version), ulid)
            .update_expression("SET listed = :listed, changed = :changed")
            .condition_expression("#state = :visible AND listed <> :listed")
            .expression_attribute_values(":listed", AttributeValue::Bool(listed));
        let writes = vec![update_item(update)?];
        let change = ChangeRow::new(ulid, (id, version), change, by);
        let writes = self.with_change(writes, ulid, id, &change)?;
        match self.transact("change whether a version is listed", writes).await? {
            Transaction::Done => Ok(Listing::Changed),
            Transaction::Refused(None) => Ok(Listing::NoSuchVersion),
            Transaction::Refused(Some(item)) => match from_item::<VersionRow>(item)?.state {
                VersionState::Visible => Ok(Listing::Unchanged),
                VersionState::Deleted => Ok(Listing::NoSuchVersion),
            },
        }
    }

    /// Deletes a version as it stands in `row` from every view, and leaves its number
    /// taken. One call.
    ///
    /// # Errors
    /// The table does not answer: it may be done or not, and trying again does
    /// no harm.
    pub async fn delete(
        &self,
        (id, version): (&PackageId, &Version),
        row: &VersionRow,
        by: &KeyName,
    ) -> Result<Deletion, TableError> {
        // A version deleted and brought back meanwhile has another object, which must stay.
        let ulid = Ulid::new();
        let update = self
            .update(version_key(id, version), ulid)
            .update_expression("SET #state = :deleted, listed = :unlisted, changed = :changed")
            .condition_expression("#state = :visible AND #object = :object")
            .expression_attribute_names("#object", "object")
            .expression_attribute_values(":object", AttributeValue::S(row.object.to_string()))
            .expression_attribute_values(":deleted", AttributeValue::S("deleted".to_owned()))
            .expression_attribute_values(":unlisted", AttributeValue::Bool(false));
        let writes = vec![
            update_item(update)?,
            self.removal(metadata_key(id, version))?,
            self.removal(nuspec_key(id, version))?,
            // Its PDBs are gone with this row, which only a new push of symbols brings back.
            self.removal(symbols_key(id, version))?,
        ];
        let change = ChangeRow::new(ulid, (id, version), Change::Deleted, by);
        let writes = self.with_change(writes, ulid, id, &change)?;
        match self.transact("delete a version", writes).await? {
            Transaction::Done => Ok(Deletion::Deleted),
            Transaction::Refused(item) => {
                Ok(Deletion::Changed(item.map(from_item).transpose()?.map(Box::new)))
            }
        }
    }

    pub(super) fn put(&self, item: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder().table_name(self.name.as_str()).set_item(Some(item))
    }

    /// An update of a version's row, prepared for a condition that the version is visible.
    fn update(
        &self,
        (pk, sk): (String, String),
        change: Ulid,
    ) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        Update::builder()
            .table_name(self.name.as_str())
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":visible", AttributeValue::S("visible".to_owned()))
            .expression_attribute_values(":changed", AttributeValue::S(change.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    pub(super) fn removal(
        &self,
        (pk, sk): (String, String),
    ) -> Result<TransactWriteItem, TableError> {
        let delete = Delete::builder()
            .table_name(self.name.as_str())
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            .build()
            .map_err(unreadable)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// `writes`, plus the writes of every change of a version: a row of the log, and the
    /// package's new stamp.
    fn with_change(
        &self,
        mut writes: Vec<TransactWriteItem>,
        ulid: Ulid,
        id: &PackageId,
        change: &ChangeRow,
    ) -> Result<Vec<TransactWriteItem>, TableError> {
        let stamp = AttributeValue::S(ulid.to_string());
        let stamp = at_key(stamp_key(id), Item::from([("stamp".to_owned(), stamp)]));
        writes.push(self.logged(ulid, change)?);
        writes.push(put(self.put(stamp))?);
        Ok(writes)
    }

    /// The write of a row of the log.
    pub(super) fn logged(
        &self,
        ulid: Ulid,
        change: &ChangeRow,
    ) -> Result<TransactWriteItem, TableError> {
        let key = (changes_key(time_of(ulid)), ulid.to_string());
        put(self.put(to_item(key, change)?))
    }

    /// Writes all or nothing: one condition that does not hold refuses it all.
    pub(super) async fn transact(
        &self,
        action: &'static str,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Transaction, TableError> {
        // Racing transactions cancel each other without any of them being
        // wrong, and the SDK does not try again for that. All changes of a
        // package meet at its stamp.
        const LONGEST: Duration = Duration::from_secs(15);
        const LONGEST_PAUSE: u64 = 1_000;
        let started = Instant::now();
        let mut pause = 20;
        loop {
            let sent = self
                .client
                .transact_write_items()
                .set_transact_items(Some(writes.clone()))
                .send()
                .await;
            let Err(error) = sent else { return Ok(Transaction::Done) };
            let reasons = cancellation_reasons(&error);
            if let Some(refused) =
                reasons.iter().find(|reason| is(reason, "ConditionalCheckFailed"))
            {
                let item = refused.item.clone().filter(|item| !item.is_empty());
                return Ok(Transaction::Refused(item));
            }
            if started.elapsed() > LONGEST
                || !reasons.iter().any(|reason| is(reason, "TransactionConflict"))
            {
                return Err(unavailable(action, error));
            }
            // Each waits for a different time; otherwise they would collide again.
            let milliseconds = Ulid::new().random() % u128::from(pause);
            let milliseconds = u64::try_from(milliseconds).unwrap_or(pause);
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            pause = std::cmp::min(pause * 2, LONGEST_PAUSE);
        }
    }
}

/// The outcome of a transaction.
pub(super) enum Transaction {
    Done,
    /// A condition did not hold for this item; `None` if there is no item.
    Refused(Option<Item>),
}

fn cancellation_reasons<R>(error: &SdkError<TransactWriteItemsError, R>) -> &[CancellationReason] {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(canceled)) => {
            canceled.cancellation_reasons()
        }
        _ => &[],
    }
}

fn is(reason: &CancellationReason, code: &str) -> bool {
    reason.code() == Some(code)
}

pub(super) fn put(
    put: aws_sdk_dynamodb::types::builders::PutBuilder,
) -> Result<TransactWriteItem, TableError> {
    Ok(TransactWriteItem::builder().put(put.build().map_err(unreadable)?).build())
}

fn update_item(
    update: aws_sdk_dynamodb::types::builders::UpdateBuilder,
) -> Result<TransactWriteItem, TableError> {
    Ok(TransactWriteItem::builder().update(update.build().map_err(unreadable)?).build())
}
