//! All verbs of the feed, as listed in the manifest. The type of a verb has the name of its
//! crate.

use feed::{AnyVerb, Context};
use http::Method;
use protocol::{ConfigError, PathParameters, Route};

type Maker = fn(&Context) -> Result<AnyVerb, ConfigError>;

include!(concat!(env!("OUT_DIR"), "/verbs.rs"));

/// All verbs, made from `context`.
///
/// # Errors
/// A setting is missing.
pub fn verbs(context: &Context) -> Result<Vec<AnyVerb>, ConfigError> {
    MAKERS.iter().map(|make| make(context)).collect()
}

/// The verb of this name, made from `context`; `None` if there is no such verb.
///
/// # Errors
/// A setting is missing.
pub fn verb(name: &str, context: &Context) -> Option<Result<AnyVerb, ConfigError>> {
    let place = ROUTES.iter().position(|(verb, _)| *verb == name)?;
    MAKERS.get(place).map(|make| make(context))
}

/// The route that answers `method` at `path`, the name of its verb, and the variable parts
/// of the path.
#[must_use]
pub fn route(
    method: &Method,
    path: &str,
) -> Option<(&'static str, &'static Route, PathParameters)> {
    let routes = ROUTES.iter().flat_map(|(verb, routes)| routes.iter().map(|route| (*verb, route)));
    protocol::closest(routes, method, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_its_folder_s_name_and_routes_of_its_own() {
        for (verb, routes) in ROUTES {
            let folder = format!("{}/../../{verb}", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&folder).is_dir(), "{verb}");
            for route in *routes {
                for method in route.methods {
                    let found =
                        super::route(method, route.path).map(|(verb, route, _)| (verb, route));
                    assert_eq!(found, Some((*verb, route)));
                }
            }
        }
    }

    #[test]
    fn the_routes_and_what_they_ask_of_a_caller() {
        let mut table = Vec::new();
        for (verb, routes) in ROUTES {
            for route in *routes {
                let methods: Vec<&str> = route.methods.iter().map(Method::as_str).collect();
                let access = match route.access {
                    protocol::Access::Open => "open".to_owned(),
                    protocol::Access::Key(scope) => scope.to_string(),
                    protocol::Access::ReadByKey => "read, and always a key".to_owned(),
                    protocol::Access::ReadOrChecksum => "read, or a checksum".to_owned(),
                    protocol::Access::ReadOrSession => "read, or a session".to_owned(),
                };
                table.push(format!("{verb}: {} {}: {access}", methods.join(" "), route.path));
            }
        }
        insta::assert_snapshot!(table.join("\n"));
    }
}
