//! Paths: the parameters that the gateway takes from them, and the package that they name.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::{PathParameters, package_version};

const PATTERNS: [&str; 4] = [
    "/api/v2/package/{proxy+}",
    "/v3/package/{id}/index.json",
    "/v3/package/{id}/{version}/{file}",
    "/v3/registration/{proxy+}",
];

fuzz_target!(|path: &str| {
    for pattern in PATTERNS {
        let Some(parameters) = PathParameters::in_path(pattern, path) else { continue };
        let written = pattern.matches('{').count();
        assert_eq!(parameters.0.len(), written);
        let Some(proxy) = parameters.0.get("proxy") else { continue };
        let Ok((id, version)) = package_version(proxy) else { continue };
        // Both become part of a key of table and bucket.
        let (id, version) = (id.key(), version.key());
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/' && byte != b'#';
        assert!(id.bytes().all(plain) && version.bytes().all(plain), "{id} {version}");
        assert!(
            id.len() <= nupkg::MAX_ID_LENGTH && version.len() <= nupkg::MAX_VERSION_LENGTH,
            "{id} {version}"
        );
        let named = package_version(&format!("{id}/{version}"));
        assert!(named.is_ok_and(|(i, v)| i.key() == id && v.key() == version));
    }
});
