//! A version stays the same when it is printed and parsed again, and so does an id.

#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::fuzz_target;
use nupkg::{PackageId, Version};

fuzz_target!(|text: &str| {
    if let Ok(id) = PackageId::parse(text) {
        assert_eq!(PackageId::parse(&id.key()).ok(), Some(id));
    }
    let (one, other) = text.split_once(' ').unwrap_or((text, "1.0.0"));
    let (Ok(one), Ok(other)) = (one.parse::<Version>(), other.parse::<Version>()) else { return };
    for printed in [one.normalized(), one.full(), one.key()] {
        let again: Version = printed.parse().expect("a printed version");
        assert_eq!(again, one);
        assert_eq!(again.key(), one.key());
    }
    assert!(!one.key().bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'/'));
    // The order is the same from both sides, and agrees with equality.
    assert_eq!(one.cmp(&other), other.cmp(&one).reverse());
    assert_eq!(one == other, one.cmp(&other) == Ordering::Equal);
    assert_eq!(one == other, one.key() == other.key());
});
