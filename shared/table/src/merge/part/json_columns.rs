//! The columns of JSON lines that a run does not know, because another run has added them since it read the table's layout.
//!
//! The lines do not say the types of their columns. A column that was found in records is a bool, a number or a text, and each of them is
//! written as it is read, so that the type of the values is enough to keep them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};

use arrow_schema::{DataType, Field, Schema};
use bytes::{Buf, Bytes};
use flate2::read::GzDecoder;
use manifest::json::members;

use crate::error::Error;

/// Returns the columns of the part `bytes` that `schema` does not have. A column with other values than a bool, a number or a text is left
/// out, so that a reader refuses it.
pub(super) fn other_columns(key: &str, bytes: &Bytes, schema: &Schema) -> Result<Vec<Field>, Error> {
    let mut types: BTreeMap<String, Option<DataType>> = BTreeMap::new();
    for line in BufReader::new(GzDecoder::new(bytes.clone().reader())).lines() {
        let line = line.map_err(|error| Error::Part { key: key.to_owned(), detail: error.to_string() })?;
        let members = members(&line).unwrap_or_default();
        let unknown = members.into_iter().filter(|(name, _)| schema.field_with_name(name).is_err());
        for (name, value) in unknown.filter(|(_, value)| *value != "null") {
            add_type(&mut types, name, type_of(value));
        }
    }
    Ok(types.into_iter().filter_map(|(name, data_type)| Some(Field::new(name, data_type?, true))).collect())
}

/// Adds the type of a value of the column `name`, which is a double if some of its values are whole numbers and others are not.
fn add_type(types: &mut BTreeMap<String, Option<DataType>>, name: Cow<'_, str>, data_type: Option<DataType>) {
    let Some(known) = types.get_mut(name.as_ref()) else {
        types.insert(name.into_owned(), data_type);
        return;
    };
    *known = match (known.take(), data_type) {
        (Some(DataType::Int64), Some(DataType::Float64)) | (Some(DataType::Float64), Some(DataType::Int64)) => {
            Some(DataType::Float64)
        }
        (known, data_type) => known.filter(|known| Some(known) == data_type.as_ref()),
    };
}

/// Returns the type of the value with this JSON text, which is not null.
fn type_of(value: &str) -> Option<DataType> {
    match value.as_bytes().first()? {
        b'"' => Some(DataType::Utf8),
        b't' | b'f' => Some(DataType::Boolean),
        b'[' | b'{' => None,
        _ if value.parse::<i64>().is_ok() => Some(DataType::Int64),
        _ => Some(DataType::Float64),
    }
}
