//! Routes: which verb answers which method and path.

use feed::PathParameters;
use http::Method;

use super::Verb;
use super::pattern::parameters;

/// A route of the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path as the template writes it.
    pub path: String,
    /// Who answers.
    pub verb: Verb,
    /// Whether the authorizer is asked first.
    pub authorized: bool,
}

/// All routes of the template.
#[derive(Debug, Clone, Default)]
pub struct Routes(pub Vec<Route>);

impl Routes {
    /// The route of a request, and the variable parts of its path. A path
    /// matches strictly: a slash at its end is a part of it.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Option<(&Route, PathParameters)> {
        self.0
            .iter()
            .filter(|route| route.method == *method)
            .filter_map(|route| Some((route, parameters(&route.path, path)?)))
            // A written part is closer than a variable one.
            .min_by_key(|(_, parameters)| parameters.len())
            .map(|(route, parameters)| (route, PathParameters(parameters)))
    }
}
