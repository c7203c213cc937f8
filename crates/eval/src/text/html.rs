//! HTML: whether a text is a fragment or document of it, and whether it has some in it.

use regex::Regex;

/// The longest text that is looked at, in bytes.
const BYTES_MAX: usize = 1 << 20;

/// Elements of the HTML standard, sorted.
const ELEMENTS: [&str; 113] = [
    "a",
    "abbr",
    "address",
    "area",
    "article",
    "aside",
    "audio",
    "b",
    "base",
    "bdi",
    "bdo",
    "blockquote",
    "body",
    "br",
    "button",
    "canvas",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "data",
    "datalist",
    "dd",
    "del",
    "details",
    "dfn",
    "dialog",
    "div",
    "dl",
    "dt",
    "em",
    "embed",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "i",
    "iframe",
    "img",
    "input",
    "ins",
    "kbd",
    "label",
    "legend",
    "li",
    "link",
    "main",
    "map",
    "mark",
    "math",
    "menu",
    "meta",
    "meter",
    "nav",
    "noscript",
    "object",
    "ol",
    "optgroup",
    "option",
    "output",
    "p",
    "param",
    "picture",
    "pre",
    "progress",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "script",
    "section",
    "select",
    "slot",
    "small",
    "source",
    "span",
    "strong",
    "style",
    "sub",
    "summary",
    "sup",
    "svg",
    "table",
    "tbody",
    "td",
    "template",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "track",
    "u",
    "ul",
    "var",
    "video",
    "wbr",
];
/// Those without content.
const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];
/// Those whose content is text up to their end tag.
const RAW: [&str; 4] = ["script", "style", "textarea", "title"];
/// Parts of a table, which are nothing outside of one.
const TABLE_PARTS: [&str; 8] = ["caption", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr"];
/// Text in these belongs to what is around them: it is moved before the table, or into the body.
const TRANSPARENT: [&str; 7] = ["html", "head", "table", "tbody", "thead", "tfoot", "tr"];

/// Whether the text is HTML, as a browser reads it: it has an element of HTML (or a custom one), and
/// no text outside of elements, unless it is a whole document with a `<body>`.
pub(crate) fn is_html(text: &str) -> Result<(), &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.len() > BYTES_MAX {
        return Err("it is too long to be read");
    }
    if text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("<?xml")) {
        return Err("it is XML");
    }
    let mut page = Page::default();
    for piece in (Pieces { text, at: 0 }) {
        page.take(piece);
    }
    if page.bare_text && !page.body {
        return Err("it has text outside of elements");
    }
    if page.known { Ok(()) } else { Err("it has no element of HTML") }
}

/// What was read so far.
#[derive(Default)]
struct Page {
    open: Vec<String>,
    known: bool,
    body: bool,
    bare_text: bool,
}

impl Page {
    fn take(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Text(text) => {
                let bare = self.open.iter().all(|name| TRANSPARENT.contains(&name.as_str()));
                self.bare_text |= bare && !text.trim().is_empty();
            }
            Piece::Open { name, .. } => {
                let name = name.to_ascii_lowercase();
                let in_table = self.open.iter().any(|open| open == "table");
                if TABLE_PARTS.contains(&name.as_str()) && !in_table {
                    return;
                }
                self.known |= name.contains('-') || ELEMENTS.binary_search(&name.as_str()).is_ok();
                self.body |= name == "body";
                // Depth is not of interest beyond this.
                if !VOID.contains(&name.as_str()) && name != "body" && self.open.len() < 1000 {
                    self.open.push(name);
                }
            }
            Piece::Close(name) => {
                if let Some(at) = self.open.iter().rposition(|open| open.eq_ignore_ascii_case(name)) {
                    self.open.truncate(at);
                }
            }
        }
    }
}

/// A piece of a page.
enum Piece<'a> {
    Text(&'a str),
    Open { name: &'a str },
    Close(&'a str),
}

/// Cuts a page into pieces. Comments and declarations are left out, and what is in raw elements.
struct Pieces<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
            let after = |mark: &str| rest.find(mark).map_or(rest.len(), |at| at + mark.len());
            if rest.starts_with("<!--") {
                self.at += after("-->");
            } else if rest.starts_with("<!") || rest.starts_with("<?") {
                self.at += after(">");
            } else if let Some(name) = rest.strip_prefix("</").map(name_of).filter(|name| !name.is_empty()) {
                self.at += after(">");
                return Some(Piece::Close(name));
            } else if let Some(name) = rest.strip_prefix('<').map(name_of).filter(|name| !name.is_empty()) {
                self.at += tag_end(rest);
                if RAW.iter().any(|raw| raw.eq_ignore_ascii_case(name)) {
                    let raw = &self.text[self.at..];
                    let ends = |at: &usize| name_of(&raw[at + 2..]).eq_ignore_ascii_case(name);
                    self.at += raw.match_indices("</").map(|(at, _)| at).find(ends).unwrap_or(raw.len());
                }
                return Some(Piece::Open { name });
            } else {
                let first = rest.chars().next().map_or(1, char::len_utf8);
                let end = rest[first..].find('<').map_or(rest.len(), |at| at + first);
                self.at += end;
                return Some(Piece::Text(&rest[..end]));
            }
        }
    }
}

/// The tag's name that begins here; empty where none does.
fn name_of(text: &str) -> &str {
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return "";
    }
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/')).unwrap_or(text.len());
    &text[..end]
}

/// The byte behind a tag; a `>` in a quoted attribute does not end it.
fn tag_end(text: &str) -> usize {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Finds HTML within text by its marks, as promptfoo's `contains-html` is documented to: two marks
/// are enough, and a tag that only HTML has counts twice.
#[derive(Debug)]
pub(crate) struct HtmlMarks(Vec<(Option<Regex>, u32)>);

impl HtmlMarks {
    pub(crate) fn new() -> Self {
        let marks = [
            (r"<[a-zA-Z][a-zA-Z0-9-]*(?:\s[^>]*)?>", 1),
            (r"</[a-zA-Z][a-zA-Z0-9-]*\s*>", 1),
            (r"<[a-zA-Z][a-zA-Z0-9-]*(?:\s[^>]*)?/>", 1),
            (r"&(?:[a-zA-Z]+|#[0-9]+|#x[0-9a-fA-F]+);", 1),
            (r"(?i)<!doctype\s+html", 2),
            (r"(?s)<!--.*?-->", 1),
            (r#"\s[a-zA-Z-]+=\s*["'][^"']*["']"#, 1),
            (
                r"(?i)<(?:html|head|body|div|span|p|a|img|h[1-6]|ul|ol|li|table|tr|td|th|form|input|button|script|style|link|meta|br|hr)\b",
                2,
            ),
        ];
        Self(marks.into_iter().map(|(pattern, weight)| (Regex::new(pattern).ok(), weight)).collect())
    }

    pub(crate) fn found_in(&self, text: &str) -> bool {
        let marks = self.0.iter();
        let found = marks.filter(|(mark, _)| mark.as_ref().is_some_and(|mark| mark.is_match(text)));
        text.len() <= BYTES_MAX && found.map(|(_, weight)| weight).sum::<u32>() >= 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted() {
        assert!(ELEMENTS.is_sorted());
    }

    #[test]
    fn html_is_told_from_text_and_xml() {
        for yes in [
            "<p>Hi",
            "<!DOCTYPE html><html><body>Hi</body></html>",
            "<div><p>a<p>b</div>",
            "<br>",
            "<my-card>x</my-card>",
            "<ul>\n  <li>a</li>\n</ul>",
            "<script>if (a < b) {}</script>",
            "<table><tr><td>1</td></tr></table>",
            "<img alt=\"a > b\">",
        ] {
            assert_eq!(is_html(yes), Ok(()), "{yes}");
        }
        for no in [
            "",
            "Hi",
            "Hi <b>you</b>",
            "<b>a</b> and",
            "<thing>x</thing>",
            "<?xml version=\"1.0\"?><p>x</p>",
            "a < b",
            "<td>1</td>",
            "<html>Hi</html>",
            "<table>x</table>",
            "<!-- only -->",
            "<",
        ] {
            assert!(is_html(no).is_err(), "{no}");
        }
    }

    #[test]
    fn marks() {
        let marks = HtmlMarks::new();
        assert!(marks.0.iter().all(|(mark, _)| mark.is_some()));
        for (text, found) in [
            ("See <b>this</b>.", true),
            ("a <br> b", true),
            ("5 < 6 and 7 > 6", false),
            ("AT&amp;T", false),
            ("Vec<u8>", false),
            ("&nbsp;<!-- x -->", true),
            ("", false),
        ] {
            assert_eq!(marks.found_in(text), found, "{text}");
        }
    }
}
