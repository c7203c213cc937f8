//! Kinds of tokens, tiers, days and hours.

use proptest::prelude::*;

use super::*;

const CENT: i64 = 10_000_000;

fn cents(cents: i64) -> NanoUsd {
    NanoUsd(cents * CENT)
}

/// Dollars a million: input 1, output 4, cached 0.10, written 1.25, for an hour 2, reasoning 3.
fn every_kind() -> Rates {
    Rates {
        cached_per_million: Some(cents(10)),
        cache_write_per_million: Some(cents(125)),
        cache_write_1h_per_million: Some(cents(200)),
        reasoning_per_million: Some(cents(300)),
        ..Rates::flat(cents(100), cents(400))
    }
}

#[test]
fn each_kind_of_token_is_charged_once_at_its_rate() {
    let usage = Usage {
        input_tokens: 1000,
        output_tokens: 100,
        cached_tokens: 500,
        cache_write_tokens: 300,
        cache_write_1h_tokens: 100,
        reasoning_tokens: 40,
        estimated: false,
    };
    // 200 × 1.00 + 500 × 0.10 + 200 × 1.25 + 100 × 2.00 + 60 × 4.00 + 40 × 3.00 dollars a million
    let cost = 200_000 + 50_000 + 250_000 + 200_000 + 240_000 + 120_000;
    assert_eq!(Price::flat(every_kind()).cost(&usage), NanoUsd(cost));
    // Where nothing else is said, a token costs what others of its direction cost: 1000 × 1.00 + 100 × 4.00.
    assert_eq!(Price::flat(Rates::flat(cents(100), cents(400))).cost(&usage), NanoUsd(1_400_000));
    let written = Rates { cache_write_1h_per_million: None, ..every_kind() };
    assert_eq!(Price::flat(written).cost(&usage), NanoUsd(cost - 75_000));
}

#[test]
fn counts_that_cannot_be_cost_no_more_than_they_say() {
    let price = Price::flat(every_kind());
    let usage = Usage { input_tokens: 10, cached_tokens: 30, cache_write_tokens: 30, ..Usage::default() };
    assert_eq!(price.cost(&usage), NanoUsd(1_000), "all ten were cached");
    let usage = Usage { output_tokens: 10, reasoning_tokens: u64::MAX, ..Usage::default() };
    assert_eq!(price.cost(&usage), NanoUsd(30_000));
    let usage = Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, ..Usage::default() };
    let dear = Price::flat(Rates::flat(NanoUsd(i64::MAX), NanoUsd(i64::MAX)));
    assert_eq!(dear.cost(&usage), NanoUsd(i64::MAX));
}

#[test]
fn a_tier_is_a_cliff() {
    let tier = |above_tokens, input, output| Tier { above_tokens, rates: Rates::flat(cents(input), cents(output)) };
    let rates = Rates::flat(cents(100), cents(400));
    let price = Price { rates, tiers: vec![tier(1000, 200, 600), tier(2000, 300, 900)] };
    for (input_tokens, output_tokens, nano) in [
        (1000, 10, 1_000_000 + 40_000),
        (1001, 10, 2_002_000 + 60_000),
        (2000, 0, 4_000_000),
        (2001, 10, 6_003_000 + 90_000),
    ] {
        let usage = Usage { input_tokens, output_tokens, ..Usage::default() };
        assert_eq!(price.cost(&usage), NanoUsd(nano), "{input_tokens}");
        assert_eq!(price.percent(50).cost(&usage), NanoUsd(nano / 2), "{input_tokens}");
    }
}

fn row(from: Option<&str>, hours: Option<(u32, u32)>, input: i64) -> PriceRow {
    let price = Price::flat(Rates::flat(cents(input), cents(0)));
    let batch = (input == 3).then(|| price.percent(50));
    PriceRow { from: from.map(|day| day.parse().unwrap()), hours, price, batch }
}

#[test]
fn the_last_row_in_force_counts() {
    const HOUR: u32 = 3600;
    let rows = vec![
        row(Some("2026-01-01"), None, 1),
        row(Some("2026-01-01"), Some((22 * HOUR, 2 * HOUR)), 2),
        row(Some("2026-07-01"), None, 3),
    ];
    let prices = Prices::new(rows).unwrap();
    let at = |day: &str, hour: i64| day.parse::<Day>().unwrap().start_us() + hour * 3_600_000_000;
    let one = Usage { input_tokens: 1_000_000, ..Usage::default() };
    for (unix_us, input) in [
        (at("2026-01-01", 0) - 1, None),
        (at("2026-01-01", 0), Some(2)),
        (at("2026-01-01", 2) - 1, Some(2)),
        (at("2026-01-01", 2), Some(1)),
        (at("2026-03-01", 22) - 1, Some(1)),
        (at("2026-03-01", 22), Some(2)),
        (at("2026-07-01", 0) - 1, Some(2)),
        (at("2026-07-01", 0), Some(3)),
        (at("2030-07-01", 23), Some(3)),
    ] {
        assert_eq!(prices.cost(&one, unix_us), input.map(cents), "{}", Day::of(unix_us));
    }
    let batch = |unix_us| prices.price(unix_us, Service::Batch).map(|price| price.cost(&one));
    assert_eq!(batch(at("2026-07-01", 0)), Some(NanoUsd(3 * CENT / 2)));
    assert_eq!(batch(at("2026-06-01", 12)), None, "a rebate that is not known is not made up");
    assert_eq!(prices.cost_ever(&one), cents(3));
    assert_eq!(Prices::new(Vec::new()), None);
}

fn rates() -> impl Strategy<Value = Rates> {
    let rate = || (0..200_000_000_000_i64).prop_map(NanoUsd);
    let maybe = || proptest::option::of(rate());
    (rate(), rate(), maybe(), maybe(), maybe()).prop_map(|(input, output, cached, written, reasoning)| Rates {
        // A rebate, where there is one.
        cached_per_million: cached.map(|cached| cached.min(input)),
        cache_write_per_million: written,
        reasoning_per_million: reasoning,
        ..Rates::flat(input, output)
    })
}

prop_compose! {
    fn usages()(input_tokens in 0..10_000_000_u64, output_tokens in 0..10_000_000_u64, parts in any::<[u8; 3]>()) -> Usage {
        let part = |of: u64, share: u8| of * u64::from(share) / 255;
        let cached_tokens = part(input_tokens, parts[0]);
        Usage {
            input_tokens,
            output_tokens,
            cached_tokens,
            cache_write_tokens: part(input_tokens - cached_tokens, parts[1]),
            reasoning_tokens: part(output_tokens, parts[2]),
            ..Usage::default()
        }
    }
}

proptest! {
    #![proptest_config(crate::test_config(1000))]

    /// Rounding moves a sum by at most one nano-dollar; more tokens never cost less.
    #[test]
    fn cost_adds_up_and_never_falls(rates in rates(), a in usages(), b in usages()) {
        let price = Price::flat(rates);
        let mut both = a;
        both += b;
        let (sum, whole) = (price.cost(&a) + price.cost(&b), price.cost(&both));
        prop_assert!((sum.0 - whole.0).abs() <= 1, "{sum} is not {whole}");
        prop_assert!(whole >= price.cost(&a).max(price.cost(&b)));
        let uncached = price.cost(&Usage { cached_tokens: 0, ..a });
        prop_assert!(NanoUsd(0) <= price.cost(&a) && price.cost(&a) <= uncached, "a rebate costs more");
    }

    /// What is held covers whatever is reported within it, whichever tier that is in.
    #[test]
    fn what_is_held_covers_the_cost(
        low in rates(), high in rates(), above_tokens in 0..10_000_000_u64, usage in usages(), more in usages(),
    ) {
        let prices = Prices::always(Price { rates: low, tiers: vec![Tier { above_tokens, rates: high }] });
        let mut held = usage;
        held += more;
        prop_assert!(prices.cost(&usage, 0) <= prices.cost_at_most(&held, 0));
    }
}
