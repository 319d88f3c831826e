//! The next version of a part: with inserts and updates, without removed rows, or with marked rows.
//!
//! The next version is encoded in memory; `write` puts it into the lake.

use std::collections::{BTreeSet, HashMap};

use arrow_array::{BooleanArray, RecordBatch, UInt64Array};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::take::take_record_batch;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use lake::Version;

use super::record_batch::{conform, update_rows, with_later_times, with_time};
use super::segment::{Segment, row_count};
use super::stored::{Content, Part};
use super::writer::{EncodedPart, PartWriter};
use crate::error::Error;
use crate::map::engine_columns;
use crate::merge::batch::Batch;
use crate::merge::context::TableContext;

/// About how many bytes a merge adds to a part.
const MERGE_BYTES: usize = 1 << 20;

/// The rows of a batch that are written into a part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upserts<'u> {
    /// The row that replaces the stored row at a position.
    pub(crate) updates: &'u HashMap<u64, u32>,
    /// The row that confirms the stored row at a position. Of that row only the time is written.
    pub(crate) confirmed: &'u HashMap<u64, u32>,
    /// The rows that are added: the first ones, as many as the target size allows.
    pub(crate) inserts: &'u [u32],
}

/// Encodes a new part with the first rows of `inserts`, as many as the target size allows.
pub(crate) fn encode_new_part(table: &TableContext<'_>, batch: &Batch, inserts: &[u32]) -> Result<EncodedPart, Error> {
    let mut writer = PartWriter::new(table.format, &table.part_schema, table, 0)?;
    writer.insert(&conform(&batch.rows, &table.part_schema)?, inserts, table.target_bytes)?;
    let is_sealed = writer.has_been_filled(table.target_bytes);
    writer.finish(is_sealed, None)
}

impl Part {
    /// Encodes the part with `upserts`, which are rows of `batch`.
    pub(crate) async fn encode_upserts(
        &self,
        table: &TableContext<'_>,
        batch: &Batch,
        upserts: &Upserts<'_>,
    ) -> Result<EncodedPart, Error> {
        let Upserts { updates, confirmed, inserts } = *upserts;
        let schema = self.next_schema(table)?;
        let new_rows = conform(&batch.rows, &schema)?;
        let mut writer = PartWriter::new(self.name.format, &schema, table, self.next_size())?;
        let changed = updates.keys().chain(confirmed.keys()).copied().collect();
        let segments = self.segments(table, &schema, &changed, !inserts.is_empty());
        let open_rows = self
            .rewrite(segments, &schema, &mut writer, |begin, old_rows| {
                let sources: Vec<(usize, usize)> = (0..old_rows.num_rows())
                    .map(|row| updates.get(&(begin + row as u64)).map_or((0, row), |new| (1, *new as usize)))
                    .collect();
                let rows = if sources.iter().all(|(source, _)| *source == 0) {
                    old_rows
                } else {
                    update_rows(&old_rows, &new_rows, &sources)?
                };
                let read_at = |position: u64| confirmed.get(&position).map(|row| batch.recency[*row as usize].read_at);
                with_later_times(&rows, |row| read_at(begin + row as u64))
            })
            .await?;
        if open_rows.num_rows() > 0 {
            writer.insert_among(table, &open_rows, &new_rows, inserts)?;
        } else {
            writer.insert(&new_rows, inserts, table.target_bytes)?;
        }
        let is_sealed = self.is_sealed || writer.has_been_filled(table.target_bytes);
        writer.finish(is_sealed, Some(self.object.version()))
    }

    /// Encodes the part without the rows at the positions `removed`. It keeps its columns, and it is sealed if it was, whatever its size.
    ///
    /// `run_time` is a time that tells this run from others. Two runs that remove the same rows would write the same bytes otherwise,
    /// and S3 would show to each of them the other's write as its own.
    pub(crate) async fn encode_removal(
        &self,
        table: &TableContext<'_>,
        removed: &BTreeSet<u64>,
        run_time: DateTime<Utc>,
    ) -> Result<EncodedPart, Error> {
        let schema = self.current_schema(table)?;
        let mut writer = PartWriter::new(self.name.format, &schema, table, self.next_size())?;
        let segments = self.segments(table, &schema, removed, false);
        self.rewrite(segments, &schema, &mut writer, |begin, old_rows| {
            let kept: BooleanArray =
                (begin..).take(old_rows.num_rows()).map(|position| Some(!removed.contains(&position))).collect();
            filter_record_batch(&old_rows, &kept).map_err(|error| Error::arrow(&error))
        })
        .await?;
        writer.finish(self.is_sealed, Some(&self.version_replaced_by(run_time)))
    }

    /// Encodes the part with the rows at the positions `vanished` marked: `time` is their time of writing, and in the column `column` the
    /// time since when they have vanished. It also tells this run from others, as in [`Part::encode_removal`].
    pub(crate) async fn encode_marks(
        &self,
        table: &TableContext<'_>,
        vanished: &BTreeSet<u64>,
        column: &str,
        time: DateTime<Utc>,
    ) -> Result<EncodedPart, Error> {
        let schema = self.next_schema(table)?;
        let mut writer = PartWriter::new(self.name.format, &schema, table, self.next_size())?;
        let segments = self.segments(table, &schema, vanished, false);
        self.rewrite(segments, &schema, &mut writer, |begin, old_rows| {
            let chosen: BooleanArray =
                (begin..).take(old_rows.num_rows()).map(|position| Some(vanished.contains(&position))).collect();
            with_time(&old_rows, &chosen, &[engine_columns::SYNCED_AT, column], time)
        })
        .await?;
        writer.finish(self.is_sealed, Some(&self.version_replaced_by(time)))
    }

    /// Reads the rows at `positions`, in their order, with the columns of the table's rows.
    pub(crate) async fn read_rows(
        &self,
        table: &TableContext<'_>,
        positions: &BTreeSet<u64>,
    ) -> Result<RecordBatch, Error> {
        let mut found = Vec::new();
        let mut begin = 0;
        let schema = self.current_schema(table)?;
        let mut batches = self.read_batches(&schema, None)?;
        while let Some(batch) = batches.try_next().await? {
            let end = begin + batch.num_rows() as u64;
            let rows: UInt64Array = positions.range(begin..end).map(|position| position - begin).collect();
            if !rows.is_empty() {
                let rows = take_record_batch(&batch, &rows).map_err(|error| Error::arrow(&error))?;
                found.push(conform(&rows, &table.row_schema)?);
            }
            begin = end;
        }
        concat_batches(&table.row_schema, &found).map_err(|error| Error::arrow(&error))
    }

    /// Writes the segments of the part to `writer`. Decoded rows are passed through `edit`, which gets the position of the first one. The
    /// rows of the open row group are returned instead.
    async fn rewrite(
        &self,
        segments: Vec<Segment>,
        schema: &SchemaRef,
        writer: &mut PartWriter,
        edit: impl Fn(u64, RecordBatch) -> Result<RecordBatch, Error>,
    ) -> Result<RecordBatch, Error> {
        let mut position = 0;
        let mut open_rows = Vec::new();
        for segment in segments {
            let is_open = matches!(segment, Segment::OpenGroup(_));
            let mut batches = match (&self.content, segment) {
                (Content::Parquet(footer), Segment::CopiedGroup(index)) => {
                    let group = &footer.row_groups()[index];
                    writer.copy_row_group(&self.name.key, &self.object, group).await?;
                    position += row_count(group);
                    continue;
                }
                (Content::Parquet(footer), Segment::DecodedGroup(index) | Segment::OpenGroup(index)) => {
                    footer.read_batches(&self.name.key, &self.object, None, Some(index))?
                }
                _ => self.read_batches(schema, None)?,
            };
            while let Some(old_rows) = batches.try_next().await? {
                let old_rows = conform(&old_rows, schema)?;
                let count = old_rows.num_rows() as u64;
                let new_rows = edit(position, old_rows)?;
                position += count;
                if is_open {
                    open_rows.push(new_rows);
                } else if new_rows.num_rows() > 0 {
                    // A row group without rows would be written otherwise.
                    writer.write(&new_rows)?;
                }
            }
        }
        concat_batches(schema, &open_rows).map_err(|error| Error::arrow(&error))
    }

    /// Returns about how many bytes the next version of the part has.
    fn next_size(&self) -> usize {
        usize::try_from(self.object.size()).unwrap_or_default().saturating_add(MERGE_BYTES)
    }

    /// Returns the version of this part for the footer of the next one, with the time of this run. So it differs from what another run
    /// writes.
    fn version_replaced_by(&self, run_time: DateTime<Utc>) -> Version {
        let Version(version) = self.object.version();
        Version(format!("{version} {}", run_time.timestamp_micros()))
    }
}
