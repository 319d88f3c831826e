//! The fingerprint of a row.

use manifest::Column;
use xxhash_rust::xxh3::xxh3_64;

use super::engine_columns;
use super::row::Cell;

/// The name under which a key that is written as a text is hashed. No column has it, since names of columns have no space.
const RETYPED_KEY: &str = "retyped key";

/// The memory that is reserved for what is hashed of a row: that of a sale.
const HASHED_BYTES: usize = 2 << 10;

/// The parts of a row that its fingerprint depends on.
#[derive(Debug)]
pub(super) struct FingerprintContent<'r> {
    pub(super) columns: &'r [Column],
    /// The cells, in the order of the columns.
    pub(super) cells: &'r [Cell<'r>],
    /// The names of the key's columns whose text was no text in the record.
    pub(super) retyped_keys: &'r [&'r str],
    pub(super) extra: Option<&'r str>,
    pub(super) issues: Option<&'r str>,
}

/// Returns the fingerprint of a row: a hash of its cells, without those of volatile columns, and of its `_extra` and `_issues`.
///
/// The names of the columns are part of the hash, and cells without a value are not. So a column that is added to the manifest changes
/// no fingerprint until a record has a value for it.
pub(super) fn fingerprint(content: &FingerprintContent<'_>) -> i64 {
    let mut hashed = Vec::with_capacity(HASHED_BYTES);
    for (column, cell) in content.columns.iter().zip(content.cells) {
        if !column.volatile && *cell != Cell::Null {
            add_bytes(&mut hashed, column.name.as_bytes());
            add_cell(&mut hashed, cell);
        }
    }
    for name in content.retyped_keys {
        add_bytes(&mut hashed, RETYPED_KEY.as_bytes());
        add_bytes(&mut hashed, name.as_bytes());
    }
    for (name, text) in [(engine_columns::EXTRA, content.extra), (engine_columns::ISSUES, content.issues)] {
        if let Some(text) = text {
            add_bytes(&mut hashed, name.as_bytes());
            add_bytes(&mut hashed, text.as_bytes());
        }
    }
    xxh3_64(&hashed).cast_signed()
}

fn add_cell(hashed: &mut Vec<u8>, cell: &Cell<'_>) {
    match cell {
        Cell::Null => add_bytes(hashed, b""),
        Cell::Text(text) => add_bytes(hashed, text.as_bytes()),
        Cell::Double(number) => add_bytes(hashed, &number.to_le_bytes()),
        Cell::Bool(value) => add_bytes(hashed, &[u8::from(*value)]),
        Cell::Timestamp(number) | Cell::Bigint(number) => add_bytes(hashed, &number.to_le_bytes()),
        Cell::Date(days) => add_bytes(hashed, &days.to_le_bytes()),
        Cell::Decimal(number) => add_bytes(hashed, &number.to_le_bytes()),
        Cell::List(cells) => {
            hashed.extend_from_slice(&(cells.len() as u64).to_le_bytes());
            cells.iter().for_each(|cell| add_cell(hashed, cell));
        }
    }
}

/// Adds the length before the bytes, so that `ab`, `c` and `a`, `bc` have different hashes.
fn add_bytes(hashed: &mut Vec<u8>, bytes: &[u8]) {
    hashed.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    hashed.extend_from_slice(bytes);
}
