//! By offset and by page number: places that the reader counts up itself.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::{End, Facts, Page, Position, Read, Reading, Resumption, Wanted, count, ends, more, put};
use crate::fetch::Stop;
use crate::manifest::{Paginator, Place, RangeEnd};

impl Reading<'_, '_> {
    /// Advances by what was received: a server may give fewer than asked. Ends at an empty page, or where the answer says.
    pub(super) async fn by_offset(
        &self,
        first: u64,
        limit: u64,
        places: (&Place, &Place),
        end: &RangeEnd,
        first_page: Option<Read>,
    ) -> Result<End, Stop> {
        // Some APIs count from 1; a larger first offset leaves records out, which the API's total has all the same.
        let base = if first == 1 { 1 } else { 0 };
        let mut first_page = first_page;
        let mut offset = match self.resumption {
            Some(Resumption { position: Position::Offset(offset), .. }) => *offset,
            _ => first,
        };
        let mut previous = None;
        let mut pages = 0;
        loop {
            if self.reader.endpoint.depth_limit.is_some_and(|depth| offset - base >= depth) {
                return Ok(End::TooDeep);
            }
            if let Some(maximum) = end.maximum.filter(|maximum| offset >= *maximum) {
                return Ok(End::Cut(format!("`maximum_offset: {maximum}` ends the reading where there is more")));
            }
            let read = match first_page.take() {
                Some(read) => Some(read),
                None => self.at_offset(base, offset, limit, places, end).await?,
            };
            let Some(Read { mut page, facts }) = read else { return Ok(self.ignored(pages)) };
            let known = facts.bound.or(page.total);
            page.total = page.total.or(facts.bound).map(|total| total.saturating_sub(first - base));
            let Some(ends) = ends(&page) else {
                return Ok(after_empty(end, &facts));
            };
            if previous.as_ref() == Some(&ends) {
                return Err(self.repeated(&page));
            }
            previous = Some(ends);
            pages += 1;
            page.at = Some(Position::Offset(offset));
            offset += page.records.len() as u64;
            let reached = facts.has_more == Some(false) || known.is_some_and(|total| offset - base >= total);
            let left = self.leaves_range(&page);
            if self.send(page).await == Wanted::No || reached {
                return Ok(End::Reached);
            }
            if left {
                return Ok(End::LeftRange);
            }
        }
    }

    /// The page at `offset`, where the API's first record is at `base`.
    pub(super) async fn at_offset(
        &self,
        base: u64,
        offset: u64,
        limit: u64,
        (offset_place, limit_place): (&Place, &Place),
        end: &RangeEnd,
    ) -> Result<Option<Read>, Stop> {
        let mut call = self.call();
        put(&mut call, offset_place, offset.into());
        put(&mut call, limit_place, limit.into());
        self.page(&call, offset - base, &|_, body, none| range_facts(end, body, none)).await
    }

    /// Page `number`, where the API's first is `base`.
    pub(super) async fn at_number(
        &self,
        base: u64,
        number: u64,
        place: &Place,
        end: &RangeEnd,
    ) -> Result<Option<Read>, Stop> {
        let mut call = self.call();
        put(&mut call, place, number.into());
        self.page(&call, number - base, &|_, body, none| range_facts(end, body, none)).await
    }

    /// The page of `size` records that has `number` such pages before it; `None`: the paginator does not count, or the manifest ignores
    /// the answer.
    pub(super) async fn numbered(&self, number: u64, size: u64) -> Result<Option<Read>, Stop> {
        match &self.reader.endpoint.paginator {
            Paginator::Offset { offset, offset_place, limit_place, end, .. } => {
                let base = u64::from(*offset == 1);
                self.at_offset(base, base + number * size, size, (offset_place, limit_place), end).await
            }
            Paginator::PageNumber { base_page, page_place, end, .. } => {
                let mut call = self.call();
                if let Some(page) = &self.reader.endpoint.page_size {
                    put(&mut call, &page.place, size.into());
                }
                put(&mut call, page_place, (base_page + number).into());
                self.page(&call, number, &|_, body, none| range_facts(end, body, none)).await
            }
            _ => Ok(None),
        }
    }

    /// With a number of pages known from the first, the rest is asked for several at a time, in order; without, one by one
    /// until an empty one.
    pub(super) async fn by_number(
        &self,
        base: u64,
        begin: u64,
        place: &Place,
        end: &RangeEnd,
        first: Option<Read>,
    ) -> Result<End, Stop> {
        let own = self.reader.api.page_size();
        let begin = match self.resumption {
            Some(Resumption { position: Position::Number(number, size), .. }) if *size == own => *number,
            _ => begin,
        };
        // Pages are counted from the API's first.
        let mut read = begin - base;
        let mut first = match first {
            Some(first) => first,
            None => match self.at_number(base, begin, place, end).await? {
                Some(first) => first,
                None => return Ok(self.ignored(0)),
            },
        };
        first.page.at = Some(Position::Number(begin, own));
        let Some(mut previous) = ends(&first.page) else {
            // Sent all the same: an empty answer may have a total.
            self.send(first.page).await;
            return Ok(after_empty(end, &first.facts));
        };
        let size = first.page.records.len() as u64;
        let deepest = self.reader.endpoint.depth_limit.map_or(u64::MAX, |limit| (limit / size).max(1));
        let last = end.maximum.map_or(u64::MAX, |maximum| maximum.saturating_sub(base));
        let in_order = end.has_more_path.is_some()
            || self.reader.endpoint.incremental.as_ref().is_some_and(|incremental| incremental.row_order.is_some());
        let mut known = first.facts.bound;
        let mut has_more = first.facts.has_more;
        let left = self.leaves_range(&first.page);
        if self.send(first.page).await == Wanted::No {
            return Ok(End::Reached);
        }
        if left {
            return Ok(End::LeftRange);
        }
        read += 1;
        loop {
            let until = known.unwrap_or(read + 1).min(deepest).min(last);
            if has_more == Some(false) || known.is_some_and(|known| read >= known) {
                return Ok(End::Reached);
            }
            if read >= deepest {
                return Ok(End::TooDeep);
            }
            if read >= last {
                return Ok(End::Cut(format!("`maximum_page: {}` ends the reading where there is more", base + last)));
            }
            let ahead = if known.is_some() && !in_order { self.reader.api.in_flight() } else { 1 };
            let mut batch = stream::iter(read..until)
                .map(async |number| {
                    // In the pages' order, so that none waits for one that has no room. Never closed: there always is some.
                    let room = Arc::clone(&self.reader.room).acquire_owned().await.ok();
                    let read = self.at_number(base, base + number, place, end).await?;
                    Ok::<_, Stop>(read.map(|read| Read { page: Page { room, ..read.page }, ..read }))
                })
                .buffered(ahead)
                .boxed_local();
            while let Some(answer) = batch.try_next().await? {
                let Some(Read { mut page, facts }) = answer else { return Ok(self.ignored(read)) };
                page.at = Some(Position::Number(base + read, own));
                read += 1;
                // Totals drift while one reads: the last answer's counts.
                known = facts.bound.or(known);
                has_more = facts.has_more;
                match ends(&page) {
                    // A page in the middle that shrank to nothing is none to end at.
                    None if known.is_none_or(|known| read >= known) => return Ok(after_empty(end, &facts)),
                    None => {}
                    Some(ends) if ends == previous => return Err(self.repeated(&page)),
                    Some(ends) => previous = ends,
                }
                let left = self.leaves_range(&page);
                if self.send(page).await == Wanted::No {
                    return Ok(End::Reached);
                }
                if left {
                    return Ok(End::LeftRange);
                }
            }
        }
    }
}

fn range_facts(end: &RangeEnd, body: &serde_json::Value, none: bool) -> Result<Facts, String> {
    let bound = match &end.total {
        // An empty page ends the reading whatever it says; many have no total.
        Some(total) if total.path.first(body).is_none() && (!total.required || (none && end.stop_after_empty_page)) => {
            None
        }
        Some(total) => Some(count(body, &total.path)?),
        None => None,
    };
    let has_more = end.has_more_path.as_ref().map(|path| more(body, path)).transpose()?;
    Ok(Facts { bound, has_more, next: None })
}

/// What an empty page means.
fn after_empty(end: &RangeEnd, facts: &Facts) -> End {
    match &end.has_more_path {
        Some(path) if facts.has_more == Some(true) => {
            End::Cut(format!("a page has no records, and `{path}` says that there are more"))
        }
        _ => End::Reached,
    }
}
