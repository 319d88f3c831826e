//! Pages, their positions in a query, and how a query ends.

use manifest::time::Instant;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::facts::Facts;
use super::hints::Hints;
use crate::record::Record;

/// One page of a query.
#[derive(Debug)]
pub struct Page {
    /// The records as the API gave them, in its order.
    pub records: Vec<Record>,
    /// The total of the whole query, as this page's response gives it.
    pub total: Option<u64>,
    /// The request that brought the page, without the key: method, path, query and body.
    pub request: String,
    /// When that request was sent, by the clock of the run: the page shows its records as they were then, or later.
    pub read_at: Instant,
    /// The page's position, from which the query can be resumed; `None` if only the page before leads to it.
    pub position: Option<Position>,
    /// What the response says about further records.
    pub hints: Hints,
    /// The record that came in the place of the last one of the page before, if it was requested again to check that no record has moved. It
    /// is not among the records of the page.
    pub overlap: Option<Record>,
    /// The page's place among those that are read ahead. It is given back when the page is dropped, and another page can be read then.
    pub room: Option<OwnedSemaphorePermit>,
}

/// Where a page starts in its query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// The offset as it is sent, in records.
    Offset(u64),
    /// The page number.
    PageNumber {
        /// The number as it is sent.
        number: u64,
        /// The records of a page, if the run says how many. Another number of records gives the pages other numbers.
        page_size: Option<u64>,
        /// The records that the API gives with one page, if they are fewer than requested. The next pages are requested with so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        served: Option<u64>,
    },
    /// The page token as it is sent.
    PageToken(Value),
    /// The address of the page, without the key.
    Link(String),
}

/// Where to go on with a query that an earlier run read in part.
///
/// A link or page token that the API no longer knows is no error: the query is read from its beginning then, and its first page has no
/// position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The position of the first page to read.
    pub position: Position,
    /// The number of records before that page.
    pub before: u64,
}

/// How a query ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// At its last record, as far as the API says.
    Reached,
    /// At the total, whose next page the API refuses.
    Refused,
    /// At a record beyond the range of the query, in an API that gives records in order.
    LeftRange,
    /// At the depth that the API serves: there is more.
    TooDeep,
    /// Before its end, for this reason.
    Stopped(String),
}

/// The first page of a query, read to learn the total.
#[derive(Debug)]
pub struct FirstPage {
    pub(super) read: PageWithFacts,
    pub(super) total: Option<u64>,
}

impl FirstPage {
    /// The total of the whole query in records, as the response gives it.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The page's records.
    pub fn records(&self) -> &[Record] {
        &self.read.page.records
    }

    /// Returns the page, of a query that is read no further.
    pub fn into_page(self) -> Page {
        self.read.page
    }
}

/// A page and what its response says beside the records.
#[derive(Debug)]
pub(super) struct PageWithFacts {
    pub(super) page: Page,
    pub(super) facts: Facts,
}

/// What comes next in a query.
#[derive(Debug)]
pub(super) enum PageEvent {
    /// A page, which others may follow.
    Page(Page),
    /// The last page, and how the query ends with it.
    LastPage(Page, End),
    /// A page whose response does not lead to the next one, for this reason.
    DeadEnd(Page, String),
    /// The end, without a further page.
    End(End),
}

/// The first and the last record of a page and their number: they tell one page from another without a copy of it.
pub(super) type PageEdges = (Record, Record, usize);

/// Returns the edges of a page; `None` for one without records.
pub(super) fn edges(page: &Page) -> Option<PageEdges> {
    Some((page.records.first()?.clone(), page.records.last()?.clone(), page.records.len()))
}
