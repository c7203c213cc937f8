//! The figures of `local` on BANKING77: trained on train.csv, asked test.csv.
//! `BATON_DATA=../shared/data cargo run --release -p baton-local --example banking77`
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement, not shipped"
)]

use baton_local::{Example, Model, Options};
use baton_stats::{SplitMix64, quantile};
use std::collections::HashMap;
use std::time::Instant;

fn main() {
    let folder = std::env::var("BATON_DATA").unwrap_or_else(|_| "../shared/data".into());
    let read = |name: &str| {
        rows(&std::fs::read_to_string(format!("{folder}/banking77/{name}.csv")).unwrap())
    };
    let (train, test) = (read("train"), read("test"));
    for cases in [10, 30, 100, usize::MAX] {
        let runs: Vec<_> = (1..=5)
            .map(|seed| run(&train, &test, cases, seed))
            .collect();
        let mean = |i: usize| runs.iter().map(|run| run[i]).sum::<f64>() / runs.len() as f64;
        println!(
            "{cases} cases a label, mean of 5 seeds: forced {:.4}, precision {:.4}, coverage {:.4}, \
             train {:.2} s, p50 {:.0} us, p99 {:.0} us",
            mean(0),
            mean(1),
            mean(2),
            mean(3),
            mean(4),
            mean(5)
        );
    }
}

/// Forced accuracy, precision and coverage at the cut, seconds to train, p50 and p99 in µs.
fn run(train: &[[String; 2]], test: &[[String; 2]], cases: usize, seed: u64) -> [f64; 6] {
    let mut order: Vec<_> = train.iter().collect();
    SplitMix64::new(seed).shuffle(&mut order);
    let mut taken: HashMap<&str, usize> = HashMap::new();
    let examples: Vec<_> = order
        .into_iter()
        .filter(|[_, label]| {
            let taken = taken.entry(label).or_default();
            *taken += 1;
            *taken <= cases
        })
        .map(|[text, label]| Example { text, label })
        .collect();
    let started = Instant::now();
    let model = Model::train(
        &examples,
        &Options {
            precision: 0.97,
            cut: None,
            seed: 1,
        },
    )
    .unwrap();
    let train_s = started.elapsed().as_secs_f64();

    let (mut forced, mut answered, mut right, mut micros) = (0.0, 0.0, 0.0, vec![]);
    for [text, label] in test {
        let started = Instant::now();
        let said = model.predict(text);
        micros.push(started.elapsed().as_secs_f64() * 1e6);
        let good = f64::from(said.label == *label);
        forced += good;
        answered += f64::from(!said.abstained);
        right += if said.abstained { 0.0 } else { good };
    }
    let all = test.len() as f64;
    let at = |q| quantile(&micros, q).unwrap();
    [
        forced / all,
        right / answered,
        answered / all,
        train_s,
        at(0.5),
        at(0.99),
    ]
}

/// The rows of a two-column CSV with quotes, without its header.
fn rows(csv: &str) -> Vec<[String; 2]> {
    let (mut rows, mut row, mut field, mut quoted) = (vec![], vec![], String::new(), false);
    let mut chars = csv.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.extend(<[String; 2]>::try_from(std::mem::take(&mut row)));
            }
            '\r' if !quoted => {}
            _ => field.push(char),
        }
    }
    rows.split_off(1)
}
