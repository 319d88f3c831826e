//! From queries to pages: HTTP, keys, rate limits, retries and pagination.
//!
//! A [`Query`](manifest::Query) becomes a stream of pages ([`paginate::Reader`]). Every request, those for access tokens included, goes
//! through one [`sender::Sender`], which keeps the run's budget, its deadline and the API's limits, and is sent by a
//! [`transport::Transport`]: reqwest's client, or an API in memory for tests.
//!
//! This crate knows manifests and queries. It does not know what a column is, or that there is a lake: the requests that runs share are
//! kept by whoever implements [`limits::SharedQuota`], and secrets are read by whoever implements [`secret::SecretStore`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`paginate`] | a query read page by page: offsets, page numbers, page tokens, links |
//! | [`api`] | one request, sent until it has an answer worth reading |
//! | `auth`, [`secret`] | keys: where they are read, when they are renewed, how they are removed from texts |
//! | [`sender`], [`retry`], [`limits`], [`budget`] | when a request may leave, and when it is sent again |
//! | [`transport`], [`http`] | how a request is sent |
//! | [`record`], `records` | the records of a page, and where they lie in an answer |
//! | [`error`] | what can go wrong |

mod actions;
pub mod api;
mod auth;
pub mod budget;
mod call;
mod encode;
pub mod error;
mod failure;
pub mod http;
pub mod limits;
pub mod paginate;
pub mod record;
mod records;
pub mod retry;
pub mod secret;
pub mod sender;
mod text;
pub mod transport;

pub use api::Api;
pub use budget::{Budget, Requests};
pub use error::{Error, Stop};
pub use http::Http;
pub use paginate::{End, FirstPage, Page, Pages, Position, Reader, Resumption};
pub use record::Record;
pub use transport::{HttpRequest, HttpResponse, Transport};
