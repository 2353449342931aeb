//! Patterns of paths, as the template writes them: `/v3/{id}/index.json`, `/{proxy+}`.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;

/// The variable parts of `path`, if `pattern` matches it.
pub(crate) fn parameters(pattern: &str, path: &str) -> Option<HashMap<String, String>> {
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
