//! The builder of one column.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, ListArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, FieldRef};

use crate::error::Error;
use crate::map::{Cell, DECIMAL};

/// The memory of a number or the length of a list, in bytes.
const NUMBER_BYTES: usize = 8;

/// The memory of a text in addition to its own bytes: its offset.
const OFFSET_BYTES: usize = 4;

/// Builds one column from cells.
#[derive(Debug)]
pub(super) enum ColumnBuilder {
    Text(StringBuilder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Bigint(Int64Builder),
    Decimal(Decimal128Builder),
    List {
        /// The elements of all lists.
        elements: Box<Self>,
        /// The number of elements of each list.
        lengths: Vec<usize>,
        /// Whether each list is not null.
        valid: Vec<bool>,
    },
}

impl ColumnBuilder {
    /// Creates a builder for a column of this type.
    pub(super) fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Float64 => Self::Double(Float64Builder::new()),
            DataType::Boolean => Self::Bool(BooleanBuilder::new()),
            DataType::Timestamp(..) => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Int64 => Self::Bigint(Int64Builder::new()),
            DataType::Decimal128(..) => {
                Self::Decimal(Decimal128Builder::new().with_data_type(DataType::Decimal128(DECIMAL.0, DECIMAL.1)))
            }
            DataType::List(element) => {
                let elements = Box::new(Self::new(element.data_type()));
                Self::List { elements, lengths: Vec::new(), valid: Vec::new() }
            }
            _ => Self::Text(StringBuilder::new()),
        }
    }

    /// Creates a builder for a column of this type whose first `rows` cells are null.
    pub(super) fn of_nulls(data_type: &DataType, rows: usize) -> Self {
        let mut column = Self::new(data_type);
        for _ in 0..rows {
            column.push(Cell::Null);
        }
        column
    }

    /// Adds a cell, which becomes null if it has another type. Returns about how many bytes of memory it takes.
    pub(super) fn push(&mut self, cell: Cell<'_>) -> usize {
        match (self, cell) {
            (Self::Text(column), Cell::Text(text)) => {
                column.append_value(&text);
                return OFFSET_BYTES + text.len();
            }
            (Self::Text(column), _) => column.append_null(),
            (Self::Double(column), Cell::Double(value)) => column.append_value(value),
            (Self::Double(column), _) => column.append_null(),
            (Self::Bool(column), Cell::Bool(value)) => column.append_value(value),
            (Self::Bool(column), _) => column.append_null(),
            (Self::Timestamp(column), Cell::Timestamp(value)) => column.append_value(value),
            (Self::Timestamp(column), _) => column.append_null(),
            (Self::Date(column), Cell::Date(value)) => column.append_value(value),
            (Self::Date(column), _) => column.append_null(),
            (Self::Bigint(column), Cell::Bigint(value)) => column.append_value(value),
            (Self::Bigint(column), _) => column.append_null(),
            (Self::Decimal(column), Cell::Decimal(value)) => column.append_value(value),
            (Self::Decimal(column), _) => column.append_null(),
            (Self::List { elements, lengths, valid }, Cell::List(cells)) => {
                lengths.push(cells.len());
                valid.push(true);
                return cells.into_iter().map(|cell| elements.push(cell)).sum();
            }
            (Self::List { lengths, valid, .. }, _) => {
                lengths.push(0);
                valid.push(false);
            }
        }
        NUMBER_BYTES
    }

    /// Returns the cells so far as the column `field`, and leaves the builder empty.
    pub(super) fn finish(&mut self, field: &FieldRef) -> Result<ArrayRef, Error> {
        Ok(match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Double(column) => Arc::new(column.finish()),
            Self::Bool(column) => Arc::new(column.finish()),
            Self::Timestamp(column) => Arc::new(column.finish()),
            Self::Date(column) => Arc::new(column.finish()),
            Self::Bigint(column) => Arc::new(column.finish()),
            Self::Decimal(column) => Arc::new(column.finish()),
            Self::List { elements, lengths, valid } => {
                let DataType::List(element) = field.data_type() else {
                    return Err(Error::Internal(format!("the column `{}` is not a list", field.name())));
                };
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let nulls = std::mem::take(valid).into();
                let values = elements.finish(element)?;
                let list = ListArray::try_new(Arc::clone(element), offsets, values, Some(nulls));
                Arc::new(list.map_err(|error| Error::arrow(&error))?)
            }
        })
    }
}
