//! API keys in the table: each is stored under the hash of its secret, and its name points
//! to it.

use aws_sdk_dynamodb::Config;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::log::Act;
use super::rows::{KEYS, NAME, key_key, key_name_key, timestamp};
use super::writes::{Transaction, put, update_item};
use super::{Table, TableError, end_of, from_item, to_item, unavailable};
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

    /// Stores a new key, which `by` made; `false` where its name is taken. One call.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn create_key(&self, record: &KeyRecord, by: &str) -> Result<bool, TableError> {
        let [name, key] = self.new_key(record)?;
        let writes = vec![name, key, self.act(Act::KeyCreated, &record.name, by)?];
        match self.transact("store an API key", writes).await? {
            Transaction::Done => Ok(true),
            Transaction::Refused { .. } => Ok(false),
        }
    }

    /// The writes of a new key, which its name must not have been given to before.
    fn new_key(&self, record: &KeyRecord) -> Result<[TransactWriteItem; 2], TableError> {
        let new = |item| put(self.put(item).condition_expression("attribute_not_exists(pk)"));
        let name = KeyNameRow { hash: record.hash.clone() };
        Ok([
            new(to_item(key_name_key(&record.name), &name)?)?,
            new(to_item(key_key(&record.hash), record)?)?,
        ])
    }

    /// Stores `successor` on behalf of `by`, and has the key `old` expire at `expires`, in seconds
    /// since 1970: both or neither, and only while `old` is as it was read. `false` if it is
    /// not, or if the successor's name is taken. The quotas of `old` are the successor's, too.
    /// One call; two if there are any.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn rotate_key(
        &self,
        old: &KeyRecord,
        expires: i64,
        successor: &KeyRecord,
        by: &str,
    ) -> Result<bool, TableError> {
        let number = |number: i64| AttributeValue::N(number.to_string());
        let mut update = self
            .updating(key_key(&old.hash))
            .update_expression("SET successor = :successor, expires = :expires")
            .expression_attribute_values(
                ":successor",
                AttributeValue::S(successor.name.to_string()),
            )
            .expression_attribute_values(":expires", number(expires));
        let as_it_was = match old.expires {
            Some(before) => {
                update = update.expression_attribute_values(":before", number(before));
                "expires = :before"
            }
            None => "attribute_not_exists(expires)",
        };
        let update = update.condition_expression(format!(
            "attribute_exists(pk) AND attribute_not_exists(revoked) \
             AND attribute_not_exists(successor) AND {as_it_was}"
        ));
        let [name, key] = self.new_key(successor)?;
        let mut writes = vec![update_item(update)?, name, key];
        writes.extend(self.shared_quotas(&old.quotas, &old.name, &successor.name).await?);
        writes.push(self.act(Act::KeyRotated, &old.name, by)?);
        match self.transact("rotate an API key", writes).await? {
            Transaction::Done => Ok(true),
            Transaction::Refused { .. } => Ok(false),
        }
    }

    /// Notes `day`, like `2026-12-31`, as the last day of a key's use. One call, which is not
    /// tried again: a request waits for it.
    ///
    /// # Errors
    /// The table does not answer, or there is no such key.
    pub async fn note_key_use(&self, hash: &KeyHash, day: &str) -> Result<(), TableError> {
        self.update_alone(key_key(hash))
            .update_expression("SET used = :day")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":day", AttributeValue::S(day.to_owned()))
            .customize()
            .config_override(Config::builder().retry_config(RetryConfig::disabled()))
            .send()
            .await
            .map_err(|error| unavailable("note the use of an API key", error))?;
        Ok(())
    }

    /// The key called `name`. Two calls.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn key_called(&self, name: &KeyName) -> Result<Option<KeyRecord>, TableError> {
        match self.item("look up an API key", key_name_key(name)).await? {
            Some(item) => self.key(&from_item::<KeyNameRow>(item)?.hash).await,
            None => Ok(None),
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

    /// Revokes the key called `name` on behalf of `by`; `false` where there is none. Two calls.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn revoke_key(&self, name: &KeyName, by: &str) -> Result<bool, TableError> {
        let Some(item) = self.item("look up an API key", key_name_key(name)).await? else {
            return Ok(false);
        };
        let KeyNameRow { hash } = from_item(item)?;
        let update = self
            .updating(key_key(&hash))
            .update_expression("SET revoked = :now")
            // The first revocation is the one to remember.
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(revoked)")
            .expression_attribute_values(":now", AttributeValue::S(timestamp()));
        let act = self.act(Act::KeyRevoked, name, by)?;
        // Refused, it was revoked before.
        self.transact("revoke an API key", vec![update_item(update)?, act]).await?;
        Ok(true)
    }

    /// Revokes the key whose secret has this hash. One call.
    ///
    /// # Errors
    /// The table does not answer, or there is no such key.
    pub(super) async fn revoke_key_of(&self, hash: &KeyHash) -> Result<(), TableError> {
        self.update_alone(key_key(hash))
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
