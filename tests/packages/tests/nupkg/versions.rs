//! Versions: the vectors of the real NuGet library, and the reference's tables.

use nupkg::Version;

#[test]
fn versions_are_read_as_the_real_library_reads_them() {
    let vectors = include_str!("../../../vectors/versions.tsv");
    let mut rows = 0;
    for row in vectors.lines().skip(1) {
        let fields: Vec<&str> = row.split('\t').collect();
        let [input, valid, normalized, full, prerelease, semver2] = fields[..] else {
            panic!("{row}")
        };
        rows += 1;
        let parsed = input.parse::<Version>();
        assert_eq!(parsed.is_ok(), valid == "yes", "{row}");
        let Ok(version) = parsed else { continue };
        assert_eq!(version.normalized(), normalized, "{row}");
        assert_eq!(version.full(), full, "{row}");
        assert_eq!(version.is_prerelease(), prerelease == "yes", "{row}");
        assert_eq!(version.is_semver2(), semver2 == "yes", "{row}");
    }
    assert_eq!(rows, 1500);
}

#[test]
fn versions_are_ordered_as_the_real_library_orders_them() {
    let vectors = include_str!("../../../vectors/version-order.tsv");
    let mut rows = 0;
    for row in vectors.lines().skip(1) {
        let fields: Vec<&str> = row.split('\t').collect();
        let [left, right, order, equal] = fields[..] else { panic!("{row}") };
        rows += 1;
        let (left, right): (Version, Version) = (left.parse().unwrap(), right.parse().unwrap());
        let order = match order {
            "<" => std::cmp::Ordering::Less,
            ">" => std::cmp::Ordering::Greater,
            _ => std::cmp::Ordering::Equal,
        };
        assert_eq!(left.precedence(&right), order, "{row}");
        assert_eq!(left == right, equal == "yes", "{row}");
    }
    assert_eq!(rows, 2000);
}

#[test]
fn versions_of_the_reference_table_are_read_as_it_says() {
    for (input, normalized, full, prerelease, semver2) in [
        ("1", "1.0.0", "1.0.0", false, false),
        ("02", "2.0.0", "2.0.0", false, false),
        ("1.0", "1.0.0", "1.0.0", false, false),
        ("1.0.0.0", "1.0.0", "1.0.0", false, false),
        ("1.0.0.1", "1.0.0.1", "1.0.0.1", false, false),
        ("01.02.03", "1.2.3", "1.2.3", false, false),
        ("1.00.0.1", "1.0.0.1", "1.0.0.1", false, false),
        ("1.0.01.0", "1.0.1", "1.0.1", false, false),
        ("1.022-Beta", "1.22.0-Beta", "1.22.0-Beta", true, false),
        ("1.0-alpha", "1.0.0-alpha", "1.0.0-alpha", true, false),
        ("1.0.0-alpha.1", "1.0.0-alpha.1", "1.0.0-alpha.1", true, true),
        ("3.4.0.3-RC-3", "3.4.0.3-RC-3", "3.4.0.3-RC-3", true, false),
        ("1.2.3.4-RC+99", "1.2.3.4-RC", "1.2.3.4-RC+99", true, true),
        ("1.0.0+meta", "1.0.0", "1.0.0+meta", false, true),
        ("1.0.0.0+beta.2", "1.0.0", "1.0.0+beta.2", false, true),
        ("1.0-1.1+B.B", "1.0.0-1.1", "1.0.0-1.1+B.B", true, true),
        ("1.0.0009.01-1.1+A", "1.0.9.1-1.1", "1.0.9.1-1.1+A", true, true),
        ("1.2.3+02.02-02", "1.2.3", "1.2.3+02.02-02", false, true),
        ("1.0.0+-", "1.0.0", "1.0.0+-", false, true),
        ("1.0.0-a+b-c", "1.0.0-a", "1.0.0-a+b-c", true, true),
        ("1.2.3---b.-.C", "1.2.3---b.-.C", "1.2.3---b.-.C", true, true),
        ("1.2.3--", "1.2.3--", "1.2.3--", true, false),
        (" 1.2.3 ", "1.2.3", "1.2.3", false, false),
        ("1 . 2 . 3", "1.2.3", "1.2.3", false, false),
        ("1.2. 3-beta", "1.2.3-beta", "1.2.3-beta", true, false),
        ("1.2.3 -beta", "1.2.3-beta", "1.2.3-beta", true, false),
        (
            "2147483647.2147483647.2147483647.2147483647",
            "2147483647.2147483647.2147483647.2147483647",
            "2147483647.2147483647.2147483647.2147483647",
            false,
            false,
        ),
    ] {
        let version: Version = input.parse().expect(input);
        assert_eq!(version.normalized(), normalized, "{input}");
        assert_eq!(version.full(), full, "{input}");
        assert_eq!(version.is_prerelease(), prerelease, "{input}");
        assert_eq!(version.is_semver2(), semver2, "{input}");
    }
    for input in [
        "1.2.3- beta",
        "1.2.3-01",
        "1.2.3-00",
        "1.2.3-a.01",
        "1.2.3-",
        "1.2.3+",
        "1.4.7-*",
        "1.2.3-a..b",
        "1.2.3-.a",
        "1.2.3-a.",
        "1.2.3+a..b",
        "1.2.3+a+b",
        "1.2.3-a_b",
        "1.2.3-ä",
        "１.0.0",
        "2147483648.0.0",
        "1.2.3.4.5",
        "1.",
        "1..2",
        ".1",
        "1.2.3.Beta",
        "v1.0.0",
        "1beta",
        "1.*",
        "*",
        "-1.0",
        "1.-1",
        "1e1.0",
        "0x1.0",
        "1,0",
        "",
        "  ",
    ] {
        assert!(input.parse::<Version>().is_err(), "{input}");
    }
}

#[test]
fn versions_of_the_reference_are_ordered_as_it_says() {
    let ascending = [
        "--2",
        "--1",
        "-0",
        "-1",
        "-2",
        "-10",
        "-999999",
        "-2147483647",
        "-2147483648",
        "-56-2",
        "-99999999999",
        "-A",
        "-a.1",
        "-a.2",
        "-a.10",
        "-a.-",
        "-a.b",
        "-a-b",
        "-a1",
        "-alpha",
        "-alpha.beta",
        "-alpha10",
        "-alpha2",
        "-beta",
        "-BETA.X",
        "-rc.1",
        "-z",
        "-zzz",
        "",
        ".1-a",
        ".1",
    ];
    for pair in ascending.windows(2) {
        let version = |end: &str| format!("1.0.0{end}").parse::<Version>().unwrap();
        assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
    }
    let version = |text: &str| text.parse::<Version>().unwrap();
    for (left, right) in [("1.0.0-A", "1.0.0-a"), ("1.0.0", "1.0.0+build"), ("1.0.01", "1.0.1.0")] {
        assert_eq!(version(left), version(right));
    }
    // NuGet calls these two neither smaller nor equal; here they have an order.
    let (zero, minus_zero) = (version("1.0.0-0"), version("1.0.0--0"));
    assert_eq!(zero.precedence(&minus_zero), std::cmp::Ordering::Equal);
    assert_ne!(zero, minus_zero);
    assert_ne!(zero.cmp(&minus_zero), std::cmp::Ordering::Equal);
}
