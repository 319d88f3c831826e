//! The order of the columns' values that the footer of a Parquet part names.
//!
//! The library names the order `IEEE_754_TOTAL_ORDER` for doubles and has no switch for it. Readers that are older than this order refuse
//! the file or ignore its statistics. So the encoded footer is changed to the order that every reader knows. See decision 8.

use parquet::errors::ParquetError;

/// The bytes at the end of a Parquet file after the encoded footer: its length, and `PAR1`.
const TAIL_BYTES: usize = 8;

/// The byte that begins the encoded order of one column if it is the order that the type defines: a struct in the field with the id 1.
const TYPE_DEFINED: u8 = 0x1c;

/// The byte that begins the encoded order of one column if it is `IEEE_754_TOTAL_ORDER`: a struct in the field with the id 2.
const TOTAL_ORDER: u8 = 0x2c;

/// The number of bytes of the encoded order of one column: the field, the end of an empty struct, and the end of the union.
const ORDER_BYTES: usize = 3;

/// Changes the order of every column of `file`, a whole Parquet file with this number of columns, to the one that its type defines.
///
/// The orders are the last field of the footer, in Thrift's compact form, and every order has the same length. So no other byte changes.
///
/// # Errors
///
/// An error if the footer does not end with the orders of as many columns, as one of another version of the library might.
pub(super) fn write_type_defined_order(file: &mut [u8], columns: usize) -> Result<(), ParquetError> {
    let unknown = || ParquetError::General("the footer does not end with the order of each column".to_owned());
    let header = list_header(columns);
    // The byte before the tail ends the footer's struct.
    let end = file.len().checked_sub(TAIL_BYTES + 1).ok_or_else(unknown)?;
    let begin = end.checked_sub(columns * ORDER_BYTES).ok_or_else(unknown)?;
    let (before, rest) = file.split_at_mut(begin);
    let (orders, tail) = rest.split_at_mut(end - begin);
    if !before.ends_with(&header) || tail.first() != Some(&0) {
        return Err(unknown());
    }
    for order in orders.chunks_exact_mut(ORDER_BYTES) {
        match order {
            [kind @ (TYPE_DEFINED | TOTAL_ORDER), 0, 0] => *kind = TYPE_DEFINED,
            _ => return Err(unknown()),
        }
    }
    Ok(())
}

/// Returns the bytes before the first order: the field of the footer, one after the one before it, and a list of `columns` structs.
fn list_header(columns: usize) -> Vec<u8> {
    const LIST_FIELD: u8 = 0x19;
    const STRUCTS: u8 = 0x0c;
    match u8::try_from(columns) {
        Ok(short) if short < 15 => vec![LIST_FIELD, short << 4 | STRUCTS],
        _ => [vec![LIST_FIELD, 0xf0 | STRUCTS], varint(columns)].concat(),
    }
}

/// Returns `number` with seven bits in each byte, the lowest first. The highest bit says that another byte follows.
fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{ColumnOrder, SortOrder};
    use parquet::file::metadata::ParquetMetaDataReader;

    use super::*;

    /// A file with this number of columns, doubles and texts in turn.
    fn file(columns: usize) -> Vec<u8> {
        let column = |index: usize| -> ArrayRef {
            if index.is_multiple_of(2) {
                Arc::new(Float64Array::from(vec![0.5, -1.0]))
            } else {
                Arc::new(StringArray::from(vec!["a", "b"]))
            }
        };
        let rows = RecordBatch::try_from_iter((0..columns).map(|index| (format!("column {index}"), column(index))));
        let rows = rows.unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
        writer.write(&rows).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn every_column_gets_the_order_that_its_type_defines_and_nothing_else_changes() {
        for columns in [1, 2, 14, 15, 16, 127, 128, 300] {
            let written = file(columns);
            let mut changed = written.clone();
            write_type_defined_order(&mut changed, columns).unwrap();
            let differences = written.iter().zip(&changed).filter(|(before, after)| before != after).count();
            assert_eq!((written.len(), differences), (changed.len(), columns.div_ceil(2)), "{columns} columns");
            let mut reader = ParquetMetaDataReader::new();
            reader.try_parse(&Bytes::from(changed)).unwrap();
            let metadata = reader.finish().unwrap();
            for (index, order) in metadata.file_metadata().column_orders().unwrap().iter().enumerate() {
                let sort = if index.is_multiple_of(2) { SortOrder::SIGNED } else { SortOrder::UNSIGNED };
                assert_eq!(*order, ColumnOrder::TYPE_DEFINED_ORDER(sort), "column {index} of {columns}");
            }
        }
    }

    #[test]
    fn a_footer_that_ends_otherwise_is_refused() {
        let written = file(3);
        assert!(write_type_defined_order(&mut written.clone(), 4).is_err());
        assert!(write_type_defined_order(&mut written.clone(), 2).is_err());
        assert!(write_type_defined_order(&mut [], 1).is_err());
        let mut unknown = written;
        let order = unknown.len() - TAIL_BYTES - 1 - ORDER_BYTES;
        unknown[order] = 0x4c;
        assert!(write_type_defined_order(&mut unknown, 3).is_err());
    }
}
