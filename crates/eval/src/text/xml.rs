//! XML: whether a text is well-formed, whether it has some in it, and which elements that has.

use roxmltree::{Document, Node, ParsingOptions};

/// The longest text that is looked at, in bytes.
const BYTES_MAX: usize = 1 << 20;
/// So many places where an element may begin are tried.
const STARTS_MAX: usize = 64;
/// So many nodes are read.
const NODES_MAX: u32 = 100_000;

/// Whether the text is one well-formed document with namespaces (XML 1.0), which has all elements.
/// Declarations in the document type are not read, and so not allowed.
///
/// # Errors
/// Why not.
pub(crate) fn is_xml(text: &str, elements: &[String]) -> Result<(), String> {
    if text.len() > BYTES_MAX {
        return Err("is too long to be read as XML".into());
    }
    let doctype = text.find("<!DOCTYPE").map(|at| &text[at..]);
    if doctype.is_some_and(|doctype| doctype[..doctype.find('>').unwrap_or(doctype.len())].contains('[')) {
        return Err("has declarations in its document type, which are not read".into());
    }
    let options = ParsingOptions { allow_dtd: true, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, options).map_err(|error| format!("is not well-formed: {error}"))?;
    let missing = elements.iter().find(|path| !has(&document, path));
    missing.map_or(Ok(()), |path| Err(format!("has no element {path}")))
}

/// Whether some part of the text is well-formed XML with all elements.
pub(crate) fn contains_xml(text: &str, elements: &[String]) -> bool {
    let mut from = 0;
    for _ in 0..STARTS_MAX {
        let Some(start) = text.get(from..).and_then(|rest| rest.find('<')).map(|at| from + at) else { return false };
        match element_end(text, start) {
            // What is within a well-formed element is not looked at again.
            Some(end) if is_xml(&text[start..end], elements).is_ok() => return true,
            Some(end) => from = end,
            None => from = start + 1,
        }
    }
    false
}

/// The byte behind the element that begins here, by its tags alone.
fn element_end(text: &str, start: usize) -> Option<usize> {
    let mut open: Vec<&str> = Vec::new();
    let mut at = start;
    loop {
        let rest = &text[at..];
        let skip = |mark: &str| rest.find(mark).map(|found| at + found + mark.len());
        if rest.starts_with("<!--") {
            at = skip("-->")?;
        } else if rest.starts_with("<![CDATA[") {
            at = skip("]]>")?;
        } else if rest.starts_with("<?") {
            at = skip("?>")?;
        } else {
            let end = tag_end(rest)?;
            let tag = &rest[1..end - 1];
            match tag.strip_prefix('/') {
                Some(name) if open.pop() == Some(name.trim_end()) => {}
                Some(_) => return None,
                None if tag.ends_with('/') => {}
                None => open.push(tag.split_whitespace().next()?),
            }
            at += end;
        }
        if open.is_empty() {
            return Some(at);
        }
        at += text[at..].find('<')?;
    }
}

fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Whether the document has a path of elements: `order.items.item`. Where an element stands there
/// several times, its number from 0 follows: `order.item.1.name`. `@_name` is an attribute.
fn has(document: &Document<'_>, path: &str) -> bool {
    let mut nodes = vec![document.root()];
    for step in path.split('.') {
        if nodes.len() > 1 {
            match step.parse::<usize>().ok().and_then(|number| nodes.get(number).copied()) {
                Some(node) => nodes = vec![node],
                None => return false,
            }
            continue;
        }
        let Some(node) = nodes.first().copied() else { return false };
        if let Some(attribute) = step.strip_prefix("@_") {
            return node.attributes().any(|given| given.name() == attribute);
        }
        let local = step.rsplit(':').next().unwrap_or(step);
        nodes = node
            .children()
            .filter(|child: &Node<'_, '_>| child.is_element() && child.tag_name().name() == local)
            .collect();
        if nodes.is_empty() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_or_not() {
        for yes in [
            "<a/>",
            "<?xml version=\"1.0\"?>\n<a b=\"1\"><c>x</c></a>",
            "<!DOCTYPE a><a/>",
            "<a xmlns:n=\"u\"><n:b/></a>",
        ] {
            assert_eq!(is_xml(yes, &[]), Ok(()), "{yes}");
        }
        for no in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a b=1/>",
            "<n:a/>",
            "<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>",
            "<a>&nbsp;</a>",
        ] {
            assert!(is_xml(no, &[]).is_err(), "{no}");
        }
    }

    #[test]
    fn elements() {
        let xml = "<o id=\"1\"><i><n>a</n></i><i><n>b</n></i><t>9</t></o>";
        let asked = |path: &str| is_xml(xml, &[path.to_owned()]).is_ok();
        for yes in ["o", "o.t", "o.i", "o.i.1.n", "o.@_id"] {
            assert!(asked(yes), "{yes}");
        }
        for no in ["t", "o.x", "o.i.n", "o.i.2", "o.@_x"] {
            assert!(!asked(no), "{no}");
        }
    }

    #[test]
    fn within_text() {
        for (text, found) in [
            ("Here: <a><b/></a> done", true),
            ("5 < 6 <b>x</b>", true),
            ("a < b > c", false),
            ("<a><b></a>", false),
            ("<p>a<br>b</p>", false),
            ("none", false),
            ("<", false),
            ("<é/>", true),
            ("<a href='x>'>y</a>", true),
        ] {
            assert_eq!(contains_xml(text, &[]), found, "{text}");
        }
        assert!(contains_xml("<x/> then <a><b/></a>", &["a.b".to_owned()]));
    }
}
