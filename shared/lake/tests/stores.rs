//! The laws of a store, over the stores that need no network.

#![allow(clippy::unwrap_used, reason = "a law that does not hold ends its test")]

extern crate ticketlake_lake as lake;

#[macro_use]
mod behaviour;

use lake::{Local, Memory};

store_behaviour!(memory, (Memory::default(), ()));

store_behaviour!(local, {
    let root = tempfile::tempdir().unwrap();
    (Local::new(root.path().to_owned()), root)
});
