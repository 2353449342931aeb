//! Acts on quotas: one is set, removed, or counted from the log.

use access::{KeyName, KeyRecord, Quota, QuotaName, Scope};
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use serde::Deserialize;
use ulid::Ulid;

use super::log::Act;
use super::quotas::{QUOTAS, QuotaIndex, quota_index_key, quota_key};
use super::rows::{key_key, timestamp};
use super::writes::{Transaction, is_refused, put, update_item};
use super::{Item, Table, TableError, at_key, from_item, text, to_item, unavailable, unreadable};

/// How often a write begins again because another came between.
const TRIES: usize = 10;

/// The outcome of setting a quota.
#[derive(Debug, PartialEq, Eq)]
pub enum QuotaSet {
    /// It stands.
    Done,
    /// One of its name is for something else.
    OtherSubject(Box<Quota>),
}

/// A quota, and how far it was counted.
#[derive(Debug, Clone)]
pub struct CountedQuota {
    /// The quota.
    pub quota: Quota,
    /// All changes before this one are in it.
    pub counted: Ulid,
}

#[derive(Deserialize)]
struct Counted {
    counted: Ulid,
}

impl Table {
    /// Sets a quota on behalf of `by`, or changes the limits of the one of its name. `new` has
    /// the bytes that were stored before the change called `counted`. Keys that exist are told of
    /// it afterwards, one call each; a try that ended before can be made again.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn set_quota(
        &self,
        new: &Quota,
        counted: Ulid,
        by: &str,
    ) -> Result<QuotaSet, TableError> {
        let name = &new.name;
        for _ in 0..TRIES {
            let (known, mut index) = self.quota_with_index(name).await?;
            if let Some(known) = known.as_ref().filter(|known| !known.is_for_same(new)) {
                return Ok(QuotaSet::OtherSubject(Box::new(known.clone())));
            }
            match (&new.id, new.keys.first()) {
                (Some(glob), _) => drop(index.ids.insert(name.clone(), glob.clone())),
                (None, Some(key)) => drop(index.keys.insert(name.clone(), key.clone())),
                (None, None) => {}
            }
            let write = if known.is_some() {
                self.new_limits(new)?
            } else {
                let mut item = to_item(quota_key(name), new)?;
                item.insert("counted".to_owned(), AttributeValue::S(counted.to_string()));
                put(self.put(item).condition_expression("attribute_not_exists(pk)"))?
            };
            let writes = vec![write, self.indexed(index)?, self.act(Act::QuotaSet, name, by)?];
            if let Transaction::Done = self.transact("set a quota", writes).await? {
                // One that stood has more keys by now.
                let quota = Quota {
                    keys: known.map_or_else(|| new.keys.clone(), |known| known.keys),
                    ..new.clone()
                };
                self.tell_keys(&quota).await?;
                return Ok(QuotaSet::Done);
            }
        }
        Err(unreadable("quotas are set all the time"))
    }

    fn new_limits(&self, quota: &Quota) -> Result<TransactWriteItem, TableError> {
        let limits = serde_dynamo::to_attribute_value(quota.limits).map_err(unreadable)?;
        let update = self.updating(quota_key(&quota.name));
        update_item(
            update
                .update_expression("SET limits = :limits REMOVE removed")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":limits", limits),
        )
    }

    /// Removes a quota on behalf of `by`; `false` where none of its name stands. Its row stays,
    /// so that its name is never given to another.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn remove_quota(&self, name: &QuotaName, by: &str) -> Result<bool, TableError> {
        for _ in 0..TRIES {
            let (Some(quota), mut index) = self.quota_with_index(name).await? else {
                return Ok(false);
            };
            let removed = Quota { removed: Some(timestamp()), ..quota };
            let stood = index.ids.remove(name).is_some() | index.keys.remove(name).is_some();
            if !stood {
                self.tell_keys(&removed).await?;
                return Ok(false);
            }
            let update = self.updating(quota_key(name));
            let update = update
                .update_expression("SET removed = :now")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":now", AttributeValue::S(timestamp()));
            let act = self.act(Act::QuotaRemoved, name, by)?;
            let writes = vec![update_item(update)?, self.indexed(index)?, act];
            if let Transaction::Done = self.transact("remove a quota", writes).await? {
                self.tell_keys(&removed).await?;
                return Ok(true);
            }
        }
        Err(unreadable("quotas are set all the time"))
    }

    /// A quota and the row of all. One call.
    async fn quota_with_index(
        &self,
        name: &QuotaName,
    ) -> Result<(Option<Quota>, QuotaIndex), TableError> {
        let keys = [quota_key(name), quota_index_key()].map(|key| at_key(key, Item::new()));
        let (mut quota, mut index) = (None, QuotaIndex::default());
        for item in self.batch(keys.to_vec()).await? {
            if text(&item, "sk")? == QUOTAS {
                index = from_item(item)?;
            } else {
                quota = Some(from_item(item)?);
            }
        }
        Ok((quota, index))
    }

    /// The write of the row of all quotas, on condition that nobody wrote it meanwhile.
    fn indexed(&self, index: QuotaIndex) -> Result<TransactWriteItem, TableError> {
        let before = index.revision;
        let index = QuotaIndex { revision: Some(Ulid::new()), ..index };
        let write = self.put(to_item(quota_index_key(), &index)?);
        put(match before {
            None => write.condition_expression("attribute_not_exists(pk)"),
            Some(before) => write
                .condition_expression("revision = :before")
                .expression_attribute_values(":before", AttributeValue::S(before.to_string())),
        })
    }

    /// A key and all that replaced it; nothing where there is none. Two calls for each.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn with_successors(&self, key: &KeyName) -> Result<Vec<KeyName>, TableError> {
        let (mut names, mut next) = (Vec::new(), Some(key.clone()));
        while let Some(name) = next.take() {
            let Some(record) = self.key_called(&name).await? else { break };
            names.push(name);
            next = record.successor;
        }
        Ok(names)
    }

    /// Has the records of keys name a quota, or not any more if it was removed.
    async fn tell_keys(&self, quota: &Quota) -> Result<(), TableError> {
        for record in self.keys().await? {
            let may_push = record.allows(Scope::Push) && record.revoked.is_none();
            let is_its = match &quota.id {
                Some(glob) => record.ids.iter().any(|other| other.overlaps(glob)),
                None => quota.keys.contains(&record.name),
            };
            let names_it = quota.removed.is_none() && may_push && is_its;
            self.tell_key(record, &quota.name, names_it).await?;
        }
        Ok(())
    }

    /// Has the record of a key name a quota, or not.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn tell_key(
        &self,
        mut record: KeyRecord,
        quota: &QuotaName,
        names_it: bool,
    ) -> Result<(), TableError> {
        for _ in 0..TRIES {
            if record.quotas.contains(quota) == names_it {
                return Ok(());
            }
            let value = |names: &[QuotaName]| serde_dynamo::to_attribute_value(names);
            let mut quotas = record.quotas.clone();
            quotas.retain(|name| name != quota);
            quotas.extend(names_it.then(|| quota.clone()));
            let sent = self
                .update_alone(key_key(&record.hash))
                .update_expression("SET quotas = :new")
                .condition_expression(
                    "attribute_exists(pk) AND (attribute_not_exists(quotas) OR quotas = :old)",
                )
                .expression_attribute_values(":new", value(&quotas).map_err(unreadable)?)
                .expression_attribute_values(":old", value(&record.quotas).map_err(unreadable)?)
                .send()
                .await;
            match sent {
                Ok(_) => return Ok(()),
                Err(error) if is_refused(&error) => match self.key(&record.hash).await? {
                    Some(now) => record = now,
                    None => return Ok(()),
                },
                Err(error) => return Err(unavailable("name a quota in a key", error)),
            }
        }
        Err(unreadable("quotas are set all the time"))
    }

    /// The writes by which the successor of a key is counted in the key's own quotas. One call;
    /// none where it has none.
    pub(super) async fn shared_quotas(
        &self,
        quotas: &[QuotaName],
        old: &KeyName,
        successor: &KeyName,
    ) -> Result<Vec<TransactWriteItem>, TableError> {
        let own = self.quotas(quotas).await?;
        let own = own.iter().filter(|quota| quota.keys.contains(old));
        let write = |quota: &Quota| {
            let successor = serde_dynamo::to_attribute_value([successor]).map_err(unreadable)?;
            let update = self.updating(quota_key(&quota.name));
            update_item(
                update
                    .update_expression("SET #keys = list_append(#keys, :successor)")
                    .expression_attribute_names("#keys", "keys")
                    .expression_attribute_values(":successor", successor),
            )
        };
        own.map(write).collect()
    }

    /// The quotas that stand, each with how far it was counted. Two calls; one if there are none.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn counted_quotas(&self) -> Result<Vec<CountedQuota>, TableError> {
        let names = self.quota_index().await?.names();
        let keys: Vec<Item> =
            names.iter().map(|name| at_key(quota_key(name), Item::new())).collect();
        let read = |item: Item| -> Result<CountedQuota, TableError> {
            let Counted { counted } = from_item(item.clone())?;
            Ok(CountedQuota { quota: from_item(item)?, counted })
        };
        self.batch(keys).await?.into_iter().map(read).collect()
    }

    /// Adds `bytes` of changes before `until` that a quota did not have, unless somebody else
    /// did. One call.
    ///
    /// # Errors
    /// The table does not answer: it may be done or not, and trying again does no harm.
    pub async fn count_quota(
        &self,
        CountedQuota { quota, counted }: &CountedQuota,
        until: Ulid,
        bytes: i64,
    ) -> Result<bool, TableError> {
        let sent = self
            .update_alone(quota_key(&quota.name))
            .update_expression("SET counted = :until ADD #stored :bytes")
            .expression_attribute_names("#stored", "stored")
            .condition_expression("counted = :counted")
            .expression_attribute_values(":until", AttributeValue::S(until.to_string()))
            .expression_attribute_values(":bytes", AttributeValue::N(bytes.to_string()))
            .expression_attribute_values(":counted", AttributeValue::S(counted.to_string()))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(unavailable("count a quota", error)),
        }
    }
}
