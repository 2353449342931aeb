//! Routes: the method and path that a verb answers, and what a caller needs for it.

use access::Scope;
use http::Method;

use crate::PathParameters;

/// A route of a verb. Every route has to say who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The methods.
    pub methods: &'static [Method],
    /// The path, its variable parts in braces.
    pub path: &'static str,
    /// The callers that it answers.
    pub access: Access,
    /// The work that an answer takes.
    pub work: Work,
}

/// The key that a caller needs for a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: the authorizer is not asked.
    Open,
    /// A key with this scope. Where reading is open to all, `read` needs none. A key to read
    /// comes in `Authorization`, as clients send it; the gateway remembers it by that header.
    Key(Scope),
    /// A key with the scope `read`, also where reading is open to all.
    ReadByKey,
    /// A key with the scope `read`. Where symbols are given out by checksum, a caller without
    /// a key gets as far as the verb, which asks for the checksum.
    ReadOrChecksum,
    /// A key with the scope `read`, or the cookie of a visitor who has signed in with one.
    /// Where reading is open to all, none.
    ReadOrSession,
}

/// The work of an answer. It decides how many are made at once on one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Little memory, or none that the answer keeps.
    Little,
    /// A document of all versions of a package.
    Document,
    /// A search.
    Search,
}

impl Access {
    /// The scope of the key that a caller sends; `None` where none is looked at.
    #[must_use]
    pub fn scope(self) -> Option<Scope> {
        match self {
            Self::Open => None,
            Self::Key(scope) => Some(scope),
            Self::ReadByKey | Self::ReadOrChecksum | Self::ReadOrSession => Some(Scope::Read),
        }
    }

    /// Whether every sender of an `Authorization` is answered alike on all such routes, so that
    /// the gateway may remember the decision.
    #[must_use]
    pub fn is_remembered(self) -> bool {
        self == Self::Key(Scope::Read)
    }
}

impl Route {
    /// GET and HEAD of `path`.
    #[must_use]
    pub const fn read(path: &'static str, access: Access) -> Self {
        Self::new(&[Method::GET, Method::HEAD], path, access)
    }

    /// PUT to `path`.
    #[must_use]
    pub const fn put(path: &'static str, access: Access) -> Self {
        Self::new(&[Method::PUT], path, access)
    }

    /// POST to `path`.
    #[must_use]
    pub const fn post(path: &'static str, access: Access) -> Self {
        Self::new(&[Method::POST], path, access)
    }

    /// DELETE of `path`.
    #[must_use]
    pub const fn delete(path: &'static str, access: Access) -> Self {
        Self::new(&[Method::DELETE], path, access)
    }

    const fn new(methods: &'static [Method], path: &'static str, access: Access) -> Self {
        Self { methods, path, access, work: Work::Little }
    }

    /// The same route, with answers that take this much `work`.
    #[must_use]
    pub const fn takes(self, work: Work) -> Self {
        Self { methods: self.methods, path: self.path, access: self.access, work }
    }

    /// The variable parts of `path`, if the route answers `method` there. The match is
    /// strict: a slash at the end of a path counts.
    #[must_use]
    pub fn matches(&self, method: &Method, path: &str) -> Option<PathParameters> {
        let answers = self.methods.contains(method);
        answers.then(|| PathParameters::in_path(self.path, path)).flatten()
    }
}

/// The route in `routes` that answers `method` at `path`, and the variable parts of the
/// path. A literal part is a closer match than a variable one.
pub fn closest<'a, T>(
    routes: impl Iterator<Item = (T, &'a Route)>,
    method: &Method,
    path: &str,
) -> Option<(T, &'a Route, PathParameters)> {
    routes
        .filter_map(|(of, route)| Some((of, route, route.matches(method, path)?)))
        .min_by_key(|(_, _, parameters)| parameters.0.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_route_answers_its_methods_at_its_path() {
        let read = Access::Key(Scope::Read);
        let routes = [
            Route::read("/v3/{id}/{leaf}", read),
            Route::read("/v3/{id}/index.json", Access::Open).takes(Work::Document),
        ];
        let find = |method, path| {
            let found = closest(routes.iter().enumerate(), &method, path)?;
            Some((found.0, found.2.get("id").to_owned()))
        };
        assert_eq!(find(Method::GET, "/v3/a/index.json"), Some((1, "a".to_owned())));
        assert_eq!(find(Method::HEAD, "/v3/a/b"), Some((0, "a".to_owned())));
        assert_eq!(find(Method::POST, "/v3/a/b"), None);
        assert_eq!(find(Method::GET, "/v3/a/b/"), None);
    }
}
