//! Who was right on the same cases: what `cascade.json` holds, and what asking in turn would come to.

use std::collections::BTreeMap;

use baton_core::Usage;
use baton_eval::cross_validated;
use serde::Serialize;

use crate::{Cell, Column};

/// What a right answer may be worth, where nobody said: so many times of where the best candidate alone is worth
/// its price beside the cheapest. Not that itself: there chance decides between the two.
const WORTHS: [f64; 5] = [0.15, 0.5, 1.5, 5.0, 15.0];
/// Of what the dearest answer costs, where the cheapest candidate is the best.
const WORTH_OF_DEAREST: f64 = 30.0;

/// Who was right together, of candidates that were asked the same cases.
#[derive(Debug)]
pub struct Together {
    /// The candidates' ids.
    pub models: Vec<String>,
    /// The mean tokens of a call of each.
    pub usage: Vec<Usage>,
    /// Of each case, whether each of them was right.
    pub rows: Vec<Vec<bool>>,
    /// Cases that somebody could not be asked for reasons outside of him; they are no rows.
    pub left_out: usize,
}

/// What asking in turn comes to, on cases that it did not learn from, beside one model alone.
#[derive(Clone, Debug, Serialize)]
pub struct InTurn {
    /// What one more right answer is worth, in dollars.
    pub right_usd: f64,
    /// The share of right answers.
    pub right: f64,
    /// What 1,000 calls cost.
    pub usd_per_1000: f64,
    /// The place of the candidate that alone is worth the most.
    pub alone: usize,
    /// Its share of right answers.
    pub alone_right: f64,
    /// What 1,000 calls of it cost.
    pub alone_usd_per_1000: f64,
}

impl InTurn {
    /// What 1,000 calls are worth more than those of the model alone, in dollars: right answers less costs.
    #[must_use]
    pub fn gain(&self) -> f64 {
        1000.0 * self.right_usd * (self.right - self.alone_right) - (self.usd_per_1000 - self.alone_usd_per_1000)
    }
}

/// From answers to the same cases, each asked once; `models` are the columns' ids.
#[must_use]
pub fn together(columns: &[Column], models: Vec<String>) -> Together {
    let cases = columns.iter().map(|column| column.cells.len()).min().unwrap_or_default();
    let of_case = |case: usize| columns.iter().map(move |column| &column.cells[case]);
    let rows: Vec<Vec<bool>> = (0..cases)
        .filter(|case| of_case(*case).all(|cell| !cell.given.transient()))
        .map(|case| of_case(case).map(|cell| cell.grade.passed).collect())
        .collect();
    let usage = columns.iter().map(|column| mean(&column.cells)).collect();
    Together { models, usage, left_out: cases - rows.len(), rows }
}

/// The mean tokens of the calls of which they are known.
fn mean(cells: &[Cell]) -> Usage {
    let counted = cells.iter().filter(|cell| !cell.given.transient()).filter_map(|cell| cell.given.usage.as_ref());
    let counted: Vec<&Usage> = counted.collect();
    let of = |tokens: fn(&Usage) -> u64| {
        let sum: u64 = counted.iter().map(|usage| tokens(usage)).sum();
        (sum as f64 / (counted.len() as f64).max(1.0)).round() as u64
    };
    Usage {
        input_tokens: of(|usage| usage.input_tokens),
        output_tokens: of(|usage| usage.output_tokens),
        ..Usage::default()
    }
}

/// `cascade.json`.
#[derive(Serialize)]
struct File<'a> {
    answer: &'a str,
    models: Vec<Asked<'a>>,
    right: BTreeMap<String, u32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    model: &'a str,
    input_tokens: u64,
    output_tokens: u64,
}

impl Together {
    /// The text of `cascade.json`; `answer` is the hash of what the intent asks.
    #[must_use]
    pub fn file(&self, answer: &str) -> String {
        let asked = |(model, usage): (_, &Usage)| Asked {
            model,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
        };
        let mut right: BTreeMap<String, u32> = BTreeMap::new();
        for row in &self.rows {
            *right.entry(row.iter().map(|right| if *right { '1' } else { '0' }).collect()).or_default() += 1;
        }
        let models = self.models.iter().map(String::as_str).zip(&self.usage).map(asked).collect();
        let file = File { answer: answer.get(..16).unwrap_or(answer), models, right };
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    /// What asking in turn comes to, for each of these worths of a right answer, in dollars; for a few that make
    /// a difference where there are none. `usd`: what a call of each candidate costs, `None` of one that is not
    /// asked. Nothing of fewer than two that are, or of no cases.
    #[must_use]
    pub fn in_turn(&self, usd: &[Option<f64>], right_usd: Option<f64>, asks: u32) -> Vec<InTurn> {
        let priced: Vec<(usize, f64)> =
            usd.iter().enumerate().filter_map(|(place, usd)| Some((place, (*usd)?))).collect();
        let of_row = |row: &Vec<bool>| priced.iter().map(|(place, _)| row[*place]).collect();
        let rows: Vec<Vec<bool>> = self.rows.iter().map(of_row).collect();
        let costs: Vec<f64> = priced.iter().map(|(_, usd)| *usd).collect();
        let shares: Vec<f64> = (0..priced.len())
            .map(|place| rows.iter().filter(|row| row[place]).count() as f64 / (rows.len() as f64).max(1.0))
            .collect();
        let worths = right_usd.map_or_else(|| worths(&shares, &costs).to_vec(), |usd| vec![usd]);
        let worth = |right_usd: f64| {
            let (right, spent) = cross_validated(&rows, &costs, (right_usd, asks))?;
            let gain = |place: &usize| right_usd * shares[*place] - costs[*place];
            let alone = (0..priced.len()).max_by(|one, other| gain(one).total_cmp(&gain(other)))?;
            Some(InTurn {
                right_usd,
                right,
                usd_per_1000: of_1000(spent),
                alone: priced[alone].0,
                alone_right: shares[alone],
                alone_usd_per_1000: of_1000(costs[alone]),
            })
        };
        let enough = priced.len() > 1;
        worths.into_iter().filter(|usd| enough && *usd > 0.0).filter_map(worth).collect()
    }
}

/// A few that make a difference; 0 where nothing costs anything.
fn worths(shares: &[f64], costs: &[f64]) -> [f64; 5] {
    let better = |one: &usize, other: &usize| shares[*one].total_cmp(&shares[*other]);
    let cheaper = |one: &usize, other: &usize| costs[*other].total_cmp(&costs[*one]);
    let best = (0..costs.len()).max_by(|one, other| better(one, other).then(cheaper(one, other)));
    let cheapest = (0..costs.len()).max_by(|one, other| cheaper(one, other).then(better(one, other)));
    let even = best.zip(cheapest).and_then(|(best, cheapest)| {
        let (more, usd) = (shares[best] - shares[cheapest], costs[best] - costs[cheapest]);
        (more > 0.0 && usd > 0.0).then_some(usd / more)
    });
    let scale = even.unwrap_or_else(|| WORTH_OF_DEAREST * costs.iter().copied().fold(0.0, f64::max));
    WORTHS.map(|times| rounded(times * scale))
}

/// Of a thousand calls, to a nano-dollar.
fn of_1000(usd: f64) -> f64 {
    (usd * 1e12).round() / 1e9
}

/// To two digits.
fn rounded(usd: f64) -> f64 {
    if usd > 0.0 { format!("{usd:.1e}").parse().unwrap_or(usd) } else { usd }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Given, Grade, Refusal};

    /// An answer that is right or wrong; `None` where nobody could be asked.
    fn cell(case: usize, right: Option<bool>, input_tokens: u64) -> Cell {
        let refusal = right.is_none().then(|| Refusal { code: "x".into(), message: "down".into(), quality: false });
        let usage = Some(Usage { input_tokens, output_tokens: 3, ..Usage::default() });
        let given =
            Given { output: None, refusal, model: None, via: None, cost: None, usage, ms: 1.0, simulated: true };
        let grade = Grade { passed: right.unwrap_or_default(), ..Grade::default() };
        Cell { case, repetition: 0, given, grade, cached: false }
    }

    fn column(rights: impl Iterator<Item = Option<bool>>) -> Column {
        let cells = rights.enumerate().map(|(case, right)| cell(case, right, 10 + case as u64 % 2)).collect();
        Column { name: "one".into(), cells }
    }

    /// Two cheap ones, right of nine cases in seven and six, in five together, and a dear one that always is.
    fn three(cases: usize) -> Together {
        let right = |right: fn(usize) -> bool| column((0..cases).map(move |case| Some(right(case % 9))));
        let columns = [right(|n| n < 7), right(|n| n < 5 || n == 7), right(|_| true)];
        together(&columns, vec!["a/one".into(), "a/two".into(), "b/dear".into()])
    }

    #[test]
    fn the_file_counts_who_was_right_together() {
        let text = three(18).file("0123456789abcdef0123");
        assert_eq!(
            text,
            r#"{
  "answer": "0123456789abcdef",
  "models": [
    {
      "model": "a/one",
      "inputTokens": 11,
      "outputTokens": 3
    },
    {
      "model": "a/two",
      "inputTokens": 11,
      "outputTokens": 3
    },
    {
      "model": "b/dear",
      "inputTokens": 11,
      "outputTokens": 3
    }
  ],
  "right": {
    "001": 2,
    "011": 2,
    "101": 4,
    "111": 10
  }
}
"#
        );
    }

    #[test]
    fn a_case_that_somebody_could_not_be_asked_is_left_out() {
        let one = column([Some(true), None, Some(false)].into_iter());
        let two = column([Some(true), Some(true), Some(true)].into_iter());
        let told = together(&[one, two], vec!["a".into(), "b".into()]);
        assert_eq!((told.rows, told.left_out), (vec![vec![true, true], vec![false, true]], 1));
        assert_eq!([told.usage[0].input_tokens, told.usage[1].input_tokens], [10, 10], "what failed counts nothing");
    }

    #[test]
    fn asking_in_turn_stands_beside_the_best_alone() {
        let usd = [Some(0.001), Some(0.001), Some(0.01)];
        let all = three(180).in_turn(&usd, None, 3);
        let worths: Vec<f64> = all.iter().map(|one| one.right_usd).collect();
        // Two of nine for nine thousandths of a dollar: 0.0405.
        assert_eq!(worths, [0.0061, 0.02, 0.061, 0.2, 0.61]);
        assert_eq!((all[0].alone, all[4].alone), (0, 2));
        assert!((all[4].alone_right, all[4].alone_usd_per_1000) == (1.0, 10.0), "{:?}", all[4]);
        assert!(all.windows(2).all(|pair| pair[0].right <= pair[1].right), "{all:?}");

        // At the price of one that alone is right seven of nine, two that agree are right more often.
        let one = &three(180).in_turn(&usd, Some(0.04), 3)[0];
        assert!((one.right - 8.0 / 9.0).abs() < 0.03 && one.usd_per_1000 < 9.0, "{one:?}");
        // A tenth more at half a dollar, for two dollars more.
        let gains = InTurn {
            right_usd: 0.5,
            right: 0.9,
            usd_per_1000: 3.0,
            alone_right: 0.8,
            alone_usd_per_1000: 1.0,
            ..one.clone()
        };
        assert!((gains.gain() - 48.0).abs() < 1e-9, "{gains:?}");
        // One of no price is not asked; alone nobody is asked in turn.
        let two = three(180).in_turn(&[Some(0.001), None, Some(0.01)], Some(1.0), 3);
        assert_eq!(two[0].alone, 2, "places are those of all candidates");
        assert!(three(180).in_turn(&[None, None, Some(0.01)], None, 3).is_empty());
        assert!(three(0).in_turn(&usd, None, 3).is_empty());
        assert!(three(9).in_turn(&[Some(0.0); 3], None, 3).is_empty(), "what costs nothing gives no scale");
    }
}
