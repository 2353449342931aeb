//! The memory that answers may take: while they are made, and until clients have read
//! them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use protocol::{Body, Caller, Peer, Refusal, Reply, Request, Work};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How many documents may be made at the same time. Searches have a limit of the same size.
const AT_ONCE: usize = 6;
/// How long a request waits for its turn. Clients wait for an answer for 100 s
/// (`HttpClient` of .NET).
const LONGEST: Duration = Duration::from_mins(1);
/// The limits on bytes of answers that are not read yet: of all callers, and of one caller.
/// Answers that are still being made come on top.
const IN_ALL: usize = 64 * 1024 * 1024;
const PER_CALLER: usize = IN_ALL / 4;
/// Answers smaller than this are not counted: the limit on connections bounds them.
const SMALL: usize = 16 * 1024;

/// The memory that is left. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    documents: Arc<Semaphore>,
    searches: Arc<Semaphore>,
    held: Arc<Mutex<HashMap<String, usize>>>,
    read: Arc<Notify>,
}

/// A turn to make an answer, which ends when its bytes are counted.
#[derive(Debug)]
pub(super) struct Turn {
    caller: String,
    budget: Budget,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Bytes of an answer, until they have been read.
#[derive(Debug)]
struct Held {
    bytes: Bytes,
    caller: String,
    budget: Budget,
}

impl Default for Budget {
    fn default() -> Self {
        let turns = || Arc::new(Semaphore::new(AT_ONCE));
        Self { documents: turns(), searches: turns(), held: Arc::default(), read: Arc::default() }
    }
}

impl Budget {
    /// Waits for a turn to answer `request`, which needs `work`. A caller with too many unread
    /// answers waits until some are read, without delaying other callers.
    pub(super) async fn turn(&self, work: Work, request: &Request) -> Result<Turn, Refusal> {
        let caller = caller_of(request);
        let turns = match work {
            Work::Document => Some(&self.documents),
            Work::Search => Some(&self.searches),
            Work::Little => None,
        };
        let permit = match turns {
            Some(turns) => {
                let permit = tokio::time::timeout(LONGEST, self.permit(turns, &caller)).await;
                Some(permit.ok().flatten().ok_or(Refusal::Crowded)?)
            }
            None => None,
        };
        Ok(Turn { caller, budget: self.clone(), _permit: permit })
    }

    async fn permit(&self, turns: &Arc<Semaphore>, caller: &str) -> Option<OwnedSemaphorePermit> {
        loop {
            let read = self.read.notified();
            let permit = Arc::clone(turns).acquire_owned().await.ok()?;
            if self.has_room(caller) {
                return Some(permit);
            }
            drop(permit);
            read.await;
        }
    }

    fn has_room(&self, caller: &str) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_caller = held.get(caller).copied().unwrap_or_default();
        of_caller < PER_CALLER && held.values().sum::<usize>() < IN_ALL
    }
}

impl Turn {
    /// `reply`, whose bytes are counted until they are dropped.
    pub(super) async fn charge(self, reply: Reply) -> Reply {
        if !reply.body().is_in_memory() {
            return reply;
        }
        let (parts, body) = reply.into_parts();
        let bytes = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Refusal::Broken(error).into(),
        };
        if bytes.len() < SMALL {
            return Reply::from_parts(parts, Body::from(bytes));
        }
        let held = Held { bytes, caller: self.caller, budget: self.budget };
        held.count(|of_caller, bytes| of_caller + bytes);
        Reply::from_parts(parts, Body::from(Bytes::from_owner(held)))
    }
}

impl Held {
    fn count(&self, change: impl Fn(usize, usize) -> usize) {
        let mut held = self.budget.held.lock().unwrap_or_else(PoisonError::into_inner);
        let before = held.get(&self.caller).copied().unwrap_or_default();
        match change(before, self.bytes.len()) {
            0 => held.remove(&self.caller),
            after => held.insert(self.caller.clone(), after),
        };
    }
}

/// The caller that the memory of an answer is counted for: the key, or where there is
/// none, the address.
fn caller_of(request: &Request) -> String {
    match (Caller::of(request), Peer::of(request)) {
        (Caller::Key { name, .. }, _) => name.to_string(),
        (Caller::Anonymous, Some(peer)) => peer.0.to_string(),
        (Caller::Anonymous, None) => String::new(),
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.count(usize::saturating_sub);
        self.budget.read.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request of the client at `127.0.0.<address>`.
    fn request(address: u8) -> Request {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Peer([127, 0, 0, address].into()));
        request
    }

    async fn answer(budget: &Budget, address: u8, bytes: usize) -> Result<Reply, Refusal> {
        let turn = budget.turn(Work::Document, &request(address)).await?;
        Ok(turn.charge(Reply::new(Body::from(vec![0; bytes]))).await)
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_waits_until_its_answers_are_read_and_leaves_room_for_others() {
        let budget = Budget::default();
        let mut unread = Vec::new();
        for _ in 0..4 {
            unread.push(answer(&budget, 1, PER_CALLER / 4).await.unwrap());
        }
        assert!(matches!(answer(&budget, 1, 1).await, Err(Refusal::Crowded)));
        let mut waiting: Vec<_> = (0..20).map(|_| Box::pin(answer(&budget, 1, SMALL))).collect();
        for waiting in &mut waiting {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        answer(&budget, 2, PER_CALLER / 4).await.unwrap();
        unread.pop();
        let read = tokio::time::timeout(LONGEST / 2, async {
            for waiting in waiting {
                waiting.await.unwrap();
            }
        });
        read.await.unwrap();
        drop(unread);
        assert!(budget.held.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn searches_that_wait_keep_no_list_from_its_turn() {
        let budget = Budget::default();
        let request = request(1);
        let search = || budget.turn(Work::Search, &request);
        let mut searches = Vec::new();
        for _ in 0..AT_ONCE {
            searches.push(search().await.unwrap());
        }
        assert!(matches!(search().await, Err(Refusal::Crowded)));
        answer(&budget, 1, 1).await.unwrap();
    }
}
