//! A look at the XML before it is parsed: the parser compares every attribute
//! of an element with every other, and every namespace with all before it.

use super::NuspecError;
use crate::Limits;

/// Refuses more attributes on one element, or more namespaces, than the limits allow. Reads
/// the text once; text that is not XML is left to the parser.
pub(super) fn check(text: &str, limits: &Limits) -> Result<(), NuspecError> {
    let mut namespaces = 0;
    let mut rest = text;
    while let Some((_, tag)) = rest.split_once('<') {
        if let Some(after) = skip_opaque(tag) {
            rest = after;
            continue;
        }
        let (attributes, declared, after) = measure(tag);
        let limit = limits.nuspec_attributes;
        if attributes > limit {
            let element = "attributes on one element";
            return Err(NuspecError::TooMany { element, count: attributes, limit });
        }
        namespaces += declared;
        rest = after;
    }
    let limit = limits.nuspec_namespaces;
    if namespaces > limit {
        let element = "namespace declarations";
        return Err(NuspecError::TooMany { element, count: namespaces, limit });
    }
    Ok(())
}

/// The text after a comment, a CDATA section or a processing instruction, none of which has
/// attributes.
fn skip_opaque(tag: &str) -> Option<&str> {
    [("!--", "-->"), ("![CDATA[", "]]>"), ("?", "?>")].into_iter().find_map(|(start, end)| {
        let inner = tag.strip_prefix(start)?;
        Some(inner.split_once(end).map_or("", |(_, rest)| rest))
    })
}

/// The attributes and namespace declarations of a tag, and what follows it.
fn measure(tag: &str) -> (usize, usize, &str) {
    let (mut attributes, mut namespaces) = (0, 0);
    let mut rest = tag;
    while let Some(at) = rest.find(['"', '\'', '>']) {
        let (before, after) = rest.split_at(at);
        attributes += before.matches('=').count();
        namespaces += before.matches("xmlns").count();
        let quote = after.chars().next().unwrap_or_default();
        let after = after.get(1..).unwrap_or_default();
        if quote == '>' {
            return (attributes, namespaces, after);
        }
        rest = after.split_once(quote).map_or("", |(_, rest)| rest);
    }
    (attributes, namespaces, "")
}
