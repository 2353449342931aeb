//! The memory that answers may take: while they are made, and until clients have read
//! them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use feed::{Body, Refusal, Reply};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Documents that are made at once.
const AT_ONCE: usize = 6;
/// How long a request waits for its turn to have one made.
const LONGEST: Duration = Duration::from_secs(10);
/// Bytes of answers that are not read yet: in all, and of one caller's.
const IN_ALL: usize = 64 * 1024 * 1024;
const PER_CALLER: usize = IN_ALL / 4;
/// Answers below it are not counted; connections are.
const SMALL: usize = 16 * 1024;

/// What is left. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    documents: Arc<Semaphore>,
    held: Arc<Mutex<HashMap<String, usize>>>,
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
        Self { documents: Arc::new(Semaphore::new(AT_ONCE)), held: Arc::default() }
    }
}

impl Budget {
    /// A turn to make a document.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = Arc::clone(&self.documents).acquire_owned();
        let turn = tokio::time::timeout(LONGEST, turn).await;
        turn.ok().and_then(Result::ok).ok_or(Refusal::Crowded)
    }

    /// `reply`, whose bytes count as long as they are held.
    pub(super) async fn charge(&self, caller: String, reply: Reply) -> Reply {
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
        match self.hold(caller, bytes) {
            Ok(held) => Reply::from_parts(parts, Body::from(Bytes::from_owner(held))),
            Err(refusal) => refusal.into(),
        }
    }

    fn hold(&self, caller: String, bytes: Bytes) -> Result<Held, Refusal> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let in_all: usize = held.values().sum();
        let of_caller = held.get(&caller).copied().unwrap_or_default();
        if in_all + bytes.len() > IN_ALL || of_caller + bytes.len() > PER_CALLER {
            return Err(if bytes.len() > PER_CALLER {
                Refusal::AnswerTooLarge
            } else {
                Refusal::Crowded
            });
        }
        held.insert(caller.clone(), of_caller + bytes.len());
        Ok(Held { bytes, caller, budget: self.clone() })
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.budget.held.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = held.get(&self.caller).copied().unwrap_or_default();
        match rest.saturating_sub(self.bytes.len()) {
            0 => held.remove(&self.caller),
            rest => held.insert(self.caller.clone(), rest),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_caller_leaves_room_for_others_and_gives_its_own_back() {
        let budget = Budget::default();
        let large = || Reply::new(Body::from(vec![0; 4 * 1024 * 1024]));
        let mut unread = Vec::new();
        for _ in 0..4 {
            unread.push(budget.charge("a".to_owned(), large()).await);
        }
        assert!(unread.iter().all(|reply| reply.status() == http::StatusCode::OK));
        let refused = budget.charge("a".to_owned(), large()).await;
        assert_eq!(refused.status(), http::StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()["retry-after"], "5");
        assert_eq!(budget.charge("b".to_owned(), large()).await.status(), http::StatusCode::OK);
        let small = Reply::new(Body::from("small"));
        assert_eq!(budget.charge("a".to_owned(), small).await.status(), http::StatusCode::OK);
        drop(unread);
        assert!(budget.held.lock().unwrap().is_empty());
        let huge = Reply::new(Body::from(vec![0; PER_CALLER + 1]));
        let huge = budget.charge("a".to_owned(), huge).await;
        assert_eq!(huge.status(), http::StatusCode::BAD_REQUEST);
    }
}
