//! Writing a text in the terminal, and outputs as texts that people can write.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

/// Characters that can be written at most.
const CHARS_MAX: usize = 20_000;

/// A text that is being written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    /// Characters before the cursor.
    pub(super) cursor: usize,
}

/// What a key did to it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Edited {
    Still,
    Done,
    Left,
}

impl Field {
    pub(super) fn new(text: String) -> Self {
        let cursor = text.chars().count();
        Self { text, cursor }
    }

    fn byte(&self, chars: usize) -> usize {
        self.text.char_indices().nth(chars).map_or(self.text.len(), |(at, _)| at)
    }

    /// Enter is done, Alt-Enter a line break, Escape leaves it.
    pub(super) fn key(&mut self, key: KeyEvent) -> Edited {
        match key.code {
            KeyCode::Esc => return Edited::Left,
            KeyCode::Enter if !key.modifiers.contains(KeyModifiers::ALT) => return Edited::Done,
            KeyCode::Enter => self.insert('\n'),
            KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => *self = Self::default(),
            KeyCode::Char(c) if !key.modifiers.contains(KeyModifiers::CONTROL) => self.insert(c),
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                let at = self.byte(self.cursor);
                self.text.remove(at);
            }
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.text.chars().count()),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.chars().count(),
            _ => {}
        }
        Edited::Still
    }

    fn insert(&mut self, c: char) {
        if self.text.len() < CHARS_MAX {
            let at = self.byte(self.cursor);
            self.text.insert(at, c);
            self.cursor += 1;
        }
    }
}

/// The one text that an output is: `{label}` or `{text}`.
fn only<'v>(output: &'v Value, key: &str) -> Option<&'v str> {
    output.as_object().filter(|fields| fields.len() == 1)?.get(key)?.as_str()
}

/// An output as one writes it: the label, the text, or JSON.
pub(super) fn written(output: Option<&Value>) -> String {
    let Some(output) = output else { return String::new() };
    match only(output, "label").or_else(|| only(output, "text")) {
        Some(text) => text.to_owned(),
        None => serde_json::to_string_pretty(output).unwrap_or_default(),
    }
}

/// What was written, in the shape of the output that it corrects.
pub(super) fn corrected(output: Option<&Value>, text: &str) -> Result<Value, String> {
    let text = text.trim();
    for key in ["label", "text"] {
        if output.is_some_and(|output| only(output, key).is_some()) {
            return Ok(json!({ key: text }));
        }
    }
    serde_json::from_str(text).map_err(|error| format!("not JSON, so not kept: {error}"))
}
