//! Bytes are an identity token or none; the library reads each token that is accepted, in the
//! same way.

#![no_main]

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use trust::IdentityToken;

// Either a token as it is, or a header and claims to make one of.
fuzz_target!(|input: (bool, &[u8], &[u8])| {
    let (is_made, first, second) = input;
    let encoded = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let text = if is_made {
        format!("{}.{}.AAAA", encoded(first), encoded(second))
    } else {
        String::from_utf8_lossy(first).into_owned()
    };
    let Ok(token) = text.parse::<IdentityToken>() else { return };
    let header = jsonwebtoken::decode_header(&text).expect("a header that the library reads");
    assert_eq!(header.kid.as_deref(), Some(token.kid.as_str()));
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&text).expect("claims").claims;
    assert_eq!(claims["iss"].as_str(), Some(token.iss.as_str()));
    assert_eq!(claims.get("sub").and_then(Value::as_str), token.claims.text("sub"));
    let (now, expires) = (1_767_225_600, claims["exp"].as_i64().expect("a number"));
    assert!(token.check_time(now).is_err() || expires > now - 60);
    assert!(token.check_audience("https://FEED").is_err() || text.len() > 20);
    assert_eq!(token.id().as_str().len(), 64);
    assert!(token.remembered_until() >= expires);
    if let Some(iss) = token.issuer() {
        assert_eq!(iss.as_str(), token.iss);
    }
});
