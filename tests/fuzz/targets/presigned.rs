//! Bytes are a presigned request to STS or none; one that is accepted is asked at a host of
//! Amazon's, with the parameters of its form and no others, and reads back as the same request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trust::PresignedIdentity;

const NAMES: [&str; 8] = [
    "Action",
    "Version",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
];

// Either a text as it comes, or the address that it is to carry; and an answer of STS.
fuzz_target!(|input: (bool, &str, &[u8])| {
    let (is_address, text, answer) = input;
    if let Some(claims) = PresignedIdentity::claims(answer) {
        assert!(claims.text("account").is_some() && claims.text("principal_id").is_some());
        assert!(!claims.text("principal_id").unwrap_or_default().contains(':'));
    }
    let text = if is_address { PresignedIdentity::text(text) } else { text.to_owned() };
    let Some(Ok(read)) = PresignedIdentity::read(&text) else { return };
    let address = read.address();
    let rest = address.strip_prefix("https://sts.").expect("a host of STS");
    let (region, query) = rest.split_once(".amazonaws.com/?").expect("its root");
    assert!(region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    let parameters: Vec<(&str, &str)> =
        query.split('&').map(|pair| pair.split_once('=').expect("a value")).collect();
    let named = |name: &str| parameters.iter().filter(|(known, _)| *known == name).count();
    assert!(NAMES.iter().all(|name| named(name) == 1));
    assert_eq!(parameters.len(), NAMES.len() + named("X-Amz-Security-Token"));
    assert!(parameters.contains(&("Action", "GetCallerIdentity")));
    assert!(parameters.contains(&("X-Amz-SignedHeaders", "host%3Bx-nuthatch-feed")));
    let again = PresignedIdentity::read(&PresignedIdentity::text(&address));
    let again = again.expect("the form").expect("the same request");
    assert_eq!((again.address(), again.id()), (address, read.id()));
});
