//! Writes: the parts of transactions, and transactions.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::builders::{PutBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Delete, Put, TransactWriteItem, Update,
};
use tokio::time::Instant;
use ulid::Ulid;

use super::{Item, Table, TableError, unavailable, unreadable};

impl Table {
    pub(super) fn put(&self, item: Item) -> PutBuilder {
        Put::builder().table_name(self.name.as_str()).set_item(Some(item))
    }

    /// An update of the item at a key, in no transaction.
    pub(super) fn update_alone(&self, (pk, sk): (String, String)) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(self.name.as_str())
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
    }

    /// An update of the item at a key, for a transaction.
    pub(super) fn updating(&self, (pk, sk): (String, String)) -> UpdateBuilder {
        Update::builder()
            .table_name(self.name.as_str())
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
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

    /// Writes all or nothing: one condition that does not hold refuses it all.
    pub(super) async fn transact(
        &self,
        action: &'static str,
        writes: Vec<TransactWriteItem>,
    ) -> Result<Transaction, TableError> {
        // Racing transactions cancel each other without any of them being
        // wrong, and the SDK does not try again for that. All changes of a
        // package meet at its head.
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
            let refused = |reason: &&CancellationReason| is(reason, "ConditionalCheckFailed");
            if let Some(write) = reasons.iter().position(|reason| refused(&reason)) {
                let item = reasons.get(write).and_then(|reason| reason.item.clone());
                let item = item.filter(|item| !item.is_empty());
                return Ok(Transaction::Refused { write, item });
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
    /// All is written.
    Done,
    /// A condition did not hold.
    Refused {
        /// The place of the first write whose condition did not.
        write: usize,
        /// The item that it did not hold for, if the write asked for it and there is one.
        item: Option<Item>,
    },
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

pub(super) fn put(put: PutBuilder) -> Result<TransactWriteItem, TableError> {
    Ok(TransactWriteItem::builder().put(put.build().map_err(unreadable)?).build())
}

pub(super) fn update_item(update: UpdateBuilder) -> Result<TransactWriteItem, TableError> {
    Ok(TransactWriteItem::builder().update(update.build().map_err(unreadable)?).build())
}

/// Whether an update was refused by its condition.
pub(super) fn is_refused<R>(error: &SdkError<UpdateItemError, R>) -> bool {
    matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_)))
}
