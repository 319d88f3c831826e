//! The mapper of one resource's records.

use std::borrow::Cow;

use manifest::json::{self, Malformed};
use manifest::{Column, CursorKind, JsonPath, Level, PartitionField, RECORD_KEY, Resource};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::decode::{DecodedRecord, Decoder};
use super::explode::{self, explode};
use super::fingerprint::{FingerprintContent, fingerprint};
use super::infer;
use super::partition;
use super::path_tree::{PathNode, Purpose};
use super::row::{Cell, MappedRecord, Rejection, Row, join_key};

/// Maps the records of one resource to rows.
#[derive(Debug)]
pub struct Mapper {
    columns: Vec<Column>,
    /// For each column, the positions of those that take the values which it cannot hold; see [`infer`].
    variants: Vec<Vec<usize>>,
    /// The levels of partitions, the outermost folder first.
    partition_fields: Vec<PartitionField>,
    /// For each level of partitions, the position of its column.
    partition_positions: Vec<usize>,
    /// The positions of the primary key's columns.
    key_positions: Vec<usize>,
    /// The position of the column that holds a hash of the whole record, if the resource has no primary key.
    record_hash_position: Option<usize>,
    /// The trees that a record may be; see [`explode()`].
    explode: Vec<Vec<Level>>,
    /// The kind of the resource's cursor.
    cursor_kind: CursorKind,
    /// The places in a record that have a meaning, and how many nodes their tree has.
    paths: PathNode,
    node_count: usize,
    /// The paths that match at any depth. Their values are looked for in the decoded record.
    deep_paths: Vec<(JsonPath, Purpose)>,
    /// Where the records of other resources are.
    inner_paths: Vec<JsonPath>,
}

/// The reason why a record has no row, and its key if it has one.
type NoRow = (String, Option<String>);

impl Mapper {
    /// Creates a mapper for the records of `resource`.
    pub fn new(resource: &Resource) -> Self {
        let position = |name: &String| resource.columns.iter().position(|column| column.name == *name);
        let incremental = resource.endpoint.incremental.as_ref();
        let mut mapper = Self {
            columns: resource.columns.clone(),
            variants: vec![Vec::new(); resource.columns.len()],
            partition_fields: resource.partition.clone(),
            partition_positions: resource.partition.iter().filter_map(|field| position(&field.from)).collect(),
            key_positions: resource.primary_key.iter().filter_map(position).collect(),
            record_hash_position: resource.primary_key.iter().find(|key| *key == RECORD_KEY).and_then(position),
            explode: resource.explode.clone(),
            cursor_kind: incremental.map_or(CursorKind::Instant, |incremental| incremental.kind),
            paths: PathNode::default(),
            node_count: 0,
            deep_paths: Vec::new(),
            inner_paths: resource.harvest.iter().map(|harvest| harvest.path.clone()).collect(),
        };
        mapper.paths.ignores_case = resource.infer_columns;
        for (position, column) in resource.columns.iter().enumerate() {
            let variant = infer::variant_of(&column.name).filter(|_| infer::is_inferred(&column.name, resource));
            match variant.and_then(|(field, _)| resource.columns.iter().position(|column| column.name == field)) {
                Some(base) => mapper.variants[base].push(position),
                None => mapper.add_path(&column.path, Purpose::Column(position)),
            }
        }
        if !resource.explode.is_empty() {
            mapper.add_path(&JsonPath::of_field(explode::LEAF), Purpose::Named);
        }
        if let Some(incremental) = incremental {
            mapper.add_path(&incremental.cursor_path, Purpose::Cursor);
        }
        for (position, harvest) in resource.harvest.iter().enumerate() {
            mapper.add_path(&harvest.path, Purpose::Inner(position));
        }
        mapper.node_count = mapper.paths.finish();
        mapper
    }

    fn add_path(&mut self, path: &JsonPath, purpose: Purpose) {
        if !self.paths.add(path, purpose) {
            self.deep_paths.push((path.clone(), purpose));
        }
    }

    /// Returns the rows of the record with this JSON text, which is read once, and the records inside it.
    ///
    /// # Errors
    ///
    /// The reason why the record cannot be decoded.
    pub fn map_text<'r>(&self, text: &'r [u8]) -> Result<MappedRecord<'r>, String> {
        if self.explode.is_empty()
            && let Ok(text) = std::str::from_utf8(text)
            && text.trim_start().starts_with('{')
            && let Ok(decoded) = self.decode(text)
        {
            return self.map_decoded(decoded, text);
        }
        // The record is no object, is a tree, has two members of one name, or cannot be decoded for a reason that the decoder knows.
        Ok(self.map_value(json::decode(text)?))
    }

    /// Returns the rows of a record that was decoded.
    pub fn map(&self, record: Value) -> Vec<Result<Row<'static>, Rejection>> {
        self.map_value(record).rows
    }

    /// Reads the record `text`.
    fn decode<'r>(&self, text: &'r str) -> Result<DecodedRecord<'_, 'r>, Malformed> {
        let mut decoder = Decoder::new(&self.columns, &self.variants, self.cursor_kind, self.node_count);
        decoder.read(&self.paths, text)?;
        if !self.deep_paths.is_empty() {
            let record = json::decode(text.as_bytes()).map_err(|_| Malformed)?;
            self.deep_paths.iter().for_each(|(path, purpose)| decoder.read_deep(&record, path, *purpose));
        }
        Ok(decoder.finish())
    }

    /// Returns the row of a record that was read from `text`.
    fn map_decoded<'r>(&self, mut decoded: DecodedRecord<'_, 'r>, text: &'r str) -> Result<MappedRecord<'r>, String> {
        let inner = std::mem::take(&mut decoded.inner);
        let row = match self.row(decoded, text) {
            Ok(row) => Ok(row),
            Err((reason, key)) => Err(Rejection { record: json::decode(text.as_bytes())?.into(), reason, key }),
        };
        Ok(MappedRecord { rows: vec![row], inner })
    }

    /// Returns the rows of a record that was decoded, and the records inside it.
    fn map_value(&self, record: Value) -> MappedRecord<'static> {
        let rejected =
            |reason: String, record: Value| vec![Err(Rejection { reason, record: record.into(), key: None })];
        if !record.is_object() {
            return MappedRecord { rows: rejected("the record is no JSON object".into(), record), inner: Vec::new() };
        }
        let inner = self.inner_texts(&record);
        let rows = if self.explode.is_empty() {
            vec![self.map_object(record)]
        } else {
            match explode(&self.explode, &record) {
                Some(records) => records.into_iter().map(|record| self.map_object(record)).collect(),
                None => {
                    let roots = self.explode.iter().filter_map(|tree| tree.first()).map(|level| level.name.as_str());
                    let roots: Vec<&str> = roots.collect();
                    rejected(format!("the record has none of {}", roots.join(", ")), record)
                }
            }
        };
        MappedRecord { rows, inner }
    }

    /// Returns the texts of the records of other resources inside `record`.
    fn inner_texts(&self, record: &Value) -> Vec<(usize, Cow<'static, str>)> {
        let texts = self.inner_paths.iter().enumerate().flat_map(|(position, path)| {
            let objects = path.all(record).into_iter().filter(|found| found.is_object());
            objects.map(move |object| (position, Cow::Owned(object.to_string())))
        });
        texts.collect()
    }

    /// Returns the row of a record that is an object.
    fn map_object(&self, record: Value) -> Result<Row<'static>, Rejection> {
        let text = record.to_string();
        let row = match self.decode(&text) {
            Ok(decoded) => self.row(decoded, &text).map(Row::into_owned),
            Err(Malformed) => Err(("the record has more levels or a greater number than JSON can hold".into(), None)),
        };
        row.map_err(|(reason, key)| Rejection { record: record.into(), reason, key })
    }

    /// Returns the row of a record that was read from `text`.
    fn row<'r>(&self, mut decoded: DecodedRecord<'_, 'r>, text: &'r str) -> Result<Row<'r>, NoRow> {
        if let Some(position) = self.record_hash_position {
            // The members of an object are sorted, so that equal records have the same text.
            let canonical = json::canonical(text.as_bytes()).map_err(|reason| (reason, None))?;
            decoded.cells[position] = Cell::Text(format!("{:032x}", xxh3_128(canonical.as_bytes())).into());
        }
        let key = self.key(&decoded.cells).map_err(|reason| (reason, None))?;
        let partition = match self.partition(&decoded.cells) {
            Ok(partition) => partition,
            Err(reason) => return Err((reason, Some(key))),
        };
        let issues = decoded.issues_text(&self.columns);
        let content = FingerprintContent {
            columns: &self.columns,
            cells: &decoded.cells,
            retyped_keys: &self.retyped_keys(&decoded),
            extra: decoded.extra.as_deref(),
            issues: issues.as_deref(),
        };
        let fingerprint = fingerprint(&content);
        let DecodedRecord { cells, extra, cursor, .. } = decoded;
        Ok(Row { key, partition, cells, fingerprint, extra, issues, cursor })
    }

    /// Returns the names of the key's columns that are texts and have a number or a boolean in the record: `1` and `"1"` are one key, and
    /// their records are not the same.
    fn retyped_keys(&self, decoded: &DecodedRecord<'_, '_>) -> Vec<&str> {
        let positions = self.key_positions.iter().copied();
        let retyped = positions.filter(|&position| decoded.is_retyped(position, &self.columns[position]));
        retyped.map(|position| self.columns[position].name.as_str()).collect()
    }

    /// Returns the key of the row with these cells, or the reason why it has none.
    fn key(&self, cells: &[Cell<'_>]) -> Result<String, String> {
        let mut values = Vec::with_capacity(self.key_positions.len());
        for &position in &self.key_positions {
            let name = &self.columns[position].name;
            match &cells[position] {
                Cell::Null => return Err(format!("the key `{name}` is missing or does not fit its type")),
                Cell::Text(text) if text.is_empty() => return Err(format!("the key `{name}` is empty")),
                Cell::Text(text) => values.push(text.clone().into_owned()),
                Cell::Bigint(number) => values.push(number.to_string()),
                Cell::Date(days) => values.push(days.to_string()),
                _ => return Err(format!("the key `{name}` has a type that is no key's")),
            }
        }
        Ok(join_key(values))
    }

    /// Returns the partition of the row with these cells, or the reason why it has none.
    fn partition(&self, cells: &[Cell<'_>]) -> Result<String, String> {
        let mut partition = String::new();
        for (field, &position) in self.partition_fields.iter().zip(&self.partition_positions) {
            let value = partition::value(field.transform, &cells[position]).ok_or_else(|| {
                let (from, transform) = (&field.from, field.transform);
                format!("`{from}` is missing or has no {transform}, so the record has no partition `{}`", field.name)
            })?;
            if !partition.is_empty() {
                partition.push('/');
            }
            partition.push_str(&field.name);
            partition.push('=');
            partition.push_str(&value);
        }
        Ok(partition)
    }
}
