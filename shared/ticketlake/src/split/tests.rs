//! Splitting against an API in memory.
