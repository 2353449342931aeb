//! GET of the log of changes, for mirrors and tools that follow the feed.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the changes after the named one, the oldest first |
//! | 400 | `after` is no ULID, or `take` no number from 1 to 1,000 |
//! | 401 | reading needs a key |
//!
//! The changes are complete and in their order: those of the last minute are not told yet,
//! because one may still come between them. Only changes of packages that the key may see are
//! told, and the key that made one only to a key with the scope `admin`. `next` is there as long
//! as there are more; who comes again later asks for those after `through`.
//!
//! One AWS call, and one more for each further month.

use access::Scope;
use feed::{Context, Verb};
use protocol::{Access, Caller, ConfigError, Refusal, Reply, Request, Route, paths};
use serde::Serialize;
use store::{LogEntry, LogKind, Table};
use ulid::Ulid;

/// The changes of a page, where the request does not say, and the most of one.
const TAKE: usize = 1_000;

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Follow {
    /// The table of changes.
    pub table: Table,
}

/// The parameters of a request.
struct Asked {
    after: Option<Ulid>,
    take: usize,
}

#[derive(Serialize)]
struct Page<'a> {
    items: Vec<Item<'a>>,
    /// Where to go on now; `null` where there are no more.
    next: Option<Ulid>,
    /// Where to go on later.
    through: Option<Ulid>,
}

#[derive(Serialize)]
struct Item<'a> {
    ulid: Ulid,
    id: &'a str,
    version: &'a str,
    change: &'a LogKind,
    at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
}

impl Verb for Follow {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[Route::read(paths::LOG, Access::Key(Scope::Read))];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self { table: context.table()? })
    }

    async fn handle(&self, request: Request) -> Reply {
        self.page(&request).await.unwrap_or_else(Reply::from)
    }
}

impl Follow {
    async fn page(&self, request: &Request) -> Result<Reply, Refusal> {
        let Asked { after, take } = Asked::of(request.uri().query().unwrap_or_default())?;
        let caller = Caller::of(request);
        let page = self.table.log_page(after, take).await?;
        let names_keys = caller.may(Scope::Admin);
        let seen = page.entries.iter().filter(|entry| caller.covers_key(&entry.subject));
        Ok(protocol::json(&Page {
            items: seen.map(|entry| Item::of(entry, names_keys)).collect(),
            next: page.through.filter(|_| !page.is_last),
            through: page.through,
        }))
    }
}

impl<'a> Item<'a> {
    fn of(entry: &'a LogEntry, names_key: bool) -> Self {
        Self {
            ulid: entry.ulid,
            id: &entry.subject,
            version: entry.version.as_deref().unwrap_or_default(),
            change: &entry.kind,
            at: &entry.at,
            by: names_key.then_some(entry.by.as_str()),
        }
    }
}

impl Asked {
    fn of(query: &str) -> Result<Self, Refusal> {
        let mut asked = Self { after: None, take: TAKE };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let invalid = |name, remedy| Refusal::invalid_parameter(name, &value, remedy);
            match name.as_ref() {
                "after" if !value.is_empty() => {
                    let after = value.parse().map_err(|_| {
                        invalid("after", "give the ULID of a change, or 'next' of the last answer")
                    })?;
                    asked.after = Some(after);
                }
                "take" => {
                    let take = value.parse().ok().filter(|take| (1..=TAKE).contains(take));
                    asked.take =
                        take.ok_or_else(|| invalid("take", "give a number from 1 to 1000"))?;
                }
                _ => {}
            }
        }
        Ok(asked)
    }
}
