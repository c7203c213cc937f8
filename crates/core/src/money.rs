//! Money: integer nano-dollars inside, decimal strings on the wire, never a float.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Usage;

/// A billionth of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

/// Why a text is no amount of dollars.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an amount in dollars: write digits with at most nine after the point, for example 0.15")]
pub struct ParseUsdError(String);

impl FromStr for NanoUsd {
    type Err = ParseUsdError;

    fn from_str(text: &str) -> Result<Self, ParseUsdError> {
        let wrong = || ParseUsdError(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
            return Err(wrong());
        }
        let whole: i64 = whole.parse().map_err(|_| wrong())?;
        let fraction: i64 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
        whole.checked_mul(1_000_000_000).and_then(|n| n.checked_add(fraction)).map(Self).ok_or_else(wrong)
    }
}

/// The shortest exact decimal: `0.0000327`, `12`, `-0.5`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, nano) = (self.0.unsigned_abs() / 1_000_000_000, self.0.unsigned_abs() % 1_000_000_000);
        if nano == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{nano:09}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

/// An amount that may be missing, as it is written on the wire: decimal text.
pub(crate) mod optional_decimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::NanoUsd;

    #[expect(clippy::ref_option, reason = "serde's `with` passes a reference")]
    pub(crate) fn serialize<S: Serializer>(amount: &Option<NanoUsd>, to: S) -> Result<S::Ok, S::Error> {
        match amount {
            Some(amount) => to.collect_str(amount),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Option<NanoUsd>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

impl Add for NanoUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for NanoUsd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for NanoUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), Add::add)
    }
}

/// What a model's tokens cost, per million.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Nano-dollars for a million input tokens.
    pub input_per_million: NanoUsd,
    /// Nano-dollars for a million output tokens.
    pub output_per_million: NanoUsd,
    /// Nano-dollars for a million input tokens that the provider read from its cache; the input
    /// price where the provider gives no rebate.
    pub cached_per_million: Option<NanoUsd>,
}

impl Price {
    /// What the provider charges for this usage, rounded half up to a nano-dollar.
    ///
    /// Cached tokens are part of the input tokens, and are charged at their own rate.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> NanoUsd {
        let cached = usage.cached_tokens.min(usage.input_tokens);
        let cached_rate = self.cached_per_million.unwrap_or(self.input_per_million);
        let parts = [
            (usage.input_tokens - cached, self.input_per_million),
            (cached, cached_rate),
            (usage.output_tokens, self.output_per_million),
        ];
        let total: i128 = parts.iter().map(|(tokens, rate)| i128::from(*tokens) * i128::from(rate.0)).sum();
        NanoUsd(i64::try_from((total + 500_000).div_euclid(1_000_000)).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_survive_the_wire() {
        for (text, nano) in [("0.0000327", 32_700), ("12", 12_000_000_000), ("0.15", 150_000_000), ("0", 0)] {
            assert_eq!(text.parse::<NanoUsd>().unwrap(), NanoUsd(nano));
            assert_eq!(NanoUsd(nano).to_string(), text);
        }
        assert_eq!(NanoUsd(-500_000_000).to_string(), "-0.5");
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "-1", "1e3", "0.0000000001", "99999999999", "1,5", "١"] {
            assert!(text.parse::<NanoUsd>().is_err(), "{text}");
        }
    }

    #[test]
    fn cost_charges_cached_tokens_at_their_own_rate() {
        let price = Price {
            input_per_million: NanoUsd(150_000_000),
            output_per_million: NanoUsd(600_000_000),
            cached_per_million: Some(NanoUsd(75_000_000)),
        };
        let usage = Usage { input_tokens: 312, output_tokens: 3, cached_tokens: 100, ..Usage::default() };
        // 212 × 0.15 + 100 × 0.075 + 3 × 0.60 dollars a million
        assert_eq!(price.cost(&usage), NanoUsd(31_800 + 7_500 + 1_800));
    }

    fn prices() -> impl Strategy<Value = Price> {
        let rate = || (0..200_000_000_000_i64).prop_map(NanoUsd);
        (rate(), rate(), proptest::option::of(rate())).prop_map(|(input, output, cached)| Price {
            input_per_million: input,
            output_per_million: output,
            // A rebate, where there is one.
            cached_per_million: cached.map(|cached| cached.min(input)),
        })
    }

    fn usages() -> impl Strategy<Value = Usage> {
        (0..10_000_000_u64, 0..10_000_000_u64, 0.0..=1.0_f64).prop_map(|(input_tokens, output_tokens, share)| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "small"
            )]
            let cached_tokens = (input_tokens as f64 * share) as u64;
            Usage { input_tokens, output_tokens, cached_tokens, ..Usage::default() }
        })
    }

    proptest! {
        #![proptest_config(crate::test_config(1000))]

        #[test]
        fn every_amount_survives_the_wire(nano in prop_oneof![0..=i64::MAX, 0..2_000_000_000_i64]) {
            let text = NanoUsd(nano).to_string();
            prop_assert_eq!(text.parse::<NanoUsd>(), Ok(NanoUsd(nano)), "{}", text);
            prop_assert!(!text.contains('.') || !text.ends_with('0'), "{} is not the shortest", text);
        }

        #[test]
        fn no_text_makes_it_panic(text in r"[0-9]{0,12}\.?[0-9]{0,11}|.{0,8}") {
            if let Ok(amount) = text.parse::<NanoUsd>() {
                prop_assert_eq!(amount.to_string().parse::<NanoUsd>(), Ok(amount));
            }
        }

        /// Rounding moves a sum by at most one nano-dollar; more tokens never cost less.
        #[test]
        fn cost_adds_up_and_never_falls(price in prices(), a in usages(), b in usages()) {
            let mut both = a;
            both += b;
            let (sum, whole) = (price.cost(&a) + price.cost(&b), price.cost(&both));
            prop_assert!((sum.0 - whole.0).abs() <= 1, "{sum} is not {whole}");
            prop_assert!(whole >= price.cost(&a).max(price.cost(&b)));
            let uncached = price.cost(&Usage { cached_tokens: 0, ..a });
            prop_assert!(NanoUsd(0) <= price.cost(&a) && price.cost(&a) <= uncached, "a rebate costs more");
        }
    }
}
