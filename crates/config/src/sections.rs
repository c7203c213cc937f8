//! `prompt.md` into sections: a line `## system`, `## user` or `## assistant` begins one.
//!
//! A file without such lines is one user message. Text before the first is refused: nobody could
//! say who speaks it. Other headings are text. White space around a section is dropped.

use crate::PromptRole;
use crate::diagnostics::{Sink, Source};
use crate::suggest::nearest;

/// A section: who speaks, the template, and its first byte in the file.
pub(crate) struct Section {
    pub(crate) role: PromptRole,
    pub(crate) template: String,
    pub(crate) offset: usize,
}

const ROLES: [(&str, PromptRole); 3] =
    [("system", PromptRole::System), ("user", PromptRole::User), ("assistant", PromptRole::Assistant)];

/// The sections of a file, or what is wrong with them.
pub(crate) fn split(source: &Source, sink: &mut Sink) -> Option<Vec<Section>> {
    let text = &source.text;
    let mut headings = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if let Some(word) = line.strip_prefix("## ").map(str::trim) {
            match ROLES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) {
                Some((_, role)) => headings.push((*role, offset, offset + line.len())),
                None => suspicious(source, (offset, line), word, sink),
            }
        }
        offset += line.len();
    }
    let Some(&(_, first, _)) = headings.first() else {
        return filled(source, PromptRole::User, 0..text.len(), sink).map(|section| vec![section]);
    };
    let before = text.get(..first).unwrap_or_default();
    if let Some(start) = before.find(|c: char| !c.is_whitespace()) {
        let help = "put it under `## system`, or remove it";
        sink.error(source.place(start..first), "text before the first section: nobody speaks it", help);
        return None;
    }
    let ends = headings.iter().skip(1).map(|(_, start, _)| *start).chain([text.len()]);
    let sections: Vec<_> =
        headings.iter().zip(ends).map(|((role, _, body), end)| filled(source, *role, *body..end, sink)).collect();
    let sections: Vec<Section> = sections.into_iter().collect::<Option<_>>()?;
    if !sections.iter().any(|s| s.role == PromptRole::User) {
        let help = "add a `## user` section with the input: most providers refuse a call without one";
        sink.error(source.start(), "the prompt has no `## user` section", help);
        return None;
    }
    Some(sections)
}

/// A heading that is nearly one of ours is probably meant to be.
fn suspicious(source: &Source, (offset, line): (usize, &str), word: &str, sink: &mut Sink) {
    if let Some(near) = nearest(word, ROLES.map(|(name, _)| name)) {
        let help = format!("write `## {near}` if it begins a section");
        sink.warn(source.place(offset..offset + line.len()), format!("`## {word}` is taken as text"), help);
    }
}

fn filled(source: &Source, role: PromptRole, body: std::ops::Range<usize>, sink: &mut Sink) -> Option<Section> {
    let text = source.text.get(body.clone()).unwrap_or_default();
    let template = text.trim();
    if template.is_empty() {
        sink.error(source.place(body.start..body.start), "an empty section", "write it, or remove it");
        return None;
    }
    let offset = body.start + text.find(template).unwrap_or(0);
    Some(Section { role, template: template.to_owned(), offset })
}
