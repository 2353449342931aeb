//! Trusts, the issuers of their tokens, and the exchanges of tokens for keys.
//!
//! | item | partition key | sort key |
//! |---|---|---|
//! | trust | `TRUST#<name>` | `TRUST` |
//! | name of a trust | `TRUSTS` | `NAME#<name>` |
//! | issuer | `ISSUER#<iss>` | `ISSUER` |
//! | keys of an issuer | `JWKS#<iss>` | `JWKS` |
//! | exchanged token | `TOKEN#<SHA-256>` | `TOKEN` |
//! | use of a trust | `USES#<name>` | `<ULID>` |
//! | the trust by which people sign in | `SIGN_IN` | `SIGN_IN` |

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use trust::{Issuer, IssuerUrl, KeySet, PublicKey, Run, TokenId, Trust, TrustName, Workload};
use ulid::Ulid;

use super::log::Act;
use super::quotas::{QUOTAS, QuotaIndex, quota_index_key};
use super::rows::{NAME, key_key, timestamp};
use super::writes::{Transaction, is_refused, put, update_item};
use super::{Item, Table, TableError, at_key, end_of, from_item, text, to_item};
use super::{unavailable, unreadable};
use access::{KeyHash, KeyName, KeyRecord};

/// The partition of the names of trusts.
const TRUSTS: &str = "TRUSTS";

/// The rows that an exchange is judged by, as far as they are there.
#[derive(Debug, Default)]
pub struct TrustRows {
    /// The trust that was asked for.
    pub trust: Option<Trust>,
    /// The issuer of the token.
    pub issuer: Option<Issuer>,
    /// The keys that the issuer publishes.
    pub keys: Option<KeySet>,
    /// The quotas of ids.
    pub quotas: QuotaIndex,
}

/// An exchange of a token for a key.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// The trust that admitted the token. The key is the one that it grants.
    pub trust: &'a Trust,
    /// The token.
    pub token: TokenId,
    /// Until when the token is remembered, in seconds since 1970.
    pub remembered_until: i64,
    /// The hash of the new key.
    pub hash: KeyHash,
    /// The run that the token was for.
    pub run: Run,
    /// The address that it came from.
    pub address: Option<String>,
    /// When it is made.
    pub now: OffsetDateTime,
    /// The quotas of ids.
    pub quotas: &'a QuotaIndex,
}

/// The outcome of an exchange.
#[derive(Debug)]
pub enum Exchanged {
    /// The key is stored.
    Done(Box<KeyRecord>),
    /// The token was exchanged before.
    Replayed,
    /// The trust was changed or removed meanwhile.
    TrustChanged,
}

/// An exchange, as the log of its trust has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustUse {
    /// The hash of the key.
    pub hash: KeyHash,
    /// The name of the key, which is also in the rows of the versions that it pushed.
    pub key: KeyName,
    /// The run that the token was for.
    pub run: Run,
    /// The address that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// When it was made, RFC 3339.
    pub at: String,
    /// When the key expires, in seconds since 1970.
    pub expires: i64,
}

/// The outcome of adding a trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustAdded {
    /// It is stored.
    Done,
    /// There is one of this name, or there was.
    NameTaken,
    /// The issuer is known, with other keys or algorithms.
    IssuerDiffers,
}

/// The trust by which people sign in.
#[derive(Debug, Serialize, Deserialize)]
struct SignInRow {
    trust: TrustName,
}

/// A row that the table removes some time after this, in seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Passing<T> {
    #[serde(flatten)]
    row: T,
    expires_at: i64,
}

/// A key that came of a trust.
#[derive(Serialize)]
struct TrustedKey<'a> {
    #[serde(flatten)]
    record: &'a KeyRecord,
    trust: &'a TrustName,
}

#[derive(Serialize, Deserialize)]
struct Nothing {}

fn trust_key(name: &TrustName) -> (String, String) {
    (format!("TRUST#{name}"), "TRUST".to_owned())
}

fn trust_name_key(name: &TrustName) -> (String, String) {
    (TRUSTS.to_owned(), format!("{NAME}{name}"))
}

fn issuer_key(iss: &IssuerUrl) -> (String, String) {
    (format!("ISSUER#{iss}"), "ISSUER".to_owned())
}

fn jwks_key(iss: &IssuerUrl) -> (String, String) {
    (format!("JWKS#{iss}"), "JWKS".to_owned())
}

fn token_key(token: &TokenId) -> (String, String) {
    (format!("TOKEN#{}", token.as_str()), "TOKEN".to_owned())
}

fn sign_in_key() -> (String, String) {
    ("SIGN_IN".to_owned(), "SIGN_IN".to_owned())
}

fn uses(name: &TrustName) -> String {
    format!("USES#{name}")
}

impl Exchange<'_> {
    /// How long keys that have expired are kept, in seconds: an answer can say that they have.
    const KEY_KEPT: i64 = 24 * 60 * 60;
    /// How long uses are kept, in seconds: 400 days.
    const USE_KEPT: i64 = 400 * 24 * 60 * 60;

    /// The record of the key: what the trust grants, and nothing else.
    fn record(&self, ulid: Ulid) -> Result<KeyRecord, TableError> {
        let grant = &self.trust.grant;
        let name = format!("{}.{ulid}", self.trust.name).parse().map_err(unreadable)?;
        Ok(KeyRecord {
            scopes: grant.scopes().iter().map(|scope| (*scope).into()).collect(),
            ids: grant.ids().to_vec(),
            quotas: self.quotas.of(grant.ids()),
            expires: Some(self.now.unix_timestamp() + i64::from(grant.lifetime().seconds())),
            // Its use has a row of its own.
            used: Some(self.now.date().to_string()),
            ..KeyRecord::new(self.hash.clone(), name, timestamp())
        })
    }
}

impl Table {
    /// The rows that an exchange is judged by. One call.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn trust_rows(
        &self,
        name: &TrustName,
        iss: &IssuerUrl,
    ) -> Result<TrustRows, TableError> {
        let keys = [trust_key(name), issuer_key(iss), jwks_key(iss), quota_index_key()];
        let mut rows = TrustRows::default();
        for item in self.batch(keys.map(|key| at_key(key, Item::new())).into()).await? {
            match text(&item, "sk")?.as_str() {
                "TRUST" => rows.trust = Some(from_item(item)?),
                "ISSUER" => rows.issuer = Some(from_item(item)?),
                QUOTAS => rows.quotas = from_item(item)?,
                _ => rows.keys = Some(from_item(item)?),
            }
        }
        Ok(rows)
    }

    /// The keys that an issuer publishes, as far as they are known. One call.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn issuer_keys(&self, iss: &IssuerUrl) -> Result<Option<KeySet>, TableError> {
        let item = self.item("look up the keys of an issuer", jwks_key(iss)).await?;
        item.map(from_item).transpose()
    }

    /// Takes the turn to fetch the keys of an issuer; `false` if somebody else took it less
    /// than a minute before `now`, in seconds since 1970. One call.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn begin_fetch(&self, iss: &IssuerUrl, now: i64) -> Result<bool, TableError> {
        let number = |number: i64| AttributeValue::N(number.to_string());
        let sent = self
            .update_alone(jwks_key(iss))
            .update_expression("SET attempted = :now")
            // Or by a clock that is ahead of this one.
            .condition_expression(
                "attribute_not_exists(attempted) OR attempted <= :before OR attempted > :now",
            )
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":before", number(now - KeySet::PAUSE))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(unavailable("begin to fetch the keys of an issuer", error)),
        }
    }

    /// Stores the keys of an issuer that were fetched at `now`, in seconds since 1970. One
    /// call.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn store_issuer_keys(
        &self,
        iss: &IssuerUrl,
        keys: &[PublicKey],
        now: i64,
    ) -> Result<(), TableError> {
        self.update_alone(jwks_key(iss))
            .update_expression("SET #keys = :keys, fetched = :now")
            .expression_attribute_names("#keys", "keys")
            .expression_attribute_values(
                ":keys",
                serde_dynamo::to_attribute_value(keys).map_err(unreadable)?,
            )
            .expression_attribute_values(":now", AttributeValue::N(now.to_string()))
            .send()
            .await
            .map_err(|error| unavailable("store the keys of an issuer", error))?;
        Ok(())
    }

    /// Stores the key that a trust grants, remembers its token as exchanged, and logs the use:
    /// all or nothing, and only if the trust is still the same. One call.
    ///
    /// # Errors
    /// The table does not answer: the key may be stored or not, and the token may be spent.
    pub async fn exchange(&self, exchange: &Exchange<'_>) -> Result<Exchanged, TableError> {
        let ulid = Ulid::new();
        let record = exchange.record(ulid)?;
        let expires = record.expires.unwrap_or_default();
        let now = exchange.now.unix_timestamp();
        let token = Passing { row: Nothing {}, expires_at: exchange.remembered_until };
        let key = Passing {
            row: TrustedKey { record: &record, trust: &exchange.trust.name },
            expires_at: expires + Exchange::KEY_KEPT,
        };
        let used = Passing {
            row: TrustUse {
                hash: record.hash.clone(),
                key: record.name.clone(),
                run: exchange.run.clone(),
                address: exchange.address.clone(),
                at: record.created.clone(),
                expires,
            },
            expires_at: now + Exchange::USE_KEPT,
        };
        let use_key = (uses(&exchange.trust.name), ulid.to_string());
        let new = |item| {
            let put = self.put(item).condition_expression("attribute_not_exists(pk)");
            put.return_values_on_condition_check_failure(
                ReturnValuesOnConditionCheckFailure::AllOld,
            )
        };
        let writes = vec![
            put(new(to_item(token_key(&exchange.token), &token)?))?,
            self.check_trust(exchange.trust)?,
            put(new(to_item(key_key(&record.hash), &key)?))?,
            put(new(to_item(use_key, &used)?))?,
        ];
        match self.transact("exchange a token", writes).await? {
            Transaction::Done => Ok(Exchanged::Done(Box::new(record))),
            // Only a token that is remembered has a row at its key.
            Transaction::Refused { item: Some(_), .. } => Ok(Exchanged::Replayed),
            Transaction::Refused { item: None, .. } => Ok(Exchanged::TrustChanged),
        }
    }

    /// The trust by which people sign in, unless it was removed: the newest trust of the kind
    /// `people`. Two calls; one if there is none.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn sign_in(&self) -> Result<Option<Trust>, TableError> {
        let Some(item) = self.item("look up the sign-in", sign_in_key()).await? else {
            return Ok(None);
        };
        let trust = self.trust(&from_item::<SignInRow>(item)?.trust).await?;
        Ok(trust.filter(|trust| trust.removed.is_none()))
    }

    /// Adds a trust, and the issuer of its tokens if it is new. One call; two if there is such
    /// a name.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn add_trust(
        &self,
        trust: &Trust,
        issuer: &Issuer,
    ) -> Result<TrustAdded, TableError> {
        let new = |item| self.put(item).condition_expression("attribute_not_exists(pk)");
        let known = serde_dynamo::to_attribute_value(&issuer.keys).map_err(unreadable)?;
        let algorithms = serde_dynamo::to_attribute_value(&issuer.algorithms);
        let same = self
            .put(to_item(issuer_key(&issuer.iss), issuer)?)
            .condition_expression(
                "attribute_not_exists(pk) OR (#keys = :keys AND algorithms = :algorithms)",
            )
            .expression_attribute_names("#keys", "keys")
            .expression_attribute_values(":keys", known)
            .expression_attribute_values(":algorithms", algorithms.map_err(unreadable)?);
        let mut writes = vec![
            put(new(to_item(trust_name_key(&trust.name), &Nothing {})?))?,
            put(new(to_item(trust_key(&trust.name), trust)?))?,
            put(same)?,
            self.act(
                Act::TrustAdded,
                &trust.name,
                trust.created_by.as_deref().unwrap_or("unknown"),
            )?,
        ];
        if let Workload::People(_) = trust.workload {
            let row = SignInRow { trust: trust.name.clone() };
            writes.push(put(self.put(to_item(sign_in_key(), &row)?))?);
        }
        match self.transact("store a trust", writes).await? {
            Transaction::Done => Ok(TrustAdded::Done),
            Transaction::Refused { .. } if self.trust(&trust.name).await?.is_some() => {
                Ok(TrustAdded::NameTaken)
            }
            Transaction::Refused { .. } => Ok(TrustAdded::IssuerDiffers),
        }
    }

    /// The trust called `name`, removed or not. One call.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn trust(&self, name: &TrustName) -> Result<Option<Trust>, TableError> {
        self.item("look up a trust", trust_key(name)).await?.map(from_item).transpose()
    }

    /// All trusts by name, with those that were removed. One call, and one more for every
    /// trust.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn trusts(&self) -> Result<Vec<Trust>, TableError> {
        let mut trusts = Vec::new();
        let names = self.items("list trusts", TRUSTS, (NAME, &end_of(NAME)), &["sk"]).await?;
        for item in names {
            let name = text(&item, "sk")?;
            let name = name.strip_prefix(NAME).unwrap_or_default().parse().map_err(unreadable)?;
            trusts.extend(self.trust(&name).await?);
        }
        Ok(trusts)
    }

    /// The issuer called `iss`. One call.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn issuer(&self, iss: &IssuerUrl) -> Result<Option<Issuer>, TableError> {
        self.item("look up an issuer", issuer_key(iss)).await?.map(from_item).transpose()
    }

    /// Stores an issuer in place of the one of its name. One call.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn replace_issuer(&self, issuer: &Issuer) -> Result<(), TableError> {
        let writes = vec![put(self.put(to_item(issuer_key(&issuer.iss), issuer)?))?];
        self.transact("store an issuer", writes).await?;
        Ok(())
    }

    /// Removes a trust on behalf of `by`, and revokes the keys that came of it; returns how many
    /// of those had not expired at `now`, in seconds since 1970, or `None` if there is no such trust. An
    /// exchange at the same time is either found here, or finds the trust changed. Two calls,
    /// and one for every key; one more if it was removed before.
    ///
    /// # Errors
    /// The table does not answer. Trying again ends it.
    pub async fn remove_trust(
        &self,
        name: &TrustName,
        now: i64,
        by: &str,
    ) -> Result<Option<usize>, TableError> {
        let update = self
            .updating(trust_key(name))
            .update_expression("SET removed = :now, removed_by = :by, revision = :revision")
            // The first removal is the one to remember.
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(removed)")
            .expression_attribute_values(":now", AttributeValue::S(timestamp()))
            .expression_attribute_values(":by", AttributeValue::S(by.to_owned()))
            .expression_attribute_values(":revision", AttributeValue::S(Ulid::new().to_string()));
        let writes = vec![update_item(update)?, self.act(Act::TrustRemoved, name, by)?];
        if let Transaction::Refused { .. } = self.transact("remove a trust", writes).await?
            && self.trust(name).await?.is_none()
        {
            return Ok(None);
        }
        let uses = self.uses_of(name).await?.into_iter();
        let live: Vec<TrustUse> = uses.filter(|used| used.expires > now).collect();
        for used in &live {
            self.revoke_key_of(&used.hash).await?;
        }
        Ok(Some(live.len()))
    }

    /// The use of a trust that made the key called `key`; `None` if no trust made it, or if the
    /// use is past its time. One call; none if the name is not of the form that keys of trusts
    /// have.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn use_of_key(&self, key: &KeyName) -> Result<Option<TrustUse>, TableError> {
        let parts = key.as_str().rsplit_once('.').and_then(|(trust, ulid)| {
            Some((trust.parse::<TrustName>().ok()?, ulid.parse::<Ulid>().ok()?))
        });
        let Some((trust, ulid)) = parts else { return Ok(None) };
        let found = self.item("look up the use of a trust", (uses(&trust), ulid.to_string()));
        found.await?.map(from_item).transpose()
    }

    /// The uses of a trust, the oldest first. One call per MB.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn uses_of(&self, name: &TrustName) -> Result<Vec<TrustUse>, TableError> {
        let items = self.items("list uses", &uses(name), ("0", &end_of("")), &[]).await?;
        items.into_iter().map(from_item).collect()
    }

    fn check_trust(&self, trust: &Trust) -> Result<TransactWriteItem, TableError> {
        let (pk, sk) = trust_key(&trust.name);
        let check = ConditionCheck::builder()
            .table_name(self.name.as_str())
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            .condition_expression("revision = :revision AND attribute_not_exists(removed)")
            .expression_attribute_values(":revision", AttributeValue::S(trust.revision.to_string()))
            .build()
            .map_err(unreadable)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}
