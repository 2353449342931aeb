//! Symbols of versions, and the PDBs in them.
//!
//! The row of a version's symbols is their commit. The rows of its PDBs name its push: those
//! of another push are of no effect, so they may be written before it and removed after it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, TransactWriteItem};
use nupkg::{PackageId, Version};
use serde::{Deserialize, Serialize};
use ulid::Ulid;
use usage::Change;

use super::changes::ChangeRow;
use super::rows::{pdb_key, symbols_key, version_key};
use super::writes::{Transaction, put};
use super::{
    Charges, Item, Table, TableError, VersionRow, VersionState, at_key, end_of, from_item, text,
    to_item, unavailable, unreadable,
};
use crate::ObjectKey;
use access::{KeyName, QuotaName};

/// The most writes of a transaction (AWS quota).
const WRITES: usize = 100;
/// Those of a push of symbols besides its PDBs: the check of its version, its own row, and a
/// row of the log.
const OWN_WRITES: usize = 3;

/// The symbols of a version. Stored at `SYMBOLS#<id>`, `<version>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolsRow {
    /// The push that they are from, which their objects are named after.
    pub push: Ulid,
    /// The size of the symbols package in bytes.
    pub size: u64,
    /// Its SHA-256, Base64.
    pub sha256: String,
    /// When it was pushed, RFC 3339 in UTC.
    pub published: String,
    /// The name of the key that pushed it.
    pub pushed_by: KeyName,
    /// The session of the client that pushed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The GUIDs of its PDBs. The place of one is its number.
    pub pdbs: Vec<String>,
    /// The quotas that its bytes are counted in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<QuotaName>,
}

/// A PDB of a version's symbols. Stored at `PDB#<guid>`, `<push>#<number>`: in the order of
/// the pushes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PdbRow {
    /// The package, in lower case.
    pub id: String,
    /// The version, as keys have it.
    pub version: String,
    /// The push that it is from.
    pub push: Ulid,
    /// Its number in the push.
    pub number: usize,
    /// The names that debuggers may ask for it by, in lower case.
    pub names: Vec<String>,
    /// Its checksums: `SHA256:` and others, with hexadecimal digits in lower case.
    pub checksums: Vec<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Whether nobody can make another PDB with its id.
    pub self_certified: bool,
}

/// A version, and its symbols.
#[derive(Debug, Clone, Default)]
pub struct VersionWithSymbols {
    /// The version's row, also when it was deleted.
    pub version: Option<VersionRow>,
    /// Its symbols.
    pub symbols: Option<SymbolsRow>,
}

/// The outcome of a push of symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolsOutcome {
    /// They are in.
    Done,
    /// The version, or its symbols, are not as they were read.
    Changed,
    /// A quota is not as it was read.
    QuotaChanged,
}

impl SymbolsRow {
    /// The symbols package of a version that has this row.
    #[must_use]
    pub fn object(&self, id: &PackageId, version: &Version) -> ObjectKey {
        ObjectKey::symbols(id, version, self.push)
    }

    /// The symbols package and its PDBs.
    pub fn objects(&self, id: &PackageId, version: &Version) -> impl Iterator<Item = ObjectKey> {
        let package = self.object(id, version);
        let pdbs = (0..self.pdbs.len()).map(|number| package.pdb(number)).collect::<Vec<_>>();
        std::iter::once(package).chain(pdbs)
    }
}

impl VersionWithSymbols {
    /// The version's row, if it is visible.
    #[must_use]
    pub fn visible(&self) -> Option<&VersionRow> {
        self.version.as_ref().filter(|row| row.state == VersionState::Visible)
    }
}

impl PdbRow {
    /// The package and the version that it belongs to.
    ///
    /// # Errors
    /// The row holds something else.
    pub fn of(&self) -> Result<(PackageId, Version), TableError> {
        let id = PackageId::parse(&self.id).map_err(unreadable)?;
        Ok((id, self.version.parse().map_err(unreadable)?))
    }

    fn sort_key(&self) -> String {
        sort_key(self.push, self.number)
    }
}

fn sort_key(push: Ulid, number: usize) -> String {
    format!("{push}#{number:04}")
}

impl Table {
    /// A version's row and its symbols. One call.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn version_with_symbols(
        &self,
        id: &PackageId,
        version: &Version,
    ) -> Result<VersionWithSymbols, TableError> {
        let (of_version, of_symbols) = (version_key(id, version), symbols_key(id, version));
        let keys = [of_version.clone(), of_symbols].map(|key| at_key(key, Item::new()));
        let mut found = VersionWithSymbols::default();
        for item in self.batch(keys.to_vec()).await? {
            if text(&item, "pk")? == of_version.0 {
                found.version = Some(from_item(item)?);
            } else {
                found.symbols = Some(from_item(item)?);
            }
        }
        Ok(found)
    }

    /// The symbols of a version. One call.
    ///
    /// # Errors
    /// The table does not answer, or the row cannot be read.
    pub async fn symbols(
        &self,
        id: &PackageId,
        version: &Version,
    ) -> Result<Option<SymbolsRow>, TableError> {
        let item = self.item("give out symbols", symbols_key(id, version)).await?;
        item.map(from_item).transpose()
    }

    /// The pushes that the symbols of these versions are from, by package and version as
    /// keys have them. One call; at most 100 versions (AWS quota).
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn pushes_of_symbols(
        &self,
        versions: &[(PackageId, Version)],
    ) -> Result<HashMap<(String, String), Ulid>, TableError> {
        let keys: HashMap<(String, String), (String, String)> = versions
            .iter()
            .map(|(id, version)| (symbols_key(id, version), (id.key(), version.key())))
            .collect();
        let mut pushes = HashMap::new();
        let wanted = keys.keys().map(|key| at_key(key.clone(), Item::new())).collect();
        for item in self.batch(wanted).await? {
            let key = keys.get(&(text(&item, "pk")?, text(&item, "sk")?));
            let row: SymbolsRow = from_item(item)?;
            pushes.extend(key.map(|key| (key.clone(), row.push)));
        }
        Ok(pushes)
    }

    /// The PDBs with this GUID, those of the oldest pushes first: as many as 1 MB of rows
    /// holds, of any push. One call.
    ///
    /// # Errors
    /// The table does not answer, or a row cannot be read.
    pub async fn pdbs(&self, guid: &str) -> Result<Vec<PdbRow>, TableError> {
        // A sort key is never empty, and these begin with a ULID.
        const FIRST: &str = "0";
        let page = self
            .range(&pdb_key(guid), (FIRST, &end_of("")), &[])
            .send()
            .await
            .map_err(|error| unavailable("look up a PDB", error))?;
        page.items.unwrap_or_default().into_iter().map(from_item).collect()
    }

    /// Makes symbols those of their version, if it is there, in place of those in `replaced`.
    /// `pdbs` are the PDBs of `row`, in its order. One call, and one more for each further
    /// 100 PDBs above 97.
    ///
    /// # Errors
    /// The table does not answer: they may be in or not, and another try of the same push
    /// finds out.
    pub async fn commit_symbols(
        &self,
        (id, version): (&PackageId, &Version),
        row: &SymbolsRow,
        pdbs: &[PdbRow],
        replaced: Option<&SymbolsRow>,
        charges: &Charges,
    ) -> Result<SymbolsOutcome, TableError> {
        const ACTION: &str = "commit a push of symbols";
        let write = |(guid, pdb): (&String, &PdbRow)| {
            put(self.put(to_item((pdb_key(guid), pdb.sort_key()), pdb)?))
        };
        let mut writes: Vec<TransactWriteItem> =
            row.pdbs.iter().zip(pdbs).map(write).collect::<Result<_, _>>()?;
        let of_quotas = self.charged(charges)?;
        let own = OWN_WRITES + of_quotas.len();
        let before = writes.split_off(writes.len().min(WRITES.saturating_sub(own)));
        for writes in before.chunks(WRITES) {
            self.transact(ACTION, writes.to_vec()).await?;
        }
        let ulid = self.clock.ulid();
        let mut change = ChangeRow::new(ulid, (id, version), Change::Symbols, &row.pushed_by);
        change.bytes = Some(row.size);
        change.quotas = charges.amounts();
        if let Some(replaced) = replaced {
            change.free(&replaced.pushed_by, replaced.size);
        }
        writes.push(self.check_visible(id, version)?);
        let put_symbols = self.put(to_item(symbols_key(id, version), row)?);
        writes.push(put(match replaced {
            None => put_symbols.condition_expression("attribute_not_exists(pk)"),
            Some(replaced) => put_symbols
                .condition_expression("#push = :replaced")
                .expression_attribute_names("#push", "push")
                .expression_attribute_values(
                    ":replaced",
                    AttributeValue::S(replaced.push.to_string()),
                ),
        })?);
        writes.push(self.logged(ulid, &change)?);
        let before_quotas = writes.len();
        writes.extend(of_quotas);
        match self.transact(ACTION, writes).await? {
            Transaction::Done => Ok(SymbolsOutcome::Done),
            Transaction::Refused { write, .. } if write >= before_quotas => {
                Ok(SymbolsOutcome::QuotaChanged)
            }
            Transaction::Refused { .. } => Ok(SymbolsOutcome::Changed),
        }
    }

    /// Removes the rows of the PDBs of symbols that were replaced or deleted. One call per
    /// 100.
    ///
    /// # Errors
    /// The table does not answer. Rows that stay are of no effect.
    pub async fn forget_pdbs(&self, row: &SymbolsRow) -> Result<(), TableError> {
        let keys = row.pdbs.iter().enumerate();
        let keys = keys.map(|(number, guid)| (pdb_key(guid), sort_key(row.push, number)));
        let removals = keys.map(|key| self.removal(key)).collect::<Result<Vec<_>, TableError>>()?;
        for removals in removals.chunks(WRITES) {
            self.transact("remove the rows of PDBs", removals.to_vec()).await?;
        }
        Ok(())
    }

    /// Removes the row of one PDB. One call.
    ///
    /// # Errors
    /// The table does not answer.
    pub async fn forget_pdb(&self, guid: &str, row: &PdbRow) -> Result<(), TableError> {
        let removal = self.removal((pdb_key(guid), row.sort_key()))?;
        self.transact("remove the row of a PDB", vec![removal]).await?;
        Ok(())
    }

    /// The removal of a version's symbols as they were read: of none, if there were none.
    pub(super) fn removal_of_symbols(
        &self,
        (id, version): (&PackageId, &Version),
        symbols: Option<&SymbolsRow>,
    ) -> Result<TransactWriteItem, TableError> {
        let (pk, sk) = symbols_key(id, version);
        let delete = Delete::builder()
            .table_name(self.name.as_str())
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk));
        let delete = match symbols {
            None => delete.condition_expression("attribute_not_exists(pk)"),
            Some(symbols) => delete
                .condition_expression("#push = :push")
                .expression_attribute_names("#push", "push")
                .expression_attribute_values(":push", AttributeValue::S(symbols.push.to_string())),
        };
        let delete = delete.build().map_err(unreadable)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    fn check_visible(
        &self,
        id: &PackageId,
        version: &Version,
    ) -> Result<TransactWriteItem, TableError> {
        let (pk, sk) = version_key(id, version);
        let check = ConditionCheck::builder()
            .table_name(self.name.as_str())
            .key("pk", AttributeValue::S(pk))
            .key("sk", AttributeValue::S(sk))
            .condition_expression("#state = :visible")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":visible", AttributeValue::S("visible".to_owned()))
            .build()
            .map_err(unreadable)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}
