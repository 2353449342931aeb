//! All rows of the table, for checks of the feed. No function may read like this.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Deserialize;
use std::collections::HashMap;
use ulid::Ulid;

use super::rows::{NuspecRow, VersionRow};
use super::{
    Head, Item, Metadata, PdbRow, QuotaIndex, SymbolsRow, Table, TableError, TrustUse, from_item,
    text, unavailable,
};
use access::{KeyHash, Quota};
use trust::{Issuer, KeySet, Trust, TrustName};

/// A row of the table, by what its key says it is. Ids and versions are as in the key.
#[derive(Debug)]
pub enum Row {
    /// A version.
    Version {
        /// The package.
        id: String,
        /// The version.
        version: String,
        /// The row.
        row: Box<VersionRow>,
    },
    /// The metadata of a version that registration and search show.
    Metadata {
        /// The package.
        id: String,
        /// The version.
        version: String,
    },
    /// A version's nuspec.
    Nuspec {
        /// The package.
        id: String,
        /// The version.
        version: String,
    },
    /// A package's stamp.
    Stamp {
        /// The package.
        id: String,
        /// The change that wrote it.
        change: Ulid,
    },
    /// The symbols of a version.
    Symbols {
        /// The package.
        id: String,
        /// The version.
        version: String,
        /// The row.
        row: SymbolsRow,
    },
    /// A PDB of a version's symbols.
    Pdb {
        /// Its GUID.
        guid: String,
        /// The row.
        row: PdbRow,
    },
    /// A change, in the log.
    Change(Ulid),
    /// An act on a key or a trust, in the log.
    Act,
    /// A key.
    Key(String),
    /// The name of a key.
    KeyName {
        /// The name.
        name: String,
        /// The hash that its key is stored under.
        hash: KeyHash,
    },
    /// A key that came of a trust: it has no name of its own in the list.
    TrustedKey,
    /// A trust.
    Trust(TrustName),
    /// The name of a trust.
    TrustName(String),
    /// The issuer of a trust's tokens, the keys of one, a token that was exchanged, or a use
    /// of a trust.
    OfTrusts,
    /// A quota, or the row of all of them.
    Quota,
    /// The months that have a book.
    Books,
    /// A row that nothing here writes.
    Unreadable {
        /// Its partition key.
        pk: String,
        /// Its sort key.
        sk: String,
        /// The fault.
        reason: String,
    },
}

/// Rows, and where to read on.
#[derive(Debug, Default)]
pub struct Rows {
    /// About 1 MB of rows.
    pub rows: Vec<Row>,
    /// Where to read on; none where these are the last.
    pub next: Option<RowPosition>,
}

/// Where to read on.
#[derive(Debug, Clone)]
pub struct RowPosition(HashMap<String, AttributeValue>);

#[derive(Deserialize)]
struct KeyNameRow {
    hash: KeyHash,
}

impl Table {
    /// The rows from `position` on. One call.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn rows(&self, position: Option<RowPosition>) -> Result<Rows, TableError> {
        let page = self
            .client
            .scan()
            .table_name(self.name.as_str())
            .consistent_read(true)
            .set_exclusive_start_key(position.map(|position| position.0))
            .send()
            .await
            .map_err(|error| unavailable("give out its rows", error))?;
        let next = page.last_evaluated_key.filter(|key| !key.is_empty()).map(RowPosition);
        let rows = page.items.unwrap_or_default().into_iter().map(read).collect();
        Ok(Rows { rows, next })
    }
}

fn read(item: Item) -> Row {
    let key = |name| text(&item, name).unwrap_or_default();
    let (pk, sk) = (key("pk"), key("sk"));
    read_as(&pk, &sk, item).unwrap_or_else(|reason| Row::Unreadable { pk, sk, reason })
}

fn read_as(pk: &str, sk: &str, item: Item) -> Result<Row, String> {
    let unknown = || format!("nothing writes rows at {pk}, {sk}");
    let wrong = |error: TableError| match error {
        TableError::Unreadable { source } => source.to_string(),
        error @ TableError::Unavailable { .. } => error.to_string(),
    };
    let ulid = |text: &str| Ulid::from_string(text).map_err(|error| error.to_string());
    let (kind, id) = pk.split_once('#').unwrap_or((pk, ""));
    let (part, name) = sk.split_once('#').unwrap_or((sk, ""));
    let (id, name) = (id.to_owned(), name.to_owned());
    match (kind, part) {
        ("PACKAGE", "VERSION") if name.is_empty() => {
            let change = Head::read(&item).map_err(wrong)?.stamp.name();
            Ok(Row::Stamp { id, change })
        }
        ("PACKAGE", "VERSION") => {
            Ok(Row::Version { id, version: name, row: from_item(item).map_err(wrong)? })
        }
        ("PACKAGE", "METADATA") => {
            from_item::<Metadata>(item).map_err(wrong)?;
            Ok(Row::Metadata { id, version: name })
        }
        ("PACKAGE", "XML") => {
            from_item::<NuspecRow>(item).map_err(wrong)?;
            Ok(Row::Nuspec { id, version: name })
        }
        ("SYMBOLS", _) => {
            Ok(Row::Symbols { id, version: sk.to_owned(), row: from_item(item).map_err(wrong)? })
        }
        ("PDB", _) => Ok(Row::Pdb { guid: id, row: from_item(item).map_err(wrong)? }),
        ("CHANGES", _) => {
            for attribute in ["id", "version", "change", "by", "at"] {
                text(&item, attribute).map_err(wrong)?;
            }
            Ok(Row::Change(ulid(sk)?))
        }
        ("KEY", "KEY") => {
            let is_of_a_trust = item.contains_key("trust");
            from_item::<access::KeyRecord>(item).map_err(wrong)?;
            Ok(if is_of_a_trust { Row::TrustedKey } else { Row::Key(id) })
        }
        ("TRUST", "TRUST") => {
            let trust: Trust = from_item(item).map_err(wrong)?;
            Ok(Row::Trust(trust.name))
        }
        ("TRUSTS", "NAME") => Ok(Row::TrustName(name)),
        ("ISSUER", "ISSUER") => {
            from_item::<Issuer>(item).map_err(wrong)?;
            Ok(Row::OfTrusts)
        }
        ("JWKS", "JWKS") => {
            from_item::<KeySet>(item).map_err(wrong)?;
            Ok(Row::OfTrusts)
        }
        ("ACTIONS", _) => {
            ulid(sk)?;
            Ok(Row::Act)
        }
        ("TOKEN", "TOKEN") | ("SIGN_IN", "SIGN_IN") => Ok(Row::OfTrusts),
        ("USES", _) => {
            from_item::<TrustUse>(item).map_err(wrong)?;
            Ok(Row::OfTrusts)
        }
        ("QUOTA", "QUOTA") => {
            from_item::<Quota>(item).map_err(wrong)?;
            Ok(Row::Quota)
        }
        ("QUOTAS", "QUOTAS") => {
            from_item::<QuotaIndex>(item).map_err(wrong)?;
            Ok(Row::Quota)
        }
        ("BOOKS", "BOOKS") => Ok(Row::Books),
        ("KEYS", "NAME") => {
            let row: KeyNameRow = from_item(item).map_err(wrong)?;
            Ok(Row::KeyName { name, hash: row.hash })
        }
        _ => Err(unknown()),
    }
}
