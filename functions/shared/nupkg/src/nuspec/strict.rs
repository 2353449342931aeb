//! XML that our parser takes and .NET's does not: no client could read such a nuspec.

use super::NuspecError;
use super::names::{CONTINUES, STARTS};

const XML: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// Refuses XML that makes .NET's `XmlReader` throw, in a text that the parser accepted as
/// well-formed.
pub(super) fn check(text: &str) -> Result<(), NuspecError> {
    if text.starts_with('\u{feff}') {
        return refuse("it begins with two byte order marks");
    }
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        check_references(before)?;
        rest = if let Some(comment) = tag.strip_prefix("!--") {
            behind(comment, "-->")
        } else if let Some(section) = tag.strip_prefix("![CDATA[") {
            behind(section, "]]>")
        } else if let Some(instruction) = tag.strip_prefix('?') {
            let (content, after) = instruction.split_once("?>").unwrap_or((instruction, ""));
            let is_first = before.is_empty() && rest.len() == text.len();
            check_instruction(content, is_first)?;
            after
        } else if let Some(end) = tag.strip_prefix('/') {
            behind(end, ">")
        } else {
            check_tag(tag)?
        };
    }
    Ok(())
}

fn check_instruction(content: &str, is_first: bool) -> Result<(), NuspecError> {
    let end = content.find(char::is_whitespace).unwrap_or(content.len());
    let (target, rest) = content.split_at_checked(end).unwrap_or((content, ""));
    match target {
        "xml" if is_first => check_declaration(rest),
        _ if target.eq_ignore_ascii_case("xml") => {
            refuse("an XML declaration stands elsewhere than at its start")
        }
        _ if target.contains(':') => refuse("a processing instruction's name has a colon"),
        _ => check_name(target),
    }
}

fn check_declaration(declaration: &str) -> Result<(), NuspecError> {
    let mut known = ["version", "encoding", "standalone"].into_iter();
    let mut rest = declaration.trim();
    let mut version = None;
    while !rest.is_empty() {
        let Some((name, value, after)) = attribute(rest) else { break };
        if !known.any(|known| known == name) {
            return refuse("its XML declaration has something unknown, or in another order");
        }
        match (name, value) {
            ("version", value) => version = Some(value),
            ("standalone", "yes" | "no") | ("encoding", _) => {}
            _ => return refuse("its XML declaration has a standalone that is neither yes nor no"),
        }
        rest = after.trim_start();
    }
    if version == Some("1.0") && rest.is_empty() {
        Ok(())
    } else {
        refuse("its XML declaration does not say version 1.0")
    }
}

/// Checks a start tag; returns the text after it.
fn check_tag(tag: &str) -> Result<&str, NuspecError> {
    let end = tag.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>'));
    let (name, mut rest) = tag.split_at_checked(end.unwrap_or(tag.len())).unwrap_or((tag, ""));
    check_name(name)?;
    loop {
        rest = rest.trim_start();
        let Some((name, value, after)) = attribute(rest) else { return Ok(behind(rest, ">")) };
        check_name(name)?;
        check_attribute(name, value)?;
        rest = after;
    }
}

fn check_attribute(name: &str, value: &str) -> Result<(), NuspecError> {
    check_references(value)?;
    let is_wrong = match name.split_once(':') {
        None if name == "xmlns" => value == XML || value == XMLNS,
        Some(("xmlns", prefix)) => {
            value.is_empty()
                || value == XMLNS
                || prefix == "xmlns"
                || (prefix == "xml") != (value == XML)
        }
        Some(("xml", "space")) => !matches!(value, "default" | "preserve"),
        _ => false,
    };
    if is_wrong { refuse(&format!("the attribute {name} may not be '{value}'")) } else { Ok(()) }
}

/// Checks that no character reference stands for half of a surrogate pair.
fn check_references(text: &str) -> Result<(), NuspecError> {
    for reference in text.split("&#").skip(1) {
        let number = reference.split(';').next().unwrap_or_default();
        let code = match number.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        if code.is_ok_and(|code| char::from_u32(code).is_none()) {
            return refuse(&format!("&#{number}; stands for no character"));
        }
    }
    Ok(())
}

/// The attribute that `text` begins with: its name, its value, and what follows it.
fn attribute(text: &str) -> Option<(&str, &str, &str)> {
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '=' | '/' | '>'))?;
    let (name, rest) = text.split_at_checked(end)?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (value, after) = rest.get(1..)?.split_once(quote)?;
    Some((name, value, after))
}

fn check_name(name: &str) -> Result<(), NuspecError> {
    let parts = name.split(':').count();
    if parts <= 2 && name.split(':').all(is_name) {
        return Ok(());
    }
    refuse(&format!("'{name}' is not a name that .NET reads"))
}

fn is_name(part: &str) -> bool {
    let is_in = |c: char, ranges: &[(u16, u16)]| {
        u16::try_from(u32::from(c))
            .is_ok_and(|code| ranges.iter().any(|(from, to)| (*from..=*to).contains(&code)))
    };
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || is_in(c, STARTS);
    let continues =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') || is_in(c, CONTINUES);
    let mut letters = part.chars();
    letters.next().is_some_and(starts) && letters.all(continues)
}

fn behind<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

fn refuse<T>(reason: &str) -> Result<T, NuspecError> {
    Err(NuspecError::Malformed(reason.to_owned()))
}
