//! One stored part, whatever its format: found by its name, read by its columns, rewritten whole.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ::parquet::file::metadata::RowGroupMetaData;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Date32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch, TimestampMicrosecondArray, UInt64Array, new_null_array,
};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, FieldRef, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::interleave::interleave;
use arrow_select::take::take_record_batch;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use futures::stream::BoxStream;

use super::buffer::{Batch, internal};
use super::name::Name;
use super::writer::{Rewrite, Writer};
use super::parts::TableParts;
use super::{jsonl, parquet};
use crate::error::Error;
use crate::map::{join_key, own};
use crate::format::Format;
use lake::{Listed, Object, Version};

/// A part as it lies in the store.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: Name,
    pub(super) object: Arc<dyn Object>,
    /// It takes no more rows. Once set it is never unset: see [`super::partition`].
    pub(super) sealed: bool,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Parquet(parquet::Footer),
    Json(Bytes),
}

/// The share of a row group's size up to which inserts join the last one: 1 MiB of 16. Each merge decodes and encodes it anew, which
/// for 4 MiB in each of 16 partitions took two thirds of a run's time.
const SMALL_GROUP: usize = 16;

/// What a scan tells of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredRow<'s> {
    pub(super) fingerprint: i64,
    /// Within the part, from 0.
    pub(super) position: u64,
    /// The stamps that were asked for, in microseconds since 1970.
    pub(super) stamps: &'s [Option<i64>],
}

/// The first moment of a day anywhere, in microseconds since 1970; `day` counts from 1970.
pub fn first_moment(day: i32) -> i64 {
    i64::from(day) * 86_400_000_000 - EARLIEST_ZONE
}

/// How long before its midnight in UTC a day begins where it begins first, in microseconds: 14 hours.
const EARLIEST_ZONE: i64 = 14 * 3_600_000_000;

/// A piece of a part on its way into the rewritten one.
#[derive(Clone, Copy, Debug)]
enum Stretch {
    /// A row group, as it is.
    Copied(usize),
    /// A row group, row by row.
    Decoded(usize),
    /// The whole part, row by row.
    Whole,
}

/// A column of times.
enum Stamps<'c> {
    Instants(&'c PrimitiveArray<TimestampMicrosecondType>),
    Days(&'c PrimitiveArray<Date32Type>),
}

impl Stamps<'_> {
    /// Microseconds since 1970. A day has no zone: its first moment anywhere.
    fn at(&self, row: usize) -> Option<i64> {
        match self {
            Self::Instants(column) => column.is_valid(row).then(|| column.value(row)),
            Self::Days(column) => column.is_valid(row).then(|| first_moment(column.value(row))),
        }
    }
}

impl Part {
    /// Opens a listed part; `None` when it is gone.
    pub(super) async fn open(table: &TableParts<'_>, name: Name, listed: &Listed) -> Result<Option<Self>, Error> {
        let Some(object) = table.store.open(listed).await? else {
            return Ok(None);
        };
        if object.size() == 0 {
            return Err(Error::Part { key: name.key, detail: "it is empty: not one of ours".into() });
        }
        let (sealed, content) = match name.format {
            Format::Parquet => {
                let footer = parquet::Footer::read(&name.key, &object).await?;
                (footer.sealed(), Content::Parquet(footer))
            }
            Format::Json => {
                let bytes = object.read(0..object.size()).await?;
                (jsonl::sealed(&name.key, &bytes)?, Content::Json(bytes))
            }
        };
        Ok(Some(Self { name, object, sealed, content }))
    }

    /// What it will take when it is rewritten, about: what it has, and a merge's share.
    fn size(&self) -> usize {
        usize::try_from(self.object.size()).unwrap_or_default().saturating_add(1 << 20)
    }

    fn fault(&self, detail: impl std::fmt::Display) -> Error {
        Error::Part { key: self.name.key.clone(), detail: detail.to_string() }
    }

    /// The rows in order; with `columns`, those alone.
    pub(super) fn batches(
        &self,
        schema: &SchemaRef,
        columns: Option<&[&str]>,
    ) -> Result<BoxStream<'_, Result<RecordBatch, Error>>, Error> {
        match &self.content {
            Content::Parquet(footer) => footer.batches(&self.name.key, &self.object, columns, None),
            Content::Json(bytes) => jsonl::batches(&self.name.key, bytes, schema, columns),
        }
    }

    /// Calls `visit` with every row's key and what is known of it, with the columns `stamps`, timestamps or dates; reads no others.
    pub(super) async fn scan(
        &self,
        table: &TableParts<'_>,
        stamps: &[&str],
        mut visit: impl FnMut(&str, StoredRow<'_>),
    ) -> Result<(), Error> {
        let keys = table.key.iter().map(String::as_str);
        let columns: Vec<&str> = keys.chain([own::FINGERPRINT]).chain(stamps.iter().copied()).collect();
        let mut batches = self.batches(&table.schema, Some(&columns))?;
        let mut position = 0;
        while let Some(batch) = batches.try_next().await? {
            let column = |name: &str| {
                let column = batch.column_by_name(name);
                column.ok_or_else(|| self.fault(format!("has no column `{name}`: it is not of this table")))
            };
            let keys: Vec<&ArrayRef> = table.key.iter().map(|name| column(name)).collect::<Result<_, _>>()?;
            let fingerprints = self.numbers::<Int64Type>(column(own::FINGERPRINT)?)?;
            let columns: Vec<Option<Stamps<'_>>> = stamps
                .iter()
                .map(|name| match batch.column_by_name(name) {
                    Some(stamps) => self.stamps(stamps).map(Some),
                    // An older part may lack what a row may lack.
                    None if table.is_nullable(name) => Ok(None),
                    None => column(name).map(|_| None),
                })
                .collect::<Result<_, _>>()?;
            let mut stamps = vec![None; columns.len()];
            for row in 0..batch.num_rows() {
                let parts = keys.iter().map(|column| key_part(column, row));
                let key = join_key(parts.collect::<Option<_>>().ok_or_else(|| self.fault("a key is null"))?);
                for (stamp, column) in stamps.iter_mut().zip(&columns) {
                    *stamp = column.as_ref().and_then(|column| column.at(row));
                }
                visit(&key, StoredRow { fingerprint: fingerprints.value(row), position, stamps: &stamps });
                position += 1;
            }
        }
        Ok(())
    }

    fn numbers<'c, T: ArrowPrimitiveType>(&self, column: &'c ArrayRef) -> Result<&'c PrimitiveArray<T>, Error> {
        column.as_primitive_opt().ok_or_else(|| self.fault(format!("one of its own columns is {}", column.data_type())))
    }

    fn stamps<'c>(&self, column: &'c ArrayRef) -> Result<Stamps<'c>, Error> {
        match column.as_primitive_opt() {
            Some(days) => Ok(Stamps::Days(days)),
            None => self.numbers(column).map(Stamps::Instants),
        }
    }

    /// The part with the rows at `updates` replaced and as many of `inserts` added as the target size allows.
    pub(super) async fn rewrite(
        &self,
        table: &TableParts<'_>,
        batch: &Batch,
        updates: &HashMap<u64, u32>,
        inserts: &[u32],
    ) -> Result<Rewrite, Error> {
        let schema = self.schema(table);
        let incoming = conform(&batch.rows, &schema)?;
        let mut writer = Writer::new(self.name.format, &schema, table, self.size())?;
        let touched = updates.keys().copied().collect();
        let stretches = self.stretches(table, &schema, &touched, !inserts.is_empty());
        self.carry(stretches, &schema, &mut writer, |begin, old| {
            let choice: Vec<(usize, usize)> = (0..old.num_rows())
                .map(|row| updates.get(&(begin + row as u64)).map_or((0, row), |new| (1, *new as usize)))
                .collect();
            if choice.iter().all(|(from, _)| *from == 0) { Ok(old) } else { replace(&old, &incoming, &choice) }
        })
        .await?;
        writer.fill(&incoming, inserts, table.target_bytes)?.finish(
            self.sealed,
            table.target_bytes,
            Some(self.object.version()),
        )
    }

    /// The part without the rows at `removed`. Its columns are what they were, and so is its seal, whatever its size.
    ///
    /// Two runs that remove the same rows would write the same bytes, which S3 shows either as its own write: `run`, when this one
    /// began, tells them apart.
    pub(super) async fn without(
        &self,
        table: &TableParts<'_>,
        removed: &BTreeSet<u64>,
        run: DateTime<Utc>,
    ) -> Result<Rewrite, Error> {
        let schema = match &self.content {
            Content::Parquet(footer) => Arc::new(Schema::new(footer.schema().fields().clone())),
            Content::Json(_) => Arc::clone(&table.stored),
        };
        let mut writer = Writer::new(self.name.format, &schema, table, self.size())?;
        let stretches = self.stretches(table, &schema, removed, false);
        self.carry(stretches, &schema, &mut writer, |begin, old| {
            let kept: BooleanArray = (begin..).take(old.num_rows()).map(|row| Some(!removed.contains(&row))).collect();
            filter_record_batch(&old, &kept).map_err(|error| internal(&error))
        })
        .await?;
        let Version(version) = self.object.version();
        let replaces = Version(format!("{version} {}", run.timestamp_micros()));
        writer.finish(self.sealed, usize::MAX, Some(&replaces))
    }

    /// The part with the rows at `marked` as of `at`: stamped as written then, and in the column `mark` as missing since. `run` as for
    /// [`Part::without`].
    pub(super) async fn marking(
        &self,
        table: &TableParts<'_>,
        marked: &BTreeSet<u64>,
        mark: &str,
        at: DateTime<Utc>,
    ) -> Result<Rewrite, Error> {
        let schema = self.schema(table);
        let mut writer = Writer::new(self.name.format, &schema, table, self.size())?;
        let stretches = self.stretches(table, &schema, marked, false);
        self.carry(stretches, &schema, &mut writer, |begin, old| {
            let chosen: BooleanArray = (begin..).take(old.num_rows()).map(|row| Some(marked.contains(&row))).collect();
            stamped(&old, &chosen, &[own::SYNCED_AT, mark], at)
        })
        .await?;
        let Version(version) = self.object.version();
        let replaces = Version(format!("{version} {}", at.timestamp_micros()));
        writer.finish(self.sealed, usize::MAX, Some(&replaces))
    }

    /// The rows at `positions`, in their order, with the table's columns.
    pub(super) async fn rows(&self, table: &TableParts<'_>, positions: &BTreeSet<u64>) -> Result<RecordBatch, Error> {
        let mut found = Vec::new();
        let mut position = 0;
        let mut batches = self.batches(&table.stored, None)?;
        while let Some(batch) = batches.try_next().await? {
            let end = position + batch.num_rows() as u64;
            let here: UInt64Array = positions.range(position..end).map(|at| at - position).collect();
            if !here.is_empty() {
                let rows = take_record_batch(&batch, &here).map_err(|error| internal(&error))?;
                found.push(conform(&rows, &table.schema)?);
            }
            position = end;
        }
        concat_batches(&table.schema, &found).map_err(|error| internal(&error))
    }

    /// Hands the part to `writer` in `stretches`. Of what is decoded, `edit` makes what is written; it is told the position of a
    /// batch's first row.
    async fn carry(
        &self,
        stretches: Vec<Stretch>,
        schema: &SchemaRef,
        writer: &mut Writer,
        edit: impl Fn(u64, RecordBatch) -> Result<RecordBatch, Error>,
    ) -> Result<(), Error> {
        let mut position = 0;
        for stretch in stretches {
            let mut stored = match (&self.content, stretch) {
                (Content::Parquet(footer), Stretch::Copied(group)) => {
                    let group = &footer.groups()[group];
                    writer.copy(&self.name.key, &self.object, group).await?;
                    position += rows_of(group);
                    continue;
                }
                (Content::Parquet(footer), Stretch::Decoded(group)) => {
                    footer.batches(&self.name.key, &self.object, None, Some(group))?
                }
                _ => self.batches(schema, None)?,
            };
            while let Some(old) = stored.try_next().await? {
                let old = conform(&old, schema)?;
                let count = old.num_rows() as u64;
                let new = edit(position, old)?;
                position += count;
                // No row group without rows.
                if new.num_rows() > 0 {
                    writer.write(&new)?;
                }
            }
        }
        Ok(())
    }

    /// The part in stretches: a row group is copied when no row of it is `touched` and its columns are those to be written. The last is
    /// decoded for inserts while it is small, so that many small merges do not leave as many row groups.
    fn stretches(
        &self,
        table: &TableParts<'_>,
        schema: &SchemaRef,
        touched: &BTreeSet<u64>,
        inserting: bool,
    ) -> Vec<Stretch> {
        let Content::Parquet(footer) = &self.content else { return vec![Stretch::Whole] };
        let alike = footer.schema().fields() == schema.fields();
        let groups = footer.groups();
        let small = i64::try_from(table.group_bytes() / SMALL_GROUP).unwrap_or(i64::MAX);
        let mut begin = 0;
        let mut stretches = Vec::with_capacity(groups.len());
        for (index, group) in groups.iter().enumerate() {
            let end = begin + rows_of(group);
            let grows = inserting && index + 1 == groups.len() && group.compressed_size() < small;
            let copied = alike && !grows && touched.range(begin..end).next().is_none();
            stretches.push(if copied { Stretch::Copied(index) } else { Stretch::Decoded(index) });
            begin = end;
        }
        stretches
    }

    /// The columns that the part will have: the table's, then those that only this part has. A rewrite loses nothing.
    fn schema(&self, table: &TableParts<'_>) -> SchemaRef {
        let Content::Parquet(footer) = &self.content else { return Arc::clone(&table.stored) };
        let unknown = |field: &&FieldRef| table.stored.field_with_name(field.name()).is_err();
        let own = footer
            .schema()
            .fields()
            .iter()
            .filter(unknown)
            .map(|field| Arc::new(field.as_ref().clone().with_nullable(true)));
        Arc::new(Schema::new(table.stored.fields().iter().cloned().chain(own).collect::<Vec<_>>()))
    }
}

/// A new part with as many of `inserts` as the target size allows.
pub(super) fn begin(table: &TableParts<'_>, batch: &Batch, inserts: &[u32]) -> Result<Rewrite, Error> {
    let writer = Writer::new(table.format, &table.stored, table, 0)?;
    writer.fill(&conform(&batch.rows, &table.stored)?, inserts, table.target_bytes)?.finish(
        false,
        table.target_bytes,
        None,
    )
}

fn rows_of(group: &RowGroupMetaData) -> u64 {
    u64::try_from(group.num_rows()).unwrap_or_default()
}

/// One value of a key, as [`crate::map`] writes it. A time is part of a key in a history alone, where a first version has none.
pub(super) fn key_part(column: &ArrayRef, row: usize) -> Option<String> {
    let null = column.is_null(row);
    match column.data_type() {
        DataType::Timestamp(..) if null => Some(String::new()),
        _ if null => None,
        DataType::Timestamp(..) => Some(column.as_primitive::<TimestampMicrosecondType>().value(row).to_string()),
        DataType::Utf8 => Some(column.as_string::<i32>().value(row).to_owned()),
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Date32 => Some(column.as_primitive::<Date32Type>().value(row).to_string()),
        _ => None,
    }
}

/// The batch in another schema's order and types, with nulls for what it lacks.
///
/// The state has made sure that a type which differs is a narrower one; another run may have widened it since, and a rewrite
/// would then narrow what that run wrote. So it is looked at here, where the part's version is compared on writing.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) if widens(column.data_type(), field.data_type()) => {
            cast_with_options(column, field.data_type(), &options).map_err(|error| internal(&error))
        }
        Some(column) => {
            let (name, was, is) = (field.name(), column.data_type(), field.data_type());
            let message =
                format!("is stored as {was}, and {is} cannot hold all of that: another manifest widened it meanwhile");
            Err(Error::configuration(format!("columns.{name}"), message))
        }
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns = columns.collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| internal(&error))
}

/// What [`crate::layout`] lets a manifest widen, as it lies in a part.
fn widens(was: &DataType, is: &DataType) -> bool {
    match is {
        DataType::Utf8 => !was.is_nested(),
        DataType::Float64 | DataType::Decimal128(..) => *was == DataType::Int64,
        _ => false,
    }
}

/// The rows with `at` in the columns `names`, where `chosen`.
pub(super) fn stamped(
    rows: &RecordBatch,
    chosen: &BooleanArray,
    names: &[&str],
    at: DateTime<Utc>,
) -> Result<RecordBatch, Error> {
    let stamps = TimestampMicrosecondArray::from_value(at.timestamp_micros(), rows.num_rows()).with_timezone("UTC");
    let choice: Vec<(usize, usize)> = (0..rows.num_rows()).map(|row| (usize::from(chosen.value(row)), row)).collect();
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns()).map(|(field, column)| {
        if !names.contains(&field.name().as_str()) {
            return Ok(Arc::clone(column));
        }
        interleave(&[column.as_ref(), &stamps], &choice).map_err(|error| internal(&error))
    });
    let columns = columns.collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| internal(&error))
}

/// Rows of `old` (0) and `new` (1) as `choice` says; when a key was first seen stays as it was.
fn replace(old: &RecordBatch, new: &RecordBatch, choice: &[(usize, usize)]) -> Result<RecordBatch, Error> {
    let schema = old.schema();
    let columns = schema.fields().iter().zip(old.columns().iter().zip(new.columns())).map(|(field, (old, new))| {
        if field.name() == own::FIRST_SEEN_AT {
            return Ok(Arc::clone(old));
        }
        interleave(&[old.as_ref(), new.as_ref()], choice).map_err(|error| internal(&error))
    });
    let columns = columns.collect::<Result<_, _>>()?;
    RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|error| internal(&error))
}
