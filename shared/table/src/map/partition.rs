//! The partition of a row, by Iceberg's partition transforms.

use std::fmt::Write;
use std::io::Cursor;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use manifest::{Transform, time};

use super::row::Cell;

/// Returns the partition value of a cell, which is safe in a path, or `None` if the cell has none.
pub(super) fn value(transform: Transform, cell: &Cell) -> Option<String> {
    match transform {
        Transform::Identity => match cell {
            Cell::Text(text) if !text.is_empty() => Some(escape(text)),
            Cell::Bigint(number) => Some(number.to_string()),
            Cell::Date(_) => Some(instant(cell)?.format("%Y-%m-%d").to_string()),
            _ => None,
        },
        Transform::Year => Some(instant(cell)?.format("%Y").to_string()),
        Transform::Month => Some(instant(cell)?.format("%Y-%m").to_string()),
        Transform::Day => Some(instant(cell)?.format("%Y-%m-%d").to_string()),
        Transform::Hour => Some(instant(cell)?.format("%Y-%m-%d-%H").to_string()),
        Transform::Bucket(count) => Some(bucket(cell, count)?.to_string()),
    }
}

/// Returns the instant of a cell, which is the midnight of a day.
fn instant(cell: &Cell) -> Option<DateTime<Utc>> {
    match cell {
        Cell::Text(text) => time::parse_instant(text),
        Cell::Timestamp(micros) => DateTime::from_timestamp_micros(*micros),
        Cell::Date(days) => NaiveDate::default()
            .checked_add_signed(TimeDelta::days((*days).into()))
            .and_then(|day| day.and_hms_opt(0, 0, 0))
            .map(|midnight| midnight.and_utc()),
        _ => None,
    }
}

/// Returns Iceberg's bucket: `(murmur3_x86_32(value) & i32::MAX) % count`. Texts are hashed as UTF-8, whole numbers and days as 8 bytes,
/// little-endian.
fn bucket(cell: &Cell, count: u32) -> Option<u32> {
    let hash = match cell {
        Cell::Text(text) => hash(text.as_bytes())?,
        Cell::Bigint(number) => hash(&number.to_le_bytes())?,
        Cell::Date(days) => hash(&i64::from(*days).to_le_bytes())?,
        _ => return None,
    };
    Some((hash & i32::MAX.cast_unsigned()) % count)
}

/// Returns the 32-bit Murmur3 hash of the bytes.
fn hash(bytes: &[u8]) -> Option<u32> {
    murmur3::murmur3_32(&mut Cursor::new(bytes), 0).ok()
}

/// Percent-encodes the characters that a path or the folder of a Hive partition cannot hold.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(byte.into()),
            b'.' if escaped.len() + 1 < text.len() && !escaped.is_empty() => escaped.push('.'),
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those of Iceberg's table specification, appendix B.
    #[test]
    fn the_hash_is_that_of_iceberg() {
        assert_eq!(hash(b"iceberg").unwrap(), 1_210_000_089);
        assert_eq!(hash(&34_i64.to_le_bytes()).unwrap(), 2_017_239_379);
        assert_eq!(
            bucket(&Cell::Date(17_486), u32::MAX / 2 + 1),
            Some((-653_330_422_i32).cast_unsigned() & 0x7fff_ffff)
        );
    }

    #[test]
    fn every_type_with_a_time_has_a_day() {
        for cell in [
            Cell::Text("2026-11-21 23:59:59".into()),
            Cell::Text("2026-11-22T01:00:00+02:00".into()),
            Cell::Timestamp(1_795_302_000_000_000),
            Cell::Date(20_778),
        ] {
            assert_eq!(value(Transform::Day, &cell).as_deref(), Some("2026-11-21"), "{cell:?}");
        }
        assert_eq!(value(Transform::Day, &Cell::Text("soon".into())), None);
        assert_eq!(
            value(Transform::Hour, &Cell::Text("2026-11-21T03:54:00Z".into())).as_deref(),
            Some("2026-11-21-03")
        );
    }

    #[test]
    fn a_partition_value_is_one_folder() {
        for (text, expected) in [("a/b=c", "a%2Fb%3Dc"), ("..", "%2E%2E"), ("é", "%C3%A9"), ("v1.2", "v1.2")] {
            assert_eq!(value(Transform::Identity, &Cell::Text(text.into())).as_deref(), Some(expected));
        }
    }
}
