//! The answers to transactions, for requests that come again.
//!
//! The SDK gives each transaction a token and sends the same request again where no answer
//! came. dynoxide remembers tokens, too, but for ten minutes, and walks through all of them at
//! each transaction (3.2.0, `evict_expired` in its lib.rs), so pushes slow each other down as
//! they add up. Here, the token is taken out of the request, and the request is remembered.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use dynoxide::actions::transact_write_items::TransactWriteItemsRequest;
use dynoxide::{Database, DynoxideError};
use sha2::{Digest, Sha256};

/// How long an answer is remembered. The SDK gives up on a call after ten seconds.
const REMEMBERED: Duration = Duration::from_mins(1);

/// The SHA-256 of a request, with its token.
type RequestHash = [u8; 32];

/// The answers of the last minute.
#[derive(Debug, Default)]
pub(super) struct Transactions(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    by_request: HashMap<RequestHash, String>,
    /// The oldest first.
    given: VecDeque<(Instant, RequestHash)>,
}

impl Transactions {
    /// Runs the transaction in `body`, or answers it as it was answered before.
    ///
    /// # Errors
    /// Those of the database. They are not remembered: nothing was written.
    pub(super) fn write(&self, database: &Database, body: &[u8]) -> Result<String, DynoxideError> {
        let mut request: TransactWriteItemsRequest = super::request(body)?;
        if request.client_request_token.take().is_none() {
            return super::json(&database.transact_write_items(request)?);
        }
        let hash = Sha256::digest(body).into();
        // Held until the transaction is done: the same request may come while it runs. The
        // database does one transaction at a time in any case.
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.forget_older_than(REMEMBERED);
        if let Some(answer) = answers.by_request.get(&hash) {
            return Ok(answer.clone());
        }
        let answer = super::json(&database.transact_write_items(request)?)?;
        answers.by_request.insert(hash, answer.clone());
        answers.given.push_back((Instant::now(), hash));
        Ok(answer)
    }
}

impl Answers {
    fn forget_older_than(&mut self, age: Duration) {
        while let Some((_, hash)) = self.given.pop_front_if(|(given, _)| given.elapsed() > age) {
            self.by_request.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn database(folder: &std::path::Path) -> Database {
        let database = Database::new(folder.join("table.db").to_str().unwrap()).unwrap();
        let table = json!({
            "TableName": "rows",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        });
        database.create_table(serde_json::from_value(table).unwrap()).unwrap();
        database
    }

    #[test]
    fn a_request_that_comes_again_is_answered_and_not_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let (database, transactions) = (database(folder.path()), Transactions::default());
        let write = |token: Option<&str>| {
            let put = json!({ "Put": {
                "TableName": "rows",
                "Item": { "pk": { "S": "a" } },
                "ConditionExpression": "attribute_not_exists(pk)",
            } });
            let body = json!({ "TransactItems": [put], "ClientRequestToken": token });
            transactions.write(&database, body.to_string().as_bytes())
        };
        let first = write(Some("one")).unwrap();
        assert_eq!(write(Some("one")).unwrap(), first);
        assert!(write(Some("two")).is_err());
        assert!(write(None).is_err());
        // A refusal is not remembered.
        let delete = json!({ "TableName": "rows", "Key": { "pk": { "S": "a" } } });
        database.delete_item(serde_json::from_value(delete).unwrap()).unwrap();
        write(Some("two")).unwrap();
    }

    #[test]
    fn old_answers_are_forgotten() {
        let mut answers = Answers::default();
        for request in 0..3 {
            answers.by_request.insert([request; 32], String::new());
            answers.given.push_back((Instant::now(), [request; 32]));
        }
        answers.forget_older_than(Duration::from_mins(1));
        assert_eq!(answers.by_request.len(), 3);
        std::thread::sleep(Duration::from_millis(2));
        answers.forget_older_than(Duration::from_millis(1));
        assert!(answers.by_request.is_empty() && answers.given.is_empty());
    }
}
