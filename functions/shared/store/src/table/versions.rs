//! Versions of packages: one transaction per change, which is all there is to
//! a commit.

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use nupkg::{Package, PackageId, Version};
use ulid::Ulid;
use usage::Change;

use super::changes::ChangeRow;
use super::rows::{NuspecRow, metadata_key, nuspec_key, version_key};
use super::writes::{Transaction, put, update_item};
use super::{
    Charges, Metadata, SymbolsRow, Table, TableError, VersionRow, VersionState, from_item, to_item,
    unreadable,
};
use access::KeyName;

/// The outcome of a push.
#[derive(Debug)]
pub enum CommitOutcome {
    /// It is in: visible to every request from now on.
    Done,
    /// Another push was first; its row.
    Lost(Box<VersionRow>),
    /// A quota is not as it was read.
    QuotaChanged,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// The version is gone from every view.
    Deleted,
    /// The version or its symbols have changed meanwhile.
    Changed,
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

    /// Makes a pushed version visible, unless its number is taken or a quota has no room for
    /// it. With `may_restore`, a deleted version comes back if the bytes are the same. One call.
    ///
    /// # Errors
    /// The table does not answer: the version may be in or not, and another try of the same
    /// push finds out.
    pub async fn commit(
        &self,
        row: &VersionRow,
        package: &Package,
        may_restore: bool,
        charges: &Charges,
    ) -> Result<CommitOutcome, TableError> {
        let Package { nuspec, nuspec_zlib, .. } = package;
        let (id, version) = (&nuspec.id, &nuspec.version);
        // Named only now, because an upload may have taken a while.
        let ulid = self.clock.ulid();
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
        let metadata = to_item(metadata_key(id, version), &Metadata::from(nuspec))?;
        let nuspec_row = NuspecRow { zlib: nuspec_zlib.clone() };
        let writes = vec![
            put(put_version)?,
            put(self.put(metadata))?,
            put(self.put(to_item(nuspec_key(id, version), &nuspec_row)?))?,
        ];
        let mut change = ChangeRow::new(ulid, (id, version), Change::Pushed, &row.pushed_by);
        change.bytes = Some(row.size);
        change.quotas = charges.amounts();
        let mut writes = self.with_change(writes, ulid, (id, version), &change)?;
        let of_quotas = writes.len();
        writes.extend(self.charged(charges)?);
        match self.transact("commit a push", writes).await? {
            Transaction::Done => Ok(CommitOutcome::Done),
            Transaction::Refused { write, .. } if write >= of_quotas => {
                Ok(CommitOutcome::QuotaChanged)
            }
            Transaction::Refused { item: Some(item), .. } => {
                Ok(CommitOutcome::Lost(Box::new(from_item(item)?)))
            }
            Transaction::Refused { item: None, .. } => {
                Err(unreadable("a refused commit without a row"))
            }
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
        let ulid = self.clock.ulid();
        let update = self
            .update(version_key(id, version), ulid)
            .update_expression("SET listed = :listed, changed = :changed")
            .condition_expression("#state = :visible AND listed <> :listed")
            .expression_attribute_values(":listed", AttributeValue::Bool(listed));
        let writes = vec![update_item(update)?];
        let change = ChangeRow::new(ulid, (id, version), change, by);
        let writes = self.with_change(writes, ulid, (id, version), &change)?;
        match self.transact("change whether a version is listed", writes).await? {
            Transaction::Done => Ok(Listing::Changed),
            Transaction::Refused { item: None, .. } => Ok(Listing::NoSuchVersion),
            Transaction::Refused { item: Some(item), .. } => {
                match from_item::<VersionRow>(item)?.state {
                    VersionState::Visible => Ok(Listing::Unchanged),
                    VersionState::Deleted => Ok(Listing::NoSuchVersion),
                }
            }
        }
    }

    /// Deletes a version as it stands in `row`, and its `symbols`, from every view, and leaves
    /// its number taken. Quotas get back the bytes. One call.
    ///
    /// # Errors
    /// The table does not answer: it may be done or not, and trying again does
    /// no harm.
    pub async fn delete(
        &self,
        (id, version): (&PackageId, &Version),
        row: &VersionRow,
        symbols: Option<&SymbolsRow>,
        by: &KeyName,
    ) -> Result<Deletion, TableError> {
        // A version deleted and brought back meanwhile has another object, which must stay.
        let ulid = self.clock.ulid();
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
            self.removal_of_symbols((id, version), symbols)?,
        ];
        let mut change = ChangeRow::new(ulid, (id, version), Change::Deleted, by);
        let mut charges = Charges::default();
        change.free(&row.pushed_by, row.size);
        charges.give_back(&row.quotas, row.size);
        if let Some(symbols) = symbols {
            change.free(&symbols.pushed_by, symbols.size);
            charges.give_back(&symbols.quotas, symbols.size);
        }
        change.quotas = charges.amounts();
        let mut writes = self.with_change(writes, ulid, (id, version), &change)?;
        writes.extend(self.charged(&charges)?);
        match self.transact("delete a version", writes).await? {
            Transaction::Done => Ok(Deletion::Deleted),
            Transaction::Refused { .. } => Ok(Deletion::Changed),
        }
    }

    /// An update of a version's row, prepared for a condition that the version is visible.
    fn update(&self, key: (String, String), change: Ulid) -> UpdateBuilder {
        self.updating(key)
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":visible", AttributeValue::S("visible".to_owned()))
            .expression_attribute_values(":changed", AttributeValue::S(change.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// `writes`, plus the writes of every change of a version: a row of the log, and the
    /// package's head.
    fn with_change(
        &self,
        mut writes: Vec<TransactWriteItem>,
        ulid: Ulid,
        (id, version): (&PackageId, &Version),
        change: &ChangeRow,
    ) -> Result<Vec<TransactWriteItem>, TableError> {
        writes.push(self.logged(ulid, change)?);
        writes.push(self.headed(ulid, id, version)?);
        Ok(writes)
    }
}
