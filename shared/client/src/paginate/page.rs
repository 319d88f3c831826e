//! Pages, and where they lie in their query.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::AnswerFacts;
use crate::record::Record;

/// One page of a query.
#[derive(Debug)]
pub struct Page {
    /// The records as the API gave them.
    pub records: Vec<Record>,
    /// The records of the whole query, as this page's answer said.
    pub total: Option<u64>,
    /// The request that brought the page, without the key.
    pub request: String,
    /// Where the page lies, to be asked for again; `None` for a page that only the one before it leads to.
    pub position: Option<Position>,
    /// The page's place among those that are read ahead, given back when the page is dropped.
    pub room: Option<OwnedSemaphorePermit>,
}

/// Where a page lies in its query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// The page begins at this offset, in records.
    Offset(u64),
    /// The page has this number.
    PageNumber {
        /// The number, as it is sent.
        number: u64,
        /// The records of a page, where the request says how many.
        page_size: Option<u64>,
    },
    /// The page follows this page token.
    PageToken(Value),
}

/// From where on a query is read that an earlier run read in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// The first page to read.
    pub position: Position,
    /// The records before it.
    pub before: u64,
}

/// How a query ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// At its last record, by what the API says.
    Reached,
    /// Where its records leave the range that was asked for, in an API that gives them in order.
    LeftRange,
    /// At the depth that the API serves: there is more.
    TooDeep,
    /// Before its end, for this reason.
    Stopped(String),
}

/// A query's first page, read to see how much there is.
#[derive(Debug)]
pub struct FirstPage(pub(super) ReadPage);

impl FirstPage {
    /// The records of the whole query, as the answer said.
    pub fn total(&self) -> Option<u64> {
        self.0.page.total.or(self.0.facts.bound)
    }

    /// The page's records.
    pub fn records(&self) -> &[Record] {
        &self.0.page.records
    }

    /// The page, of a query that is read no further.
    pub fn into_page(self) -> Page {
        self.0.page
    }
}

/// A page and what its answer said beside the records.
#[derive(Debug)]
pub(super) struct ReadPage {
    pub(super) page: Page,
    pub(super) facts: AnswerFacts,
}

/// The next step of a query.
#[derive(Debug)]
pub(super) enum Step {
    /// A page, which others may follow.
    Page(Page),
    /// The last page, and how the query ends with it.
    Last(Page, End),
    /// A page whose answer leads nowhere, for this reason.
    Failed(Page, String),
    /// The end, without a further page.
    End(End),
}

/// What tells one page from another, without a copy of it: its first and last record, and their number.
pub(super) type PageEdges = (Record, Record, usize);

/// The edges of a page; `None` for one without records.
pub(super) fn edges(page: &Page) -> Option<PageEdges> {
    Some((page.records.first()?.clone(), page.records.last()?.clone(), page.records.len()))
}
