//! `baton eval`: cases × candidates, graded, compared, and an exit status to rely on.

use std::path::{Path, PathBuf};

use baton_config::IntentKind;
use baton_lab::{
    Case, Column, Comparison, Evaluation, Options, Results, Rules, ShareAsked, Variant, baseline_of_file, compare,
    figures, html, jsonl, junit, markdown, of_plan, read, results,
};
use clap::{Args, ValueEnum};

use super::in_turn::{self, Learnt};
use super::table::print;
use crate::exit::{Exit, say, tell};
use crate::lab::{AS_DECLARED, Side, cache, run, side, somebody_answered, write};
use crate::setup::Folder;
use crate::transports::Fixtures;

/// Ask candidates an intent's cases, and say how good they are.
///
/// Without candidates the intent itself is asked, all of its models in their order. Answers are kept
/// beside the records, so that a rerun asks only for what changed. Nothing is evaluated on a case
/// that a candidate has seen.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton eval classify-ticket
  baton eval classify-ticket --candidates gpt-4,claude-3-haiku
  baton eval classify-ticket --against ../main          this folder's intent against another's
  baton eval classify-ticket --cases promptfooconfig.yaml
  baton eval classify-ticket --out report --baseline last.jsonl
  baton eval classify-ticket --candidates gpt-4,claude-3-haiku --share all --cascade

Exit status: 1 where an interval shows that a candidate is worse than its baseline, or that it
misses the intent's objective; not with --cascade, which weighs candidates against what they cost.")]
pub(crate) struct Eval {
    /// The intent: a folder's name under intents/
    intent: String,
    /// Models to ask alone, or `intent` for the intent as declared; the first is the baseline
    #[arg(long, visible_alias = "models", value_delimiter = ',', value_name = "A,B")]
    candidates: Vec<String>,
    /// Another folder with the same intent: each candidate is compared with itself there
    #[arg(long, value_name = "DIR", conflicts_with = "baseline")]
    against: Option<PathBuf>,
    /// What to compare with: one of the candidates, or the JSONL of an earlier run (FILE or FILE#NAME)
    #[arg(long, value_name = "NAME|FILE")]
    baseline: Option<String>,
    #[command(flatten)]
    asked: Asked,
    /// Write cascade.json into the intent's folder, which says who is right together, and show what
    /// asking the candidates in turn comes to
    #[arg(long, conflicts_with = "against", requires = "candidates")]
    cascade: bool,
    /// How much worse still counts as equal, in points of a hundred
    #[arg(long, default_value_t = 0.0, value_name = "POINTS")]
    margin: f64,
    /// Folder for report.html, report.md, junit.xml and answers.jsonl
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// JUnit XML, for CI
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Every answer as a line, for a later --baseline
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
    /// Markdown, for a pull request
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// One page that holds everything
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    fixtures: Fixtures,
    #[command(flatten)]
    folder: Folder,
}

/// Which cases are asked, and how: of `eval` and `compare` alike.
#[derive(Args)]
pub(super) struct Asked {
    /// Cases from a file: Baton's or an OpenAI eval's .jsonl, promptfoo's .yaml or .csv, .json of either
    #[arg(long, value_name = "FILE")]
    pub(super) cases: Option<PathBuf>,
    /// OpenAI graders that every case of --cases is graded by
    #[arg(long, value_name = "FILE", requires = "cases")]
    pub(super) graders: Option<PathBuf>,
    /// Which of the intent's own cases
    #[arg(long, value_enum, default_value = "evaluation", conflicts_with = "cases")]
    pub(super) share: ShareName,
    /// How often each case is asked
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) repeat: u32,
    /// Calls at a time
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) max_concurrency: u16,
    /// Ask everything anew, and keep no answers
    #[arg(long)]
    pub(super) no_cache: bool,
    /// Of every interval
    #[arg(long, default_value_t = 0.95, value_name = "SHARE")]
    pub(super) confidence: f64,
    /// Of the resampling behind intervals of scores, cost and latency
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(super) seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum ShareName {
    /// Kept for this
    Evaluation,
    /// Kept for calibration
    Calibration,
    /// All that no candidate has seen
    All,
}

impl From<ShareName> for ShareAsked {
    fn from(name: ShareName) -> Self {
        match name {
            ShareName::Evaluation => Self::Evaluation,
            ShareName::Calibration => Self::Calibration,
            ShareName::All => Self::All,
        }
    }
}

/// What candidates are compared with.
enum Baseline {
    /// Nothing.
    None,
    /// The candidate at this place.
    Candidate(usize),
    /// Each with itself in the other folder, so many places later.
    Against(usize),
    /// An earlier run.
    Earlier(Results),
}

impl Eval {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        let rules = self.asked.rules(self.margin)?;
        let names = if self.candidates.is_empty() { vec![AS_DECLARED.to_owned()] } else { self.candidates.clone() };
        if let Some(twice) = names.iter().enumerate().find(|(n, name)| names[..*n].contains(name)) {
            return Err(Exit::usage(format!("--candidates names `{}` twice", twice.1)));
        }
        let baseline = self.baseline(&names)?;
        let in_turn = self.cascade.then(|| in_turn::models(&self.folder, &self.intent, (&names, &self.asked)));
        let in_turn = in_turn.transpose()?;
        let mut ours = side(&self.folder, (&self.intent, self.cascade), &names, &self.fixtures, "")?;
        let mut variants = std::mem::take(&mut ours.variants);
        if let Some(dir) = &self.against {
            let folder = Folder { dir: dir.clone() };
            let suffix = format!(" @ {}", dir.display());
            let mut theirs = side(&folder, (&self.intent, false), &names, &self.fixtures, &suffix)?;
            variants.append(&mut theirs.variants);
            ours.seen.merge(theirs.seen);
            ours.in_turn |= theirs.in_turn;
        }
        let mut notes = Vec::new();
        let (cases, source) = self.asked.cases(&ours, &mut notes)?;
        let kept = cache(&ours, !self.asked.no_cache, &mut notes)?;
        let columns = run(&variants, &cases, &kept, self.options()).await;
        somebody_answered(&columns)?;
        let comparisons = comparisons(&columns, &cases, &baseline, rules)?;
        let learnt = in_turn.map(|models| Learnt::write(&self.folder, &ours.plan, &columns, models)).transpose()?;
        notes.extend(learnt.as_ref().and_then(Learnt::note));
        let evaluation = self.evaluation(&variants, columns, (cases, source), (comparisons, rules, notes));
        self.write(&evaluation)?;
        self.end(&evaluation, learnt.as_ref())
    }

    /// Of a candidate that is asked in turn, what an answer costs is to be known.
    fn options(&self) -> Options {
        Options { tokens: self.cascade, ..self.asked.options() }
    }

    fn baseline(&self, names: &[String]) -> Result<Baseline, Exit> {
        if self.against.is_some() {
            return Ok(Baseline::Against(names.len()));
        }
        let Some(named) = &self.baseline else {
            return Ok(if names.len() > 1 { Baseline::Candidate(0) } else { Baseline::None });
        };
        if let Some(place) = names.iter().position(|name| name == named) {
            return Ok(Baseline::Candidate(place));
        }
        let (file, candidate) = match named.rsplit_once('#') {
            Some((file, candidate)) if !Path::new(named).exists() => (file, Some(candidate)),
            _ => (named.as_str(), None),
        };
        if !Path::new(file).is_file() {
            let told = format!(
                "--baseline {named}: neither a candidate ({}) nor a file, which an earlier --jsonl or --out writes",
                names.join(", ")
            );
            return Err(Exit::usage(told));
        }
        let earlier = baseline_of_file(Path::new(file), candidate);
        earlier.map(Baseline::Earlier).map_err(|why| Exit::usage(format!("--baseline: {why}")))
    }

    fn evaluation(
        &self,
        variants: &[Variant],
        columns: Vec<Column>,
        (cases, source): (Vec<Case>, String),
        (comparisons, rules, mut notes): (Vec<Comparison>, Rules, Vec<String>),
    ) -> Evaluation {
        let repeat = self.asked.repeat;
        let of = |(column, variant): (&Column, &Variant)| figures(column, &variant.plan, repeat, rules.confidence);
        let figures: Vec<_> = columns.iter().zip(variants).map(of).collect();
        let (cached, calls) = figures.iter().fold((0, 0), |(c, n), f| (c + f.cached, n + f.calls));
        notes.insert(0, format!("{cached} of {calls} answers came from earlier runs and cost nothing."));
        for figures in figures.iter().filter(|figures| !figures.errors.is_empty()) {
            let codes: Vec<String> = figures.errors.iter().map(|(code, n)| format!("{code} {n}")).collect();
            let told = "calls without an answer count as wrong";
            notes.push(format!("{}: {told}: {}.", figures.candidate, codes.join(", ")));
        }
        let unstated = |case: &Case| case.asserts.is_empty();
        if variants.iter().any(|v| v.plan.kind == IntentKind::Generation) && cases.iter().any(unstated) {
            notes.push(
                "Texts are graded by their checks alone: one in good form that says a wrong thing passes.".into(),
            );
        }
        let intent = self.intent.clone();
        Evaluation { intent, source, cases, repeat, columns, figures, comparisons, rules, notes }
    }

    fn write(&self, evaluation: &Evaluation) -> Result<(), Exit> {
        type Writer = fn(&Evaluation) -> String;
        let all: [(&Option<PathBuf>, &str, Writer); 4] = [
            (&self.html, "report.html", html),
            (&self.markdown, "report.md", markdown),
            (&self.junit, "junit.xml", junit),
            (&self.jsonl, "answers.jsonl", jsonl),
        ];
        for (asked, name, writer) in all {
            let text = std::cell::LazyCell::new(|| writer(evaluation));
            let in_folder = self.out.as_ref().map(|dir| dir.join(name));
            for path in asked.iter().chain(&in_folder) {
                write(path, &text)?;
                tell!("wrote {}", path.display());
            }
        }
        Ok(())
    }

    fn end(&self, evaluation: &Evaluation, learnt: Option<&Learnt>) -> Result<(), Exit> {
        let mut document = evaluation.document();
        if let Some(learnt) = learnt {
            document["in_turn"] = learnt.document();
        }
        // That a cheap model alone is worse is what asking in turn is for.
        let passed = evaluation.passed() || learnt.is_some();
        if !self.json {
            print(evaluation);
            learnt.iter().for_each(|learnt| learnt.print());
        } else if passed {
            say!("{document}");
        }
        if passed {
            return Ok(());
        }
        Err(Exit::failed(evaluation.conclusions().join("\n")).with_document(document))
    }
}

fn comparisons(columns: &[Column], cases: &[Case], baseline: &Baseline, rules: Rules) -> Result<Vec<Comparison>, Exit> {
    let all: Vec<Results> = columns.iter().map(|column| results(column, cases)).collect();
    let compared: Vec<Comparison> = match baseline {
        Baseline::None => Vec::new(),
        Baseline::Candidate(place) => {
            let others = all.iter().enumerate().filter(|(n, _)| n != place);
            others.map(|(_, candidate)| compare(&all[*place], candidate, rules)).collect()
        }
        Baseline::Against(places) => {
            let (ours, theirs) = all.split_at(*places);
            ours.iter().zip(theirs).map(|(candidate, base)| compare(base, candidate, rules)).collect()
        }
        Baseline::Earlier(earlier) => all.iter().map(|candidate| compare(earlier, candidate, rules)).collect(),
    };
    match compared.iter().find(|comparison| comparison.cases == 0) {
        Some(apart) => {
            Err(Exit::usage(format!("`{}` and `{}` have no case in common", apart.baseline, apart.candidate)))
        }
        None => Ok(compared),
    }
}

impl Asked {
    pub(super) fn options(&self) -> Options {
        Options { repeat: self.repeat, max_concurrency: usize::from(self.max_concurrency), tokens: false }
    }

    /// `margin` in points of a hundred.
    pub(super) fn rules(&self, margin: f64) -> Result<Rules, Exit> {
        if !(0.0..100.0).contains(&margin) {
            return Err(Exit::usage("--margin: write points of a hundred, 0 or more and below 100, for example 2"));
        }
        if !(0.5..1.0).contains(&self.confidence) {
            return Err(Exit::usage("--confidence: write a share from 0.5 and below 1, for example 0.95"));
        }
        Ok(Rules { margin: margin / 100.0, confidence: self.confidence, seed: self.seed })
    }

    /// The cases, and where they come from in words.
    pub(super) fn cases(&self, side: &Side, notes: &mut Vec<String>) -> Result<(Vec<Case>, String), Exit> {
        let (mut cases, source) = match &self.cases {
            Some(file) => {
                let read = read(file, self.graders.as_deref(), &side.plan);
                (read.map_err(|error| Exit::usage(error.to_string()))?, file.display().to_string())
            }
            None => {
                let share = match self.share {
                    ShareName::Evaluation => "the evaluation share",
                    ShareName::Calibration => "the calibration share",
                    ShareName::All => "all shares",
                };
                (of_plan(&side.plan, self.share.into()), format!("{share} of cases.jsonl"))
            }
        };
        let found = cases.len();
        let removed = side.seen.remove_from(&mut cases);
        if removed > 0 {
            let told =
                "left out, a candidate has seen them: they are examples of the prompt, or `local` learnt from them";
            notes.push(format!("{removed} of {found} cases were {told}."));
        }
        if side.in_turn {
            let told =
                "asks in turn by cascade.json: on the cases that this was learnt from it looks better than it is";
            notes.push(format!("`{AS_DECLARED}` {told}."));
        }
        if cases.is_empty() {
            let help = "add cases to cases.jsonl (about two of ten belong to the evaluation share), mark some with \
                        \"share\": \"evaluation\", or give --cases FILE";
            return Err(Exit::usage(format!(
                "there are no cases to evaluate on: {found} in {source}, {removed} seen; {help}"
            )));
        }
        Ok((cases, source))
    }
}
