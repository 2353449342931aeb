//! A debugger's request: the PDB in its path, and the checksums in its headers.

use http::HeaderMap;

/// The shortest and the longest name of a PDB.
const NAME: std::ops::RangeInclusive<usize> = 5..=255;
/// Digits of a GUID.
const GUID: usize = 32;
/// Digits after it, which stand for the age of a PDB. They are not looked at: old debuggers
/// send 1, and others `FFFFFFFF`.
const AGE: std::ops::RangeInclusive<usize> = 1..=8;
/// The most checksums that are looked at. dotnet-symbol sends those of all modules so far.
const CHECKSUMS: usize = 512;
/// The algorithms of checksums, and the digits of each.
const ALGORITHMS: [(&str, usize); 3] = [("SHA256", 64), ("SHA384", 96), ("SHA512", 128)];

/// The PDB that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskedPdb {
    /// Its name, in lower case.
    pub(crate) name: String,
    /// Its GUID: 32 digits in lower case.
    pub(crate) guid: String,
}

impl AskedPdb {
    /// The PDB at `path` below the symbol server, decoded once: `name/id/name`, in any casing
    /// (the protocol compares without it), and below the first two letters of the name for
    /// debuggers that think of a store with two tiers. Empty parts do not count.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let path = path.to_ascii_lowercase();
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if let [tier, name, _, _] = parts.as_slice()
            && name.chars().take(2).eq(tier.chars())
        {
            parts.remove(0);
        }
        let [name, id, again] = parts.as_slice() else { return None };
        let (guid, age) = id.split_at_checked(GUID)?;
        let is_hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_id = is_hex && AGE.contains(&age.len());
        let is_name = name == again && is_name(name);
        (is_id && is_name).then(|| Self { name: (*name).to_owned(), guid: guid.to_owned() })
    }

    /// The name as a header may have it.
    pub(crate) fn file_name(&self) -> String {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
        self.name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
    }
}

/// Whether a PDB can have this name.
fn is_name(name: &str) -> bool {
    NAME.contains(&name.len())
        && name.strip_suffix(".pdb").is_some()
        && !name.contains(['\\', '\u{fffd}'])
        && !name.contains("..")
        && !name.chars().any(char::is_control)
}

/// The checksums that a debugger sends: `SymbolChecksum: SHA256:<hex>;…`, in one header or
/// in several (`HttpSymbolStore.cs` of dotnet/diagnostics). Algorithms that are not known are
/// left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checksums(Vec<String>);

impl Checksums {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all("symbolchecksum").iter();
        let values = values.filter_map(|value| value.to_str().ok());
        let checksums = values.flat_map(|value| value.split([',', ';'])).take(CHECKSUMS);
        Self(checksums.filter_map(known).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a PDB with these checksums may be given out: one was sent, or none at all. A
    /// debugger throws at a PDB with another one.
    pub(crate) fn allow(&self, checksums: &[String]) -> bool {
        self.is_empty() || checksums.iter().any(|checksum| self.0.contains(checksum))
    }
}

/// A checksum as rows have it.
fn known(written: &str) -> Option<String> {
    let (algorithm, digits) = written.trim().split_once(':')?;
    let algorithm = algorithm.to_ascii_uppercase();
    let (_, count) = ALGORITHMS.iter().find(|(known, _)| *known == algorithm)?;
    let is_hash = digits.len() == *count && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| format!("{algorithm}:{}", digits.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ID: &str = "16f71ed8dd574aa2ad4a22d29e9c981bffffffff";

    #[test]
    fn a_pdb_is_asked_for_in_every_casing_and_depth() {
        let asked = AskedPdb::of(&format!("testdata.pdb/{ID}/testdata.pdb")).unwrap();
        assert_eq!(asked.name, "testdata.pdb");
        assert_eq!(asked.guid, ID[..32]);
        for path in [
            "TestData.pdb/16F71ED8DD574AA2AD4A22D29E9C981Bffffffff/TestData.PDB",
            "testdata.pdb/16f71ed8dd574aa2ad4a22d29e9c981b1/testdata.pdb",
            &format!("te/testdata.pdb/{ID}/testdata.pdb"),
            &format!("TE//testdata.pdb//{ID}/TESTDATA.pdb/"),
        ] {
            assert_eq!(AskedPdb::of(path), Some(asked.clone()), "{path}");
        }
    }

    #[test]
    fn other_paths_are_of_no_pdb() {
        let long = format!("{}.pdb", "x".repeat(252));
        for path in [
            "",
            "/",
            "index2.txt",
            "pingme.txt",
            &format!("testdata.pdb/{ID}/testdata.pd_"),
            &format!("testdata.pdb/{ID}/file.ptr"),
            "testdata.dll/CE0143078000/testdata.dll",
            &format!("testdata.pdb/{ID}/msfz0/testdata.pdb"),
            &format!("testdata.pdb/{ID}/other.pdb"),
            &format!("testdata.pdb/{}/testdata.pdb", &ID[..31]),
            &format!("testdata.pdb/{}/testdata.pdb", &ID[..32]),
            &format!("testdata.pdb/{ID}f/testdata.pdb"),
            &format!("testdata.pdb/{}g/testdata.pdb", &ID[..39]),
            &format!("ab/testdata.pdb/{ID}/testdata.pdb"),
            &format!("../testdata.pdb/{ID}/testdata.pdb"),
            &format!("a..pdb/{ID}/a..pdb"),
            &format!("..\\a.pdb/{ID}/..\\a.pdb"),
            &format!("a\0.pdb/{ID}/a\0.pdb"),
            &format!("a\u{fffd}.pdb/{ID}/a\u{fffd}.pdb"),
            &format!("{long}/{ID}/{long}"),
            &format!(".pdb/{ID}/.pdb"),
        ] {
            assert_eq!(AskedPdb::of(path), None, "{path:?}");
        }
    }

    #[test]
    fn a_name_fits_into_a_header() {
        let name = "a\"b;é c.pdb";
        let asked = AskedPdb::of(&format!("{name}/{ID}/{name}")).unwrap();
        assert_eq!(asked.file_name(), "a_b___c.pdb");
    }

    #[test]
    fn checksums_are_read_from_all_headers_and_others_left_out() {
        let hash = "AB".repeat(32);
        let mut headers = HeaderMap::new();
        let allow = |headers: &HeaderMap| {
            let checksums = Checksums::of(headers);
            (checksums.is_empty(), checksums.allow(&[format!("SHA256:{}", hash.to_lowercase())]))
        };
        assert_eq!(allow(&headers), (true, true));
        let mut add = |value: &str| {
            headers.append("symbolchecksum", HeaderValue::from_str(value).unwrap());
            allow(&headers)
        };
        assert_eq!(add("invalid, SHA256:00, SHA3-256:00, MD5, :"), (true, true));
        assert_eq!(add(&format!("SHA384:{}", "0".repeat(96))), (false, false));
        assert_eq!(add(&format!("x; sha256:{hash} ,y")), (false, true));
    }

    #[test]
    fn the_last_of_very_many_checksums_counts_as_long_as_they_fit() {
        let hash = "0".repeat(64);
        let allows = |count: usize| {
            let many = format!("SHA256:{}", "1".repeat(64) + ", ").repeat(count);
            let value = HeaderValue::from_str(&(many + "SHA256:" + &hash)).unwrap();
            let headers = HeaderMap::from_iter([("symbolchecksum".parse().unwrap(), value)]);
            Checksums::of(&headers).allow(&[format!("SHA256:{hash}")])
        };
        assert!(allows(CHECKSUMS - 1));
        assert!(!allows(CHECKSUMS));
    }
}
