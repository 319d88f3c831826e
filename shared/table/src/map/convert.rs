//! From a JSON value to a cell of a declared type. A value fits if it means the same in another notation. A value whose meaning would have
//! to be guessed does not fit.

use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate};
use manifest::{DataType, number, time};

use super::field_value::FieldValue;
use super::row::Cell;
use super::schema::DECIMAL;

/// The years that a reader of a lake knows: JSON has four digits for them, and Python, Java and Athena end at the same ones.
const READABLE_YEARS: RangeInclusive<i32> = 1..=9999;

/// The microseconds since 1970 from the begin of [`READABLE_YEARS`] to their end.
const READABLE_TIMES: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// Returns the value, which is not null, as a cell of type `data_type`, or `None` if it does not fit.
pub(super) fn cell<'r>(data_type: DataType, value: &FieldValue<'r>) -> Option<Cell<'r>> {
    match (data_type, value) {
        (DataType::Json, value) => Some(Cell::Text(value.json())),
        (DataType::Text, FieldValue::Text(text)) => Some(Cell::Text(text.clone())),
        (DataType::Text, FieldValue::Number(_) | FieldValue::Bool(_)) => Some(Cell::Text(value.json())),
        (DataType::Double, FieldValue::Number(number)) => number::double(number).map(Cell::Double),
        (DataType::Double, FieldValue::Text(text)) => number::double(plain_number(text)?).map(Cell::Double),
        (DataType::Bigint, FieldValue::Number(number)) => number::whole(number).map(Cell::Bigint),
        (DataType::Bigint, FieldValue::Text(text)) => plain_number(text)?.parse().ok().map(Cell::Bigint),
        (DataType::Bool, FieldValue::Bool(value)) => Some(Cell::Bool(*value)),
        (DataType::Bool, FieldValue::Text(text)) => match text.trim() {
            text if text.eq_ignore_ascii_case("true") => Some(Cell::Bool(true)),
            text if text.eq_ignore_ascii_case("false") => Some(Cell::Bool(false)),
            _ => None,
        },
        (DataType::Timestamp, FieldValue::Text(text)) => {
            let micros = time::parse_instant(text)?.timestamp_micros();
            READABLE_TIMES.contains(&micros).then_some(Cell::Timestamp(micros))
        }
        (DataType::Date, FieldValue::Text(text)) => {
            let day =
                time::parse_day(text).or_else(|| time::parse_instant(text).map(|instant| instant.date_naive()))?;
            READABLE_YEARS.contains(&day.year()).then(|| Cell::Date(days_since_1970(day)))
        }
        (DataType::Decimal, FieldValue::Number(number)) => decimal(number).map(Cell::Decimal),
        (DataType::Decimal, FieldValue::Text(text)) => decimal(plain_number(text)?).map(Cell::Decimal),
        _ => None,
    }
}

/// Returns the number of days since 1970.
fn days_since_1970(day: NaiveDate) -> i32 {
    day.num_days_from_ce() - NaiveDate::default().num_days_from_ce()
}

/// Returns the text without spaces around it if it is a number in plain notation: not `inf`, `nan`, hexadecimal or with thousands
/// separators.
fn plain_number(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    (is_plain && !text.is_empty()).then_some(text)
}

/// Returns the decimal in units of 10⁻⁹. It is never rounded: a number with more than nine digits after the point does not fit.
fn decimal(text: &str) -> Option<i128> {
    let value = number::scaled(text, u32::from(DECIMAL.1.unsigned_abs()))?;
    (value.abs() < 10_i128.pow(u32::from(DECIMAL.0))).then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn decoded(text: &str) -> Value {
        manifest::json::decode(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_value_that_means_the_same_fits() {
        for (data_type, value, expected) in [
            (DataType::Text, json!("a"), Cell::Text("a".into())),
            (DataType::Text, json!(12), Cell::Text("12".into())),
            (DataType::Double, json!("34.0522"), Cell::Double(34.0522)),
            (DataType::Double, json!(7), Cell::Double(7.0)),
            (DataType::Bigint, json!(2.0), Cell::Bigint(2)),
            (DataType::Bigint, json!("-3"), Cell::Bigint(-3)),
            (DataType::Bigint, decoded("9007199254740993.0"), Cell::Bigint(9_007_199_254_740_993)),
            (DataType::Text, decoded("18446744073709551617"), Cell::Text("18446744073709551617".into())),
            (DataType::Text, decoded("0.12345678901234567890"), Cell::Text("0.1234567890123456789".into())),
            (
                DataType::Decimal,
                decoded("12345678901234567890.123456789"),
                Cell::Decimal(12_345_678_901_234_567_890_123_456_789),
            ),
            (DataType::Bool, json!("True"), Cell::Bool(true)),
            (DataType::Timestamp, json!("1970-01-01T01:00:00.5+01:00"), Cell::Timestamp(500_000)),
            (DataType::Timestamp, json!("9999-12-31T23:59:59.999999Z"), Cell::Timestamp(253_402_300_799_999_999)),
            (DataType::Timestamp, json!("0001-01-01T00:00:00Z"), Cell::Timestamp(-62_135_596_800_000_000)),
            (DataType::Date, json!("1970-01-02"), Cell::Date(1)),
            (DataType::Date, json!("1969-12-31T10:00:00Z"), Cell::Date(-1)),
            (DataType::Decimal, json!(19.99), Cell::Decimal(19_990_000_000)),
            (DataType::Decimal, json!("-1.5e2"), Cell::Decimal(-150_000_000_000)),
            (DataType::Json, json!({"b": 1, "a": [null]}), Cell::Text(r#"{"a":[null],"b":1}"#.into())),
        ] {
            assert_eq!(cell(data_type, &FieldValue::of(&value)), Some(expected), "{value}");
        }
    }

    #[test]
    fn a_value_that_must_be_guessed_does_not_fit() {
        for (data_type, value) in [
            (DataType::Text, json!(["a"])),
            (DataType::Double, json!("n/a")),
            (DataType::Double, json!("1,200.50")),
            (DataType::Double, json!("inf")),
            (DataType::Double, decoded("9007199254740993")),
            (DataType::Double, decoded("0.12345678901234567890123")),
            (DataType::Double, json!("9007199254740993")),
            (DataType::Bigint, json!(2.5)),
            (DataType::Bigint, json!("two")),
            (DataType::Bigint, json!(1e300)),
            (DataType::Bool, json!(1)),
            (DataType::Timestamp, json!(1_700_000_000)),
            // These are in the years 10000, -1 and 10000 in UTC.
            (DataType::Timestamp, json!("9999-12-31T23:59:59-05:00")),
            (DataType::Timestamp, json!("0000-01-01T00:00:00+05:00")),
            (DataType::Timestamp, json!("9999-12-31T23:59:60Z")),
            (DataType::Date, json!("0000-12-31")),
            (DataType::Date, json!("31/12/2024")),
            (DataType::Decimal, json!("0.0000000001")),
            (DataType::Decimal, json!("1e40")),
        ] {
            assert_eq!(cell(data_type, &FieldValue::of(&value)), None, "{value}");
        }
    }
}
