//! Who pays what of a call that several shared: parts that add up to the whole, exactly.

use baton_core::{NanoUsd, Usage};

/// The whole in parts by weight; equal ones where nothing weighs anything. Rounded so that the sum of the first
/// so many parts is never off by one or more.
pub(super) fn parts(whole: u64, weights: &[u64]) -> Vec<u64> {
    let equal: Vec<u64> = vec![1; weights.len()];
    let weights = if weights.iter().all(|weight| *weight == 0) { &equal } else { weights };
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let (mut weighed, mut given) = (0_u128, 0_u64);
    let part = |weight: &u64| {
        weighed += u128::from(*weight);
        let until = u64::try_from(u128::from(whole) * weighed / sum.max(1)).unwrap_or(u64::MAX);
        let part = until - given;
        given = until;
        part
    };
    weights.iter().map(part).collect()
}

/// The tokens of a call in parts: what was read by one weight, what was written by another. A part of the
/// input that was read from a cache stays a part of that input, and so on.
pub(super) fn usages(whole: &Usage, read: &[u64], written: &[u64]) -> Vec<Usage> {
    let cached = whole.cached_tokens.min(whole.input_tokens);
    let stored = whole.cache_write_tokens.min(whole.input_tokens - cached);
    let hour = whole.cache_write_1h_tokens.min(stored);
    let thought = whole.reasoning_tokens.min(whole.output_tokens);
    let plain = parts(whole.input_tokens - cached - stored, read);
    let (cached, briefly, hour) = (parts(cached, read), parts(stored - hour, read), parts(hour, read));
    let (said, thought) = (parts(whole.output_tokens - thought, written), parts(thought, written));
    let part = |n: usize| Usage {
        input_tokens: plain[n] + cached[n] + briefly[n] + hour[n],
        output_tokens: said[n] + thought[n],
        cached_tokens: cached[n],
        cache_write_tokens: briefly[n] + hour[n],
        cache_write_1h_tokens: hour[n],
        reasoning_tokens: thought[n],
        estimated: whole.estimated,
    };
    (0..read.len()).map(part).collect()
}

/// The cost of a call in parts.
pub(super) fn costs(whole: NanoUsd, weights: &[u64]) -> Vec<NanoUsd> {
    let nano = |part: u64| NanoUsd(i64::try_from(part).unwrap_or(i64::MAX));
    parts(u64::try_from(whole.0).unwrap_or_default(), weights).into_iter().map(nano).collect()
}

/// What is left of a call after others paid so much of it; never less than nothing.
pub(super) fn without(whole: &Usage, paid: &Usage) -> Usage {
    let input_tokens = whole.input_tokens.saturating_sub(paid.input_tokens);
    let cached_tokens = whole.cached_tokens.min(input_tokens);
    let cache_write_tokens = whole.cache_write_tokens.min(input_tokens - cached_tokens);
    Usage {
        input_tokens,
        cached_tokens,
        cache_write_tokens,
        cache_write_1h_tokens: whole.cache_write_1h_tokens.min(cache_write_tokens),
        ..*whole
    }
}

/// So much of it as `part` is of `all`.
pub(super) fn scaled(usage: &Usage, read: (usize, usize), written: (usize, usize)) -> Usage {
    let of = |tokens: u64, (part, all): (usize, usize)| {
        let scaled = u128::from(tokens) * part as u128 / (all as u128).max(1);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    };
    Usage {
        input_tokens: of(usage.input_tokens, read),
        output_tokens: of(usage.output_tokens, written),
        cached_tokens: of(usage.cached_tokens, read),
        cache_write_tokens: of(usage.cache_write_tokens, read),
        cache_write_1h_tokens: of(usage.cache_write_1h_tokens, read),
        reasoning_tokens: of(usage.reasoning_tokens, written),
        estimated: true,
    }
}

#[cfg(test)]
mod tests {
    use baton_stats::SplitMix64;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::with_cases(500) })]

        #[test]
        fn parts_add_up_to_the_whole(whole in 0..u64::MAX, weights in prop::collection::vec(0..1_000_000_u64, 1..65)) {
            let parts = parts(whole, &weights);
            prop_assert_eq!(parts.iter().map(|part| u128::from(*part)).sum::<u128>(), u128::from(whole));
        }

        #[test]
        fn so_do_tokens_of_every_kind(seed in any::<u64>(), items in 1..20_usize) {
            let mut rng = SplitMix64::new(seed);
            let mut draw = |most: u64| rng.below(most + 1);
            let input_tokens = draw(9000);
            let cached_tokens = draw(input_tokens);
            let cache_write_tokens = draw(input_tokens - cached_tokens);
            let output_tokens = draw(900);
            let whole = Usage {
                input_tokens, output_tokens, cached_tokens, cache_write_tokens,
                cache_write_1h_tokens: draw(cache_write_tokens),
                reasoning_tokens: draw(output_tokens),
                estimated: false,
            };
            let read: Vec<u64> = (0..items).map(|_| draw(500)).collect();
            let written: Vec<u64> = (0..items).map(|_| draw(5)).collect();
            let mut sum = Usage::default();
            for part in usages(&whole, &read, &written) {
                prop_assert!(part.cached_tokens + part.cache_write_tokens <= part.input_tokens);
                prop_assert!(part.reasoning_tokens <= part.output_tokens);
                sum += part;
            }
            prop_assert_eq!(sum, whole);
        }
    }

    #[test]
    fn whoever_reads_more_pays_more() {
        assert_eq!(parts(100, &[1, 1, 2]), [25, 25, 50]);
        assert_eq!(parts(10, &[1, 1, 1]), [3, 3, 4]);
        assert_eq!(parts(7, &[0, 0]), [3, 4]);
        assert_eq!(costs(NanoUsd(3), &[5, 5]), [NanoUsd(1), NanoUsd(2)]);
        let whole = Usage { input_tokens: 10, cached_tokens: 8, ..Usage::default() };
        let left = without(&whole, &Usage { input_tokens: 4, ..Usage::default() });
        assert_eq!((left.input_tokens, left.cached_tokens), (6, 6));
    }
}
