//! The RouterBench slice: prompts of three tasks with what each of 11 models made of them and took.

use anyhow::{Context as _, ensure};
use serde::Deserialize;

const SOURCE: &str = "RouterBench (Hu et al. 2024), three of its tasks with quality and cost of 11 models";

const FOLD_SEED: u64 = 1;

#[derive(Deserialize)]
struct Row {
    task: String,
    prompt: String,
    models: std::collections::BTreeMap<String, Option<Outcome>>,
}

#[derive(Deserialize)]
struct Outcome {
    quality: Option<f64>,
    cost_usd: Option<f64>,
}

/// One prompt.
pub(crate) struct Item {
    pub(crate) task: usize,
    /// Bytes of the whole prompt.
    pub(crate) bytes: f64,
    /// What of it differs from the other prompts of its task.
    pub(crate) text: String,
}

/// A row an item, a column a model.
#[derive(Default)]
pub(crate) struct Set {
    pub(crate) items: Vec<Item>,
    pub(crate) quality: Vec<Vec<f64>>,
    /// USD for 1,000 such calls.
    pub(crate) cost: Vec<Vec<f64>>,
}

pub(crate) struct Bench {
    pub(crate) models: Vec<String>,
    pub(crate) tasks: Vec<String>,
    pub(crate) train: Set,
    pub(crate) test: Set,
}

impl Bench {
    /// Items for which every model has quality and cost. With a fold, that fifth of the train part stands for
    /// the test part, which is not read.
    pub(crate) fn read(fold: Option<u64>) -> anyhow::Result<Self> {
        let mut train = rows("train.jsonl")?;
        let test = match fold {
            None => rows("test.jsonl")?,
            Some(fold) => {
                baton_stats::SplitMix64::new(FOLD_SEED).shuffle(&mut train);
                let (test, rest): (Vec<_>, Vec<_>) = (0..).zip(train).partition(|(at, _)| at % 5 == fold);
                train = rest.into_iter().map(|(_, row)| row).collect();
                test.into_iter().map(|(_, row)| row).collect()
            }
        };
        let models: Vec<String> = train.first().context("train.jsonl is empty")?.models.keys().cloned().collect();
        let mut tasks: Vec<String> = train.iter().map(|row| row.task.clone()).collect();
        tasks.sort();
        tasks.dedup();
        // The template is what all prompts of a task begin and end with.
        let templates: Vec<(usize, usize)> = tasks
            .iter()
            .map(|task| template(train.iter().filter(|row| row.task == *task).map(|row| row.prompt.as_str())))
            .collect();
        let set = |rows: Vec<Row>| {
            let mut set = Set::default();
            for row in rows {
                let of = |model: &String| row.models.get(model)?.as_ref();
                let both = |model| of(model).and_then(|one| Some((one.quality?, one.cost_usd? * 1000.0)));
                let Some(outcomes) = models.iter().map(both).collect::<Option<Vec<(f64, f64)>>>() else { continue };
                let task = tasks.iter().position(|task| *task == row.task);
                let task = task.with_context(|| format!("task `{}` is not in train.jsonl", row.task))?;
                let text = variable(&row.prompt, templates[task]);
                set.items.push(Item { task, bytes: row.prompt.len() as f64, text });
                set.quality.push(outcomes.iter().map(|one| one.0).collect());
                set.cost.push(outcomes.iter().map(|one| one.1).collect());
            }
            ensure!(!set.items.is_empty(), "no item has figures of all models");
            anyhow::Ok(set)
        };
        Ok(Self { train: set(train)?, test: set(test)?, models, tasks })
    }
}

fn rows(name: &str) -> anyhow::Result<Vec<Row>> {
    let path = crate::data::file("routerbench", name, SOURCE)?;
    let text = std::fs::read_to_string(&path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), at + 1)))
        .collect()
}

/// Bytes that all prompts begin with, and those that they end with.
fn template<'a>(mut prompts: impl Iterator<Item = &'a str>) -> (usize, usize) {
    let first = prompts.next().unwrap_or_default();
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let common_end = |a: &str, b: &str| a.bytes().rev().zip(b.bytes().rev()).take_while(|(a, b)| a == b).count();
    prompts.fold((first.len(), first.len()), |(head, tail), prompt| {
        (head.min(common(first, prompt)), tail.min(common_end(first, prompt)))
    })
}

fn variable(prompt: &str, (head, tail): (usize, usize)) -> String {
    let tail = prompt.len().saturating_sub(tail).max(head.min(prompt.len()));
    let bytes = prompt.as_bytes().get(head.min(prompt.len())..tail).unwrap_or_default();
    String::from_utf8_lossy(bytes).replace("\\n", "\n").replace("\\'", "'")
}

impl Item {
    /// What can be counted in a prompt: lengths, numbers, lines, marks, and words that turn a sentence.
    pub(crate) fn numbers(&self) -> Vec<f64> {
        let text = self.text.as_str();
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let words: Vec<&str> = text.split_whitespace().collect();
        let per = |count: usize, of: usize| count as f64 / of.max(1) as f64;
        let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
        let lengths: Vec<f64> = lines.iter().skip(1).map(|line| line.len() as f64).collect();
        let mean = lengths.iter().sum::<f64>() / lengths.len().max(1) as f64;
        let spread = lengths.iter().map(|length| (length - mean).powi(2)).sum::<f64>() / lengths.len().max(1) as f64;
        let lower = text.to_lowercase();
        let plain: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric() && c != '\'').collect();
        let says = |all: &[&str]| f64::from(plain.iter().any(|word| all.contains(word) || word.ends_with("n't")));
        let turns = |all: &[&str]| f64::from(plain.iter().any(|word| all.contains(word)));
        let mut distinct: Vec<&str> = lower.split_whitespace().collect();
        distinct.sort_unstable();
        distinct.dedup();
        let count = |mark: char| text.matches(mark).count() as f64;
        let marks = text.chars().filter(|c| !c.is_alphanumeric() && !c.is_whitespace()).count();
        let runs = text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty()).count();
        vec![
            (1.0 + text.len() as f64).ln(),
            (1.0 + words.len() as f64).ln(),
            per(words.iter().map(|word| word.len()).sum(), words.len()),
            words.iter().map(|word| word.len()).max().unwrap_or_default() as f64,
            (1.0 + runs as f64).ln(),
            per(digits(text), text.len()),
            f64::from(lines.first().is_some_and(|line| digits(line) > 0)),
            per(lines.iter().filter(|line| digits(line) > 0).count(), lines.len()),
            (1.0 + lines.len() as f64).ln(),
            (1.0 + lines.first().map_or(0, |line| line.len()) as f64).ln(),
            mean,
            spread.sqrt(),
            count(','),
            count('?'),
            count('.'),
            per(text.chars().filter(|c| c.is_uppercase()).count(), text.len()),
            per(distinct.len(), words.len()),
            per(marks, text.len()),
            says(&["not", "no", "never", "except", "least"]),
            turns(&["but", "although", "because", "so", "however", "while"]),
        ]
    }
}
