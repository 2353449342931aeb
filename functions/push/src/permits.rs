//! How many packages may arrive at once: each holds a file as large as itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use feed::KeyName;

/// Permits to send a package. Clones share them.
#[derive(Debug, Clone)]
pub struct Permits {
    in_all: usize,
    per_key: usize,
    taken: Arc<Mutex<HashMap<KeyName, usize>>>,
}

/// A permit, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    key: KeyName,
    permits: Permits,
}

impl Permits {
    /// So many permits, and so many of them for one key.
    #[must_use]
    pub fn new(in_all: usize, per_key: usize) -> Self {
        Self { in_all, per_key, taken: Arc::default() }
    }

    /// As many as anybody likes.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(usize::MAX, usize::MAX)
    }

    /// A permit for `key`, if there is one left.
    #[must_use]
    pub fn take(&self, key: &KeyName) -> Option<Permit> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let by_all: usize = taken.values().sum();
        let by_key = taken.get(key).copied().unwrap_or_default();
        if by_all >= self.in_all || by_key >= self.per_key {
            return None;
        }
        taken.insert(key.clone(), by_key + 1);
        Some(Permit { key: key.clone(), permits: self.clone() })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut taken = self.permits.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.key) {
            Some(by_key) if *by_key > 1 => *by_key -= 1,
            _ => {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_run_out_for_a_key_and_for_all_and_come_back() {
        let (ci, other) = ("ci".parse().unwrap(), "other".parse().unwrap());
        let permits = Permits::new(3, 2);
        let held = [permits.take(&ci).unwrap(), permits.take(&ci).unwrap()];
        assert!(permits.take(&ci).is_none());
        let last = permits.take(&other).unwrap();
        assert!(permits.take(&other).is_none());
        drop(last);
        assert!(permits.take(&other).is_some());
        drop(held);
        assert!(permits.take(&ci).is_some());
        assert!(permits.taken.lock().unwrap().is_empty());
    }
}
