//! The partition of a row, by Iceberg's partition transforms.

use std::fmt::Write;
use std::io::Cursor;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use manifest::{Transform, time};
use xxhash_rust::xxh3::xxh3_128;

use super::row::Cell;

/// The longest folder of a value in bytes. A directory allows 255 for the folder with the name of the partition.
const MAX_FOLDER_BYTES: usize = 128;

/// How many bytes of a longer value its folder begins with.
const KEPT_BYTES: usize = 90;

/// Returns the partition value of a cell, which is safe in a path, or `None` if the cell has none.
pub(super) fn value(transform: Transform, cell: &Cell<'_>) -> Option<String> {
    match transform {
        Transform::Identity => match cell {
            Cell::Text(text) if !text.is_empty() => Some(shorten(escape(text), text)),
            Cell::Bigint(number) => Some(number.to_string()),
            Cell::Date(_) => instant(cell).map(time::format_day),
            _ => None,
        },
        Transform::Year => Some(instant(cell)?.format("%Y").to_string()),
        Transform::Month => Some(instant(cell)?.format("%Y-%m").to_string()),
        Transform::Day => instant(cell).map(time::format_day),
        Transform::Hour => Some(instant(cell)?.format("%Y-%m-%d-%H").to_string()),
        Transform::Bucket(count) => Some(bucket(cell, count)?.to_string()),
    }
}

/// Returns the instant of a cell, which is the midnight of a day.
fn instant(cell: &Cell<'_>) -> Option<DateTime<Utc>> {
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
fn bucket(cell: &Cell<'_>, count: u32) -> Option<u32> {
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

/// Returns the folder of an escaped value: the value itself, or its beginning and a hash of `text` if it is too long for the name of a
/// folder. The column of the row has the whole value in any case.
fn shorten(escaped: String, text: &str) -> String {
    if escaped.len() <= MAX_FOLDER_BYTES {
        return escaped;
    }
    // A percent-encoded byte, as in `%E6`, is not divided.
    let end = (KEPT_BYTES - 2..=KEPT_BYTES).rev().find(|end| !escaped[end - 2..*end].contains('%'));
    let beginning = &escaped[..end.unwrap_or(KEPT_BYTES - 2)];
    format!("{beginning}_{:032x}", xxh3_128(text.as_bytes()))
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

    #[test]
    fn a_long_partition_value_has_a_short_folder_of_its_own() {
        let folder = |text: &str| value(Transform::Identity, &Cell::Text(text.into())).unwrap();
        let longest = "a".repeat(MAX_FOLDER_BYTES);
        assert_eq!(folder(&longest), longest);
        for long in
            ["東".repeat(50), format!("a{}", "東".repeat(50)), format!("ab{}", "東".repeat(50)), "b".repeat(5000)]
        {
            let (short, other) = (folder(&long), folder(&format!("{long}x")));
            assert!(short.len() <= MAX_FOLDER_BYTES, "{short}");
            assert_ne!(short, other);
            let (beginning, _) = short.rsplit_once('_').unwrap();
            assert!(
                long.len() == 5000 || beginning.bytes().filter(|byte| *byte == b'%').count() * 3 + 2 >= beginning.len()
            );
            assert!(!beginning.ends_with('%') && !beginning[..beginning.len() - 1].ends_with('%'), "{short}");
        }
    }
}
