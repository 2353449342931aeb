//! The table: the feed's only source of truth.

mod audit;
mod books;
mod changes;
mod downloads;
mod heads;
mod keys;
mod log;
mod movements;
mod packages;
mod quota_acts;
mod quotas;
mod rows;
mod symbols;
mod trusts;
mod versions;
mod writes;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use std::collections::HashMap;

pub use audit::{Row, RowPosition, Rows};
pub(crate) use changes::first_ulid_of;
pub use changes::{Changes, LoggedChange};
pub use downloads::CountedVersion;
pub use heads::Head;
pub use log::{LogEntry, LogKind, LogKindError, LogPage};
pub use movements::LoggedMovement;
pub use packages::{ChangedVersion, Stamped};
pub use quota_acts::{CountedQuota, QuotaSet};
pub use quotas::{Charge, Charges, QuotaIndex};
pub use rows::{
    Attempt, Dependency, DependencyGroup, Metadata, Release, Stamp, Verdict, VersionRow,
    VersionState, timestamp,
};
pub(crate) use rows::{SETTLING_TIME, time_of};
pub use symbols::{PdbRow, SymbolsOutcome, SymbolsRow, VersionWithSymbols};
pub use trusts::{Exchange, Exchanged, TrustAdded, TrustRows, TrustUse};
pub use versions::{CommitOutcome, Deletion, Listing};

use crate::{Clock, Revision, Revisions, TableName};
use protocol::BoxError;

/// The feed's table.
#[derive(Debug, Clone)]
pub struct Table {
    client: aws_sdk_dynamodb::Client,
    name: TableName,
    visibility: Visibility,
    revisions: Option<Revisions>,
    clock: Clock,
}

/// How the rows of a transaction become visible to readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visibility {
    /// One after the other, as on AWS: a query during a transaction may see a part of it
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>).
    #[default]
    OneByOne,
    /// All at once, as in the embedded table, whose transactions are those of `SQLite`.
    AtOnce,
}

/// The table did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Whether it was done is unknown; trying again may help.
    #[error("the table did not {action}")]
    Unavailable {
        /// The action.
        action: &'static str,
        /// Why it was not done.
        source: BoxError,
    },
    /// A row is not what this version of the feed writes.
    #[error("a row of the table cannot be read")]
    Unreadable {
        /// The fault.
        source: BoxError,
    },
}

/// An item as `DynamoDB` takes and gives it.
type Item = HashMap<String, AttributeValue>;

impl Table {
    /// The table called `name`.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, name: TableName) -> Self {
        let (visibility, clock) = (Visibility::default(), Clock::default());
        Self { client, name, visibility, revisions: None, clock }
    }

    /// The same table, whose transactions become visible like this.
    #[must_use]
    pub fn with(self, visibility: Visibility) -> Self {
        Self { visibility, ..self }
    }

    /// The same table, whose engine counts its revisions.
    #[must_use]
    pub fn counted_by(self, revisions: Option<Revisions>) -> Self {
        Self { revisions, ..self }
    }

    /// The revision of the table now; `None` where they are not counted, as on AWS. No call.
    #[must_use]
    pub fn revision(&self) -> Option<Revision> {
        self.revisions.as_ref().and_then(Revisions::now)
    }

    /// The same table, whose changes are made at the times of `clock`.
    #[must_use]
    pub fn by_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The time by which changes are made.
    #[must_use]
    pub fn now(&self) -> time::OffsetDateTime {
        self.clock.now()
    }

    /// The item at a key, as the last finished write left it. One call.
    async fn item(
        &self,
        action: &'static str,
        (pk, sk): (String, String),
    ) -> Result<Option<Item>, TableError> {
        let got = self
            .client
            .get_item()
            .table_name(self.name.as_str())
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable(action, error))?;
        Ok(got.item)
    }

    /// The items of a partition whose sort keys are in `range`, both ends
    /// included, in their order, as the last finished writes left them; all
    /// attributes where none are named. One call per MB.
    async fn items(
        &self,
        action: &'static str,
        pk: &str,
        range: (&str, &str),
        attributes: &[&str],
    ) -> Result<Vec<Item>, TableError> {
        let mut items = Vec::new();
        let take = |item| {
            items.push(item);
            Ok(())
        };
        self.each_item(action, pk, range, attributes, take).await?;
        Ok(items)
    }

    /// The same, one item at a time: at most one page of items is held, which saves memory
    /// if `take` keeps less of each item.
    async fn each_item(
        &self,
        action: &'static str,
        pk: &str,
        range: (&str, &str),
        attributes: &[&str],
        mut take: impl FnMut(Item) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        let mut start = None;
        loop {
            let page = self
                .range(pk, range, attributes)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| unavailable(action, error))?;
            page.items.unwrap_or_default().into_iter().try_for_each(&mut take)?;
            match page.last_evaluated_key {
                Some(key) if !key.is_empty() => start = Some(key),
                _ => return Ok(()),
            }
        }
    }

    fn range(
        &self,
        pk: &str,
        (first, last): (&str, &str),
        attributes: &[&str],
    ) -> QueryFluentBuilder {
        // By placeholders: some names are reserved words.
        let names: HashMap<String, String> =
            attributes.iter().map(|name| (format!("#{name}"), (*name).to_owned())).collect();
        let projection = names.keys().cloned().collect::<Vec<_>>().join(", ");
        self.client
            .query()
            .table_name(self.name.as_str())
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .expression_attribute_values(":first", AttributeValue::S(first.to_owned()))
            .expression_attribute_values(":last", AttributeValue::S(last.to_owned()))
            .limit(MOST_ROWS)
            .set_projection_expression((!names.is_empty()).then_some(projection))
            .set_expression_attribute_names((!names.is_empty()).then_some(names))
            .consistent_read(true)
    }
}

/// The most rows that a query reads. Even of the smallest rows, fewer fit into the 1 MB
/// that it may read (AWS quota). An engine on this machine reads as much as it may.
const MOST_ROWS: i32 = 6_000;

/// A key after every sort key that begins with `prefix`: ids, versions and key names are
/// ASCII.
fn end_of(prefix: &str) -> String {
    format!("{prefix}~")
}

fn unavailable<E, R>(action: &'static str, error: SdkError<E, R>) -> TableError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    TableError::Unavailable { action, source: error.into() }
}

fn unreadable(source: impl Into<BoxError>) -> TableError {
    TableError::Unreadable { source: source.into() }
}

fn from_item<T: serde::de::DeserializeOwned>(item: Item) -> Result<T, TableError> {
    serde_dynamo::from_item(item).map_err(unreadable)
}

/// `row` as an item at its key.
fn to_item(key: (String, String), row: &impl serde::Serialize) -> Result<Item, TableError> {
    Ok(at_key(key, serde_dynamo::to_item(row).map_err(unreadable)?))
}

fn at_key((pk, sk): (String, String), mut item: Item) -> Item {
    item.insert("pk".to_owned(), AttributeValue::S(pk));
    item.insert("sk".to_owned(), AttributeValue::S(sk));
    item
}

/// The text of an item's attribute.
fn text(item: &Item, name: &str) -> Result<String, TableError> {
    let text = item.get(name).and_then(|value| value.as_s().ok());
    text.cloned().ok_or_else(|| unreadable("an attribute that is missing or no text"))
}
