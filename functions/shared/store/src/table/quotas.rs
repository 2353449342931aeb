//! Quotas, and what pushes take of them.
//!
//! | item | partition key | sort key |
//! |---|---|---|
//! | quota | `QUOTA#<name>` | `QUOTA` |
//! | all quotas that stand | `QUOTAS` | `QUOTAS` |
//!
//! A push takes its bytes in the transaction that commits it, and a deletion gives them back in
//! its own: so nothing is taken for a push that failed, and nothing is forgotten. Changes that
//! did not know of a quota are counted afterwards, from the log.

use std::collections::BTreeMap;

use access::{IdGlob, KeyName, Quota, QuotaCount, QuotaName, QuotaPart};
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use ulid::Ulid;

use super::writes::update_item;
use super::{Item, Table, TableError, at_key, from_item, unreadable};

/// The partition, and the sort key, of the row of all quotas.
pub(super) const QUOTAS: &str = "QUOTAS";

pub(super) fn quota_index_key() -> (String, String) {
    (QUOTAS.to_owned(), QUOTAS.to_owned())
}

pub(super) fn quota_key(name: &QuotaName) -> (String, String) {
    (format!("QUOTA#{name}"), "QUOTA".to_owned())
}

/// The quotas that stand, by what they are for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaIndex {
    /// Those of packages.
    #[serde(default)]
    pub(super) ids: BTreeMap<QuotaName, IdGlob>,
    /// Those of keys.
    #[serde(default)]
    pub(super) keys: BTreeMap<QuotaName, KeyName>,
    /// The last change of this row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<Ulid>,
}

impl QuotaIndex {
    /// The names of all.
    #[must_use]
    pub fn names(&self) -> Vec<QuotaName> {
        self.ids.keys().chain(self.keys.keys()).cloned().collect()
    }

    /// The quotas of packages that a key with these `ids` may push.
    #[must_use]
    pub fn of(&self, ids: &[IdGlob]) -> Vec<QuotaName> {
        let overlaps = |glob: &IdGlob| ids.iter().any(|other| other.overlaps(glob));
        let of_ids = self.ids.iter().filter(|(_, glob)| overlaps(glob));
        of_ids.map(|(name, _)| name.clone()).collect()
    }
}

/// A push's part of a quota.
#[derive(Debug, Clone)]
pub struct Charge {
    /// The quota as it was read.
    pub quota: Quota,
    /// The part.
    pub part: QuotaPart,
}

/// The quotas that a push is counted in, and those that get back the bytes that it replaces.
#[derive(Debug, Clone, Default)]
pub struct Charges {
    /// Those that it is counted in.
    pub taken: Vec<Charge>,
    /// The bytes that go with it, by the quotas that they were counted in.
    pub given_back: BTreeMap<QuotaName, u64>,
}

impl Charges {
    /// The names of the quotas that the push is counted in.
    #[must_use]
    pub fn names(&self) -> Vec<QuotaName> {
        self.taken.iter().map(|charge| charge.quota.name.clone()).collect()
    }

    /// `bytes` go, which were counted in these quotas.
    pub fn give_back(&mut self, quotas: &[QuotaName], bytes: u64) {
        for name in quotas {
            *self.given_back.entry(name.clone()).or_default() += bytes;
        }
    }

    /// The bytes that each quota gets.
    pub(super) fn amounts(&self) -> BTreeMap<QuotaName, i64> {
        let mut amounts = BTreeMap::new();
        for Charge { quota, part } in &self.taken {
            *amounts.entry(quota.name.clone()).or_default() += signed(part.bytes);
        }
        for (name, bytes) in &self.given_back {
            *amounts.entry(name.clone()).or_default() -= signed(*bytes);
        }
        amounts
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

impl Table {
    /// The quotas of these names, as far as there are any. One call; none for no names.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn quotas(&self, names: &[QuotaName]) -> Result<Vec<Quota>, TableError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let keys = names.iter().map(|name| at_key(quota_key(name), Item::new())).collect();
        self.batch(keys).await?.into_iter().map(from_item).collect()
    }

    /// The quotas that stand. One call.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn quota_index(&self) -> Result<QuotaIndex, TableError> {
        let item = self.item("list quotas", quota_index_key()).await?;
        Ok(item.map(from_item).transpose()?.unwrap_or_default())
    }

    /// The writes of what a change takes and gives back. Each is refused where its quota has no
    /// room any more.
    pub(super) fn charged(&self, charges: &Charges) -> Result<Vec<TransactWriteItem>, TableError> {
        let amounts = charges.amounts();
        let now = self.now();
        let write = |(name, bytes): (&QuotaName, &i64)| {
            let update = self
                .updating(quota_key(name))
                .expression_attribute_names("#stored", "stored")
                .expression_attribute_values(":bytes", number(*bytes));
            let charge = charges.taken.iter().find(|charge| charge.quota.name == *name);
            update_item(match charge {
                Some(charge) => taking(update, charge, *bytes, now)?,
                None => update.update_expression("ADD #stored :bytes"),
            })
        };
        amounts.iter().map(write).collect()
    }
}

/// `update`, which takes `bytes` of a quota if there is room.
fn taking(
    mut update: UpdateBuilder,
    Charge { quota, part: QuotaPart { pushes, .. } }: &Charge,
    bytes: i64,
    now: OffsetDateTime,
) -> Result<UpdateBuilder, TableError> {
    let mut conditions = vec!["attribute_exists(pk)"];
    if let Some(limit) = quota.limits.bytes.filter(|_| bytes > 0) {
        update = update.expression_attribute_values(":room", number(signed(limit) - bytes));
        conditions.push("#stored <= :room");
    }
    let mut expression = "ADD #stored :bytes".to_owned();
    if let Some(limit) = quota.limits.pushes_per_day.filter(|_| *pushes > 0) {
        // The count has to be of the day that it was read with, whatever day that is.
        if let Some(known) = &quota.pushed {
            update = update
                .expression_attribute_names("#day", "day")
                .expression_attribute_values(":known", AttributeValue::S(known.day.clone()));
            conditions.push("pushed.#day = :known");
        } else {
            conditions.push("attribute_not_exists(pushed)");
        }
        if quota.count_at(now).is_some() {
            conditions.push("pushed.pushes <= :others");
            expression = format!("SET pushed.pushes = pushed.pushes + :pushes {expression}");
            update = update
                .expression_attribute_values(":pushes", number((*pushes).into()))
                .expression_attribute_values(
                    ":others",
                    number(i64::from(limit) - i64::from(*pushes)),
                );
        } else {
            expression = format!("SET pushed = :pushed {expression}");
            let pushed = QuotaCount { day: now.date().to_string(), pushes: *pushes };
            let pushed = serde_dynamo::to_attribute_value(pushed).map_err(unreadable)?;
            update = update.expression_attribute_values(":pushed", pushed);
        }
    }
    Ok(update.update_expression(expression).condition_expression(conditions.join(" AND ")))
}
