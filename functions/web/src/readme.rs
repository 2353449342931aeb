//! Readmes: Markdown from strangers, without any of their HTML tags.

use std::fmt;

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// The most bytes of HTML that a readme may become: a MB of `>` would be 28 MB.
const LARGEST: usize = 2 * 1024 * 1024;

/// The readme as HTML; `None` if it would be too long for a page. HTML in it is shown as
/// text, links lead to the web or nowhere, and images become links: loading them would tell
/// a stranger who is reading.
pub(crate) fn render(markdown: &str) -> Option<Markup> {
    let parser = Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH);
    let mut open = Vec::new();
    let events = parser.filter_map(|event| tame(event, &mut open));
    let mut rendered = Bounded(String::with_capacity(markdown.len().min(LARGEST)));
    html::write_html_fmt(&mut rendered, events).ok()?;
    Some(PreEscaped(rendered.0))
}

/// A text that does not grow beyond what a page may hold.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > LARGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// The event as it may be rendered. `open` holds, for each link and image that is
/// open, whether it is rendered as a link.
fn tame<'a>(event: Event<'a>, open: &mut Vec<bool>) -> Option<Event<'a>> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        // A paragraph, so that its content is spaced like text.
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(Tag::Link { dest_url, title, .. } | Tag::Image { dest_url, title, .. }) => {
            // A link inside a link does not count.
            let leads = leads_somewhere(&dest_url) && !open.contains(&true);
            open.push(leads);
            leads.then(|| link(dest_url, title))
        }
        Event::End(TagEnd::Link | TagEnd::Image) => {
            open.pop().unwrap_or_default().then_some(Event::End(TagEnd::Link))
        }
        // Lowered, because the page's own headings rank above it.
        Event::Start(Tag::Heading { level, .. }) => Some(Event::Start(Tag::Heading {
            level: below(level),
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        })),
        Event::End(TagEnd::Heading(level)) => Some(Event::End(TagEnd::Heading(below(level)))),
        other => Some(other),
    }
}

fn link<'a>(dest_url: CowStr<'a>, title: CowStr<'a>) -> Event<'a> {
    let (link_type, id) = (pulldown_cmark::LinkType::Inline, CowStr::Borrowed(""));
    Event::Start(Tag::Link { link_type, dest_url, title, id })
}

/// Whether an address is a web or mail address.
fn leads_somewhere(address: &str) -> bool {
    let address = address.to_ascii_lowercase();
    ["https://", "http://", "mailto:"].iter().any(|scheme| address.starts_with(scheme))
}

fn below(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => HeadingLevel::H6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(markdown: &str) -> String {
        render(markdown).unwrap().into_string()
    }

    #[test]
    fn a_readme_that_would_fill_pages_is_not_rendered() {
        assert!(render(&">".repeat(1024 * 1024)).is_none());
        assert!(render(&"a > b\n\n".repeat(50_000)).is_some());
    }

    #[test]
    fn html_is_shown_as_text() {
        for (markdown, rendered) in [
            ("a <b>b</b>", "<p>a &lt;b&gt;b&lt;/b&gt;</p>\n"),
            ("<script>alert(1)</script>", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n"),
            ("<img src=x onerror=alert(1)>", "<p>&lt;img src=x onerror=alert(1)&gt;</p>\n"),
            ("<!-- c -->", "<p>&lt;!-- c --&gt;</p>\n"),
            ("`<i>`", "<p><code>&lt;i&gt;</code></p>\n"),
        ] {
            assert_eq!(shown(markdown), rendered, "{markdown}");
        }
    }

    #[test]
    fn links_lead_to_the_web_or_nowhere() {
        for (markdown, rendered) in [
            ("[a](https://x.org)", "<p><a href=\"https://x.org\">a</a></p>\n"),
            ("[a](JavaScript:alert(1))", "<p>a</p>\n"),
            ("[a](java&#115;cript:alert(1))", "<p>a</p>\n"),
            ("[a](data:text/html,x)", "<p>a</p>\n"),
            ("[a](//x.org)", "<p>a</p>\n"),
            ("[a](docs/a.md)", "<p>a</p>\n"),
            ("[a]( \tvbscript:x)", "<p>a</p>\n"),
            ("<javascript:alert(1)>", "<p>javascript:alert(1)</p>\n"),
            (
                "[![i](https://x.org/i.png)](https://y.org)",
                "<p><a href=\"https://y.org\">i</a></p>\n",
            ),
            ("![i](https://x.org/i.png)", "<p><a href=\"https://x.org/i.png\">i</a></p>\n"),
            (
                "[a](https://x.org \"q\\\"><script>\")",
                "<p><a href=\"https://x.org\" title=\"q&quot;&gt;&lt;script&gt;\">a</a></p>\n",
            ),
        ] {
            assert_eq!(shown(markdown), rendered, "{markdown}");
        }
    }

    #[test]
    fn headings_stand_below_the_pages_own() {
        assert_eq!(shown("# A {#x .y}"), "<h3>A {#x .y}</h3>\n");
    }
}
