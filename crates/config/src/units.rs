//! Quantities as people write them: `1h`, `500ms`, `0.10 USD/M`.

use std::time::Duration;

use baton_core::NanoUsd;

/// The unit names with their milliseconds.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// Ten years: longer is a mistake.
const DAYS_MAX: u64 = 3653;

/// `500ms`, `30s`, `5m`, `1h`, `30d`: digits and one unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let ms = number.checked_mul(*ms).filter(|ms| *ms <= DAYS_MAX * 86_400_000);
    ms.map(Duration::from_millis).ok_or_else(|| format!("`{text}` is longer than ten years"))
}

/// `0.10 USD/M`: dollars for a million tokens.
pub(crate) fn price_per_million(text: &str) -> Result<NanoUsd, String> {
    let amount = text.strip_suffix("USD/M").map(str::trim_end).ok_or_else(|| format!("`{text}` is not a price"))?;
    amount.parse().map_err(|e: baton_core::ParseUsdError| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_digits_and_a_unit() {
        for (text, ms) in [("500ms", 500), ("30s", 30_000), ("1h", 3_600_000), ("30d", 2_592_000_000), ("0s", 0)] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(ms));
        }
        for text in ["", "5", "h", "-1s", "1.5h", "1 hour", "99999999999999999999d", "4000d", "1h30m"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prices_are_dollars_for_a_million_tokens() {
        assert_eq!(price_per_million("0.10 USD/M").unwrap(), NanoUsd(100_000_000));
        for text in ["0.10", "0.10 EUR/M", "-1 USD/M", "0.10 USD/K", " USD/M"] {
            assert!(price_per_million(text).is_err(), "{text}");
        }
    }
}
