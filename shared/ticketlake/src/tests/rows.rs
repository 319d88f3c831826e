//! Stored rows as JSON objects.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_json::ArrayWriter;
use arrow_schema::DataType;
use bytes::Bytes;
use flate2::read::GzDecoder;
use lake::Memory;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value};

/// A row by the names of its columns, without those whose value is null.
pub(super) type Row = Map<String, Value>;

/// All rows of the table at `folder` of `lake`, in no order.
pub(super) fn rows(lake: &Memory, folder: &str) -> Vec<Row> {
    let parts = lake.objects().into_iter().filter(|(key, _)| key.starts_with(&format!("{folder}/")));
    parts.flat_map(|(key, part)| if key.ends_with(".gz") { rows_of_lines(&part) } else { rows_of_part(part) }).collect()
}

fn rows_of_lines(part: &Bytes) -> Vec<Row> {
    let lines = serde_json::Deserializer::from_reader(GzDecoder::new(&part[..])).into_iter();
    lines.map(Result::unwrap).collect()
}

/// The types of the columns of the Parquet table at `folder` of `lake`, by name. A column that has two types fails the test.
pub(super) fn types(lake: &Memory, folder: &str) -> BTreeMap<String, DataType> {
    let mut types = BTreeMap::new();
    for (key, part) in lake.objects().into_iter().filter(|(key, _)| key.starts_with(&format!("{folder}/"))) {
        let part = ParquetRecordBatchReaderBuilder::try_new(part).unwrap();
        for field in part.schema().fields() {
            let other = types.insert(field.name().clone(), field.data_type().clone());
            assert!(other.is_none_or(|other| other == *field.data_type()), "{key}: {field}");
        }
    }
    types
}

fn rows_of_part(part: Bytes) -> Vec<Row> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(part).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(|batch| without_times(&batch.unwrap())).collect();
    let mut writer = ArrayWriter::new(Vec::new());
    writer.write_batches(&batches.iter().collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    serde_json::from_slice(&writer.into_inner()).unwrap()
}

/// The times in the column `column` of the table at `folder` of `lake`, in seconds since 1970.
pub(super) fn seconds(lake: &Memory, folder: &str, column: &str) -> Vec<i64> {
    let parts = lake.objects().into_iter().filter(|(key, _)| key.starts_with(&format!("{folder}/")));
    let batches = parts.flat_map(|(_, part)| ParquetRecordBatchReaderBuilder::try_new(part).unwrap().build().unwrap());
    let times = batches.map(|batch| {
        let batch = batch.unwrap();
        let times = batch.column_by_name(column).unwrap().as_primitive::<TimestampMicrosecondType>();
        times.values().iter().map(|micros| micros / 1_000_000).collect::<Vec<_>>()
    });
    times.flatten().collect()
}

/// The columns of a batch but for its times: arrow-json writes none with a time zone by name.
fn without_times(batch: &RecordBatch) -> RecordBatch {
    let fields = batch.schema();
    let other = |index: &usize| !matches!(fields.field(*index).data_type(), DataType::Timestamp(..));
    batch.project(&(0..fields.fields().len()).filter(other).collect::<Vec<_>>()).unwrap()
}

/// A value as a text: that of a string, the JSON text of any other, `null` for none.
pub(super) fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "null".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}
