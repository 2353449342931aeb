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
//! One AWS call when nothing was changed since the last request; one more for
//! every 50 changed versions; one more for an instance's first request; and one an hour for the
//! counts of downloads.

mod document;
mod parameters;

use access::Scope;
use feed::{Context, Verb};
use http::header::{HeaderValue, LINK};
use nupkg::PackageId;
use protocol::{Access, BaseUrl, Caller, ConfigError, Refusal, Reply, Request, Route, Work, paths};
use search_index::{Downloads, Page, Question, Results, SearchIndex};

use parameters::Parameters;

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Search {
    /// The search index.
    pub index: SearchIndex,
    /// The counts of downloads.
    pub downloads: Downloads,
}

impl Verb for Search {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[
        Route::read(paths::SEARCH, Access::Key(Scope::Read)).takes(Work::Search),
        Route::read(paths::AUTOCOMPLETE, Access::Key(Scope::Read)).takes(Work::Search),
    ];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self { index: SearchIndex::of(context)?, downloads: Downloads::of(context)? })
    }

    async fn handle(&self, request: Request) -> Reply {
        let parameters = Parameters::of(request.uri().query().unwrap_or_default());
        let answer = if request.uri().path() == paths::AUTOCOMPLETE {
            self.complete(&request, parameters).await
        } else {
            self.search(&request, parameters).await
        };
        answer.unwrap_or_else(Reply::from)
    }
}

impl Search {
    async fn search(&self, request: &Request, parameters: Parameters) -> Result<Reply, Refusal> {
        let asked = Question::Text(parameters.text.clone().unwrap_or_default());
        let (page, view) = (parameters.page(), parameters.view);
        let results = self.find(request, asked, page, parameters).await?;
        let base = BaseUrl::of(request);
        let counts = self.downloads.counts().await;
        let reply = protocol::json_tagged(&document::results(base, view, &results, &counts));
        Ok(following(described(reply, &results), request, page, &results))
    }

    /// The ids that begin with the requested text; or, if the request names an id instead,
    /// the versions of that package.
    async fn complete(&self, request: &Request, parameters: Parameters) -> Result<Reply, Refusal> {
        match (&parameters.text, &parameters.id) {
            (None, Some(id)) => {
                let asked = Question::Id(id.clone());
                let page = Some(Page { skip: 0, take: 1 });
                let results = self.find(request, asked, page, parameters).await?;
                Ok(described(protocol::json_tagged(&document::versions(&results)), &results))
            }
            (text, _) => {
                let asked = Question::IdsLike(text.clone().unwrap_or_default());
                let page = parameters.page();
                let results = self.find(request, asked, page, parameters).await?;
                Ok(described(protocol::json_tagged(&document::ids(&results)), &results))
            }
        }
    }

    /// The matches; none for a page or a package type that cannot exist.
    async fn find(
        &self,
        request: &Request,
        asked: Question,
        page: Option<Page>,
        Parameters { view, package_type, .. }: Parameters,
    ) -> Result<Results, Refusal> {
        let is_type = |name: &String| PackageId::parse(name).is_ok();
        let Some(page) = page.filter(|_| package_type.as_ref().is_none_or(is_type)) else {
            return Ok(Results::none());
        };
        let caller = Caller::of(request);
        Ok(self
            .index
            .search(search_index::Search { asked, view, package_type, caller, page })
            .await?)
    }
}

/// `reply`, marked if the newest changes are not in it yet.
fn described(reply: Reply, results: &Results) -> Reply {
    if results.is_current { reply } else { protocol::behind(reply) }
}

/// `reply`, with a link to the next page if this one has fewer results than were asked for
/// (RFC 8288). `totalHits` stays the same, so a client that continues after the results it
/// got misses none.
fn following(mut reply: Reply, request: &Request, page: Option<Page>, results: &Results) -> Reply {
    let Some(page) = page.filter(|_| results.is_cut) else { return reply };
    let query = request.uri().query().unwrap_or_default();
    let others = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| !name.eq_ignore_ascii_case("skip"));
    let mut next = form_urlencoded::Serializer::new(String::new());
    next.extend_pairs(others);
    next.append_pair("skip", &(page.skip + results.found.len()).to_string());
    let link =
        format!("<{}{}?{}>; rel=\"next\"", BaseUrl::of(request), paths::SEARCH, next.finish());
    if let Ok(link) = HeaderValue::try_from(link) {
        reply.headers_mut().insert(LINK, link);
    }
    reply
}
