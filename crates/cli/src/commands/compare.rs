//! `baton compare A B`: may I replace A by B?

use std::collections::BTreeMap;

use baton_config::{IntentKind, Plan, canonical};
use baton_core::{IntentName, TeamId};
use baton_eval::Paired;
use baton_lab::{
    AnswerCache, Case, Column, Comparison, Options, Preferences, Rules, Shown, Verdict, Wanted, compare_bounded,
    from_traffic, prefer, results,
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
  baton compare gpt-4 claude-3-haiku --on traffic --judge draft-reply
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
    /// Where nobody said which of two answers is right, has the intent's `[judge]` compare them, in both
    /// orders: so many pairs at the most, two calls each
    #[arg(long, value_name = "PAIRS", num_args = 0..=1, require_equals = true, default_missing_value = "200",
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    judge: Option<u32>,
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
        if self.judge.is_some() && self.asked.repeat > 1 {
            return Err(Exit::usage("--judge compares one answer with one: leave --repeat out"));
        }
        let names = [self.a.clone(), self.b.clone()];
        let side = side(&self.folder, (&self.intent, false), &names, &self.fixtures, "")?;
        if self.judge.is_some() {
            can_compare(&side.plan)?;
        }
        let mut notes = Vec::new();
        let (cases, kept) = match self.on {
            On::Cases => (self.asked.cases(&side, &mut notes)?.0, cache(&side, !self.asked.no_cache, &mut notes)?),
            // Of traffic nothing is kept a second time: what is erased there has to be gone.
            On::Traffic => (self.traffic(&side, &mut notes).await?, AnswerCache::none()),
        };
        let options: Options = self.asked.options();
        let columns = run(&side.variants, &cases, &kept, options).await;
        somebody_answered(&columns)?;
        let judged = match self.judge {
            Some(pairs) => Some(judge(&side, &columns, &cases, (pairs, options), &mut notes).await),
            None => None,
        };
        let comparison = compared(&side, &columns, &cases, (rules, judged.as_ref()), &mut notes);
        self.end(&comparison, &columns, (&notes, judged.as_ref()))
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

    fn end(
        &self,
        comparison: &Comparison,
        columns: &[Column],
        (notes, judged): (&[String], Option<&Preferences>),
    ) -> Result<(), Exit> {
        let simulated = columns.iter().any(|column| column.cells.iter().any(|cell| cell.given.simulated));
        let sentence = comparison.sentence();
        let mut document = comparison.document();
        document["notes"] = json!(notes);
        document["simulated"] = json!(simulated);
        if let Some(judged) = judged {
            document["judge"] = json!(judged);
        }
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

/// Whether nobody said which answer to this case is right, nor what would tell.
fn is_unknown(case: &Case) -> bool {
    case.expected.is_none() && case.asserts.is_empty()
}

/// Refuses where an intent has no judge that compares two answers.
fn can_compare(plan: &Plan) -> Result<(), Exit> {
    let name = &plan.name;
    match &plan.judge {
        Some(judge) if judge.second_opinion => Err(Exit::usage(format!(
            "the judge of `{name}` gives a second opinion, and compares no two answers: leave --judge out"
        ))),
        Some(_) => Ok(()),
        None => Err(Exit::usage(format!("`{name}` has no judge: add [judge] and [[criteria]]"))),
    }
}

/// What the intent's judge says of pairs of answers.
async fn judge(
    side: &Side,
    columns: &[Column],
    cases: &[Case],
    (pairs, options): (u32, Options),
    notes: &mut Vec<String>,
) -> Preferences {
    let ([a, b], Some(asks)) = (columns, side.variants.first()) else { unreachable!("two candidates were asked") };
    // A good text need not be the one that was written down.
    let text = side.plan.kind == IntentKind::Generation;
    let wanted = |case: &Case| is_unknown(case) || (text && case.asserts.is_empty());
    let shown = Shown { pairs_max: pairs as usize, max_concurrency: options.max_concurrency };
    let said = prefer((&asks.baton, &side.plan), cases, (a, b), wanted, shown).await;
    let model = side.plan.judge.as_ref().map(|judge| judge.model.to_string()).unwrap_or_default();
    notes.push(said.told(&model));
    said
}

/// The comparison; where it is not known of a case which answer is right, with bounds that hold
/// either way, or with what a judge said.
fn compared(
    side: &Side,
    columns: &[Column],
    cases: &[Case],
    (rules, judged): (Rules, Option<&Preferences>),
    notes: &mut Vec<String>,
) -> Comparison {
    let [a, b] = columns else { unreachable!("two candidates were asked") };
    let mut bounds: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let (mut unknown, mut differ) = (0, 0);
    for (ours, theirs) in a.cells.iter().zip(&b.cells) {
        let case = &cases[ours.case];
        // A text is graded by its checks; so is an answer whose case has assertions. A judge says more of
        // two texts that hold.
        let held = ours.grade.passed && theirs.grade.passed && judged.is_some();
        let text = side.plan.kind == IntentKind::Generation;
        if !case.asserts.is_empty() || (text && !held) || (!text && case.expected.is_some()) {
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
            (true, true) => match judged.and_then(|judged| judged.by_case.get(&ours.case).copied().flatten()) {
                Some(Paired::A) => (-1.0, -1.0),
                Some(Paired::B) => (1.0, 1.0),
                Some(Paired::Tie | Paired::Disagrees) => (0.0, 0.0),
                None => (-1.0, 1.0),
            },
        };
        differ += usize::from(bound.0 < bound.1);
        bounds.insert(case.key.clone(), bound);
    }
    if unknown > 0 {
        notes.push(format!(
            "Of {unknown} inputs nobody said what is right; on {differ} of them the two differ and nothing tells which \
             is better, which counts against either verdict."
        ));
    }
    let bounds = (unknown > 0).then_some(&bounds);
    compare_bounded(&results(a, cases), &results(b, cases), rules, bounds)
}
