//! API keys, their names and patterns.

#![no_main]

use access::{ApiKey, IdGlob, KeyName, Scope};
use libfuzzer_sys::fuzz_target;
use nupkg::PackageId;
use protocol::Caller;

/// Whether `id` matches `glob`, by the simplest algorithm.
fn matches(glob: &[u8], id: &[u8]) -> bool {
    match (glob.split_first(), id.split_first()) {
        (None, None) => true,
        (Some((b'*', glob)), Some((_, rest))) => {
            matches(glob, id) || matches(&[b"*", glob].concat(), rest)
        }
        (Some((b'*', glob)), None) => matches(glob, id),
        (Some((one, glob)), Some((other, id))) => {
            one.eq_ignore_ascii_case(other) && matches(glob, id)
        }
        _ => false,
    }
}

// A pattern, an id, and a text that may be a key or a name.
fuzz_target!(|input: (&str, &str, &str)| {
    let (pattern, id, text) = input;
    if let (Ok(glob), Ok(id)) = (pattern.parse::<IdGlob>(), PackageId::parse(id)) {
        // The simple algorithm takes too long if there are many stars.
        if pattern.matches('*').count() <= 4 {
            assert_eq!(glob.matches(&id), matches(pattern.as_bytes(), id.as_str().as_bytes()));
        }
    }
    if let Ok(key) = text.parse::<ApiKey>() {
        assert_eq!(key.reveal(), text);
        assert_eq!(key.hash().as_str().len(), 64);
        assert!(!format!("{key:?}").contains(&text[9..]));
    }
    let _ = text.parse::<Scope>();
    if let Ok(name) = text.parse::<KeyName>() {
        let ids = pattern.parse().into_iter().collect();
        let scopes = vec![Scope::Push, Scope::Unlist];
        let quotas = id.parse().into_iter().collect();
        let next: KeyName = name.next();
        assert_eq!(next.as_str().parse::<KeyName>().as_ref(), Ok(&next));
        assert_ne!(next, name);
        let caller = Caller::Key { name, ids, scopes, quotas, warning: Some(text.to_owned()) };
        let context = caller.to_context();
        assert_eq!(Caller::from_context(|field| context.get(field).cloned()), caller);
    }
});
