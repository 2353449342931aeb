//! Words: the division of texts and questions.

use tantivy::tokenizer::{PreTokenizedString, Token};

/// A word of a text, lower-cased: a run of letters and digits, and the parts
/// that its capitals and digits divide it into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// All of it: `entityframework`.
    pub(crate) whole: String,
    /// Its parts: `entity`, `framework`; itself alone where it has none.
    pub(crate) parts: Vec<String>,
}

/// The words of `text`.
pub(crate) fn words(text: &str) -> impl Iterator<Item = Word> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()).map(Word::of)
}

impl Word {
    fn of(run: &str) -> Self {
        let mut parts = vec![String::new()];
        let mut before: Option<char> = None;
        let mut rest = run.chars().peekable();
        while let Some(c) = rest.next() {
            if before.is_some_and(|before| divides(before, c, rest.peek().copied())) {
                parts.push(String::new());
            }
            if let Some(part) = parts.last_mut() {
                part.extend(c.to_lowercase());
            }
            before = Some(c);
        }
        Self { whole: parts.concat(), parts }
    }

    /// The token that stands for the whole word, whatever its capitals. Such tokens form a
    /// sequence of their own, and no other token can be mistaken for one.
    pub(crate) fn undivided(&self) -> String {
        format!("\u{1}{}", self.whole)
    }

    /// Whether it has parts besides itself.
    pub(crate) fn is_divided(&self) -> bool {
        self.parts.len() > 1
    }
}

/// Whether a part begins at `c`: `log|4|Net`, `XML|Parser`, `entity|Framework`.
fn divides(before: char, c: char, after: Option<char>) -> bool {
    before.is_numeric() != c.is_numeric()
        || (c.is_uppercase() && !before.is_uppercase())
        || (c.is_uppercase() && after.is_some_and(char::is_lowercase))
}

/// `texts` as tokens of the index: the parts in sequence, with each whole word at the
/// position of its first part. If any word of a text has parts, a second sequence holds its
/// words undivided. A gap between two texts keeps a phrase from matching across them.
pub(crate) fn tokens<'a>(texts: impl IntoIterator<Item = &'a str>) -> PreTokenizedString {
    const GAP: usize = 100;
    let mut tokens = Vec::new();
    let (mut position, mut place) = (0, 0);
    for text in texts {
        let is_divided = words(text).any(|word| word.is_divided());
        for word in words(text) {
            if is_divided {
                tokens.push(token(word.undivided(), place));
                place += 1;
            }
            if word.is_divided() {
                tokens.push(token(word.whole, position));
            }
            for part in word.parts {
                tokens.push(token(part, position));
                position += 1;
            }
        }
        position += GAP;
        place += GAP;
    }
    PreTokenizedString { text: String::new(), tokens }
}

fn token(text: String, position: usize) -> Token {
    Token { text, position, ..Token::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capitals_and_digits_divide_words() {
        for (text, expected) in [
            ("Newtonsoft.Json", "newtonsoft json"),
            ("EntityFrameworkCore", "entityframeworkcore=entity+framework+core"),
            ("XMLParser", "xmlparser=xml+parser"),
            ("log4Net", "log4net=log+4+net"),
            ("already lower_case", "already lower case"),
            ("JSON", "json"),
            ("Grüße, ÜberÖl!", "grüße überöl=über+öl"),
            ("İstanbul", "i\u{307}stanbul"),
            ("", ""),
            ("- . _", ""),
        ] {
            let found: Vec<_> = words(text)
                .map(|word| {
                    if word.is_divided() {
                        format!("{}={}", word.whole, word.parts.join("+"))
                    } else {
                        word.whole
                    }
                })
                .collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }
}
