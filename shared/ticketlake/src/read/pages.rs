//! Reads queries outside of a plan.

use client::{End, Page, Pages};

use crate::error::Stop;

/// Reads `pages` to their end and calls `handle` with each. Returns how the query ended.
///
/// # Errors
///
/// The error of the API or of `handle`, or a limit of the run.
pub async fn read_pages(
    pages: &mut Pages<'_>,
    mut handle: impl AsyncFnMut(Page) -> Result<(), Stop>,
) -> Result<End, Stop> {
    while let Some(page) = pages.next().await? {
        handle(page).await?;
    }
    Ok(pages.end().cloned().unwrap_or(End::Reached))
}
