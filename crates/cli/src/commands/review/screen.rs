//! What the screen shows and what keys do to it: a state machine without a terminal.

use std::collections::BTreeSet;

use baton_engine::{ReviewView, Verdict};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use serde_json::Value;

use super::edit::{Edited, Field, corrected, written};

/// What is to be done outside of the screen.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    Nothing,
    Label(Verdict),
    Skip,
    Undo,
    /// Looks whether something waits by now.
    Next,
    /// Has this text changed in the person's own editor.
    Edit(String),
    Leave,
}

/// What keys mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Deciding,
    Help,
    Commenting(Field),
    Correcting(Field),
}

/// See the module.
pub(super) struct Screen {
    pub(super) reviewer: String,
    pub(super) item: Option<ReviewView>,
    /// Criteria that are marked as failed, by place.
    pub(super) marked: BTreeSet<usize>,
    pub(super) comment: Option<String>,
    pub(super) correction: Option<Value>,
    pub(super) mode: Mode,
    /// Said to the person, until the next key.
    pub(super) note: String,
    /// What was done since the start and not undone: labels, and `None` for a skip.
    pub(super) acts: Vec<Option<Verdict>>,
    /// Items that wait, as last counted.
    pub(super) waiting: u64,
    /// Lines that input and output are scrolled by.
    pub(super) scroll: (u16, u16),
    /// Whether corrections are written in an editor of their own.
    pub(super) editor: bool,
}

impl Screen {
    pub(super) fn new(reviewer: &str, editor: bool) -> Self {
        Self {
            reviewer: reviewer.to_owned(),
            item: None,
            marked: BTreeSet::new(),
            comment: None,
            correction: None,
            mode: Mode::Deciding,
            note: String::new(),
            acts: Vec::new(),
            waiting: 0,
            scroll: (0, 0),
            editor,
        }
    }

    /// Labels given since the start.
    pub(super) fn labelled(&self) -> usize {
        self.acts.iter().flatten().count()
    }

    /// Another item, or none.
    pub(super) fn show(&mut self, item: Option<ReviewView>) {
        self.item = item;
        self.marked.clear();
        (self.comment, self.correction) = (None, None);
        self.mode = Mode::Deciding;
        self.scroll = (0, 0);
    }

    /// An item that was decided before, as it was decided where that is known: to change it, not to
    /// begin anew.
    pub(super) fn show_again(&mut self, item: ReviewView) {
        let before = self.acts.pop().flatten();
        self.show(Some(item));
        if let (Some(verdict), Some(item)) = (before, &self.item) {
            let failed = |id: &String| verdict.criteria.get(id) == Some(&false);
            self.marked = (0..item.criteria.len()).filter(|n| failed(&item.criteria[*n].id)).collect();
            (self.comment, self.correction) = (verdict.comment, verdict.correction);
        }
        self.note = "undone: decide again".into();
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Effect {
        if key.kind == KeyEventKind::Release {
            return Effect::Nothing;
        }
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            return Effect::Leave;
        }
        self.note.clear();
        match std::mem::replace(&mut self.mode, Mode::Deciding) {
            Mode::Deciding => self.decide(key),
            Mode::Help => Effect::Nothing,
            Mode::Commenting(mut field) => {
                match field.key(key) {
                    Edited::Still => self.mode = Mode::Commenting(field),
                    Edited::Done => self.comment = Some(field.text).filter(|text| !text.trim().is_empty()),
                    Edited::Left => {}
                }
                Effect::Nothing
            }
            Mode::Correcting(mut field) => {
                match field.key(key) {
                    Edited::Still => self.mode = Mode::Correcting(field),
                    Edited::Done => {
                        if !self.correct(&field.text) {
                            self.mode = Mode::Correcting(field);
                        }
                    }
                    Edited::Left => {}
                }
                Effect::Nothing
            }
        }
    }

    fn decide(&mut self, key: KeyEvent) -> Effect {
        let (input, output) = &mut self.scroll;
        match key.code {
            KeyCode::Char('q') => return Effect::Leave,
            KeyCode::Char('u') => return Effect::Undo,
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char('r') if self.item.is_none() => return Effect::Next,
            _ if self.item.is_none() => {}
            KeyCode::Char('j') | KeyCode::Down => *output = output.saturating_add(1),
            KeyCode::Char('k') | KeyCode::Up => *output = output.saturating_sub(1),
            KeyCode::Char('J') => *input = input.saturating_add(1),
            KeyCode::Char('K') => *input = input.saturating_sub(1),
            KeyCode::Char('s') => return Effect::Skip,
            KeyCode::Char('p') => return self.pass(),
            KeyCode::Char('f') => return self.fail(),
            KeyCode::Char('m') => self.mode = Mode::Commenting(Field::new(self.comment.clone().unwrap_or_default())),
            KeyCode::Char('c') => {
                let output = self.item.as_ref().and_then(|item| item.output.as_ref());
                let text = written(self.correction.as_ref().or(output));
                if self.editor {
                    return Effect::Edit(text);
                }
                self.mode = Mode::Correcting(Field::new(text));
            }
            KeyCode::Char(digit @ '1'..='9') => self.mark(digit as usize - '1' as usize),
            _ => {}
        }
        Effect::Nothing
    }

    fn mark(&mut self, place: usize) {
        let count = self.item.as_ref().map_or(0, |item| item.criteria.len());
        if place >= count {
            self.note = format!("there are {count} criteria");
        } else if !self.marked.remove(&place) {
            self.marked.insert(place);
        }
    }

    /// Takes a correction. False where it cannot be one.
    pub(super) fn correct(&mut self, text: &str) -> bool {
        let output = self.item.as_ref().and_then(|item| item.output.as_ref());
        if text.trim().is_empty() || written(output).trim() == text.trim() {
            self.correction = None;
            self.note = "no correction".into();
            return true;
        }
        match corrected(output, text) {
            Ok(correction) => {
                self.correction = Some(correction);
                self.note = "corrected: f fails the answer with it".into();
                true
            }
            Err(message) => {
                self.note = message;
                false
            }
        }
    }

    fn pass(&mut self) -> Effect {
        if !self.marked.is_empty() {
            self.note = "something is marked as wrong: f fails it, its number unmarks it".into();
            return Effect::Nothing;
        }
        if self.correction.is_some() {
            self.note = "it is corrected: f fails it, c takes the correction back".into();
            return Effect::Nothing;
        }
        self.verdict(true)
    }

    /// What is not marked passes; where nothing is marked, what is wrong is something else.
    fn fail(&mut self) -> Effect {
        self.verdict(false)
    }

    fn verdict(&self, pass: bool) -> Effect {
        let Some(item) = &self.item else { return Effect::Nothing };
        let decided = pass || !self.marked.is_empty();
        let criteria = item.criteria.iter().enumerate().filter(|_| decided);
        Effect::Label(Verdict {
            pass: Some(pass),
            criteria: criteria.map(|(n, criterion)| (criterion.id.clone(), !self.marked.contains(&n))).collect(),
            correction: self.correction.clone(),
            comment: self.comment.clone(),
        })
    }
}
