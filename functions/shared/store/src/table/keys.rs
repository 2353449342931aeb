//! API keys in the table: each is stored under the hash of its secret, and its name points
//! to it.

use aws_sdk_dynamodb::types::{
    AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use serde::{Deserialize, Serialize};

use super::rows::{KEYS, NAME, key_key, key_name_key, timestamp};
use super::versions::Transaction;
use super::{Table, TableError, end_of, from_item, to_item, unavailable, unreadable};
use access::{KeyHash, KeyName, KeyRecord};

/// A key's name, and where its record is.
#[derive(Debug, Serialize, Deserialize)]
struct KeyNameRow {
    hash: KeyHash,
}

impl Table {
    /// The key whose secret has this hash. One call.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn key(&self, hash: &KeyHash) -> Result<Option<KeyRecord>, TableError> {
        let Some(item) = self.item("look up an API key", key_key(hash)).await? else {
            return Ok(None);
        };
        let record: KeyRecord = from_item(item)?;
        // The table compares keys as any index does; this comparison is the
        // one that opens the door.
        Ok((record.hash == *hash).then_some(record))
    }

    /// Stores a new key; `false` where its name is taken. One call.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn create_key(&self, record: &KeyRecord) -> Result<bool, TableError> {
        let name = KeyNameRow { hash: record.hash.clone() };
        let writes =
            [to_item(key_name_key(&record.name), &name)?, to_item(key_key(&record.hash), record)?]
                .into_iter()
                .map(|item| {
                    let put = Put::builder()
                        .table_name(self.name.as_str())
                        .set_item(Some(item))
                        .condition_expression("attribute_not_exists(pk)")
                        .return_values_on_condition_check_failure(
                            ReturnValuesOnConditionCheckFailure::AllOld,
                        )
                        .build()
                        .map_err(unreadable)?;
                    Ok(TransactWriteItem::builder().put(put).build())
                })
                .collect::<Result<_, TableError>>()?;
        match self.transact("store an API key", writes).await? {
            Transaction::Done => Ok(true),
            Transaction::Refused(_) => Ok(false),
        }
    }

    /// All keys, by name. One call, and one more for every key.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, TableError> {
        let mut keys = Vec::new();
        for item in self.items("list API keys", KEYS, (NAME, &end_of(NAME)), &[]).await? {
            let name: KeyNameRow = from_item(item)?;
            keys.extend(self.key(&name.hash).await?);
        }
        Ok(keys)
    }

    /// Revokes the key called `name`; `false` where there is none. Two calls.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn revoke_key(&self, name: &KeyName) -> Result<bool, TableError> {
        let Some(item) = self.item("look up an API key", key_name_key(name)).await? else {
            return Ok(false);
        };
        let KeyNameRow { hash } = from_item(item)?;
        self.revoke_key_of(&hash).await?;
        Ok(true)
    }

    /// Revokes the key whose secret has this hash. One call.
    ///
    /// # Errors
    /// The table does not answer, or there is no such key.
    pub(super) async fn revoke_key_of(&self, hash: &KeyHash) -> Result<(), TableError> {
        let (pk, sk) = key_key(hash);
        self.client
            .update_item()
            .table_name(self.name.as_str())
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            // The first revocation is the one to remember.
            .update_expression("SET revoked = if_not_exists(revoked, :now)")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":now", AttributeValue::S(timestamp()))
            .send()
            .await
            .map_err(|error| unavailable("revoke an API key", error))?;
        Ok(())
    }
}
