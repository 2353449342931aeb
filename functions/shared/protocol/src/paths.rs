//! The paths of routes and of links to them: each is written only here. A part in braces is
//! variable.

/// The address to push packages to.
pub const PACKAGES: &str = "/api/v2/package";
/// A version, to unlist or relist; and the address that clients push to, with a slash.
pub const VERSION: &str = "/api/v2/package/{proxy+}";
/// The address to declare an upload at.
pub const UPLOADS: &str = "/api/v2/upload";
/// The address to commit an upload at.
pub const COMMIT: &str = "/api/v2/upload/{upload}/commit";

/// The address to exchange identity tokens at.
pub const TOKEN: &str = "/api/v2/token";

/// The address to push symbols packages to.
pub const SYMBOL_PACKAGES: &str = "/api/v2/symbolpackage";
/// The address that clients push symbols packages to, with a slash.
pub const SYMBOL_PACKAGES_WITH_SLASH: &str = "/api/v2/symbolpackage/{proxy+}";
/// The address to commit an upload of symbols at.
pub const COMMIT_SYMBOLS: &str = "/api/v2/upload/{upload}/commit-symbols";
/// The symbol server, as debuggers are told it.
pub const SYMBOLS: &str = "/symbols";
/// A file of the symbol server.
pub const SYMBOL_FILE: &str = "/symbols/{proxy+}";

/// The service index.
pub const INDEX: &str = "/v3/index.json";
/// The path prefix of the flat container.
pub const FLAT_CONTAINER: &str = "/v3/package/";
/// A package's version list.
pub const VERSIONS: &str = "/v3/package/{id}/index.json";
/// A version's file.
pub const FILE: &str = "/v3/package/{id}/{version}/{file}";

/// The path prefix of the registrations with all versions.
pub const REGISTRATIONS: &str = "/v3/registration/";
/// A registration's index, its pages and its leaves.
pub const REGISTRATION: [&str; 3] = [
    "/v3/registration/{id}/index.json",
    "/v3/registration/{id}/page/{lower}/{upper}",
    "/v3/registration/{id}/{leaf}",
];
/// The path prefix of the registrations for clients before NuGet 4.3.
pub const REGISTRATIONS_SEMVER1: &str = "/v3/registration-semver1/";
/// The index, the pages and the leaves of such a registration.
pub const REGISTRATION_SEMVER1: [&str; 3] = [
    "/v3/registration-semver1/{id}/index.json",
    "/v3/registration-semver1/{id}/page/{lower}/{upper}",
    "/v3/registration-semver1/{id}/{leaf}",
];

/// Search.
pub const SEARCH: &str = "/v3/search";
/// Autocomplete.
pub const AUTOCOMPLETE: &str = "/v3/autocomplete";
/// The log of changes.
pub const LOG: &str = "/v3/log";
/// The usage of a month.
pub const USAGE: &str = "/v3/usage";

/// The front page.
pub const HOME: &str = "/";
/// A package's page.
pub const PACKAGE_PAGE: &str = "/packages/{id}";
/// A version's page.
pub const VERSION_PAGE: &str = "/packages/{id}/{version}";
/// A version's file, for the visitors of its page.
pub const PAGE_FILE: &str = "/packages/{id}/{version}/{file}";
/// The page that tells how to report a version.
pub const REPORT_PAGE: &str = "/packages/{id}/{version}/report";
/// The form to sign in.
pub const SIGN_IN: &str = "/sign-in";
/// Ends a session.
pub const SIGN_OUT: &str = "/sign-out";
/// The pages' style.
pub const STYLE: &str = "/style.css";

/// `path` with its parts in braces replaced by `parts`, in order and unescaped.
#[must_use]
pub fn fill(path: &str, parts: &[&str]) -> String {
    let mut filled = String::with_capacity(path.len());
    let mut parts = parts.iter();
    for piece in path.split('}') {
        match piece.split_once('{') {
            Some((before, _)) => {
                filled.push_str(before);
                filled.push_str(parts.next().unwrap_or(&""));
            }
            None => filled.push_str(piece),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_filled_from_its_start() {
        assert_eq!(fill(FILE, &["a", "1.0.0", "a.nuspec"]), "/v3/package/a/1.0.0/a.nuspec");
        assert_eq!(fill(VERSION, &["A/1.0"]), "/api/v2/package/A/1.0");
        assert_eq!(fill(VERSION, &[""]), "/api/v2/package/");
        assert_eq!(fill(INDEX, &[]), INDEX);
    }
}
