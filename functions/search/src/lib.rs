//! GET of search and autocomplete: which packages are there?
//!
//! | answer | when |
//! |---|---|
//! | 200 | the matches and their number, even if there are none |
//! | 401 | reading needs a key |
//! | 503 | the index has not read anything yet, for example after the loss of its snapshot |
//!
//! After two seconds it answers from the changes read so far, and says so in
//! `X-Nuthatch-Index`. It finds only listed versions, only those of the requested kind
//! (prerelease, `SemVer` 2), and only packages that the key may see.
//!
//! The answers that are asked for again are remembered until something changes.
//!
//! One AWS call when nothing was changed since the last request, and none where the table counts
//! revisions; one more for
//! every 50 changed versions; one more for an instance's first request; and one an hour for the
//! counts of downloads.

mod answers;
mod document;
mod parameters;

use access::Scope;
use feed::{Context, Verb};
use http::header::HeaderValue;
use nupkg::PackageId;
use protocol::{Access, BaseUrl, Caller, ConfigError, Refusal, Reply, Request, Route, Work, paths};
use search_index::{Downloads, Page, Question, Results, SearchIndex};
use store::DownloadCounts;

use answers::{Answer, Answers, State};
use parameters::Parameters;

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Search {
    /// The search index.
    pub index: SearchIndex,
    /// The counts of downloads.
    pub downloads: Downloads,
    answers: Answers,
}

impl Verb for Search {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[
        Route::read(paths::SEARCH, Access::Key(Scope::Read)).takes(Work::Search),
        Route::read(paths::AUTOCOMPLETE, Access::Key(Scope::Read)).takes(Work::Search),
    ];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        let (index, downloads) = (SearchIndex::of(context)?, Downloads::of(context)?);
        Ok(Self { index, downloads, answers: Answers::new() })
    }

    async fn handle(&self, request: Request) -> Reply {
        self.answer(&request).await.unwrap_or_else(Reply::from)
    }
}

/// The documents that answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Packages, for search.
    Packages,
    /// The ids that begin with the requested text.
    Ids,
    /// The versions of the package that the request names instead.
    Versions,
}

impl Search {
    async fn answer(&self, request: &Request) -> Result<Reply, Refusal> {
        let parameters = Parameters::of(request.uri().query().unwrap_or_default());
        let kind = match (request.uri().path(), &parameters.text, &parameters.id) {
            (paths::AUTOCOMPLETE, None, Some(_)) => Kind::Versions,
            (paths::AUTOCOMPLETE, ..) => Kind::Ids,
            _ => Kind::Packages,
        };
        let (base, view) = (BaseUrl::of(request), parameters.view);
        let write = |results: &Results, counts: &DownloadCounts| {
            let document = match kind {
                Kind::Packages => {
                    serde_json::to_vec(&document::results(base, view, results, counts))
                }
                Kind::Ids => serde_json::to_vec(&document::ids(results)),
                Kind::Versions => serde_json::to_vec(&document::versions(results)),
            };
            document.map_err(|error| Refusal::Broken(error.into()))
        };
        let Some(search) = asked(kind, parameters, Caller::of(request)) else {
            let document = write(&Results::none(), &DownloadCounts::default())?;
            return Ok(Answer::new(State::default(), document).into_reply());
        };
        let now = self.index.now().await?;
        let counts = match kind {
            Kind::Packages => Some(self.downloads.counts().await),
            Kind::Ids | Kind::Versions => None,
        };
        let (question, is_current) = (answers::question(request), now.is_current);
        let state = State::new(now.generation, counts.as_ref());
        let described = |answer: Answer| {
            let reply = answer.into_reply();
            if is_current { reply } else { protocol::behind(reply) }
        };
        if let Some(answer) = self.answers.get(&question, &state) {
            return Ok(described(answer));
        }
        let page = search.page;
        let results = now.search(search).await?;
        let document = write(&results, counts.as_deref().unwrap_or(&DownloadCounts::default()))?;
        let mut answer = Answer::new(state, document);
        answer.next = next_page(request, page, &results).filter(|_| kind == Kind::Packages);
        self.answers.remember(question, &answer);
        Ok(described(answer))
    }
}

/// The search of a request; none for a page or a package type that cannot exist.
fn asked(kind: Kind, parameters: Parameters, caller: Caller) -> Option<search_index::Search> {
    let page = match kind {
        Kind::Versions => Page { skip: 0, take: 1 },
        Kind::Packages | Kind::Ids => parameters.page()?,
    };
    let Parameters { text, id, view, package_type, .. } = parameters;
    if package_type.as_ref().is_some_and(|name| PackageId::parse(name).is_err()) {
        return None;
    }
    let asked = match kind {
        Kind::Packages => Question::Text(text.unwrap_or_default()),
        Kind::Ids => Question::IdsLike(text.unwrap_or_default()),
        Kind::Versions => Question::Id(id.unwrap_or_default()),
    };
    Some(search_index::Search { asked, view, package_type, caller, page })
}

/// The link to the next page, if this one has fewer results than were asked for (RFC 8288).
/// `totalHits` stays the same, so a client that continues after the results it got misses none.
fn next_page(request: &Request, page: Page, results: &Results) -> Option<HeaderValue> {
    if !results.is_cut {
        return None;
    }
    let query = request.uri().query().unwrap_or_default();
    let others = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| !name.eq_ignore_ascii_case("skip"));
    let mut next = form_urlencoded::Serializer::new(String::new());
    next.extend_pairs(others);
    next.append_pair("skip", &(page.skip + results.found.len()).to_string());
    let link =
        format!("<{}{}?{}>; rel=\"next\"", BaseUrl::of(request), paths::SEARCH, next.finish());
    HeaderValue::try_from(link).ok()
}
