//! A stored part, opened for reading.

use std::fmt::Display;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use futures::stream::BoxStream;
use lake::{ListedObject, Object};

use super::json_lines;
use super::name::PartName;
use super::parquet::Footer;
use crate::error::Error;
use crate::format::Format;
use crate::merge::context::TableContext;

/// A stored part. All reads of it return rows of the same version.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: PartName,
    pub(crate) object: Arc<dyn Object>,
    /// Whether the part takes no more rows. A part that is sealed stays so: see the module `partition`.
    pub(crate) is_sealed: bool,
    pub(super) content: Content,
}

/// What was read of a part when it was opened.
#[derive(Debug)]
pub(super) enum Content {
    /// The footer of a Parquet file.
    Parquet(Footer),
    /// All bytes of a file with JSON lines.
    JsonLines(Bytes),
}

impl Part {
    /// Opens a listed part. Returns `None` if it does not exist.
    pub(crate) async fn open(
        table: &TableContext<'_>,
        name: PartName,
        listed: &ListedObject,
    ) -> Result<Option<Self>, Error> {
        let Some(object) = table.store.open(listed).await? else {
            return Ok(None);
        };
        if object.size() == 0 {
            return Err(Error::Part { key: name.key, detail: "it is empty: ticketlake did not write it".into() });
        }
        let (is_sealed, content) = match name.format {
            Format::Parquet => {
                let footer = Footer::read(&name.key, &object).await?;
                (footer.is_sealed(), Content::Parquet(footer))
            }
            Format::Json => {
                let bytes = object.read(0..object.size()).await?;
                (json_lines::is_sealed(&name.key, &bytes)?, Content::JsonLines(bytes))
            }
        };
        Ok(Some(Self { name, object, is_sealed, content }))
    }

    /// Reads the rows in their order, with these columns or, for `None`, with all.
    pub(crate) fn read_batches(
        &self,
        schema: &SchemaRef,
        columns: Option<&[&str]>,
    ) -> Result<BoxStream<'_, Result<RecordBatch, Error>>, Error> {
        match &self.content {
            Content::Parquet(footer) => footer.read_batches(&self.name.key, &self.object, columns, None),
            Content::JsonLines(bytes) => json_lines::read_batches(&self.name.key, bytes, schema, columns),
        }
    }

    /// Returns the error for a part that is damaged or not of this table.
    pub(super) fn error(&self, detail: impl Display) -> Error {
        Error::Part { key: self.name.key.clone(), detail: detail.to_string() }
    }
}
