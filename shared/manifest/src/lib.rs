//! What a ticketing API looks like, as data.
//!
//! A manifest says where an API is, how it takes its key, how its pages follow each other and what its records hold, in the
//! vocabulary of dlt's `rest_api` source and some keys of our own. It is read whole and checked whole before the first request
//! ([`Manifest::parse`]): every fault at once, each with its line.
//!
//! This crate is pure data. It sends no request, opens no lake and reads no clock but through [`time::Clock`]; every other crate of
//! the workspace builds on it, and it builds on none of them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`source`], [`resource`], [`column`] | a manifest, its resources and their columns |
//! | [`client`], [`endpoint`], [`rate`], [`split`], [`refresh`], [`value_check`] | the parts of a manifest |
//! | [`parse`](Manifest::parse) | from a manifest's text to these types |
//! | [`keys`] | every key that a manifest may have: its type, its default and what it means |
//! | [`built_in`] | the manifests that come with ticketlake |
//! | [`query`] | one list request, and what identifies it |
//! | [`path`], [`template`] | places in a record; values of a request with placeholders |
//! | [`cursor`], [`time`] | how far an incremental resource has come; instants and days |
//! | [`settings`], [`fault`] | the environment's values; what is wrong with a manifest or a request |

pub mod built_in;
pub mod client;
pub mod column;
mod configure;
pub mod cursor;
pub mod endpoint;
pub mod fault;
mod parse;
pub mod path;
pub mod query;
pub mod rate;
pub mod refresh;
pub mod resource;
pub mod settings;
pub mod source;
pub mod split;
pub mod template;
pub mod time;
pub mod value_check;
mod yaml;

pub use client::{Auth, Client, ClientCredentials, Credential, KeyPlacement, Setting};
pub use column::{Column, DataType, PartitionField, Transform};
pub use cursor::Cursor;
pub use endpoint::{
    Action, BodyTemplate, CursorFormat, CursorKind, CursorMissing, Endpoint, Filter, Incremental, Lookup, Method,
    PageSize, Paginator, ParamLocation, RangeEnd, RangeTotal, ResponseAction, RowOrder, Total,
};
pub use fault::{Fault, Faults, nearest};
pub use path::JsonPath;
pub use query::{Body, Query, QueryId};
pub use rate::{Rate, RateWindow};
pub use refresh::{Announced, Confirm, Near, Refresh, Vanished};
pub use resource::{Harvest, Level, PART_BYTES, Parent, RECORD_KEY, Resource, WriteDisposition};
pub use settings::Settings;
pub use source::Manifest;
pub use split::{Cells, Slices, SplitBy, SplitParam, TimeEnds, TimeParams, Undated, Unit, Values, ValuesFrom};
pub use template::Template;
pub use value_check::{Form, ValueCheck};
