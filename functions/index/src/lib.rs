//! GET of the service index: where everything else is.
//!
//! 200 for everybody, even on a private feed: the index lists addresses and none of their
//! contents, and a client that pushes with only an API key sends no credentials for it.

use feed::{Context, Verb};
use protocol::{Access, BaseUrl, ConfigError, Reply, Request, Route, paths};
use serde_json::{Value, json};

/// The resources of the feed: the path, and the names that clients look for
/// (`ServiceTypes.cs` of `NuGet.Client`). Clients compare the names with case, and try them
/// in the order of that file. Each name has its own entry, for clients that cannot read
/// arrays.
const RESOURCES: &[(&str, &[&str])] = &[
    (paths::FLAT_CONTAINER, &["PackageBaseAddress/3.0.0", "PackageBaseAddress/Versioned"]),
    (paths::PACKAGES, &["PackagePublish/2.0.0", "PackagePublish/Versioned"]),
    // A client that sees it pushes the .snupkg beside each .nupkg.
    (paths::SYMBOL_PACKAGES, &["SymbolPackagePublish/4.9.0"]),
    // Our own: where `nuthatch push` declares its uploads.
    (paths::UPLOADS, &["NuthatchUpload/1.0.0"]),
    (
        paths::REGISTRATIONS_SEMVER1,
        &[
            "RegistrationsBaseUrl",
            "RegistrationsBaseUrl/3.0.0-beta",
            "RegistrationsBaseUrl/3.0.0-rc",
            "RegistrationsBaseUrl/3.4.0",
        ],
    ),
    (paths::REGISTRATIONS, &["RegistrationsBaseUrl/3.6.0", VERSIONED_REGISTRATION]),
    (
        paths::SEARCH,
        &[
            "SearchQueryService",
            "SearchQueryService/3.0.0-beta",
            "SearchQueryService/3.0.0-rc",
            "SearchQueryService/3.4.0",
            "SearchQueryService/3.5.0",
            "SearchQueryService/Versioned",
        ],
    ),
    (
        paths::AUTOCOMPLETE,
        &[
            "SearchAutocompleteService",
            "SearchAutocompleteService/3.0.0-beta",
            "SearchAutocompleteService/3.0.0-rc",
            "SearchAutocompleteService/3.5.0",
            "SearchAutocompleteService/Versioned",
        ],
    ),
    (
        "/v3/package/{lower_id}/{lower_version}/readme",
        &["ReadmeUriTemplate/6.13.0", "ReadmeUriTemplate/Versioned"],
    ),
    (paths::VERSION_PAGE, &["PackageDetailsUriTemplate/5.1.0"]),
    (paths::REPORT_PAGE, &["ReportAbuseUriTemplate/3.0.0", "ReportAbuseUriTemplate/Versioned"]),
];

/// The setting that holds [`Index::push_url`].
const PUSH_URL: &str = "NUTHATCH_PUSH_URL";

/// The registration that `SemVer` 2 versions are in, for the clients that can
/// read them.
const VERSIONED_REGISTRATION: &str = "RegistrationsBaseUrl/Versioned";
const FIRST_WITH_SEMVER2: &str = "4.3.0-alpha";

/// The verb. It touches nothing.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// Another host that takes pushes, where there is one.
    pub push_url: Option<BaseUrl>,
}

impl Verb for Index {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const ROUTES: &'static [Route] = &[
        // The index lists addresses, and none of their contents.
        Route::read(paths::INDEX, Access::Open),
    ];

    fn new(context: &Context) -> Result<Self, ConfigError> {
        Ok(Self { push_url: context.environment.optional(PUSH_URL)? })
    }

    async fn handle(&self, request: Request) -> Reply {
        let base = BaseUrl::of(&request);
        let push = self.push_url.as_ref().map_or(base, |url| url.0.as_str());
        protocol::json_tagged(&service_index(base, push))
    }
}

fn service_index(base: &str, push: &str) -> Value {
    let resources: Vec<Value> = RESOURCES
        .iter()
        .flat_map(|(path, types)| types.iter().map(move |name| (path, *name)))
        .map(|(path, name)| {
            let is_push = [paths::PACKAGES, paths::SYMBOL_PACKAGES].contains(path);
            let address = format!("{}{path}", if is_push { push } else { base });
            if name == VERSIONED_REGISTRATION {
                json!({ "@id": address, "@type": name, "clientVersion": FIRST_WITH_SEMVER2 })
            } else {
                json!({ "@id": address, "@type": name })
            }
        })
        .collect();
    json!({ "version": "3.0.0", "resources": resources })
}
