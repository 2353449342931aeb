//! The web front: pages for people, rendered here, that work without scripts.
//!
//! | answer | when |
//! |---|---|
//! | 200 | search, a package's page, how to report it, the sign-in, the style |
//! | 303 | to the sign-in, if reading needs a key and the visitor has not signed in |
//! | 404 | the feed has no such package or version, or the key is not good for it |
//!
//! A visitor signs in with a key; the browser keeps it in a cookie that no script and no
//! other site can use. Text from a package is escaped, or rendered from Markdown without
//! any HTML of its own. In any case, the policy sent with every page lets nothing run.
//!
//! Two AWS calls for a package's page (its versions, its readme), the index's for
//! a search, one for a key that is not remembered, and one an hour for the counts of downloads.

mod install;
mod layout;
mod package;
mod readme;
mod report;
mod search;
mod session;

use std::sync::Arc;

use access::{Scope, SessionCookie};
use feed::{Context, KeyCache, KeyCacheError, ReadAccess, Verb};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use nupkg::PackageId;
use protocol::{
    Access, BaseUrl, Body, Caller, ConfigError, PathParameters, Peer, Refusal, Reply, Request,
    Route, Work, paths,
};
use search_index::{Downloads, SearchIndex};
use store::{Objects, Release, Releases, Stamped, Table, TableError};
use trust::Run;

use layout::Site;

/// The style sheet of all pages.
const STYLE: &str = include_str!("style.css");

/// The verb, with all it may touch.
#[derive(Debug)]
pub struct Web {
    /// The packages.
    pub releases: Releases,
    /// The table of symbols.
    pub table: Table,
    /// The bucket that holds the readmes.
    pub objects: Objects,
    /// The search index.
    pub index: SearchIndex,
    /// The counts of downloads.
    pub downloads: Downloads,
    /// The known keys.
    pub keys: KeyCache,
    /// The callers that may read.
    pub read_access: ReadAccess,
}

impl Verb for Web {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[
        // Each page asks for the key itself, and sends a visitor without one to the sign-in.
        Route::read(paths::HOME, Access::Open).takes(Work::Search),
        Route::read(paths::PACKAGE_PAGE, Access::Open).takes(Work::Document),
        Route::read(paths::VERSION_PAGE, Access::Open).takes(Work::Document),
        Route::read(paths::REPORT_PAGE, Access::Open).takes(Work::Document),
        Route::read(paths::SIGN_IN, Access::Open),
        Route::post(paths::SIGN_IN, Access::Open),
        Route::post(paths::SIGN_OUT, Access::Open),
        Route::read(paths::STYLE, Access::Open),
    ];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self {
            releases: context.releases()?,
            table: context.table()?,
            objects: context.objects()?,
            index: SearchIndex::of(context)?,
            downloads: Downloads::of(context)?,
            keys: context.keys()?,
            read_access: context.environment.or_default(ReadAccess::SETTING)?,
        })
    }

    async fn handle(&self, request: Request) -> Reply {
        let base = BaseUrl::of(&request).to_owned();
        let site = Site { base: &base, read_access: self.read_access };
        let is_post = request.method() == Method::POST;
        match request.uri().path() {
            paths::STYLE => style(),
            paths::SIGN_IN | paths::SIGN_OUT
                if is_post && session::is_foreign(&site, request.headers()) =>
            {
                session::foreign(&site)
            }
            paths::SIGN_IN if is_post => self.sign_in(&site, request).await,
            paths::SIGN_IN => session::page(&site, &return_path(&request), None),
            paths::SIGN_OUT if is_post => session::end(&site),
            _ => match self.caller(&request).await {
                Ok(Some(caller)) => {
                    let page = self.page(&site, &request, &caller).await;
                    page.unwrap_or_else(|refusal| site.refusal(&refusal))
                }
                Ok(None) => session::ask(&site, &request),
                Err(error) => site.refusal(&error.into()),
            },
        }
    }
}

impl Web {
    async fn page(
        &self,
        site: &Site<'_>,
        request: &Request,
        caller: &Caller,
    ) -> Result<Reply, Refusal> {
        let parameters = PathParameters::of(request);
        let (id, version) = (parameters.get("id"), parameters.get("version"));
        if id.is_empty() {
            let asked = search::SearchForm::of(request.uri().query().unwrap_or_default());
            let results = self.index.now().await?.search(asked.search(caller)).await?;
            return Ok(search::page(site, &asked, &results));
        }
        let id = PackageId::parse(id).map_err(|_| Refusal::NoSuchAddress)?;
        let wanted = match version {
            "" => None,
            version => Some(protocol::path_version(version)?),
        };
        let package = self.package(&id, caller).await?;
        let releases = &package.value;
        let place = match &wanted {
            Some(version) => releases.iter().position(|release| release.version == *version),
            None => newest(releases),
        };
        let (place, release) = place
            .and_then(|place| Some((place, releases.get(place)?)))
            .ok_or_else(|| match wanted {
                Some(version) => Refusal::NoSuchVersion { id: id.clone(), version },
                None => Refusal::NoSuchPackage(id.clone()),
            })?;
        if !version.is_empty() && request.uri().path().ends_with("/report") {
            return Ok(report::page(site, release));
        }
        let readme = self.readme(release).await?;
        let has_symbols = self.table.symbols(&id, &release.version).await?.is_some();
        let run = self.run(release, caller).await?;
        let all = request.uri().query().is_some_and(|query| query.contains("versions=all"));
        let counts = self.downloads.counts().await;
        let shown =
            package::Shown { releases, place, release, readme, has_symbols, run, all, counts };
        Ok(package::page(site, &id, &shown))
    }

    async fn package(
        &self,
        id: &PackageId,
        caller: &Caller,
    ) -> Result<Arc<Stamped<Vec<Arc<Release>>>>, Refusal> {
        let package = if caller.covers(id) { self.releases.of(id).await? } else { None };
        let package = package.filter(|package| !package.value.is_empty());
        package.ok_or_else(|| Refusal::NoSuchPackage(id.clone()))
    }

    /// The run of a trusted workload that pushed the release. On a feed that anybody may read,
    /// it is not shown: a run names repositories and people.
    async fn run(&self, release: &Release, caller: &Caller) -> Result<Option<Run>, TableError> {
        if *caller == Caller::Anonymous {
            return Ok(None);
        }
        let used = self.table.use_of_key(&release.row.pushed_by).await?;
        Ok(used.map(|used| used.run))
    }

    /// The readme's text; none where the release has no readme.
    async fn readme(&self, release: &Release) -> Result<Option<String>, Refusal> {
        let file = store::AttachedFile::Readme;
        if !release.row.files.contains(&file) {
            return Ok(None);
        }
        let body = self.objects.get(&release.row.object.attached(file), None).await?;
        let bytes = body.collect().await.map_err(Refusal::Unavailable)?.to_bytes();
        // A byte order mark is not part of a text (Unicode 16, 23.8).
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        Ok(Some(String::from_utf8_lossy(text).into_owned()))
    }

    /// The caller; none where reading needs a key and no valid one was sent.
    async fn caller(&self, request: &Request) -> Result<Option<Caller>, TableError> {
        if self.read_access == ReadAccess::Anonymous {
            return Ok(Some(Caller::Anonymous));
        }
        let Some(key) = SessionCookie::of(request.headers()) else { return Ok(None) };
        match self.keys.judge(&key, Scope::Read).await {
            Ok(caller) => Ok(Some(caller)),
            Err(KeyCacheError::Refused(_)) => Ok(None),
            Err(KeyCacheError::Table(error)) => Err(error),
        }
    }

    async fn sign_in(&self, site: &Site<'_>, request: Request) -> Reply {
        let peer = Peer::of(&request).map(|peer| peer.0.to_string()).unwrap_or_default();
        let form = session::Form::read(request.into_body()).await;
        match self.keys.judge(form.key(), Scope::Read).await {
            Ok(_) => session::begin(site, &form),
            Err(KeyCacheError::Refused(problem)) => {
                tracing::info!(client.address = peer, "refused a sign-in: {problem:?}");
                session::page(site, form.return_path(), Some(session::WRONG))
            }
            Err(KeyCacheError::Table(error)) => site.refusal(&error.into()),
        }
    }
}

/// The index of the version that people want: the newest listed one, preferably without
/// release labels; if none is listed, the newest.
fn newest(releases: &[Arc<Release>]) -> Option<usize> {
    releases
        .iter()
        .rposition(|release| release.row.listed && !release.version.is_prerelease())
        .or_else(|| releases.iter().rposition(|release| release.row.listed))
        .or_else(|| releases.len().checked_sub(1))
}

/// Where to go after signing in.
fn return_path(request: &Request) -> String {
    let query = request.uri().query().unwrap_or_default();
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "return");
    session::local(&asked.map(|(_, path)| path.into_owned()).unwrap_or_default())
}

fn style() -> Reply {
    // It may change without the feed's version.
    protocol::stream_tagged(STYLE.as_bytes().into(), "text/css; charset=utf-8")
}

/// A page that nobody may cache: a key may have been needed to see it.
fn html(status: StatusCode, page: maud::Markup) -> Reply {
    use http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS,
    };
    const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
        form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    let mut reply = protocol::stream(Body::from(page.into_string()), "text/html; charset=utf-8");
    *reply.status_mut() = status;
    for (name, value) in [
        (CACHE_CONTROL, "private, no-store"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply
}
