//! Is a call charged what its vendor says? By cases that were worked out by hand, and beside LiteLLM's
//! price data wherever both state a price.

mod cases;
mod litellm;

use serde_json::json;

use crate::report::{Report, line, table};
use litellm::{Compared, Kind};

/// How much.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// LiteLLM's wheel, where it is at hand; else it is downloaded into target/prices
    #[arg(long, value_name = "FILE")]
    wheel: Option<std::path::PathBuf>,
}

/// Of the prices that both state, this share is the same at the vendors who make models. Seen were 89.1 %;
/// what differs is printed, one by one and by kind, and is the sources' own: the bar is there for our
/// reading of ours, where a kind of token, a date or a tier that is taken for another moves hundreds.
const SAME_MAKERS: f64 = 0.85;
/// The same at OpenAI and Anthropic, whose price pages both packages follow closely. Seen were 97.4 %.
const SAME_CLOSE: f64 = 0.95;
const MAKERS: [&str; 6] = ["openai", "anthropic", "gemini", "mistral", "xai", "deepseek"];
const CLOSE: [&str; 2] = ["openai", "anthropic"];
const CASES_MIN: usize = 60;

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Report> {
    let cases = cases::all()?;
    let wrong = cases.iter().filter(|case| !case.holds()).count();
    for case in cases.iter().filter(|case| !case.holds()) {
        line(&format!("WRONG {}: {}", case.name, case.says()));
    }
    line(&format!("{} of {} hand-checked cases are right", cases.len() - wrong, cases.len()));
    let mut report = Report::new("prices");
    report.figure("cases", cases.len());
    report.figure("wrong", wrong);
    report.bar(format!("{} hand-checked cases, {CASES_MIN} or more, all right", cases.len()), {
        wrong == 0 && cases.len() >= CASES_MIN
    });
    let compared = litellm::compare(arguments.wheel)?;
    agreement(&compared, &mut report);
    Ok(report)
}

fn agreement(compared: &Compared, report: &mut Report) {
    line("\nbeside LiteLLM: a price of one kind of token of one model that both state");
    line(&format!("as of {}; batch prices as of {}\n", litellm::AS_OF, litellm::BATCH_AS_OF));
    let mut rows = table(&["vendor", "stated by both", "the same", "%"]);
    for vendor in baton_provider::PriceList::built_in().vendors.keys() {
        let (same, both) = compared.of(&[vendor]);
        if both > 0 {
            let percent = format!("{:.1}", share(same, both) * 100.0);
            rows.add_row([vendor.clone(), both.to_string(), same.to_string(), percent]);
        }
    }
    line(&rows.to_string());
    line("");
    for kind in Kind::ALL {
        let all: Vec<_> = compared.differences.iter().filter(|difference| difference.kind == kind).collect();
        line(&format!("{} differences: {}", all.len(), kind.says()));
        for difference in &all {
            line(&format!("  {}", difference.says()));
        }
        report.figure(kind.name(), all.len());
    }
    for (name, vendors, bar) in
        [("openai and anthropic", &CLOSE[..], SAME_CLOSE), ("vendors who make models", &MAKERS[..], SAME_MAKERS)]
    {
        let (same, both) = compared.of(vendors);
        let promise = format!("{name}: {same} of {both} prices are LiteLLM's too, {:.0} % or more", bar * 100.0);
        report.bar(promise, share(same, both) >= bar);
    }
    let (same, both) = (compared.same.values().sum::<usize>(), compared.both.values().sum::<usize>());
    report.figure("both", both);
    report.figure("same", same);
    report.figure("share", json!((share(same, both) * 1e4).round() / 1e4));
}

fn share(same: usize, both: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let share = same as f64 / both.max(1) as f64;
    share
}
