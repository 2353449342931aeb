//! GET of the usage of a month: of the whole feed for an admin, and for anybody else of the
//! packages that the key may see.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the figures, in groups and in all |
//! | 400 | the month or the grouping is not valid |
//! | 401 | there is no key, also where reading is open to all |
//! | 403 | only an admin may see the names of keys |
//!
//! AWS calls: one for the list of books, one for the month's book, and one for each MB of
//! changes in the month; for a month that has no book yet, also those of the months since the
//! last book.

use access::{KeyProblem, Scope};
use feed::{Context, Verb};
use protocol::{Access, Caller, ConfigError, Refusal, Reply, Request, Route, paths};
use store::{Ledger, LedgerError};
use usage::{Grouping, Month};

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Account {
    /// The ledger.
    pub ledger: Ledger,
}

/// The parameters of a request.
struct Asked {
    /// The month; the present one, where the request names none.
    month: Option<Month>,
    by: Grouping,
}

impl Verb for Account {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[Route::read(paths::USAGE, Access::ReadByKey)];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        let (table, objects) = (context.table()?, context.objects()?);
        Ok(Self { ledger: Ledger { table, objects } })
    }

    async fn handle(&self, request: Request) -> Reply {
        self.report(&request).await.unwrap_or_else(Reply::from)
    }
}

impl Account {
    async fn report(&self, request: &Request) -> Result<Reply, Refusal> {
        let Asked { month, by } = Asked::of(request.uri().query().unwrap_or_default())?;
        let caller = Caller::of(request);
        if by == Grouping::Key && !caller.may(Scope::Admin) {
            return Err(Refusal::Key { problem: KeyProblem::LacksScope, scope: Scope::Admin });
        }
        let month = month.unwrap_or_else(|| Month::of(self.ledger.table.now()));
        let report = self.ledger.report(month, by, |id| caller.covers_key(id)).await;
        Ok(protocol::json(&report.map_err(|error| match error {
            LedgerError::Table(error) => Refusal::from(error),
            LedgerError::Object(error) => Refusal::from(error),
        })?))
    }
}

impl Asked {
    fn of(query: &str) -> Result<Self, Refusal> {
        let mut asked = Self { month: None, by: Grouping::default() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let invalid = |name, remedy| Refusal::invalid_parameter(name, &value, remedy);
            match name.as_ref() {
                "month" => {
                    let month =
                        value.parse().map_err(|_| invalid("month", "write it like 2026-11"))?;
                    asked.month = Some(month);
                }
                "by" => {
                    let by = value.parse();
                    asked.by =
                        by.map_err(|_| invalid("by", "use key, id-prefix, id, day or verb"))?;
                }
                _ => {}
            }
        }
        Ok(asked)
    }
}
