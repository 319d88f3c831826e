//! Queries that are read for another reason than to store their records as a whole.

use client::{End, Page, Pages};

use crate::error::Stop;

/// Reads `pages` to their end and hands each to `take`. Gives how the query ended.
///
/// # Errors
///
/// The API's, a limit of the run, and those of `take`.
pub async fn read_pages(
    pages: &mut Pages<'_>,
    mut take: impl AsyncFnMut(Page) -> Result<(), Stop>,
) -> Result<End, Stop> {
    while let Some(page) = pages.next().await? {
        take(page).await?;
    }
    Ok(pages.end().cloned().unwrap_or(End::Reached))
}
