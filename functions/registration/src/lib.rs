//! GET of a package's registration: the metadata of its versions.
//!
//! | answer | when |
//! |---|---|
//! | 200 | the index, a page of it, or the leaf or the catalog's entry of a version |
//! | 400 | the page has more versions than an answer may hold |
//! | 401 | reading needs a key |
//! | 404 | the feed has no such package or version, or the key is not good for it |
//!
//! There are two hives: one for clients before NuGet 4.3, without the versions
//! that they cannot read, and one with all.
//!
//! One AWS call while the package is remembered and its head shows that it is unchanged, and
//! one more where it has changed. Otherwise one call per MB of its versions and their
//! metadata: not remembered, more than 15 changes, or rows that do not show a change yet.

mod document;

use access::Scope;
use feed::{Context, Verb};
use nupkg::{PackageId, Version};
use protocol::{
    Access, BaseUrl, Caller, ConfigError, Hive, Links, PathParameters, Refusal, Reply, Request,
    Route, Work, paths,
};
use store::{Release, Releases};

use document::Documents;

/// The verb, with all it may touch.
#[derive(Debug)]
pub struct Registration {
    releases: Releases,
}

/// A document of a package's registration.
enum Wanted {
    Index,
    /// The leaves of all versions from the first to the second. Every push may divide the
    /// versions into different pages, and a client may hold an index from half an hour ago:
    /// its page addresses still return the versions that it expects.
    Page {
        lower: Version,
        upper: Version,
    },
    Leaf(Version),
    /// The version's entry, which the leaf calls its catalog entry.
    Entry(Version),
}

impl Verb for Registration {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[
        Route::read(paths::REGISTRATION[0], Access::Key(Scope::Read)).takes(Work::Document),
        Route::read(paths::REGISTRATION[1], Access::Key(Scope::Read)).takes(Work::Document),
        Route::read(paths::REGISTRATION[2], Access::Key(Scope::Read)).takes(Work::Document),
        Route::read(paths::REGISTRATION_SEMVER1[0], Access::Key(Scope::Read)).takes(Work::Document),
        Route::read(paths::REGISTRATION_SEMVER1[1], Access::Key(Scope::Read)).takes(Work::Document),
        Route::read(paths::REGISTRATION_SEMVER1[2], Access::Key(Scope::Read)).takes(Work::Document),
    ];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self { releases: context.releases()? })
    }

    async fn handle(&self, request: Request) -> Reply {
        self.show(&request).await.unwrap_or_else(Reply::from)
    }
}

impl Registration {
    async fn show(&self, request: &Request) -> Result<Reply, Refusal> {
        let parameters = PathParameters::of(request);
        let id = parameters.id()?;
        let wanted = Wanted::of(&parameters)?;
        if !Caller::of(request).covers(&id) {
            return Err(Refusal::NoSuchPackage(id));
        }
        let Some(package) = self.releases.of(&id).await? else {
            return Err(Refusal::NoSuchPackage(id));
        };
        let hive = Hive::of(request.uri().path());
        let releases = package.value.iter().map(|release| &**release);
        let releases: Vec<&Release> = releases.filter(|release| holds(hive, release)).collect();
        if releases.is_empty() {
            return Err(Refusal::NoSuchPackage(id));
        }
        let links = Links::new(BaseUrl::of(request), hive, &id);
        let documents = Documents { links, stamp: package.stamp };
        let reply = match wanted {
            Wanted::Index => protocol::json(&documents.index(&releases)),
            Wanted::Page { lower, upper } => {
                let is_within =
                    |release: &&Release| lower <= release.version && release.version <= upper;
                let page: Vec<&Release> = releases.into_iter().filter(is_within).collect();
                if page.len() > 1 && document::bytes(&page) > document::LARGEST {
                    return Err(Refusal::AnswerTooLarge);
                }
                match documents.page(&page) {
                    Some(page) => protocol::json(&page),
                    None => return Err(Refusal::NoSuchVersion { id, version: lower }),
                }
            }
            Wanted::Leaf(version) => {
                protocol::json(&documents.leaf(find(&releases, &id, version)?))
            }
            Wanted::Entry(version) => {
                protocol::json(&documents.entry(find(&releases, &id, version)?))
            }
        };
        Ok(store::stamped(reply, &package))
    }
}

fn find<'a>(
    releases: &[&'a Release],
    id: &PackageId,
    version: Version,
) -> Result<&'a Release, Refusal> {
    let found = releases.iter().find(|release| release.version == version);
    found.copied().ok_or_else(|| Refusal::NoSuchVersion { id: id.clone(), version })
}

fn holds(hive: Hive, release: &Release) -> bool {
    match hive {
        Hive::All => true,
        Hive::WithoutSemVer2 => !release.metadata.semver2,
    }
}

impl Wanted {
    /// The document that the variable parts of the path name.
    fn of(parameters: &PathParameters) -> Result<Self, Refusal> {
        let version = |name: &str| match name.strip_suffix(".json") {
            Some(version) => protocol::path_version(version),
            None => Err(Refusal::NoSuchAddress),
        };
        match (parameters.get("lower"), parameters.get("upper"), parameters.get("leaf")) {
            ("", "", "") => Ok(Self::Index),
            ("", "", leaf) => match leaf.strip_prefix(Links::ENTRY) {
                Some(entry) => Ok(Self::Entry(version(entry)?)),
                None => Ok(Self::Leaf(version(leaf)?)),
            },
            (lower, upper, _) => {
                Ok(Self::Page { lower: protocol::path_version(lower)?, upper: version(upper)? })
            }
        }
    }
}
