//! The loop between the screen, the terminal and the queue.

use std::io::{IsTerminal as _, Write as _};
use std::process::Command;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};

use super::draw::draw;
use super::place::{Pass, Place};
use super::screen::{Effect, Screen};
use crate::exit::{Exit, tell};

/// Reviews until the person leaves.
pub(super) async fn review(place: &Place) -> Result<(), Exit> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let message = "this needs a terminal; `baton review export`, `import` and `stats` do not";
        return Err(Exit::usage(message));
    }
    let mut screen = Screen::new(&place.reviewer, editor().is_some());
    // Before the screen is taken, so that an error is read where errors are.
    advance(&mut screen, place).await?;
    let mut terminal = ratatui::try_init().map_err(|error| outside(&error))?;
    let reviewed = turns(&mut terminal, &mut screen, place).await;
    ratatui::restore();
    tell!("{} labelled", screen.labelled());
    reviewed
}

fn outside(error: &std::io::Error) -> Exit {
    Exit::outside(format!("the terminal: {error}"))
}

async fn turns(terminal: &mut DefaultTerminal, screen: &mut Screen, place: &Place) -> Result<(), Exit> {
    loop {
        terminal.draw(|frame| draw(screen, frame)).map_err(|error| outside(&error))?;
        let event = tokio::task::block_in_place(event::read).map_err(|error| outside(&error))?;
        let Event::Key(key) = event else { continue };
        let effect = screen.key(key);
        if effect == Effect::Leave {
            let item = screen.item.as_ref().map(|item| item.execution_id);
            if let Some(id) = item {
                place.pass(id, Pass::Release).await?;
            }
            return Ok(());
        }
        if let Effect::Edit(text) = effect {
            edit(terminal, screen, &text);
            continue;
        }
        // What goes wrong is told, and nothing that was decided is lost.
        if let Err(error) = perform(screen, place, effect).await {
            error.message().clone_into(&mut screen.note);
        }
    }
}

async fn perform(screen: &mut Screen, place: &Place, effect: Effect) -> Result<(), Exit> {
    let id = screen.item.as_ref().map(|item| item.execution_id);
    match (effect, id) {
        (Effect::Label(verdict), Some(id)) => {
            place.label(id, verdict.clone()).await?;
            screen.acts.push(Some(verdict));
            advance(screen, place).await
        }
        (Effect::Skip, Some(id)) => {
            place.pass(id, Pass::Skip).await?;
            screen.acts.push(None);
            advance(screen, place).await?;
            "skipped: u brings it back".clone_into(&mut screen.note);
            Ok(())
        }
        (Effect::Undo, _) => {
            screen.show_again(place.undo().await?);
            count(screen, place).await
        }
        (Effect::Next, _) => advance(screen, place).await,
        _ => Ok(()),
    }
}

/// The next item, and how many wait.
async fn advance(screen: &mut Screen, place: &Place) -> Result<(), Exit> {
    screen.show(place.next().await?);
    count(screen, place).await
}

async fn count(screen: &mut Screen, place: &Place) -> Result<(), Exit> {
    let stats = place.stats().await?;
    screen.waiting = stats.intents.values().map(|intent| intent.open + intent.second + intent.disputed).sum();
    Ok(())
}

/// The person's editor, where they have one.
fn editor() -> Option<String> {
    let set = |name| std::env::var(name).ok().filter(|command| !command.trim().is_empty());
    set("VISUAL").or_else(|| set("EDITOR"))
}

/// Has a correction written in the person's editor.
fn edit(terminal: &mut DefaultTerminal, screen: &mut Screen, text: &str) {
    ratatui::restore();
    let edited = editor().map_or_else(|| Err("no editor".to_owned()), |command| edited(&command, text));
    *terminal = ratatui::init();
    match edited {
        Ok(text) => {
            screen.correct(&text);
        }
        Err(message) => screen.note = message,
    }
}

fn edited(command: &str, text: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("the correction could not be edited: {error}");
    let mut file = tempfile::Builder::new().prefix("baton-correction-").suffix(".txt").tempfile().map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.flush()).map_err(failed)?;
    // As git does: an editor may be named with its arguments.
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    let status = Command::new(program).args(words).arg(file.path()).status().map_err(failed)?;
    if !status.success() {
        return Err(format!("`{command}` ended with {status}: no correction"));
    }
    std::fs::read_to_string(file.path()).map_err(failed)
}
