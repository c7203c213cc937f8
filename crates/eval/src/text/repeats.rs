//! Text that says the same again and again, as models do that got stuck.

use std::collections::HashSet;

/// So many words make a run.
const RUN: usize = 4;
/// With fewer words than this nothing is called a repetition.
const WORDS_MIN: usize = 12;

/// So much of the end is looked at for a loop, in bytes; the longest unit; the least that it repeats.
const TAIL_MAX: usize = 4096;
const UNIT_MAX: usize = 512;
const TIMES_MIN: usize = 4;
const LOOP_MIN: usize = 24;

/// The share of runs of four words that were there before: seq-rep-4 of Welleck et al. 2020, "Neural
/// text generation with unlikelihood training".
pub(crate) fn repetition(text: &str) -> f64 {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.len() < WORDS_MIN {
        return 0.0;
    }
    let mut seen = HashSet::with_capacity(words.len());
    let mut again = 0_u32;
    for run in words.windows(RUN) {
        again += u32::from(!seen.insert(run));
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 words")]
    let runs = (words.len() + 1 - RUN) as f64;
    f64::from(again) / runs
}

/// What the end of the text says again and again, four times at least and the last time maybe in
/// part. Rules of dashes or dots are no loop.
pub(crate) fn looping(text: &str) -> Option<&str> {
    let text = text.trim_end();
    let tail = &text.as_bytes()[text.len().saturating_sub(TAIL_MAX)..];
    for unit in 1..=UNIT_MAX.min(tail.len() / TIMES_MIN) {
        let same = (unit..tail.len()).rev().take_while(|at| tail[*at] == tail[*at - unit]).count();
        let long = (same + unit >= unit * TIMES_MIN) && same + unit >= LOOP_MIN;
        let said = tail[tail.len() - unit..].iter().any(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80);
        if long && said {
            let mut from = text.len() - unit;
            while !text.is_char_boundary(from) {
                from -= 1;
            }
            return Some(text[from..].trim());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_at_the_end_is_seen_and_a_rule_is_not() {
        let stuck = format!("The answer is that {}", "we need to check this. ".repeat(5));
        assert_eq!(looping(&stuck).map(str::len), Some("we need to check this.".len()));
        assert!(looping(&format!("{stuck}we need")).is_some());
        assert!(looping(&"ab".repeat(20)).is_some());
        assert!(looping(&"好的".repeat(8)).is_some());
        assert!(looping(&"a".repeat(5000)).is_some());
        for fine in [
            "",
            "no no no no",
            "a\n----------------------------------------",
            "Total..................................",
        ] {
            assert_eq!(looping(fine), None, "{fine}");
        }
        assert_eq!(looping(&format!("{} and then it goes on in other words.", "we need this. ".repeat(9))), None);
    }

    #[test]
    fn repetition_is_the_share_of_runs_that_were_there_before() {
        assert!(repetition("a b c d a b c d") == 0.0, "too few words to tell");
        assert!(repetition(&"a b c d ".repeat(10)) > 0.85);
        assert!(repetition("one two three four five six seven eight nine ten eleven twelve thirteen") == 0.0);
    }
}
