//! The screen as it is drawn.

use baton_engine::{Content, ReviewView};
use ratatui::Frame;
use ratatui::layout::{Constraint, Direction, Layout, Position, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};
use serde_json::Value;

use super::edit::{Field, written};
use super::screen::{Mode, Screen};

/// Narrower than this, input and output stand above each other.
const SIDE_BY_SIDE_MIN: u16 = 80;

pub(super) fn draw(screen: &Screen, frame: &mut Frame<'_>) {
    let said = said(screen);
    let criteria = screen.item.as_ref().map_or(0, |item| item.criteria.len());
    let heights = [
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(u16::try_from(criteria).unwrap_or(9)),
        Constraint::Length(u16::try_from(said.len()).unwrap_or(2)),
        Constraint::Length(1),
        Constraint::Length(1),
    ];
    let [top, content, buttons, words, note, keys] = Layout::vertical(heights).areas(frame.area());
    frame.render_widget(header(screen), top);
    match &screen.item {
        Some(item) => {
            answer(screen, item, frame, content);
            frame.render_widget(Text::from(self::buttons(screen, item)), buttons);
        }
        None => {
            let text = "Nothing waits for you.\n\nr looks again, u takes back your last label, q leaves.";
            frame.render_widget(Paragraph::new(text).block(Block::bordered()), content);
        }
    }
    frame.render_widget(Text::from(said), words);
    frame.render_widget(Line::from(screen.note.as_str()).fg(Color::Yellow), note);
    frame.render_widget(Line::from(help_line(&screen.mode)).add_modifier(Modifier::REVERSED), keys);
    match &screen.mode {
        Mode::Deciding => {}
        Mode::Help => guidelines(screen, frame),
        Mode::Commenting(field) => writing("Comment", field, frame),
        Mode::Correcting(field) => writing("What it should have been", field, frame),
    }
}

fn help_line(mode: &Mode) -> &'static str {
    match mode {
        Mode::Deciding => " p pass  f fail  ? help  q leave  1-9 wrong  c correct  m comment  s skip  u undo ",
        Mode::Help => " any key goes back ",
        Mode::Commenting(_) | Mode::Correcting(_) => " Enter keeps  Alt-Enter new line  Ctrl-U clears  Esc leaves ",
    }
}

fn header(screen: &Screen) -> Line<'static> {
    let what = screen.item.as_ref().map_or_else(String::new, |item| format!("{}  ", item.intent));
    let how = screen.item.as_ref().map_or_else(String::new, |item| {
        let held_back = if item.rejected { "held back by a gate  " } else { "" };
        let decide = if item.labels.is_empty() { "" } else { "two labels disagree: you decide  " };
        let marks = if item.content == Some(Content::Redacted) { "marks stand for what is not stored  " } else { "" };
        format!("{held_back}{decide}{marks}")
    });
    let count = format!("{}: {} labelled, {} wait", screen.reviewer, screen.labelled(), screen.waiting);
    Line::from(vec![Span::from(what).bold(), Span::from(how).fg(Color::Yellow), Span::from(count)])
}

fn answer(screen: &Screen, item: &ReviewView, frame: &mut Frame<'_>, area: Rect) {
    let direction = if area.width >= SIDE_BY_SIDE_MIN { Direction::Horizontal } else { Direction::Vertical };
    let halves = Layout::new(direction, [Constraint::Percentage(50), Constraint::Percentage(50)]);
    let [left, right] = halves.areas(area);
    let missing = match item.content {
        Some(Content::NotStored) => format!(
            "Its content is not stored: the intent's privacy says so.\nLook up execution {} where you keep it.",
            item.execution_id
        ),
        Some(Content::Dropped) => "Its content is not stored: the journal had no room for it.".into(),
        Some(Content::Erased) => "Its content has gone: whom it is about was erased.".into(),
        Some(Content::Gone) => "Its content has gone: records are kept as long as the intent says.".into(),
        Some(Content::Stored | Content::Redacted) | None => "(none)".into(),
    };
    let text = |value: Option<&Value>, read: fn(&Value) -> String| {
        value.map_or_else(|| missing.clone(), |value| shown(&read(value)))
    };
    let pane = |title: &'static str, text: String, scroll: u16| {
        Paragraph::new(text).wrap(Wrap { trim: false }).scroll((scroll, 0)).block(Block::bordered().title(title))
    };
    let (input, output) = screen.scroll;
    frame.render_widget(pane(" Input ", text(item.input.as_ref(), readable), input), left);
    let title = if item.rejected { " Answer that was not given " } else { " Answer " };
    frame.render_widget(pane(title, text(item.output.as_ref(), answered), output), right);
}

/// An output for reading: its one text without the field, as one would correct it.
fn answered(output: &Value) -> String {
    let text = written(Some(output));
    if text.starts_with('{') { readable(output) } else { text }
}

/// An input or output for reading: a text as it is, fields as lines.
fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) if fields.len() > 1 || fields.values().all(Value::is_string) => {
            let line = |(name, value): (&String, &Value)| {
                let text = readable(value);
                let gap = if text.contains('\n') || text.chars().count() > 40 { "\n" } else { " " };
                format!("{name}:{gap}{text}")
            };
            fields.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

/// What others wrote must not steer the terminal.
fn shown(text: &str) -> String {
    let safe = |c: char| match c {
        '\n' => c,
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(safe).collect()
}

fn buttons(screen: &Screen, item: &ReviewView) -> Vec<Line<'static>> {
    let button = |(n, criterion): (usize, &baton_engine::CriterionView)| {
        let wrong = screen.marked.contains(&n);
        let style = if wrong { Style::new().fg(Color::Red).bold() } else { Style::new() };
        let mark = if wrong { "x" } else { " " };
        Line::from(shown(&format!("[{}] {mark} {}", n + 1, criterion.ask))).style(style)
    };
    item.criteria.iter().enumerate().map(button).collect()
}

/// What was said: by those who disagree, and by the person so far.
fn said(screen: &Screen) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for label in screen.item.iter().flat_map(|item| &item.labels).take(3) {
        let verdict = if label.pass { "pass" } else { "fail" };
        let failed: Vec<&str> = label.criteria.iter().filter(|(_, pass)| !**pass).map(|(id, _)| id.as_str()).collect();
        let why = label.comment.as_deref().unwrap_or_default();
        lines.push(Line::from(shown(&format!("{} says {verdict} {} {why}", label.reviewer, failed.join(", ")))));
    }
    if let Some(correction) = &screen.correction {
        lines.push(Line::from(shown(&format!("correction: {}", written(Some(correction)).replace('\n', " ")))));
    }
    if let Some(comment) = &screen.comment {
        lines.push(Line::from(shown(&format!("comment: {}", comment.replace('\n', " ")))));
    }
    lines
}

/// A box over the middle of the screen.
fn over(frame: &mut Frame<'_>, height: u16) -> Rect {
    let all = frame.area();
    let width = all.width.saturating_sub(8).clamp(1, 100);
    let height = height.min(all.height);
    let area =
        Rect::new((all.width - width.min(all.width)) / 2, (all.height - height) / 2, width.min(all.width), height);
    frame.render_widget(Clear, area);
    area
}

fn guidelines(screen: &Screen, frame: &mut Frame<'_>) {
    let mut text = String::new();
    for (n, criterion) in screen.item.iter().flat_map(|item| &item.criteria).enumerate() {
        let guideline = criterion.guideline.as_deref().unwrap_or("(no guideline)");
        text += &format!("[{}] {}: {}\n{}\n\n", n + 1, criterion.id, criterion.ask, guideline.trim());
    }
    text += "p: it passes, and so does each criterion.\n\
             f: it fails. What is not marked passes; where nothing\n   is marked, something else is wrong.\n\
             s: not yours to say; you are not asked again.\n\
             u: takes your last label or skip back.\nj k: scroll the answer.  J K: scroll the input.";
    let area = over(frame, frame.area().height.saturating_sub(2));
    let block = Block::bordered().title(" How to decide ");
    frame.render_widget(Paragraph::new(shown(&text)).wrap(Wrap { trim: false }).block(block), area);
}

fn writing(title: &str, field: &Field, frame: &mut Frame<'_>) {
    let area = over(frame, 8);
    let inner = Block::bordered().title(format!(" {title} "));
    let at = inner.inner(area);
    frame.render_widget(inner, area);
    // Wrapped here, so that the cursor is where the text is.
    let width = usize::from(at.width.max(1));
    let (mut lines, mut cursor) = (vec![String::new()], (0, 0));
    for (n, c) in field.text.chars().chain([' ']).enumerate() {
        let full = lines.last().is_some_and(|line| line.chars().count() >= width);
        if full {
            lines.push(String::new());
        }
        let row = lines.len() - 1;
        if n == field.cursor {
            cursor = (row, lines[row].chars().count());
        }
        if c == '\n' { lines.push(String::new()) } else { lines[row].push(c) }
    }
    let first = (cursor.0 + 1).saturating_sub(usize::from(at.height));
    let visible: Vec<Line<'_>> = lines.iter().skip(first).map(|line| Line::from(shown(line))).collect();
    frame.render_widget(Text::from(visible), at);
    let (row, column) = (cursor.0.saturating_sub(first), cursor.1);
    let place = |base: u16, add: usize| base.saturating_add(u16::try_from(add).unwrap_or(u16::MAX));
    frame.set_cursor_position(Position::new(place(at.x, column), place(at.y, row)));
}
