//! Numbers as JSON writes them: which digits they have, and which types hold all of them.
//!
//! A number is kept as the text that the API sent, so that no digit is lost on its way to a column. Texts that mean the same number have
//! one canonical text, so that a key or a fingerprint does not depend on the notation.

use std::borrow::Cow;

use serde_json::Number;

/// The value of a number: `digits` times ten to the power of `exponent`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Decimal {
    is_negative: bool,
    /// The digits without zeros at either end. Zero has none.
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads a number in plain or scientific notation.
    fn parse(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(text) => (true, text),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_end_matches('0');
        let zeros = i64::try_from(all.len() - digits.len()).ok()?;
        let exponent = i64::from(exponent) - i64::try_from(fraction.len()).ok()? + zeros;
        let digits = digits.trim_start_matches('0').to_owned();
        let exponent = if digits.is_empty() { 0 } else { exponent };
        Some(Self { is_negative, digits, exponent })
    }

    /// Returns the canonical text: in plain notation if that needs few zeros.
    fn text(&self) -> String {
        /// The most zeros that are written out.
        const MAX_ZEROS: i64 = 20;
        let sign = if self.is_negative { "-" } else { "" };
        let Self { digits, exponent, .. } = self;
        let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or_default());
        match *exponent {
            0 if digits.is_empty() => format!("{sign}0"),
            0..=MAX_ZEROS => format!("{sign}{digits}{}", zeros(*exponent)),
            _ if *exponent < 0 && -exponent < count => {
                let (whole, fraction) = digits.split_at(digits.len() - usize::try_from(-exponent).unwrap_or_default());
                format!("{sign}{whole}.{fraction}")
            }
            _ if *exponent < 0 && -exponent - count <= MAX_ZEROS => {
                format!("{sign}0.{}{digits}", zeros(-exponent - count))
            }
            _ => format!("{sign}{digits}e{exponent:+}"),
        }
    }
}

/// A number in plain notation has all of its digits in a double if it has no more than these, and its shortest text is the same number.
const MAX_PLAIN_DIGITS: usize = 15;

/// Returns the canonical text of the number `text`, which is `text` itself if it is written so.
///
/// An integer stays as it is. Any other number is written as the shortest text that a double has for it, if a double holds all of its
/// digits: `1.0`, `1.00` and `10e-1` are `1.0`. Otherwise it keeps its own digits.
#[inline]
pub fn canonical(text: &str) -> Cow<'_, str> {
    let is_whole = text != "-0" && !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    if is_whole || is_short_fraction(text) {
        return Cow::Borrowed(text);
    }
    let Some(shortest) = text.parse().ok().and_then(Number::from_f64) else { return with_sign_of_exponent(text) };
    if shortest.as_str() == text {
        return Cow::Borrowed(text);
    }
    let Some(value) = Decimal::parse(text) else { return with_sign_of_exponent(text) };
    if Decimal::parse(shortest.as_str()).as_ref() == Some(&value) {
        return Cow::Owned(shortest.to_string());
    }
    let own = value.text();
    if own == text { Cow::Borrowed(text) } else { Cow::Owned(own) }
}

/// Returns whether a JSON number is written as the shortest text of a double, in plain notation: with few digits, at least one of them
/// before the first zero after the point, and none of them a zero at the end. It is quick, for the prices and coordinates that most numbers
/// with a fraction are.
fn is_short_fraction(text: &str) -> bool {
    let Some((whole, fraction)) = text.split_once('.') else { return false };
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let is_shortest = fraction == "0" || !fraction.ends_with('0');
    // A double below 1e-4 is written with an exponent.
    let is_plain = whole != "0" || fraction == "0" || !fraction.starts_with("00");
    is_shortest
        && is_plain
        && whole.len() + fraction.len() <= MAX_PLAIN_DIGITS
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns a number with the sign of its exponent, as `serde_json` writes a number that is beyond every other notation.
fn with_sign_of_exponent(text: &str) -> Cow<'_, str> {
    let Some(position) = text.find(['e', 'E']) else { return Cow::Borrowed(text) };
    let (mantissa, exponent) = text.split_at(position + 1);
    if exponent.starts_with(['+', '-']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{mantissa}+{exponent}"))
}

/// Returns whether a double can hold a number of this size. Readers of JSON take a greater one for infinite.
#[inline]
pub fn is_finite(text: &str) -> bool {
    /// No integer with fewer digits is beyond the range of a double.
    const MIN_INFINITE_DIGITS: usize = 309;
    if text.len() < MIN_INFINITE_DIGITS && !text.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        return true;
    }
    text.parse().is_ok_and(f64::is_finite)
}

/// Returns the double that has all digits of the number `text`: its shortest text, or its exact value to as many decimal places, is the
/// same number. `None` if a double would have other digits.
pub fn double(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    if text.len() <= MAX_PLAIN_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-')) {
        return Some(number);
    }
    let value = Decimal::parse(text)?;
    let is_same = |text: &str| Decimal::parse(text).as_ref() == Some(&value);
    if is_same(&number.to_string()) {
        return Some(number);
    }
    if text.contains(['e', 'E']) {
        return None;
    }
    let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    is_same(&format!("{number:.places$}")).then_some(number)
}

/// Returns the whole number that the number `text` is. It may be written with a point or an exponent, as in `2.0`.
pub fn whole(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let value = Decimal::parse(text)?;
    if value.digits.is_empty() {
        return Some(0);
    }
    let exponent = u32::try_from(value.exponent).ok()?;
    let digits: i128 = value.digits.parse().ok()?;
    let magnitude = digits.checked_mul(10_i128.checked_pow(exponent)?)?;
    i64::try_from(if value.is_negative { -magnitude } else { magnitude }).ok()
}

/// Returns the number `text` in units of ten to the power of `-scale`. `None` if it has more decimal places or too many digits.
pub fn scaled(text: &str, scale: u32) -> Option<i128> {
    let value = Decimal::parse(text)?;
    if value.digits.is_empty() {
        return Some(0);
    }
    let shift = u32::try_from(value.exponent.checked_add(i64::from(scale))?).ok()?;
    let digits: i128 = value.digits.parse().ok()?;
    let magnitude = digits.checked_mul(10_i128.checked_pow(shift)?)?;
    Some(if value.is_negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical_text(text: &str) -> String {
        canonical(text).into_owned()
    }

    #[test]
    fn one_number_has_one_text() {
        for (text, expected) in [
            ("1", "1"),
            ("1.0", "1.0"),
            ("1.00", "1.0"),
            ("10e-1", "1.0"),
            ("1E2", "100.0"),
            ("19.990", "19.99"),
            ("-0", "-0.0"),
            ("-0.00", "-0.0"),
            ("18446744073709551617", "18446744073709551617"),
            ("18446744073709551617.0", "18446744073709551617"),
            ("0.123456789012345678900", "0.1234567890123456789"),
            ("1234567890.1234567891", "1234567890.1234567891"),
            ("12345678901234567891e30", "12345678901234567891e+30"),
            ("1.2345678901234567891e-5", "0.000012345678901234567891"),
            ("1e400", "1e+400"),
        ] {
            assert_eq!(canonical_text(text), expected, "{text}");
            assert_eq!(canonical_text(expected), expected);
        }
    }

    #[test]
    fn a_double_has_all_digits_or_is_none() {
        for text in ["19.99", "0.1", "1e300", "9007199254740992", "18446744073709551616", "0.10000000000000001", "-0.0"]
        {
            assert_eq!(double(text), Some(text.parse().unwrap()), "{text}");
        }
        for text in
            ["9007199254740993", "18446744073709551617", "0.12345678901234567890123", "1e400", "1e-400", "x", ""]
        {
            assert_eq!(double(text), None, "{text}");
        }
    }

    #[test]
    fn whole_and_scaled_numbers_are_exact() {
        for (text, expected) in [
            ("2.0", Some(2)),
            ("-1.5e1", Some(-15)),
            ("9007199254740993.0", Some(9_007_199_254_740_993)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808.0", Some(i64::MIN)),
            ("0e99999", Some(0)),
            ("9223372036854775808", None),
            ("2.5", None),
            ("1e99999", None),
        ] {
            assert_eq!(whole(text), expected, "{text}");
        }
        for (text, expected) in
            [("19.99", Some(19_990)), ("-1e2", Some(-100_000)), ("0.0001", None), ("1e2147483647", None)]
        {
            assert_eq!(scaled(text, 3), expected, "{text}");
        }
        assert!(!is_finite("1e400") && is_finite("1e300") && is_finite("1e-400"));
        assert!(!is_finite(&"9".repeat(310)) && is_finite(&"9".repeat(300)));
    }

    proptest! {
        /// The quick answer for few digits is that of all digits.
        #[test]
        fn few_digits_are_canonical_as_many_are(text in "-?(0|[1-9][0-9]{0,16})([.][0-9]{1,17})?") {
            let value = Decimal::parse(&text).unwrap();
            let shortest = Number::from_f64(text.parse().unwrap()).unwrap().to_string();
            if text.contains('.') && Decimal::parse(&shortest) == Some(value) {
                prop_assert_eq!(canonical_text(&text), shortest);
            }
            if let Some(number) = double(&text) {
                let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
                let exact = Decimal::parse(&format!("{number:.places$}"));
                let shortest = Decimal::parse(&number.to_string());
                prop_assert!([exact, shortest].contains(&Decimal::parse(&text)), "{} {}", text, number);
            }
        }

        /// Every double keeps its text, so that rows that are stored keep their fingerprints.
        #[test]
        fn a_double_is_written_as_before(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            let text = Number::from_f64(value).unwrap().to_string();
            prop_assert_eq!(canonical_text(&text), text.clone());
            prop_assert_eq!(double(&text), Some(value));
            prop_assert_eq!(double(&format!("{value:.17e}")).is_some() || value == 0.0, double(&format!("{value:.17e}")).is_some());
        }

        /// Notation changes nothing, and no digit is lost.
        #[test]
        fn the_notation_of_a_number_does_not_matter(digits in "[1-9][0-9]{0,40}", places in 0_usize..40, shift in -9_i32..9) {
            let point = digits.len().saturating_sub(places);
            let (whole, fraction) = digits.split_at(point);
            let whole = if whole.is_empty() { "0" } else { whole };
            let plain = format!("{whole}.{fraction}0");
            let exponent = -i32::try_from(fraction.len()).unwrap() - shift;
            let scientific = format!("{digits}{}e{}", "0".repeat(9), exponent + shift - 9);
            prop_assert_eq!(canonical_text(&plain), canonical_text(&scientific));
            prop_assert_eq!(Decimal::parse(&canonical_text(&plain)), Decimal::parse(&plain));
        }
    }
}
