//! Routes: which verb answers which method and path.

use std::collections::HashMap;

use feed::PathParameters;
use http::Method;
use percent_encoding::percent_decode_str;

use super::Verb;

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

/// The variable parts of `path`, if `pattern` matches it.
fn parameters(pattern: &str, path: &str) -> Option<HashMap<String, String>> {
    let mut parameters = HashMap::new();
    let mut segments = path.strip_prefix('/')?.split('/');
    for part in pattern.strip_prefix('/')?.split('/') {
        let segment = segments.next()?;
        match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            None if part == segment => {}
            None => return None,
            Some(name) => match name.strip_suffix('+') {
                Some(name) => {
                    let rest: Vec<&str> = std::iter::once(segment).chain(segments).collect();
                    parameters.insert(name.to_owned(), decode(&rest.join("/")));
                    return Some(parameters);
                }
                None if segment.is_empty() => return None,
                None => {
                    parameters.insert(name.to_owned(), decode(segment));
                }
            },
        }
    }
    segments.next().is_none().then_some(parameters)
}

/// Decoded once; a plus stays a plus.
fn decode(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(pattern: &str, path: &str, name: &str) -> Option<String> {
        Some(parameters(pattern, path)?.get(name)?.clone())
    }

    #[test]
    fn variable_parts_are_decoded_once_and_keep_their_plus() {
        let greedy = "/api/v2/package/{proxy+}";
        assert_eq!(part(greedy, "/api/v2/package/A/1.0+x", "proxy").unwrap(), "A/1.0+x");
        assert_eq!(part(greedy, "/api/v2/package/A/1.0%2Bx", "proxy").unwrap(), "A/1.0+x");
        assert_eq!(part(greedy, "/api/v2/package/%252B", "proxy").unwrap(), "%2B");
        assert_eq!(part(greedy, "/api/v2/package/", "proxy").unwrap(), "");
        assert_eq!(part("/v3/{id}/index.json", "/v3/a%2eb/index.json", "id").unwrap(), "a.b");
    }

    #[test]
    fn a_path_matches_strictly() {
        assert!(parameters("/api/v2/package", "/api/v2/package/").is_none());
        assert!(parameters("/api/v2/package/{proxy+}", "/api/v2/package").is_none());
        assert!(parameters("/v3/{id}/index.json", "/v3//index.json").is_none());
        assert!(parameters("/v3/{id}/index.json", "/v3/a/Index.json").is_none());
        assert!(parameters("/v3/{id}/index.json", "/v3/a/index.json/").is_none());
    }
}
