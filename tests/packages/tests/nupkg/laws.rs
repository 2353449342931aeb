//! Laws that hold for whatever a user may write.

use std::cmp::Ordering;

use nupkg::{PackageId, Version, VersionRange};
use proptest::prelude::*;

/// Spellings of versions, with the quirks that NuGet lets pass.
fn version() -> impl Strategy<Value = String> {
    let numbers = prop::collection::vec("0{0,2}[0-9]{1,4}", 1..=4).prop_map(|n| n.join("."));
    let labels =
        prop::collection::vec("(0|[1-9][0-9]{0,10}|[0-9]{0,2}[a-zA-Z-][0-9a-zA-Z-]{0,3})", 1..4);
    let release = prop::option::of(labels.prop_map(|labels| format!("-{}", labels.join("."))));
    let metadata = prop::option::of("\\+[0-9a-zA-Z-]{1,4}(\\.[0-9a-zA-Z-]{1,4}){0,2}");
    (numbers, release, metadata).prop_map(|(numbers, release, metadata)| {
        format!("{numbers}{}{}", release.unwrap_or_default(), metadata.unwrap_or_default())
    })
}

proptest! {
    #[test]
    fn a_version_survives_being_printed(text in version()) {
        let version: Version = text.parse().unwrap();
        for printed in [version.normalized(), version.full(), version.key()] {
            let again: Version = printed.parse().unwrap();
            prop_assert_eq!(&again, &version);
            prop_assert_eq!(again.normalized().to_lowercase(), version.key());
        }
        prop_assert_eq!(version.full().parse::<Version>().unwrap().full(), version.full());
    }

    #[test]
    fn versions_have_one_order(a in version(), b in version(), c in version()) {
        let [a, b, c]: [Version; 3] = [a, b, c].map(|text| text.parse().unwrap());
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
        prop_assert_eq!(a == b, a.key() == b.key());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn a_range_survives_being_printed(min in version(), max in version(), open in any::<[bool; 2]>()) {
        let [left, right] = [if open[0] { '(' } else { '[' }, if open[1] { ')' } else { ']' }];
        if let Ok(range) = format!("{left}{min}, {max}{right}").parse::<VersionRange>() {
            let printed = range.to_string();
            prop_assert_eq!(printed.parse::<VersionRange>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC*") {
        let _ = text.parse::<Version>();
        let _ = text.parse::<VersionRange>();
        let _ = PackageId::parse(&text);
        let _ = nupkg::is_dependency_id(&text);
    }
}
