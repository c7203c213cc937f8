//! How span-in-source does on real receipts: the share of receipts whose true fields it blocks, and
//! the share of seeded inventions that it catches. The rule was tuned on the first half.
//!
//! `BATON_DATA=../shared/data cargo run -p baton-eval --example sroie`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for developers")]

#[path = "../tests/it/plan.rs"]
mod plan;

use std::collections::BTreeMap;

use baton_config::CheckKind;
use baton_eval::Checks;
use serde_json::{Value, json};

const FIELDS: [&str; 4] = ["company", "date", "address", "total"];
const SEEDS: u64 = 5;

struct Receipt {
    id: String,
    text: String,
    fields: BTreeMap<String, String>,
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(Into::into).collect()
}

/// Whether the value's words stand in the text, one behind the other.
fn occurs(value: &str, text: &str) -> bool {
    let (value, text) = (words(value), words(text));
    text.windows(value.len().max(1)).any(|window| window == value)
}

/// Another receipt's value of this field.
fn other(receipt: &Receipt, field: &str, pool: &[Receipt], random: &mut Random) -> Option<String> {
    let value = pool[random.below(pool.len())].fields.get(field)?;
    (!value.is_empty() && !occurs(value, &receipt.text)).then(|| value.clone())
}

/// The true value with one word of another receipt's, of letters only, that the text does not have.
fn word_swapped(receipt: &Receipt, field: &str, pool: &[Receipt], random: &mut Random) -> Option<String> {
    let mut parts: Vec<_> = receipt.fields.get(field)?.split(' ').collect();
    let donor: Vec<_> = pool[random.below(pool.len())].fields.get(field)?.split(' ').collect();
    let at = random.below(parts.len());
    let word = donor[random.below(donor.len())];
    let letters = |word: &str| word.chars().any(char::is_alphabetic) && !word.contains(|c: char| c.is_ascii_digit());
    let in_text = words(&receipt.text);
    let usable = letters(parts[at]) && letters(word) && !words(word).iter().any(|w| in_text.contains(w));
    parts[at] = word;
    usable.then(|| parts.join(" "))
}

/// The true value with one digit changed, if that number is then not in the text.
fn digit_changed(receipt: &Receipt, field: &str, random: &mut Random) -> Option<String> {
    let value = receipt.fields.get(field)?;
    let digits: Vec<_> = value.match_indices(|c: char| c.is_ascii_digit()).map(|(at, _)| at).collect();
    let at = *digits.get(random.below(digits.len().max(1)))?;
    let mut changed = value.clone();
    changed.replace_range(at..=at, &random.below(10).to_string());
    let literal = matches!(field, "date" | "total");
    let gone = if literal { !receipt.text.contains(&changed) } else { !occurs(&changed, &receipt.text) };
    (changed != *value && gone).then_some(changed)
}

fn inventions(receipt: &Receipt, pool: &[Receipt], random: &mut Random) -> Vec<(&'static str, &'static str, String)> {
    let mut made = Vec::new();
    let mut add = |kind, field, make: &mut dyn FnMut() -> Option<String>| {
        if let Some(value) = (0..50).find_map(|_| make()) {
            made.push((kind, field, value));
        }
    };
    for field in FIELDS {
        add("of another receipt", field, &mut || other(receipt, field, pool, random));
        add("a digit changed", field, &mut || digit_changed(receipt, field, random));
        if matches!(field, "company" | "address") {
            add("a word swapped", field, &mut || word_swapped(receipt, field, pool, random));
        }
    }
    made
}

fn passes(checks: &Checks, field: &str, value: &str, text: &str) -> Result<(), String> {
    let output = json!({ "company": null, "date": null, "total": null, field: value });
    let results = checks.judge_output(&output, &json!({ "text": text }));
    results.into_iter().find(|r| !r.passed).map_or(Ok(()), |r| Err(r.reason.unwrap()))
}

fn measure(name: &str, checks: &Checks, receipts: &[Receipt], show: bool) {
    let mut blocked: BTreeMap<&str, usize> = BTreeMap::new();
    let mut caught: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    let mut receipts_blocked = 0;
    for (n, receipt) in receipts.iter().enumerate() {
        let mut any = false;
        for (field, value) in &receipt.fields {
            if let Err(why) = passes(checks, field, value, &receipt.text) {
                any = true;
                *blocked.entry(FIELDS.iter().find(|f| *f == field).unwrap()).or_default() += 1;
                if show {
                    println!("  blocked {} {why}", receipt.id);
                }
            }
        }
        receipts_blocked += usize::from(any);
        for seed in 0..SEEDS {
            let mut random = Random(seed * 1_000_000 + n as u64);
            for (kind, field, value) in inventions(receipt, receipts, &mut random) {
                let (hits, all) = caught.entry((field, kind)).or_default();
                *all += 1;
                match passes(checks, field, &value, &receipt.text) {
                    Err(_) => *hits += 1,
                    Ok(()) if show && seed == 0 => println!("  missed {} {kind}: {value}", receipt.id),
                    Ok(()) => {}
                }
            }
        }
    }
    let percent = |part: usize, all: usize| 100.0 * part as f64 / all as f64;
    println!("{name}: {} receipts, {SEEDS} seeds", receipts.len());
    println!(
        "  receipts with a true field blocked: {receipts_blocked} ({:.2} %), by field {blocked:?}",
        percent(receipts_blocked, receipts.len())
    );
    let total = caught.values().fold((0, 0), |sum, (hits, all)| (sum.0 + hits, sum.1 + all));
    println!("  inventions caught: {} of {} ({:.2} %)", total.0, total.1, percent(total.0, total.1));
    for ((field, kind), (hits, all)) in caught {
        println!("    {field:8} {kind:18} {hits:5} of {all:5} ({:.2} %)", percent(hits, all));
    }
}

fn main() {
    let data = std::env::var("BATON_DATA").unwrap_or_else(|_| "../shared/data".into());
    let lines = std::fs::read_to_string(format!("{data}/sroie/receipts.jsonl")).unwrap();
    let receipts: Vec<Receipt> = lines
        .lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line).unwrap();
            let fields = row["fields"].as_object().unwrap().iter();
            Receipt {
                id: row["id"].as_str().unwrap().into(),
                text: row["text"].as_str().unwrap().into(),
                fields: fields.map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().into())).collect(),
            }
        })
        .collect();
    let spans = FIELDS.map(|field| format!("/{field}")).to_vec();
    let plan = plan::receipt(vec![plan::check("span-in-source", None, CheckKind::SpanInSource(spans))]);
    let checks = Checks::compile(&plan);
    let (tuned, held) = receipts.split_at(receipts.len() / 2);
    let show = std::env::args().any(|arg| arg == "--show");
    measure("tuned on (first half)", &checks, tuned, show);
    measure("held back (second half)", &checks, held, false);

    let started = std::time::Instant::now();
    for receipt in &receipts {
        let output = json!(receipt.fields);
        std::hint::black_box(checks.judge_output(&output, &json!({ "text": receipt.text })));
    }
    println!("{:?} a receipt", started.elapsed() / receipts.len() as u32);
}
