//! The parameters of a request, with nuget.org's clamps.

use nupkg::Version;
use search_index::{Page, View};

/// Results of a page, where the request does not say.
const USUAL: usize = 20;
/// The most results of a page; a request for more gets the usual number.
const MOST: usize = 1_000;
/// The most results before a page; beyond them, nothing is found.
const MOST_SKIPPED: usize = 3_000;

/// The parameters of search and autocomplete. The case of names does not count; the first
/// value of each name does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// `q`.
    pub(crate) text: Option<String>,
    /// `id`.
    pub(crate) id: Option<String>,
    /// `prerelease` and `semVerLevel`.
    pub(crate) view: View,
    /// `packageType`, or one of its other spellings; none where it is empty.
    pub(crate) package_type: Option<String>,
    skip: i64,
    take: i64,
}

impl Parameters {
    /// The parameters in a query string.
    pub(crate) fn of(query: &str) -> Self {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, value)| (name.to_lowercase(), value.into_owned()))
            .collect();
        let value = |name: &str| {
            let pair = pairs.iter().find(|(known, _)| known == name);
            pair.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let number = |name| value(name).and_then(|value| value.parse().ok());
        let package_type = value("packagetype")
            .or_else(|| value("packagetypes"))
            .or_else(|| value("packagetypefilter"));
        Self {
            text: value("q"),
            id: value("id"),
            view: View {
                prerelease: value("prerelease").is_some_and(|it| says_yes(&it)),
                semver2: value("semverlevel").is_some_and(|level| includes_semver2(&level)),
            },
            package_type,
            skip: number("skip").unwrap_or_default(),
            take: number("take").unwrap_or(-1),
        }
    }

    /// The page; none where nothing can be on it.
    pub(crate) fn page(&self) -> Option<Page> {
        let skip = usize::try_from(self.skip).unwrap_or_default();
        let take = usize::try_from(self.take).ok().filter(|take| *take <= MOST).unwrap_or(USUAL);
        (skip <= MOST_SKIPPED).then_some(Page { skip, take })
    }
}

/// Whether a flag is set, as people and clients write it.
fn says_yes(value: &str) -> bool {
    ["true", "1", "yes", "on"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}

/// Whether a `semVerLevel` includes `SemVer` 2: any version from 2.0.0 on.
fn includes_semver2(level: &str) -> bool {
    let level = level.parse::<Version>().ok();
    let two = "2.0.0".parse::<Version>().ok();
    level.zip(two).is_some_and(|(level, two)| level.precedence(&two).is_ge())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_clamped_as_nuget_org_does() {
        for (query, page) in [
            ("", Some((0, 20))),
            ("skip=40&take=10", Some((40, 10))),
            ("take=0", Some((0, 0))),
            ("take=1000", Some((0, 1000))),
            ("take=1001", Some((0, 20))),
            ("take=-1", Some((0, 20))),
            ("take=many&skip=x", Some((0, 20))),
            ("skip=-5", Some((0, 20))),
            ("skip=3000", Some((3000, 20))),
            ("skip=3001", None),
            ("skip=99999999999", None),
        ] {
            let page = page.map(|(skip, take)| Page { skip, take });
            assert_eq!(Parameters::of(query).page(), page, "{query}");
        }
    }

    #[test]
    fn a_flag_is_set_as_people_write_it() {
        for (value, is_set) in [("true", true), ("TRUE", true), ("1", true), ("yes", true)]
            .into_iter()
            .chain([("false", false), ("0", false), ("no", false), ("", false)])
        {
            let parameters = Parameters::of(&format!("prerelease={value}"));
            assert_eq!(parameters.view.prerelease, is_set, "{value}");
        }
    }

    #[test]
    fn a_semver_level_is_any_version_from_two_on() {
        for (level, included) in [
            ("2.0.0", true),
            ("2", true),
            ("3.0.0-x", true),
            ("1.9.9", false),
            ("2.0.0-beta", false),
            ("x", false),
            ("", false),
        ] {
            let parameters = Parameters::of(&format!("semVerLevel={level}"));
            assert_eq!(parameters.view.semver2, included, "{level}");
        }
    }

    #[test]
    fn a_package_type_has_three_spellings() {
        for name in ["packageType", "packageTypes", "packageTypeFilter", "PACKAGETYPE"] {
            let parameters = Parameters::of(&format!("{name}=DotnetTool&q=a+b%20c"));
            assert_eq!(parameters.package_type.as_deref(), Some("DotnetTool"));
            assert_eq!(parameters.text.as_deref(), Some("a b c"));
        }
        assert_eq!(Parameters::of("packageType=").package_type, None);
    }
}
