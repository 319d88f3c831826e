//! From a query to its pages, in order, each as soon as it is there.
//!
//! [`Reader::pages`] returns a query as a stream of pages, and its [`End`]. There is one module for each paginator: `offset`, `page_number`,
//! `follow` (links and page tokens, which each response has for the next page), and `auto`, which finds out the paginator from the first
//! response. `query_reader` builds the requests and reads the responses, `facts` is what they say beside their records, `hints` is what they
//! say about further records without being asked, `link` resolves links.

mod auto;
mod facts;
mod follow;
mod hints;
mod link;
mod offset;
mod page;
mod page_number;
mod pages;
mod query_reader;
mod reader;

#[cfg(test)]
mod tests;

pub use self::hints::Hints;
pub use self::page::{End, FirstPage, Page, Position, Resumption};
pub use self::pages::Pages;
pub use self::reader::Reader;
