//! `baton compare A B`: may I replace A by B?

use std::collections::BTreeMap;

use baton_config::{IntentKind, canonical};
use baton_core::{IntentName, TeamId};
use baton_lab::{
    AnswerCache, Case, Column, Comparison, Options, Rules, Verdict, Wanted, compare_bounded, from_traffic, results,
};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::eval::Asked;
use super::table::differences;
use crate::exit::{Exit, say};
use crate::lab::{Paint, Side, cache, run, side, somebody_answered};
use crate::setup::{Folder, control};
use crate::transports::Fixtures;

/// May I replace A by B?
///
/// Asks both the same cases, or what real users asked of late, and answers in a sentence: yes, no,
/// or not enough evidence. Where nobody said which of two different answers is right, the interval
/// holds for either.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton compare gpt-4 claude-3-haiku --on cases classify-ticket
  baton compare gpt-4 claude-3-haiku --on traffic --limit 300 classify-ticket
  baton compare intent gpt-4 --on cases classify-ticket      the intent as declared against one model

Exit status: 0 yes, 1 no or not enough evidence.")]
pub(crate) struct Compare {
    /// What answers now: a model, or `intent` for the intent as declared
    a: String,
    /// What would answer instead
    b: String,
    /// The intent: a folder's name under intents/
    intent: String,
    /// The intent's cases, or recorded calls whose content was kept
    #[arg(long, value_enum)]
    on: On,
    /// How much worse still counts as equal, in points of a hundred
    #[arg(long, default_value_t = 2.0, value_name = "POINTS")]
    margin: f64,
    /// Of traffic: at most so many different inputs, the latest first
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Of traffic: whose calls
    #[arg(long, default_value = "default")]
    team: String,
    #[command(flatten)]
    asked: Asked,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    fixtures: Fixtures,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    Cases,
    Traffic,
}

impl Compare {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        let rules = self.asked.rules(self.margin)?;
        if self.a == self.b {
            return Err(Exit::usage(format!("`{}` is compared with itself", self.a)));
        }
        if self.on == On::Traffic && (self.asked.cases.is_some() || self.asked.repeat > 1) {
            return Err(Exit::usage("--cases and --repeat are for `--on cases`: each recorded call is asked once"));
        }
        let names = [self.a.clone(), self.b.clone()];
        let side = side(&self.folder, &self.intent, &names, &self.fixtures, "")?;
        let mut notes = Vec::new();
        let (cases, kept) = match self.on {
            On::Cases => (self.asked.cases(&side, &mut notes)?.0, cache(&side, !self.asked.no_cache, &mut notes)?),
            // Of traffic nothing is kept a second time: what is erased there has to be gone.
            On::Traffic => (self.traffic(&side, &mut notes).await?, AnswerCache::none()),
        };
        let options: Options = self.asked.options();
        let columns = run(&side.variants, &cases, &kept, options).await;
        somebody_answered(&columns)?;
        let comparison = compared(&side, &columns, &cases, rules, &mut notes);
        self.end(&comparison, &columns, &notes)
    }

    async fn traffic(&self, side: &Side, notes: &mut Vec<String>) -> Result<Vec<Case>, Exit> {
        let store = control(&self.folder).await?;
        let wanted = Wanted {
            team: TeamId::new(&self.team),
            intent: IntentName::new(&self.intent),
            limit: self.limit as usize,
            unreviewed: true,
        };
        let drawn = from_traffic(&store, &side.plan, &wanted).await;
        let mut drawn = drawn.map_err(|error| Exit::outside(error.to_string()))?;
        store.close().await;
        let seen = side.seen.remove_from(&mut drawn.cases);
        for (count, why) in [
            (drawn.without_content, "recorded calls have no content, by privacy or for want of room"),
            (drawn.outdated, "recorded calls have an input that today's schema refuses"),
            (seen, "recorded inputs were left out, a candidate has seen them"),
        ] {
            if count > 0 {
                notes.push(format!("{count} {why}."));
            }
        }
        if drawn.cases.is_empty() {
            let told = format!("no recorded call of `{}` and team `{}` can be asked again", self.intent, self.team);
            return Err(Exit::failed([&[told][..], notes].concat().join("\n")));
        }
        Ok(drawn.cases)
    }

    fn end(&self, comparison: &Comparison, columns: &[Column], notes: &[String]) -> Result<(), Exit> {
        let simulated = columns.iter().any(|column| column.cells.iter().any(|cell| cell.given.simulated));
        let sentence = comparison.sentence();
        let mut document = comparison.document();
        document["notes"] = json!(notes);
        document["simulated"] = json!(simulated);
        if !self.json {
            differences(comparison, &Paint::of_stdout());
            say!();
            notes.iter().for_each(|note| say!("{note}"));
            if simulated {
                say!("Simulated models answered: this measures no real model.");
            }
            say!("{sentence}");
        } else if comparison.verdict == Verdict::NotWorse {
            say!("{document}");
        }
        if comparison.verdict == Verdict::NotWorse {
            return Ok(());
        }
        // In the terminal the sentence was said already.
        let message = if self.json { sentence } else { String::new() };
        Err(Exit::failed(message).with_document(document))
    }
}

/// The comparison; where it is not known of a case which answer is right, with bounds that hold
/// either way.
fn compared(side: &Side, columns: &[Column], cases: &[Case], rules: Rules, notes: &mut Vec<String>) -> Comparison {
    let [a, b] = columns else { unreachable!("two candidates were asked") };
    let mut bounds: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let (mut unknown, mut differ) = (0, 0);
    for (ours, theirs) in a.cells.iter().zip(&b.cells) {
        let case = &cases[ours.case];
        // A text is graded by its checks; so is an answer whose case has assertions.
        if case.expected.is_some() || !case.asserts.is_empty() || side.plan.kind == IntentKind::Generation {
            continue;
        }
        unknown += 1;
        let output = |cell: &baton_lab::Cell| cell.given.output.as_ref().map(canonical);
        let same = output(ours) == output(theirs);
        let bound = match (ours.grade.passed, theirs.grade.passed) {
            _ if same => (0.0, 0.0),
            (false, false) => (0.0, 0.0),
            (true, false) => (-1.0, 0.0),
            (false, true) => (0.0, 1.0),
            (true, true) => (-1.0, 1.0),
        };
        differ += usize::from(bound.0 < bound.1);
        bounds.insert(case.key.clone(), bound);
    }
    if unknown > 0 {
        notes.push(format!(
            "Of {unknown} inputs nobody said what is right; on {differ} of them the two differ, which counts against \
             either verdict."
        ));
    }
    let bounds = (unknown > 0).then_some(&bounds);
    compare_bounded(&results(a, cases), &results(b, cases), rules, bounds)
}
