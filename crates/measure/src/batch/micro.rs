//! What sharing calls saves, beside the same queries asked alone; and that answers are as good.

use anyhow::Result;
use baton_stats::paired_mean;

use super::house::{Arm, DEADLINE_MS, Data, Ran, ask, model};
use crate::report::{Report, line, table};

pub(super) const BATCH: &str = "[cache]\npartition = []\n[batch]\nmax_items = 16\nmax_wait_ms = 20\n";
/// Shares of what asking alone takes, at least, that sharing must save with prompts of this length.
const CALLS_MIN: f64 = 0.7;
const TOKENS_MIN: f64 = 0.5;

/// Gives the answers of those asked alone.
pub(super) async fn measure(data: &Data, report: &mut Report) -> Result<Vec<Option<String>>> {
    let arm = |name, policy| -> Result<Arm<'_>> {
        let queries = data.queries.iter().map(|row| row.text.clone()).collect();
        Ok(Arm { name, policy, cases: true, model: model()?, queries })
    };
    let alone = ask(data, arm("alone", "")?).await?;
    let batched = ask(data, arm("batched", BATCH)?).await?;
    line(&format!(
        "{} real queries (BANKING77, 77 labels in the prompt), {} callers at a time, simulated models over real \
         sockets;\nthe simulator counts four characters a token. Timings are of this machine.\n",
        data.queries.len(),
        data.callers
    ));
    let mut rows = table(&["", "calls", "tokens in", "tokens out", "USD", "right", "p50 ms", "p95 ms", "queries/s"]);
    for (name, ran) in [("alone", &alone), ("batched, 16 at most", &batched)] {
        let charged = ran.charged;
        rows.add_row([
            name.to_owned(),
            charged.calls.to_string(),
            charged.input.to_string(),
            charged.output.to_string(),
            charged.cost().to_string(),
            format!("{:.2} %", right(data, ran) * 100.0),
            format!("{:.0}", ran.ms(0.5)),
            format!("{:.0}", ran.ms(0.95)),
            format!("{:.0}", ran.all.len() as f64 / ran.took.as_secs_f64()),
        ]);
    }
    line(&rows.to_string());
    saved(report, &alone, &batched);
    quality(report, data, (&alone, &batched));
    judge_books(report, &batched);
    Ok(alone.all.into_iter().map(|asked| asked.label).collect())
}

fn hits<'a>(data: &'a Data, ran: &'a Ran) -> impl Iterator<Item = f64> + 'a {
    let all = ran.all.iter().zip(&data.queries);
    all.map(|(asked, row)| f64::from(asked.label.as_deref() == Some(row.label.as_str())))
}

fn right(data: &Data, ran: &Ran) -> f64 {
    hits(data, ran).sum::<f64>() / ran.all.len() as f64
}

fn saved(report: &mut Report, alone: &Ran, batched: &Ran) {
    let share = |before: u64, after: u64| 1.0 - after as f64 / before as f64;
    let calls = share(alone.charged.calls, batched.charged.calls);
    let tokens = share(alone.charged.tokens(), batched.charged.tokens());
    let cost = share(alone.charged.cost().0 as u64, batched.charged.cost().0 as u64);
    for (name, value, least) in
        [("calls", calls, CALLS_MIN), ("tokens", tokens, TOKENS_MIN), ("cost", cost, TOKENS_MIN)]
    {
        report.figure(&format!("{name}_saved"), (value * 10_000.0).round() / 10_000.0);
        report.bar(format!("{name} saved: {:.1} % (≥ {:.0} %)", value * 100.0, least * 100.0), value >= least);
    }
    let (p95, deadline) = (batched.ms(0.95), DEADLINE_MS as f64);
    report.figure("p95_alone_ms", alone.ms(0.95).round());
    report.figure("p95_batched_ms", p95.round());
    report
        .bar(format!("p95 of batched answers: {p95:.0} ms, inside the deadline of {deadline:.0} ms"), p95 <= deadline);
    let answered = batched.all.iter().filter(|asked| asked.label.is_some()).count();
    report.bar(format!("{answered} of {} batched queries answered", batched.all.len()), answered == batched.all.len());
}

fn quality(report: &mut Report, data: &Data, (alone, batched): (&Ran, &Ran)) {
    let differences: Vec<f64> = hits(data, batched).zip(hits(data, alone)).map(|(b, a)| b - a).collect();
    let changed = batched.all.iter().zip(&alone.all).filter(|(b, a)| b.label != a.label).count();
    report.figure("answers_changed", changed);
    let Some(difference) = paired_mean(&differences, 0.05) else {
        return report.bar("quality could be compared", false);
    };
    let percent = |value: f64| format!("{:+.2} %", value * 100.0);
    report.figure("quality_difference", [difference.value, difference.lower, difference.upper].to_vec());
    report.bar(
        format!(
            "right answers, batched less alone: {} ({} to {}, paired, 95 %) has 0 in it; {changed} answers differ",
            percent(difference.value),
            percent(difference.lower),
            percent(difference.upper)
        ),
        difference.lower <= 0.0 && difference.upper >= 0.0,
    );
}

/// The records beside the models' own bills.
fn judge_books(report: &mut Report, batched: &Ran) {
    let ((tokens, cost), charged) = (batched.recorded(), batched.charged);
    report.bar(
        format!(
            "shares add up: {tokens} tokens and {cost} USD in the records, {} and {} charged",
            charged.tokens(),
            charged.cost()
        ),
        tokens == charged.tokens() && cost == charged.cost(),
    );
    let mut reasons: Vec<&str> = batched.all.iter().filter_map(|asked| asked.alone()).collect();
    reasons.sort_unstable();
    line("\nasked for alone, though batches were open:");
    for group in reasons.chunk_by(|a, b| a == b) {
        line(&format!("  {:>5}  {}", group.len(), group[0]));
    }
    let suspected = reasons.iter().filter(|reason| reason.contains("instructions")).count();
    report.figure("suspected_share", (suspected as f64 / batched.all.len() as f64 * 10_000.0).round() / 10_000.0);
}
