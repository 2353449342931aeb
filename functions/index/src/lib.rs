//! GET of the service index: where everything else is.
//!
//! 200 for everybody, also on a private feed: it names addresses and nothing
//! that is at them, and a client that pushes with an API key alone sends no
//! credentials for it.

use feed::{BaseUrl, Reply, Request};
use serde_json::{Value, json};

/// What the feed serves: the names that clients look for
/// (`ServiceTypes.cs` of `NuGet.Client`; compared with case, tried in their
/// order), and the path.
const RESOURCES: &[(&[&str], &str)] = &[
    (&["PackageBaseAddress/3.0.0", "PackageBaseAddress/Versioned"], "/v3/package/"),
    (&["PackagePublish/2.0.0", "PackagePublish/Versioned"], "/api/v2/package"),
];

/// The verb. It touches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Index;

impl Index {
    /// Answers a GET.
    #[expect(clippy::unused_async, reason = "a verb as all others are")]
    pub async fn handle(&self, request: Request) -> Reply {
        let base = request.extensions().get::<BaseUrl>().map_or("", |base| base.0.as_str());
        feed::json(&service_index(base))
    }
}

fn service_index(base: &str) -> Value {
    let resources: Vec<Value> = RESOURCES
        .iter()
        .flat_map(|(types, path)| types.iter().map(move |name| (name, path)))
        .map(|(name, path)| json!({ "@id": format!("{base}{path}"), "@type": name }))
        .collect();
    json!({ "version": "3.0.0", "resources": resources })
}
