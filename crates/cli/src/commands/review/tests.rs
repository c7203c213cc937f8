//! The screen, key by key, as a terminal would show it.

use baton_core::{ExecutionId, LabelSource, ReviewState};
use baton_engine::{Content, CriterionView, LabelView, ReviewView};
use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::draw::draw;
use super::screen::{Effect, Screen};

fn item(input: Value, output: Value) -> ReviewView {
    let criterion = |id: &str, ask: &str, guideline: Option<&str>| CriterionView {
        id: id.into(),
        ask: ask.into(),
        guideline: guideline.map(str::to_owned),
    };
    ReviewView {
        execution_id: ExecutionId::new(1, [0; 10]),
        intent: "classify-ticket".into(),
        version: "v".into(),
        started_at_ms: 0,
        state: ReviewState::Open,
        via: None,
        probability: Some(0.1),
        rejected: false,
        held_until_ms: None,
        content: Some(Content::Stored),
        input: Some(input),
        output: Some(output),
        criteria: vec![
            criterion("right-team", "Does this reach the right team?", Some("Refunds are billing.")),
            criterion("polite", "Is it polite?", None),
        ],
        labels: Vec::new(),
    }
}

fn ticket() -> ReviewView {
    item(json!({"ticket": "I was charged twice\nfor the same month"}), json!({"label": "bug"}))
}

fn screen(item: Option<ReviewView>) -> Screen {
    let mut screen = Screen::new("ann", false);
    screen.waiting = 7;
    screen.show(item);
    screen
}

/// Types: a letter each, `⏎` Enter, `⎋` Escape, `⌫` Backspace, `⇧` clears. What the last key asks for.
fn press(screen: &mut Screen, keys: &str) -> Effect {
    let mut effect = Effect::Nothing;
    for key in keys.chars() {
        let event = match key {
            '⏎' => KeyEvent::from(KeyCode::Enter),
            '⎋' => KeyEvent::from(KeyCode::Esc),
            '⌫' => KeyEvent::from(KeyCode::Backspace),
            '⇧' => KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL),
            key => KeyEvent::from(KeyCode::Char(key)),
        };
        effect = screen.key(event);
    }
    effect
}

fn shown(screen: &Screen, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(screen, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y: u16| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(row).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn labels(keys: &str, expected: Value) {
    let Effect::Label(verdict) = press(&mut screen(Some(ticket())), keys) else { panic!("{keys} is no label") };
    assert_eq!(json!(verdict), expected, "{keys}");
}

#[test]
fn an_item_side_by_side() {
    let mut screen = screen(Some(ticket()));
    press(&mut screen, "1mwrong desk⏎");
    assert_snapshot!(shown(&screen, (84, 13)), @"
    classify-ticket  ann: 0 labelled, 7 wait
    ┌ Input ─────────────────────────────────┐┌ Answer ────────────────────────────────┐
    │ticket:                                 ││bug                                     │
    │I was charged twice                     ││                                        │
    │for the same month                      ││                                        │
    │                                        ││                                        │
    │                                        ││                                        │
    └────────────────────────────────────────┘└────────────────────────────────────────┘
    [1] x Does this reach the right team?
    [2]   Is it polite?
    comment: wrong desk

     p pass  f fail  ? help  q leave  1-9 wrong  c correct  m comment  s skip  u undo
    ");
}

#[test]
fn a_narrow_terminal_and_a_dispute() {
    let says = |reviewer: &str, pass| LabelView {
        reviewer: reviewer.into(),
        at_ms: 0,
        source: LabelSource::Review,
        pass,
        criteria: [("polite".to_owned(), pass)].into(),
        correction: None,
        comment: None,
    };
    let labels = vec![says("bob", true), says("cid", false)];
    let disputed = ReviewView { state: ReviewState::Disputed, labels, ..ticket() };
    assert_snapshot!(shown(&screen(Some(disputed)), (50, 16)), @"
    classify-ticket  two labels disagree: you decide
    ┌ Input ─────────────────────────────────────────┐
    │ticket:                                         │
    │I was charged twice                             │
    │for the same month                              │
    └────────────────────────────────────────────────┘
    ┌ Answer ────────────────────────────────────────┐
    │bug                                             │
    │                                                │
    └────────────────────────────────────────────────┘
    [1]   Does this reach the right team?
    [2]   Is it polite?
    bob says pass
    cid says fail polite

     p pass  f fail  ? help  q leave  1-9 wrong  c cor
    ");
}

#[test]
fn guidelines_and_writing_lie_over_it() {
    let mut screen = screen(Some(ticket()));
    press(&mut screen, "?");
    assert_snapshot!(shown(&screen, (70, 20)), @"
    classify-ticket  ann: 0 labelled, 7 wait
    ┌ In┌ How to decide ─────────────────────────────────────────────┐───┐
    │tic│[1] right-team: Does this reach the right team?             │   │
    │I w│Refunds are billing.                                        │   │
    │for│                                                            │   │
    │   │[2] polite: Is it polite?                                   │   │
    │   │(no guideline)                                              │   │
    │   │                                                            │   │
    └───│p: it passes, and so does each criterion.                   │───┘
    ┌ An│f: it fails. What is not marked passes; where nothing       │───┐
    │bug│   is marked, something else is wrong.                      │   │
    │   │s: not yours to say; you are not asked again.               │   │
    │   │u: takes your last label or skip back.                      │   │
    │   │j k: scroll the answer.  J K: scroll the input.             │   │
    │   │                                                            │   │
    └───│                                                            │───┘
    [1] │                                                            │
    [2] │                                                            │
        └────────────────────────────────────────────────────────────┘
     any key goes back
    ");
    press(&mut screen, "xmso");
    assert_snapshot!(shown(&screen, (50, 14)), @"
    classify-ticket  ann: 0 labelled, 7 wait
    ┌ Input ─────────────────────────────────────────┐
    │ticket:                                         │
    │I w┌ Comment ───────────────────────────────┐   │
    │for│so                                      │   │
    └───│                                        │───┘
    ┌ An│                                        │───┐
    │bug│                                        │   │
    │   │                                        │   │
    └───│                                        │───┘
    [1] └────────────────────────────────────────┘
    [2]   Is it polite?

     Enter keeps  Alt-Enter new line  Ctrl-U clears  E
    ");
}

#[test]
fn nothing_waits_and_what_is_not_stored() {
    assert_snapshot!(shown(&screen(None), (60, 10)), @"
    ann: 0 labelled, 7 wait
    ┌──────────────────────────────────────────────────────────┐
    │Nothing waits for you.                                    │
    │                                                          │
    │r looks again, u takes back your last label, q leaves.    │
    │                                                          │
    │                                                          │
    └──────────────────────────────────────────────────────────┘

     p pass  f fail  ? help  q leave  1-9 wrong  c correct  m co
    ");
    let private = ReviewView { content: Some(Content::NotStored), input: None, output: None, ..ticket() };
    assert!(shown(&screen(Some(private)), (90, 12)).contains("00000000-0001-7000-8000-000000000000"));
}

#[test]
fn keys_make_labels() {
    labels("p", json!({"pass": true, "criteria": {"right-team": true, "polite": true}}));
    labels("f", json!({"pass": false}));
    labels("1f", json!({"pass": false, "criteria": {"right-team": false, "polite": true}}));
    labels("112f", json!({"pass": false, "criteria": {"right-team": true, "polite": false}}));
    labels("mso⏎p", json!({"pass": true, "criteria": {"right-team": true, "polite": true}, "comment": "so"}));
    labels("mso⎋f", json!({"pass": false}));
    labels("c⌫⌫⌫billing⏎f", json!({"pass": false, "correction": {"label": "billing"}}));
    labels("c⇧x⏎c⇧bug⏎f", json!({"pass": false}));
}

#[test]
fn what_contradicts_itself_is_told_and_not_labelled() {
    for (keys, note) in [("1p", "is marked as wrong"), ("c⇧x⏎p", "it is corrected"), ("9", "there are 2 criteria")]
    {
        let mut screen = screen(Some(ticket()));
        assert_eq!(press(&mut screen, keys), Effect::Nothing, "{keys}");
        assert!(screen.note.contains(note), "{keys}: {}", screen.note);
    }
    let mut fields = screen(Some(item(json!("x"), json!({"total": 1, "tax": 2}))));
    press(&mut fields, "c⇧{\"total\": 3⏎");
    assert!(fields.note.contains("not JSON") && fields.correction.is_none(), "{}", fields.note);
    press(&mut fields, "}⏎");
    assert_eq!(fields.correction, Some(json!({"total": 3})));
}

#[test]
fn the_other_keys() {
    let mut screen = screen(Some(ticket()));
    for (key, effect) in [("s", Effect::Skip), ("u", Effect::Undo), ("q", Effect::Leave), ("r", Effect::Nothing)] {
        assert_eq!(press(&mut screen, key), effect, "{key}");
    }
    screen.editor = true;
    assert_eq!(press(&mut screen, "c"), Effect::Edit("bug".into()));
    screen.show(None);
    for (key, effect) in [("r", Effect::Next), ("p", Effect::Nothing), ("c", Effect::Nothing), ("u", Effect::Undo)] {
        assert_eq!(press(&mut screen, key), effect, "{key}");
    }
}

#[test]
fn what_was_decided_is_there_again_to_be_changed() {
    let mut screen = screen(Some(ticket()));
    let Effect::Label(verdict) = press(&mut screen, "2mso⏎c⇧billing⏎f") else { panic!("no label") };
    screen.acts.extend([Some(verdict.clone()), None]);
    screen.show_again(ticket());
    assert_eq!((screen.labelled(), screen.marked.len()), (1, 0), "the skip");
    screen.show_again(ticket());
    assert_eq!(press(&mut screen, "f"), Effect::Label(verdict));
    assert_eq!(screen.labelled(), 0);
}

#[test]
fn what_others_wrote_does_not_steer_the_terminal() {
    let item = item(json!({"text": "a\u{1b}[2Jb\tc\u{7}"}), json!({"text": "\u{9b}31mred"}));
    let shown = shown(&screen(Some(item)), (90, 12));
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    assert!(shown.contains("b c"), "{shown}");
}

#[test]
fn no_size_is_too_small() {
    for size in [(1, 1), (3, 2), (10, 5), (200, 3)] {
        for keys in ["", "?", "mso", "c"] {
            let mut screen = screen(Some(ticket()));
            press(&mut screen, keys);
            shown(&screen, size);
        }
    }
}
