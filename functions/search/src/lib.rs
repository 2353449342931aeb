//! GET of search and autocomplete: which packages are there?
//!
//! | answer | when |
//! |---|---|
//! | 200 | what matches, and how much; also nothing |
//! | 401 | reading needs a key |
//! | 503 | the index has not read all changes yet, as after the loss of its snapshot |
//!
//! Only listed versions are found, only those of the asked kind (prerelease,
//! `SemVer` 2), and only packages that the key may see.
//!
//! One AWS call when nothing was changed since the last request; one more for
//! every 50 changed versions; one more for an instance's first request.

mod document;
mod parameters;

use feed::{
    Aws, BaseUrl, BucketName, Caller, ConfigError, Environment, Lifetime, Objects, Refusal, Reply,
    Request, Table, TableName,
};
use finder::{Asked, Finder, Page, Results};
use nupkg::PackageId;

use parameters::Parameters;

/// The verb, with all it may touch.
#[derive(Debug, Clone)]
pub struct Search {
    /// Who finds.
    pub finder: Finder,
}

impl Search {
    /// The verb as a function's environment configures it.
    ///
    /// # Errors
    /// A setting is missing or wrong.
    pub fn from_environment(environment: &Environment<'_>, aws: Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb, environment.required(TableName::SETTING)?);
        let objects = Objects::new(aws.s3, environment.required(BucketName::SETTING)?);
        Ok(Self { finder: Finder::new(table, objects) })
    }

    /// Answers a GET.
    pub async fn handle(&self, request: Request) -> Reply {
        let parameters = Parameters::of(request.uri().query().unwrap_or_default());
        let answer = if request.uri().path() == "/v3/autocomplete" {
            self.complete(&request, parameters).await
        } else {
            self.search(&request, parameters).await
        };
        answer.unwrap_or_else(Reply::from)
    }

    async fn search(&self, request: &Request, parameters: Parameters) -> Result<Reply, Refusal> {
        let asked = Asked::Text(parameters.text.clone().unwrap_or_default());
        let (page, view) = (parameters.page(), parameters.view);
        let results = self.find(request, asked, page, parameters).await?;
        let base = BaseUrl::of(request);
        Ok(tagged(feed::json(&document::results(base, view, &results)), request, &results))
    }

    /// Ids that begin as asked; or, where an id is asked for and no beginning,
    /// that package's versions.
    async fn complete(&self, request: &Request, parameters: Parameters) -> Result<Reply, Refusal> {
        match (&parameters.text, &parameters.id) {
            (None, Some(id)) => {
                let asked = Asked::Id(id.clone());
                let page = Some(Page { skip: 0, take: 1 });
                let results = self.find(request, asked, page, parameters).await?;
                Ok(tagged(feed::json(&document::versions(&results)), request, &results))
            }
            (text, _) => {
                let asked = Asked::IdsLike(text.clone().unwrap_or_default());
                let page = parameters.page();
                let results = self.find(request, asked, page, parameters).await?;
                Ok(tagged(feed::json(&document::ids(&results)), request, &results))
            }
        }
    }

    /// What matches; nothing for a page or a package type that cannot be.
    async fn find(
        &self,
        request: &Request,
        asked: Asked,
        page: Option<Page>,
        Parameters { view, package_type, .. }: Parameters,
    ) -> Result<Results, Refusal> {
        let is_type = |name: &String| PackageId::parse(name).is_ok();
        let Some(page) = page.filter(|_| package_type.as_ref().is_none_or(is_type)) else {
            return Ok(Results::default());
        };
        let caller = Caller::of(request);
        Ok(self.finder.search(finder::Search { asked, view, package_type, caller, page }).await?)
    }
}

/// Two keys may see different packages at the same address.
fn tagged(reply: Reply, request: &Request, results: &Results) -> Reply {
    match results.generation {
        None => reply,
        Some(generation) => {
            let tag = format!("{generation}-{}", Caller::of(request).name());
            feed::tagged(reply, &tag, Lifetime::Checked)
        }
    }
}
