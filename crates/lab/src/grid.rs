//! Cases × candidates × repetitions, through the engine, a bounded number at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use baton_config::{Plan, Share, canonical};
use baton_core::{CallConfig, ExecutionId, NanoUsd, Record, TeamId, Unproven};
use baton_engine::{Call, Orchestrator};
use futures_util::StreamExt as _;

use crate::cache::Dependencies;
use crate::{AnswerCache, Case, Given, Grade, Grader};

/// One candidate: an intent, and who of its models may answer.
pub struct Variant {
    /// What it is called in every report.
    pub name: String,
    /// What runs it. Its store keeps the records of the evaluation, and should be one of memory.
    pub baton: Orchestrator,
    /// The intent as this candidate has it.
    pub plan: Arc<Plan>,
    /// The models that may answer, in order; `None` is as the intent says.
    pub models: Option<Vec<String>>,
    /// What else its answers depend on: how its providers are reached. Part of the cache's key.
    pub reached: String,
}

/// How a grid is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How often each case is asked, at least 1.
    pub repeat: u32,
    /// Calls at a time, at least 1.
    pub max_concurrency: usize,
    /// Whether what was kept without its tokens, as earlier versions did, is asked anew.
    pub tokens: bool,
}

/// One answer, graded.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The place of its case.
    pub case: usize,
    /// From 0.
    pub repetition: u32,
    /// What the candidate gave.
    pub given: Given,
    /// What that is worth.
    pub grade: Grade,
    /// Whether an earlier run had asked already.
    pub cached: bool,
}

/// A candidate's answers, by case and repetition.
#[derive(Clone, Debug)]
pub struct Column {
    /// The candidate's name.
    pub name: String,
    /// Its cells, in the order of the cases.
    pub cells: Vec<Cell>,
}

/// Asks every candidate every case. `told` is called after each answer with whether it was cached.
pub async fn run(
    variants: &[Variant],
    cases: &[Case],
    cache: &AnswerCache,
    options: Options,
    told: impl Fn(bool),
) -> Vec<Column> {
    let runners: Vec<Runner<'_>> = variants.iter().map(|variant| Runner::new(variant, cache, options.tokens)).collect();
    // Candidates side by side: a provider's slow minute hits all of them.
    let jobs = (0..options.repeat.max(1)).flat_map(|repetition| {
        let runners = &runners;
        (0..cases.len()).flat_map(move |case| (0..runners.len()).map(move |column| (column, case, repetition)))
    });
    let work = jobs.map(|(column, case, repetition)| {
        let runner = &runners[column];
        let told = &told;
        async move {
            let cell = runner.cell(&cases[case], case, repetition).await;
            told(cell.cached);
            (column, cell)
        }
    });
    let mut columns: Vec<Column> =
        variants.iter().map(|variant| Column { name: variant.name.clone(), cells: Vec::new() }).collect();
    let mut done = futures_util::stream::iter(work).buffer_unordered(options.max_concurrency.max(1));
    while let Some((column, cell)) = done.next().await {
        columns[column].cells.push(cell);
    }
    for column in &mut columns {
        column.cells.sort_by_key(|cell| (cell.case, cell.repetition));
    }
    columns
}

/// A variant, ready to be asked.
struct Runner<'a> {
    variant: &'a Variant,
    cache: &'a AnswerCache,
    grader: Grader,
    models: String,
    checks: String,
    tokens: bool,
}

impl<'a> Runner<'a> {
    fn new(variant: &'a Variant, cache: &'a AnswerCache, tokens: bool) -> Self {
        let (plan, checks) = (&variant.plan, checks_of(&variant.plan));
        let candidates: Vec<&str> = plan.candidates.iter().map(|spec| spec.id.as_str()).collect();
        let names = variant.models.as_ref().map_or(candidates, |names| names.iter().map(String::as_str).collect());
        let mut models = format!("{}\n{}", names.join("\n"), variant.reached);
        if names.len() > 1 {
            // Whose answer is given depends on the checks of those before it.
            models.push_str(&checks);
        }
        if names.contains(&"local") {
            models.push_str(&learnt(plan));
        }
        if let Some(cascade) = plan.route.cascade.as_ref().filter(|_| variant.models.is_none()) {
            models.push_str(&format!("{cascade:?}"));
        }
        let models = blake3::hash(models.as_bytes()).to_hex().to_string();
        Self { variant, cache, grader: Grader::new(plan), models, checks, tokens }
    }

    async fn cell(&self, case: &Case, number: usize, repetition: u32) -> Cell {
        let input = canonical(&case.input);
        let answer_hash = self.variant.plan.hashes.answer.as_str();
        let key = Dependencies { answer_hash, models: &self.models, input: &input, repetition }.key();
        let known = self.cache.get(&key, &self.checks).filter(|given| !self.tokens || given.usage.is_some());
        let cached = known.is_some();
        let given = match known {
            Some(given) => self.grader.under_todays_checks(case, given),
            None => {
                let given = self.ask(case).await;
                self.cache.put(key, &self.checks, &given);
                given
            }
        };
        Cell { case: number, repetition, grade: self.grader.grade(case, &given), given, cached }
    }

    async fn ask(&self, case: &Case) -> Given {
        let Variant { baton, plan, models, .. } = self.variant;
        // A fresh answer of these models alone: nothing remembered.
        let config = CallConfig { models: models.clone(), cache_ttl: Some(0), ..CallConfig::default() };
        let call = Call { config, ..Call::intent(plan.name.as_str(), case.input.clone()) };
        let started = Instant::now();
        match baton.execute(call).await {
            Ok(delivered) => {
                let given = Given::answer(&delivered);
                // Only a judge in the path costs something besides.
                if plan.unproven != Unproven::Judge {
                    return given;
                }
                let record = recorded(baton, delivered.answer.execution_id).await;
                Given { cost: spent(baton, record.as_ref()).await, ..given }
            }
            Err(error) => {
                let ms = started.elapsed().as_secs_f64() * 1000.0;
                let record = recorded(baton, error.execution).await;
                let cost = spent(baton, record.as_ref()).await;
                Given::error(&error, record.as_ref(), cost, ms)
            }
        }
    }
}

async fn recorded(baton: &Orchestrator, execution: ExecutionId) -> Option<Record> {
    baton.store().execution(&TeamId::new("default"), execution).await.ok().flatten()
}

/// What an execution cost with the judges that it waited for, whose executions are their own; `None` where
/// that is not known.
async fn spent(baton: &Orchestrator, record: Option<&Record>) -> Option<NanoUsd> {
    let record = record.filter(|record| record.cost_known)?;
    let asked = record.attempts.iter().filter_map(|attempt| attempt.judged.as_ref()?.judge);
    let mut cost = record.cost;
    for judge in asked.collect::<BTreeSet<ExecutionId>>() {
        cost += recorded(baton, judge).await.filter(|judge| judge.cost_known)?.cost;
    }
    Some(cost)
}

/// What decides which answers pass, shortened.
fn checks_of(plan: &Plan) -> String {
    let said = format!("{:?} {:?} {:?}", plan.checks, plan.unproven, plan.on_exhausted);
    blake3::hash(said.as_bytes()).to_hex().to_string()
}

/// What `local` has learnt, shortened.
fn learnt(plan: &Plan) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("{:?} {}", plan.local, plan.objective.quality).as_bytes());
    for case in plan.cases.iter().filter(|case| case.share == Share::Examples) {
        hasher.update(canonical(&case.input).as_bytes()).update(canonical(&case.expected).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
