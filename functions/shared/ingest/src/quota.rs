//! Quotas of pushes: each push is judged before its bytes are stored, and takes its part in the
//! commit.

use access::{KeyName, QuotaName, QuotaPart};
use nupkg::PackageId;
use protocol::Refusal;
use store::{Charge, Charges, SymbolsRow, Table};

/// A push, as far as quotas care.
#[derive(Debug, Clone, Copy)]
pub struct Counted<'a> {
    /// The package.
    pub id: &'a PackageId,
    /// The key that it is pushed with.
    pub key: &'a KeyName,
    /// The quotas that it may be counted in.
    pub quotas: &'a [QuotaName],
    /// Its bytes.
    pub bytes: u64,
    /// Its kind.
    pub kind: CountedKind<'a>,
}

/// The kind of a push, as far as quotas care.
#[derive(Debug, Clone, Copy)]
pub enum CountedKind<'a> {
    /// A package.
    Package,
    /// Symbols, and those that they replace.
    Symbols(Option<&'a SymbolsRow>),
}

impl Counted<'_> {
    /// Its part in each quota that is for it. One call; none without quotas.
    ///
    /// # Errors
    /// One has no room, or the table does not answer.
    pub async fn charges(&self, table: &Table) -> Result<Charges, Refusal> {
        let Self { id, key, bytes, .. } = *self;
        let (replaced, pushes) = match self.kind {
            CountedKind::Package => (None, 1),
            CountedKind::Symbols(replaced) => (replaced, 0),
        };
        let mut charges = Charges::default();
        for quota in table.quotas(self.quotas).await? {
            if !quota.covers(&id.key(), key.as_str()) {
                continue;
            }
            let replaced = replaced.filter(|replaced| replaced.quotas.contains(&quota.name));
            let freed = replaced.map_or(0, |replaced| replaced.size);
            let part = QuotaPart { bytes, freed, pushes };
            if let Some(problem) = quota.problem(part, table.now()) {
                return Err(Refusal::OverQuota { quota: quota.name, problem });
            }
            if quota.counts() {
                charges.taken.push(Charge { quota, part });
            }
        }
        if let Some(replaced) = replaced {
            charges.give_back(&replaced.quotas, replaced.size);
        }
        Ok(charges)
    }
}
