//! Money: integer nano-dollars inside, decimal strings on the wire, never a float.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
        let (mut fraction, mut digits) = (nano, 9);
        while fraction % 10 == 0 {
            (fraction, digits) = (fraction / 10, digits - 1);
        }
        write!(f, "{sign}{whole}.{fraction:0digits$}")
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
    }
}
