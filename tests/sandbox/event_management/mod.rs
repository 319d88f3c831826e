//! What the two event-management APIs have in common: how many records there are, the words they are made of, and how
//! a list is asked for.

pub(crate) mod lists;
mod population;
pub(crate) mod vocabulary;

pub(crate) use population::{Child, Population};
