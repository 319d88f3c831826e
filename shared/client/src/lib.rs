//! From queries to pages: HTTP, keys, rate limits, retries and pagination.
//!
//! A [`Query`](manifest::Query) becomes a stream of pages ([`paginate::Reader`]). Every request, also one for an access token, goes through
//! `sender`, which keeps the run's budget, its deadline and the API's rate limits. A [`transport::Transport`] sends it: reqwest's client,
//! or an API in memory for tests.
//!
//! This crate knows manifests and queries. It does not know what a column is, or that there is a lake: the quota that runs share is kept
//! by an implementation of [`limits::SharedQuota`], and secrets are read by one of [`secret::SecretStore`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`paginate`] | a query read page by page: offsets, page numbers, page tokens, links |
//! | [`api`], `call`, `build`, `actions` | one request, sent until its response can be read |
//! | `auth`, [`secret`], `redact` | keys: where they are read, when they are renewed, how they are removed from texts |
//! | `sender`, [`retry`], [`limits`], [`budget`], [`interrupt`] | when a request may be sent, and when it is sent again |
//! | [`transport`], [`http`] | how a request is sent |
//! | [`date`] | what the clock of the API says |
//! | [`record`], `body`, `records` | the records of a page, and where they are in a response |
//! | [`error`], `failure` | what can go wrong in a run, and in one attempt |

mod actions;
pub mod api;
mod auth;
mod body;
pub mod budget;
mod build;
mod call;
pub mod date;
mod encode;
pub mod error;
mod failure;
#[cfg(test)]
mod fake;
pub mod http;
pub mod interrupt;
pub mod limits;
pub mod paginate;
pub mod record;
mod records;
mod redact;
mod reported_errors;
pub mod retry;
pub mod secret;
mod sender;
mod text;
pub mod transport;

pub use api::Api;
pub use budget::{Budget, Requests};
pub use date::DateListener;
pub use error::{Error, Stop};
pub use http::Http;
pub use interrupt::Interrupt;
pub use paginate::{End, FirstPage, Hints, Page, Pages, Position, Reader, Resumption};
pub use record::Record;
pub use transport::{HttpRequest, HttpResponse, Transport};
