//! Questions: the input of people and clients, as queries of the text index.

use std::sync::Arc;

use protocol::Caller;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, EmptyQuery, FuzzyTermQuery, Occur,
    PhraseQuery, Query, RegexQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tokio::sync::OwnedSemaphorePermit;

use crate::SearchIndexError;
use crate::document::Fields;
use crate::package::{Found, ListedVersion};
use crate::words::{Word, words};

/// Which versions are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct View {
    /// Also those with release labels.
    pub prerelease: bool,
    /// Also those that clients older than NuGet 4.3 cannot read.
    pub semver2: bool,
}

impl View {
    pub(crate) const ALL: [Self; 4] = [
        Self { prerelease: false, semver2: false },
        Self { prerelease: true, semver2: false },
        Self { prerelease: false, semver2: true },
        Self { prerelease: true, semver2: true },
    ];

    pub(crate) fn name(self) -> &'static str {
        match (self.prerelease, self.semver2) {
            (false, false) => "stable",
            (true, false) => "prerelease",
            (false, true) => "stable-semver2",
            (true, true) => "prerelease-semver2",
        }
    }

    /// Whether a version is in the view.
    #[must_use]
    pub fn shows(self, version: &ListedVersion) -> bool {
        (self.prerelease || !version.prerelease) && (self.semver2 || !version.semver2)
    }
}

/// A page of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Results before it.
    pub skip: usize,
    /// The most results on it.
    pub take: usize,
}

/// A question.
#[derive(Debug, Clone)]
pub struct Search {
    /// The question.
    pub asked: Question,
    /// Which versions are looked at.
    pub view: View,
    /// The package type that results have; any, where absent.
    pub package_type: Option<String>,
    /// The caller: only packages that it may see are found and counted.
    pub caller: Caller,
    /// Which results are given.
    pub page: Page,
}

/// The question.
#[derive(Debug, Clone)]
pub enum Question {
    /// The text of a search box, in nuget.org's syntax: words, `"phrases"`,
    /// `field:value`.
    Text(String),
    /// Ids that begin with this, or have words that do.
    IdsLike(String),
    /// The package with this id.
    Id(String),
}

/// The packages found.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// How many packages match, whatever the page.
    pub total: usize,
    /// The packages of the page, the best first.
    pub found: Vec<Found>,
    /// Whether all that was changed before the search is in them.
    pub is_current: bool,
    /// Whether the page has fewer results than were asked for, because more would be too
    /// large for an answer.
    pub is_cut: bool,
    /// The permit to hold results; the next search gets it once these are dropped.
    pub(crate) turn: Option<Arc<OwnedSemaphorePermit>>,
}

impl Results {
    /// No results, for a search that nothing can match.
    #[must_use]
    pub fn none() -> Self {
        Self { is_current: true, ..Self::default() }
    }
}

/// The most characters and words of a question that count: more than anybody types, and few
/// enough to answer.
const MOST_CHARACTERS: usize = 300;
const MOST_WORDS: usize = 32;

/// How much more a match in the id counts than one anywhere.
const ID_BOOST: f32 = 4.0;
/// More than any sum of scores: the package that was named comes first.
const EXACT: f32 = 1_000_000.0;

impl Search {
    /// The query.
    pub(crate) fn query(&self, fields: &Fields) -> Result<Box<dyn Query>, SearchIndexError> {
        let exact = |field, text: &str| -> Box<dyn Query> {
            Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
        };
        let mut clauses = vec![(Occur::Must, unscored(exact(fields.view, self.view.name())))];
        if let Some(package_type) = &self.package_type {
            let named = exact(fields.package_type, &package_type.to_lowercase());
            clauses.push((Occur::Must, unscored(named)));
        }
        if let Some(visible) = visible_to(&self.caller, fields.key)? {
            clauses.push((Occur::Must, unscored(visible)));
        }
        match &self.asked {
            Question::Id(id) => {
                clauses.push((Occur::Must, exact(fields.key, &shortened(id).to_lowercase())));
            }
            Question::IdsLike(text) => clauses.extend(ids_like(text, fields)),
            Question::Text(text) => {
                clauses.extend(ParsedText::parse(text).clauses(fields));
                let named = exact(fields.key, &shortened(text).to_lowercase());
                clauses.push((Occur::Should, Box::new(BoostQuery::new(unscored(named), EXACT))));
            }
        }
        Ok(Box::new(BooleanQuery::new(clauses)))
    }
}

/// A query that says yes or no.
fn unscored(query: Box<dyn Query>) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(query, 1.0))
}

/// A query for the packages that the caller's key is good for; `None` if it is good for
/// all.
fn visible_to(caller: &Caller, key: Field) -> Result<Option<Box<dyn Query>>, SearchIndexError> {
    let Caller::Key { ids, .. } = caller else { return Ok(None) };
    if ids.iter().any(|glob| glob.as_str() == "*") {
        return Ok(None);
    }
    let mut globs: Vec<Box<dyn Query>> = Vec::with_capacity(ids.len());
    for glob in ids {
        let pieces = glob.as_str().to_ascii_lowercase();
        let pieces: Vec<String> = pieces.split('*').map(escape).collect();
        globs.push(Box::new(RegexQuery::from_pattern(&pieces.join(".*"), key)?));
    }
    Ok(Some(Box::new(BooleanQuery::union(globs))))
}

/// A text as a pattern that matches it alone.
fn escape(text: &str) -> String {
    text.chars()
        .flat_map(|c| (!c.is_alphanumeric()).then_some('\\').into_iter().chain([c]))
        .collect()
}

/// The part of `text` that counts.
fn shortened(text: &str) -> &str {
    let text = text.trim();
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

/// The words of `text` that count.
fn few_words(text: &str) -> Vec<Word> {
    words(shortened(text)).take(MOST_WORDS).collect()
}

/// Ids that begin with `text`, or have, for each word of `text`, a word that begins with
/// it.
fn ids_like(text: &str, fields: &Fields) -> Vec<(Occur, Box<dyn Query>)> {
    let text = shortened(text);
    let asked = few_words(text);
    if asked.is_empty() {
        return if text.is_empty() {
            Vec::new()
        } else {
            vec![(Occur::Must, Box::new(EmptyQuery))]
        };
    }
    let begins: Box<dyn Query> = Box::new(prefix(fields.key, &text.to_lowercase()));
    let all = asked.iter().map(|word| (Occur::Must, beginning(fields.id, word)));
    let has: Box<dyn Query> = Box::new(BooleanQuery::new(all.collect()));
    let begins = Box::new(BoostQuery::new(begins, EXACT));
    vec![(Occur::Must, Box::new(BooleanQuery::union(vec![begins, has])))]
}

/// A question, taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct ParsedText {
    parts: Vec<Part>,
}

/// A part of a question.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    /// The field that it is about; all, where absent.
    field: Option<String>,
    text: String,
    quoted: bool,
}

impl ParsedText {
    fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = shortened(text);
        while !rest.is_empty() && parts.len() < MOST_WORDS {
            let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
            let (plain, after) = rest.split_at(end);
            let field = plain.strip_suffix(':').map(str::to_lowercase);
            match after.strip_prefix('"') {
                // `field:"…"` or `"…"`; quotes in the middle of a word do not count.
                Some(quoted) if plain.is_empty() || field.is_some() => {
                    let (text, after) = quoted.split_once('"').unwrap_or((quoted, ""));
                    parts.push(Part { field, text: text.to_owned(), quoted: true });
                    rest = after;
                }
                Some(after) => {
                    parts.push(Part::plain(plain));
                    rest = after;
                }
                None => {
                    parts.push(Part::plain(plain));
                    rest = after;
                }
            }
            rest = rest.trim_start();
        }
        // Operators of other engines have no meaning on nuget.org, or here.
        let is_operator = |text: &str| matches!(text, "AND" | "OR" | "NOT");
        parts.retain(|part| !part.text.is_empty() && (part.quoted || !is_operator(&part.text)));
        Self { parts }
    }

    /// The terms that a package must and should match.
    fn clauses(self, fields: &Fields) -> Vec<(Occur, Box<dyn Query>)> {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        let mut scoped: Vec<(Scope, Vec<Box<dyn Query>>)> = Vec::new();
        let last = self.parts.len();
        for (place, part) in self.parts.into_iter().enumerate() {
            let is_last = place + 1 == last && !part.quoted;
            match part.field.as_deref().map(Scope::parse) {
                None => clauses.extend(anywhere(&part, is_last, fields)),
                // A part with an unknown field does not count.
                Some(None) => {}
                Some(Some(scope)) => {
                    let query = scope.query(&part, fields);
                    match scoped.iter_mut().find(|(known, _)| *known == scope) {
                        Some((_, queries)) => queries.push(query),
                        None => scoped.push((scope, vec![query])),
                    }
                }
            }
        }
        // Two values of one field are alternatives; all fields must match.
        for (_, queries) in scoped {
            clauses.push((Occur::Must, Box::new(BooleanQuery::union(queries))));
        }
        if clauses.is_empty() {
            clauses.push((Occur::Must, Box::new(AllQuery)));
        }
        clauses
    }
}

impl Part {
    fn plain(text: &str) -> Self {
        match text.split_once(':') {
            Some((field, value)) if !field.is_empty() && !value.is_empty() => {
                Self { field: Some(field.to_lowercase()), text: value.to_owned(), quoted: false }
            }
            _ => Self { field: None, text: text.to_owned(), quoted: false },
        }
    }
}

/// A field that a question can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Id,
    PackageId,
    Version,
    Title,
    Description,
    Summary,
    Tags,
    Authors,
    /// The feed knows no owners.
    Owners,
}

impl Scope {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "id" => Some(Self::Id),
            "packageid" => Some(Self::PackageId),
            "version" => Some(Self::Version),
            "title" => Some(Self::Title),
            "description" => Some(Self::Description),
            "summary" => Some(Self::Summary),
            "tag" | "tags" => Some(Self::Tags),
            "author" | "authors" => Some(Self::Authors),
            "owner" | "owners" => Some(Self::Owners),
            _ => None,
        }
    }

    fn query(self, part: &Part, fields: &Fields) -> Box<dyn Query> {
        let text = part.text.trim();
        let exact = |field, text: &str| -> Box<dyn Query> {
            Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
        };
        match self {
            Self::PackageId => exact(fields.key, &text.to_lowercase()),
            Self::Version => {
                let version = text.parse::<nupkg::Version>();
                let key = version.map_or_else(|_| text.to_lowercase(), |version| version.key());
                exact(fields.version, &key)
            }
            Self::Id => in_field(fields.id, part),
            Self::Title => in_field(fields.title, part),
            Self::Description => in_field(fields.description, part),
            Self::Summary => in_field(fields.summary, part),
            Self::Tags => in_field(fields.tags, part),
            Self::Authors => in_field(fields.authors, part),
            Self::Owners => Box::new(EmptyQuery),
        }
    }
}

/// Packages with all of the part's words in `field`, in this order if they are quoted.
fn in_field(field: Field, part: &Part) -> Box<dyn Query> {
    let words = few_words(&part.text);
    if words.is_empty() {
        return Box::new(EmptyQuery);
    }
    if part.quoted {
        return phrase(field, &words);
    }
    let all = words.iter().map(|word| (Occur::Must, any_form(field, word, false)));
    Box::new(BooleanQuery::new(all.collect()))
}

/// Packages with the part's words anywhere; those with the words in the id come first.
fn anywhere(part: &Part, is_last: bool, fields: &Fields) -> Vec<(Occur, Box<dyn Query>)> {
    let words = few_words(&part.text);
    if part.quoted {
        return match words.as_slice() {
            [] => Vec::new(),
            words => vec![(Occur::Must, phrase(fields.all, words))],
        };
    }
    let count = words.len();
    let both = words.iter().enumerate().flat_map(|(place, word)| {
        let begins = is_last && place + 1 == count;
        let in_id = BoostQuery::new(any_form(fields.id, word, begins), ID_BOOST);
        let in_id: Box<dyn Query> = Box::new(in_id);
        [(Occur::Must, any_form(fields.all, word, begins)), (Occur::Should, in_id)]
    });
    both.collect()
}

/// The word as a whole, or all its parts; with `begins`, also terms that only begin with
/// it, which count less.
fn any_form(field: Field, word: &Word, begins: bool) -> Box<dyn Query> {
    let whole: Box<dyn Query> = Box::new(term(field, &word.whole));
    let mut forms = vec![whole];
    if begins {
        forms.push(Box::new(prefix(field, &word.whole)));
    }
    forms.extend(all_parts(field, word, begins));
    one_of(forms)
}

/// Terms that begin with the word; or all its parts, of which the last may be a beginning.
fn beginning(field: Field, word: &Word) -> Box<dyn Query> {
    let whole: Box<dyn Query> = Box::new(prefix(field, &word.whole));
    one_of(std::iter::once(whole).chain(all_parts(field, word, true)).collect())
}

fn one_of(mut forms: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match forms.len() {
        1 => forms.remove(0),
        _ => Box::new(BooleanQuery::union(forms)),
    }
}

/// All parts of a word that has parts; with `begins`, the last one may be a beginning.
fn all_parts(field: Field, word: &Word, begins: bool) -> Option<Box<dyn Query>> {
    let (last, parts) = word.parts.split_last().filter(|_| word.is_divided())?;
    let mut all: Vec<(Occur, Box<dyn Query>)> = Vec::with_capacity(word.parts.len());
    for part in parts {
        all.push((Occur::Must, Box::new(term(field, part))));
    }
    let last: Box<dyn Query> =
        if begins { Box::new(prefix(field, last)) } else { Box::new(term(field, last)) };
    all.push((Occur::Must, last));
    Some(Box::new(BooleanQuery::new(all)))
}

/// The words in sequence: as their parts, or as whole words. Another version may have
/// written them with other capitals, next to words with or without parts.
fn phrase(field: Field, words: &[Word]) -> Box<dyn Query> {
    let parts: Vec<&str> = words.iter().flat_map(|word| &word.parts).map(String::as_str).collect();
    let wholes: Vec<&str> = words.iter().map(|word| word.whole.as_str()).collect();
    let undivided: Vec<String> = words.iter().map(Word::undivided).collect();
    let undivided: Vec<&str> = undivided.iter().map(String::as_str).collect();
    let mut forms = vec![in_order(field, &parts), in_order(field, &undivided)];
    if words.iter().any(Word::is_divided) {
        forms.push(in_order(field, &wholes));
    }
    one_of(forms)
}

fn in_order(field: Field, texts: &[&str]) -> Box<dyn Query> {
    match texts {
        [one] => Box::new(term(field, one)),
        texts => {
            let terms = texts.iter().map(|text| Term::from_field_text(field, text));
            Box::new(PhraseQuery::new(terms.collect()))
        }
    }
}

fn term(field: Field, text: &str) -> TermQuery {
    TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::WithFreqs)
}

fn prefix(field: Field, text: &str) -> FuzzyTermQuery {
    FuzzyTermQuery::new_prefix(Term::from_field_text(field, text), 0, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<String> {
        let parts = ParsedText::parse(text).parts.into_iter();
        parts
            .map(|Part { field, text, quoted }| {
                let field = field.map(|field| format!("{field}:")).unwrap_or_default();
                if quoted { format!("{field}\"{text}\"") } else { format!("{field}{text}") }
            })
            .collect()
    }

    #[test]
    fn a_question_is_words_phrases_and_fields() {
        for (text, parts) in [
            ("", &[][..]),
            ("json parser", &["json", "parser"]),
            ("  Tags:\"unit test\"  x", &["tags:\"unit test\"", "x"]),
            ("id:a packageid:B.C", &["id:a", "packageid:B.C"]),
            ("\"a b\" c", &["\"a b\"", "c"]),
            ("a AND b OR NOT \"OR\"", &["a", "b", "\"OR\""]),
            ("\"open", &["\"open\""]),
            ("foo\"bar\"", &["foo", "bar"]),
            ("\"\" id:\"\" :", &[":"]),
            (":x y:", &[":x", "y:"]),
            ("a:b:c", &["a:b:c"]),
        ] {
            assert_eq!(parsed(text), parts, "{text}");
        }
    }

    #[test]
    fn a_glob_is_escaped() {
        assert_eq!(escape("acme.core-x_y"), "acme\\.core\\-x\\_y");
    }
}
