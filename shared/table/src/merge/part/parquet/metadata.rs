//! What readers and writers of Parquet parts share: the keys in the footer's metadata, and the error of a damaged part.

use lake::StoreError;
use parquet::errors::ParquetError;

use crate::error::Error;

/// The key in the footer's metadata that says that the part takes no more rows.
pub(super) const SEALED: &str = "ticketlake.sealed";

/// The key in the footer's metadata whose value is the version of the part that this one replaced.
pub(super) const REPLACES: &str = "ticketlake.replaces";

/// Returns the error for a part that cannot be read. An error of the store is returned as such, so that a part which was replaced
/// meanwhile is not taken for a damaged one.
pub(super) fn read_error(key: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<StoreError>() {
            Ok(error) => Error::Store(*error),
            Err(source) => Error::Part { key: key.to_owned(), detail: source.to_string() },
        },
        error => Error::Part { key: key.to_owned(), detail: error.to_string() },
    }
}
