//! Real receipts with a stated share of invented values, through `execute`: what span-in-source catches,
//! what it blocks of the truth, and whether each blocked answer falls back.

pub(crate) mod inventions;
pub(crate) mod receipts;
mod tally;
mod trial;

use anyhow::ensure;
use baton_stats::wilson_lower;

use crate::report::{Report, line, progress, table};
use inventions::{Kind, answers, name};
use receipts::{FIELDS, Receipt};
use tally::{Catch, Inventions, Known, Truths, share};
use trial::{Told, simulator};

pub(crate) const SOURCE: &str = "SROIE (ICDAR 2019), 626 scanned receipts as text with their fields";
/// One-sided, 95 %.
const Z95: f64 = 1.645;

/// How much, and how often it is wrong.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passes over all receipts with the simulator's inventions, and as many with the stated ones
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    rounds: u64,
    /// Share of the primary's answers that are invented
    #[arg(long, default_value_t = 0.3)]
    share: f64,
    /// The first seed; each round has the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the inventions that were not caught, and the true answers that were
    #[arg(long)]
    show: bool,
}

/// What was seen in the part that the check was tuned on, in the rest, and in both.
struct Parts<T> {
    tuned: T,
    test: T,
    whole: T,
}

/// Everything that was run.
struct Seen {
    truths: Parts<Truths>,
    inventions: Parts<Inventions>,
    executions: u64,
    records: u64,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Report> {
    ensure!(arguments.share > 0.0 && arguments.share <= 1.0, "--share lies above 0 and up to 1");
    let receipts = receipts::read(&crate::data::file("sroie", "receipts.jsonl", SOURCE)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let seen = runtime.block_on(trials(&receipts, &arguments))?;
    Ok(report(&arguments, &receipts, &seen))
}

/// First every true answer once, then the rounds with inventions.
async fn trials(receipts: &[Receipt], arguments: &Arguments) -> anyhow::Result<Seen> {
    let truth = || (receipts, receipts.iter().map(|receipt| &receipt.fields));
    let tuned_to = receipts.len() / 2;
    progress("the truth, once");
    let (truth_told, mut records) = trial::run(receipts, &simulator("gpt-4", truth(), (0.0, 0))?).await?;
    let pairs = || receipts.iter().zip(&truth_told);
    ensure!(pairs().all(|(receipt, told)| told.said == receipt.fields), "the simulator did not say what it was told");
    if arguments.show {
        for (receipt, told) in pairs() {
            show_blocked(receipt, told);
        }
    }
    let truths = Parts {
        tuned: Truths::of(pairs().take(tuned_to)),
        test: Truths::of(pairs().skip(tuned_to)),
        whole: Truths::of(pairs()),
    };
    let mut inventions =
        Parts { tuned: Inventions::default(), test: Inventions::default(), whole: Inventions::default() };
    for (n, seed) in (1..=arguments.rounds).zip(arguments.seed..) {
        let stated = answers(receipts, arguments.share, seed);
        let says = (receipts, stated.iter().map(|(fields, _)| fields));
        let sims = [
            ("stated", simulator("gpt-4", says, (0.0, seed))?),
            ("the simulator's", simulator("gpt-4", truth(), (arguments.share, seed))?),
        ];
        for (whose, sim) in sims {
            progress(&format!("round {n} of {}, inventions: {whose}", arguments.rounds));
            let (answered, more) = trial::run(receipts, &sim).await?;
            records += more;
            for (at, (receipt, told)) in receipts.iter().zip(&answered).enumerate() {
                let invention = if whose == "stated" {
                    ensure!(told.said == stated[at].0, "{}: the simulator did not say what it was told", receipt.id);
                    stated[at].1
                } else {
                    Some((Kind::Simulator, None))
                };
                let known = Known { receipt, told, invention, truth: &truth_told[at] };
                let half = if at < tuned_to { &mut inventions.tuned } else { &mut inventions.test };
                half.see(&known);
                inventions.whole.see(&known);
            }
        }
    }
    let executions = receipts.len() as u64 * (1 + 2 * arguments.rounds);
    Ok(Seen { truths, inventions, executions, records })
}

fn show_blocked(receipt: &Receipt, told: &Told) {
    for check in ["span-in-source", "regex", "schema", "parse", "finish"] {
        if let Some(failed) = told.failed(check) {
            progress(&format!("  true, blocked: {} {check} {}", receipt.id, failed.reason.as_deref().unwrap_or("")));
        }
    }
}

fn report(arguments: &Arguments, receipts: &[Receipt], seen: &Seen) -> Report {
    line(&format!(
        "sroie: {} real receipts through execute, with the intent of examples/helpdesk/intents/extract-receipt",
        receipts.len()
    ));
    line("simulated: both models. The first says the true fields, or invents (real text, invented on purpose);");
    line("the second is always right. Records in SQLite, read back; the cache is asked for nothing (cacheTTL 0)");
    line(&format!(
        "rounds with the simulator's inventions and as many with stated ones: {}, share {}, seeds from {}",
        arguments.rounds, arguments.share, arguments.seed
    ));
    line("the check was tuned on the first half of the receipts: the second half is the test\n");
    truths_table(seen);
    inventions_table(seen);
    if arguments.show {
        seen.inventions.whole.missed.iter().for_each(|missed| line(&format!("  missed: {missed}")));
    }
    let mut report = Report::new("sroie");
    report.figure("simulated", "both models; the receipts are real");
    report.figure("receipts", receipts.len());
    report.figure("share", arguments.share);
    report.figure("rounds", 2 * arguments.rounds);
    report.figure("seed", arguments.seed);
    let parts =
        [("test_half", &seen.truths.test, &seen.inventions.test), ("all", &seen.truths.whole, &seen.inventions.whole)];
    for (part, truths, inventions) in parts {
        judge(&mut report, part, truths, inventions);
    }
    let tuned = serde_json::json!({ "true": seen.truths.tuned.json(), "invented": seen.inventions.tuned.json() });
    report.figure("tuned_half", tuned);
    report.figure("executions", seen.executions);
    report.figure("records", seen.records);
    report.bar(format!("{} executions, {} records", seen.executions, seen.records), seen.executions == seen.records);
    report
}

fn judge(report: &mut Report, part: &str, truths: &Truths, inventions: &Inventions) {
    let all = inventions.all();
    let caught = all.share().unwrap_or_default();
    let lower = wilson_lower(all.caught as u64, all.absent as u64, Z95);
    report.bar(
        format!(
            "{part}: {caught:.4} >= 0.95 of {} inventions not in the text are caught by span-in-source \
             (at least {lower:.4} with 95 % confidence)",
            all.absent
        ),
        caught >= 0.95,
    );
    let blocked = truths.share_by_span();
    report.bar(
        format!("{part}: {blocked:.4} <= 0.05 of {} true answers are blocked by span-in-source", truths.answers),
        blocked <= 0.05,
    );
    let (fell, stopped) = (truths.fell_back + inventions.fell_back, truths.blocked + inventions.blocked);
    report.bar(format!("{part}: {fell} of {stopped} blocked answers fell back"), fell == stopped && stopped > 0);
    report.bar(
        format!(
            "{part}: {} of {} blocked inventions ended with the truth (where the truth passes all checks)",
            inventions.healed, inventions.healable
        ),
        inventions.healed == inventions.healable,
    );
    report.figure(part, serde_json::json!({ "true": truths.json(), "invented": inventions.json() }));
}

/// A share of two counts, for people.
fn of(part: usize, all: usize) -> String {
    share(part, all).map_or_else(|| "-".to_owned(), |share| format!("{part} of {all} ({:.2} %)", 100.0 * share))
}

fn truths_table(seen: &Seen) {
    let Parts { tuned, test, whole } = &seen.truths;
    let mut rows = table(&["true answers", "first half (tuned on)", "second half (test)", "all"]);
    let mut add = |name: &str, count: &dyn Fn(&Truths) -> usize| {
        let cell = |truths: &Truths| of(count(truths), truths.answers);
        rows.add_row([name.to_owned(), cell(tuned), cell(test), cell(whole)]);
    };
    add("blocked by span-in-source", &|t| t.by_span);
    for (field, name) in FIELDS.iter().enumerate() {
        add(&format!("  first for {name}"), &|t| t.by_span_field[field]);
    }
    add("blocked by the regex on /total", &|t| t.by_regex);
    add("blocked at all", &|t| t.blocked);
    for (field, name) in FIELDS.iter().enumerate() {
        add(&format!("{name}: empty"), &|t| t.empty[field]);
        add(&format!("{name}: not in the text as it is"), &|t| t.absent[field]);
    }
    line(&rows.to_string());
}

fn inventions_table(seen: &Seen) {
    let Parts { tuned, test, whole } = &seen.inventions;
    line("");
    let columns =
        ["inventions not in the text: caught", "first half", "second half (test)", "all", "words elsewhere", "in text"];
    let mut rows = table(&columns);
    let mut add = |name: String, [first, second, all]: [Catch; 3]| {
        let cell = |catch: Catch| of(catch.caught, catch.absent);
        let elsewhere = of(all.elsewhere_caught, all.elsewhere);
        rows.add_row([name, cell(first), cell(second), cell(all), elsewhere, all.in_text.to_string()]);
    };
    for (kind, catch) in &whole.by_kind {
        let half = |inventions: &Inventions| inventions.by_kind.get(kind).copied().unwrap_or_default();
        add(name(*kind), [half(tuned), half(test), *catch]);
    }
    add("all stated".to_owned(), [tuned.stated(), test.stated(), whole.stated()]);
    add("all".to_owned(), [tuned.all(), test.all(), whole.all()]);
    line(&rows.to_string());
    let all = whole.all();
    line("\nnot in the text: not as a number, and not word behind word; words elsewhere: of those, the ones whose");
    line("words all stand in the text, in other places (by tokens alone they occur): caught");
    line(&format!("in text: every invented value stands there by accident; {} were blocked", all.in_text_caught));
    line(&format!(
        "not counted: {} of {} more were caught where the true answer is blocked too",
        all.apart_caught, all.apart
    ));
    line(&format!(
        "answers given: {} wrong of {}; the primary alone: {} wrong of {}",
        whole.given_wrong, whole.given, all.inventions, whole.answers
    ));
}
