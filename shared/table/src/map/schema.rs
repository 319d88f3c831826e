//! The schema of a resource's table.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};
use manifest::{DataType, Resource};

use super::engine_columns;

/// The number of digits of a decimal, and how many of them are after the point: dlt's defaults.
pub const DECIMAL: (u8, i8) = (38, 9);

/// Returns the schema of the rows of `resource`: the columns of the manifest, then those of the module [`engine_columns`], then the one that says
/// since when a row has vanished, if the resource has it.
pub fn schema(resource: &Resource) -> SchemaRef {
    let mut fields: Vec<Field> = resource
        .columns
        .iter()
        .map(|column| {
            let element = arrow_type(column.data_type);
            let data_type = if column.list { list_of(element) } else { element };
            Field::new(&column.name, data_type, !resource.primary_key.contains(&column.name))
        })
        .collect();
    let timestamp = arrow_type(DataType::Timestamp);
    fields.push(Field::new(engine_columns::SYNCED_AT, timestamp.clone(), false));
    fields.push(Field::new(engine_columns::FIRST_SEEN_AT, timestamp.clone(), false));
    fields.push(Field::new(engine_columns::FINGERPRINT, ArrowType::Int64, false));
    fields.push(Field::new(engine_columns::EXTRA, ArrowType::Utf8, true));
    fields.push(Field::new(engine_columns::ISSUES, ArrowType::Utf8, true));
    // The record does not say that it has vanished, so this column is not in the fingerprint.
    fields.extend(resource.vanished.iter().map(|vanished| Field::new(&vanished.column, timestamp.clone(), true)));
    Arc::new(Schema::new(fields))
}

/// Returns the Arrow type of a list whose elements have the type `element`.
pub fn list_of(element: ArrowType) -> ArrowType {
    ArrowType::List(Arc::new(Field::new("element", element, true)))
}

/// Returns the Arrow type of a column of type `data_type`.
pub fn arrow_type(data_type: DataType) -> ArrowType {
    match data_type {
        DataType::Text | DataType::Json => ArrowType::Utf8,
        DataType::Double => ArrowType::Float64,
        DataType::Bool => ArrowType::Boolean,
        DataType::Timestamp => ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Date => ArrowType::Date32,
        DataType::Bigint => ArrowType::Int64,
        DataType::Decimal => ArrowType::Decimal128(DECIMAL.0, DECIMAL.1),
    }
}
