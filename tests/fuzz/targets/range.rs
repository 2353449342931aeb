//! Ranges of versions, and of bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nupkg::VersionRange;
use protocol::AskedRange;

fuzz_target!(|input: (u64, &str)| {
    let (size, text) = input;
    if let Ok(range) = text.parse::<VersionRange>() {
        let printed = range.to_string();
        let again: VersionRange = printed.parse().expect("a printed range");
        assert_eq!(again.to_string(), printed);
        assert_eq!(again.is_floating(), range.is_floating());
        let bounds: Vec<_> = range.versions().collect();
        if let [low, high] = bounds[..] {
            assert!(low.precedence(high).is_le());
        }
    }
    if let AskedRange::Part(part) = AskedRange::parse(text, size) {
        assert!(part.start < part.end && part.end <= size);
    }
});
