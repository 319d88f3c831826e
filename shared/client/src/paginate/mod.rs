//! From a query to its pages, in order, each as soon as it is there.
//!
//! [`Reader::pages`] gives a query as a stream of pages and an [`End`]. The paginators are `offset`, `page_number` and `follow` (links and
//! page tokens); `auto` finds out which from the first answer. `query_reader` builds the requests and reads the answers, `answer`
//! finds what they say beside their records, `link` resolves links.

mod answer;
mod auto;
mod follow;
mod link;
mod offset;
mod page;
mod page_number;
mod pages;
mod query_reader;
mod reader;

pub use self::page::{End, FirstPage, Page, Position, Resumption};
pub use self::pages::Pages;
pub use self::reader::Reader;
