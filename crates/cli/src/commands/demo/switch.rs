//! "gpt-4 retires: switch?", answered in a sentence: both models get the tickets that were labelled by
//! hand, and the difference has its interval.

use baton_lab::{AnswerCache, Options, Rules, ShareAsked, compare, of_plan, results};

use super::costs::Right;
use crate::exit::Exit;
use crate::lab::{run, side};
use crate::setup::Folder;
use crate::transports::Fixtures;

const INTENT: &str = "classify-ticket";
/// What answers now, and what would.
const MODELS: [&str; 2] = ["gpt-4", "claude-3-haiku"];
/// How much worse still counts as equal.
const MARGIN: f64 = 0.05;

/// What was asked, and the answer; and how many each got right.
pub(super) async fn switch(folder: &Folder) -> Result<(String, Right), Exit> {
    let side = side(folder, (INTENT, false), &MODELS.map(str::to_owned), &Fixtures::default(), "")?;
    let mut cases = of_plan(&side.plan, ShareAsked::All);
    side.seen.remove_from(&mut cases);
    let options = Options { repeat: 1, max_concurrency: 160, tokens: false };
    let columns = run(&side.variants, &cases, &AnswerCache::none(), options).await;
    let [now, then] = columns.as_slice() else { return Err(Exit::outside("two models were not asked")) };
    let rules = Rules { margin: MARGIN, confidence: 0.95, seed: 1 };
    let right = columns.iter().map(|column| {
        let right = column.cells.iter().filter(|cell| cell.grade.passed).count();
        ((INTENT.to_owned(), column.name.clone()), (right as u64, column.cells.len() as u64))
    });
    Ok((compare(&results(now, &cases), &results(then, &cases), rules).sentence(), right.collect()))
}
