//! Bytes are an issuer's address, its configuration or its keys, or none of these.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use trust::SecureUrl;
use url::Url;

fuzz_target!(|input: (&str, &[u8])| {
    let (text, document) = input;
    if let Ok(address) = text.parse::<SecureUrl>() {
        assert_eq!(address.as_str(), text);
        // As the HTTP client reads it.
        if let Ok(url) = Url::parse(text) {
            assert_eq!(url.scheme(), "https");
            assert!(url.username().is_empty() && url.password().is_none(), "{text}");
            assert!(url.query().is_none() && url.fragment().is_none(), "{text}");
            if let Some(url::Host::Domain(host)) = url.host() {
                assert_eq!(host, address.host());
            }
        }
        if let Ok(jwks_uri) = trust::jwks_uri(document, &address) {
            assert_eq!(jwks_uri.host(), address.host());
        }
    }
    if let Ok(keys) = trust::public_keys(document) {
        let kids: HashSet<&str> = keys.iter().map(|key| key.kid.as_str()).collect();
        assert_eq!(kids.len(), keys.len());
        assert!((1..=32).contains(&keys.len()));
        let stored = serde_json::to_vec(&keys).expect("JSON");
        assert_eq!(serde_json::from_slice::<Vec<trust::PublicKey>>(&stored).expect("keys"), keys);
    }
});
