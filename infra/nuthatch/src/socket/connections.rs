//! How many connections there may be: in all, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limits on open connections. Clones share the counts.
#[derive(Debug, Clone)]
pub struct Connections {
    in_all: usize,
    per_address: usize,
    /// Proxies, which forward requests of many clients and name each client.
    proxies: Arc<[IpAddr]>,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    address: IpAddr,
    connections: Connections,
}

impl Connections {
    /// Allows `in_all` connections, and `per_address` from any address not in `proxies`.
    #[must_use]
    pub fn new(in_all: usize, per_address: usize, proxies: &[IpAddr]) -> Self {
        Self { in_all, per_address, proxies: proxies.into(), open: Arc::default() }
    }

    /// Low limits, for a service with few clients.
    #[must_use]
    pub fn few() -> Self {
        Self::new(256, 256, &[])
    }

    /// Whether `address` is that of a proxy.
    pub(super) fn is_proxy(&self, address: IpAddr) -> bool {
        self.proxies.contains(&address)
    }

    /// A place for a connection from `address`, if there is one left.
    pub(super) fn take(&self, address: IpAddr) -> Option<Connection> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let in_all: usize = open.values().sum();
        let here = open.get(&address).copied().unwrap_or_default();
        if in_all >= self.in_all || (here >= self.per_address && !self.is_proxy(address)) {
            return None;
        }
        open.insert(address, here + 1);
        Some(Connection { address, connections: self.clone() })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.address) {
            Some(here) if *here > 1 => *here -= 1,
            _ => {
                open.remove(&self.address);
            }
        }
    }
}

/// Raises the limit on open files and connections to the allowed maximum, because the usual
/// limit is a quarter of what a busy server needs. Returns the new limit.
pub(crate) fn raise_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let now = if raised.is_ok() { limit.maximum } else { limit.current };
    now.map_or(usize::MAX, |now| usize::try_from(now).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_run_out_for_an_address_and_for_all_and_come_back() {
        let [one, other, proxy] = [1, 2, 3].map(|last| IpAddr::from([192, 0, 2, last]));
        let connections = Connections::new(5, 2, &[proxy]);
        let mut held: Vec<_> = [one, one].map(|address| connections.take(address)).into();
        assert!(held.iter().all(Option::is_some));
        assert!(connections.take(one).is_none());
        held.extend([proxy, proxy, proxy].map(|address| connections.take(address)));
        assert!(held.iter().all(Option::is_some));
        assert!(connections.take(other).is_none());
        held.pop();
        assert!(connections.take(other).is_some());
        drop(held);
        assert!(connections.open.lock().unwrap().is_empty());
    }
}
