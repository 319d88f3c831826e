//! Ticketing APIs as data: manifests and what they describe.
//!
//! A manifest says where an API is, how it takes its key, how its pages follow each other and what its records hold. Its vocabulary is
//! that of dlt's `rest_api` source with some keys of ticketlake. [`Manifest::parse`] reads and checks a whole manifest before the first
//! request, and reports every fault at once, each with its line.
//!
//! This crate is pure data. It sends no request, opens no lake, and reads the clock only through [`time::Clock`]. Every other crate of
//! the workspace builds on it, and it builds on none of them.
//!
//! | module | what it has |
//! |---|---|
//! | [`source`], [`resource`], [`mod@column`] | a manifest, its resources and their columns |
//! | [`client`], [`endpoint`], [`incremental`], [`rate`], [`split`], [`refresh`], [`value_check`] | the parts of a manifest |
//! | [`parse`](Manifest::parse) | reading a manifest's text into these types |
//! | [`keys`] | every key that a manifest may have: its type, its default and what it means |
//! | [`built_in`] | the manifests that come with ticketlake |
//! | [`query`] | list requests, and what identifies them |
//! | [`path`], [`template`] | places in a record; values of a request with placeholders |
//! | [`cursor`], [`time`] | cursors; instants and days |
//! | [`json`], [`number`] | JSON texts as values; the digits of numbers |
//! | [`settings`], [`fault`] | the environment; mistakes in a manifest or a request |

pub mod built_in;
pub mod client;
pub mod column;
mod configure;
pub mod cursor;
pub mod endpoint;
pub mod fault;
pub mod incremental;
pub mod json;
pub mod keys;
pub mod name;
pub mod number;
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
pub use cursor::{Cursor, CursorFormat, CursorKind};
pub use endpoint::{
    Action, BodyTemplate, Endpoint, Filter, Lookup, Method, PageSize, Paginator, ParamLocation, RangeEnd, RangeTotal,
    ResponseAction, Total,
};
pub use fault::{Fault, Faults, nearest};
pub use incremental::{CursorMissing, Incremental, RowOrder};
pub use path::JsonPath;
pub use query::{Body, Query, QueryId, ScopeId};
pub use rate::{Rate, RateWindow};
pub use refresh::{Announced, Confirm, Near, Refresh, Vanished};
pub use resource::{Harvest, Level, PART_BYTES, Parent, RECORD_KEY, Resource, WriteDisposition};
pub use settings::Settings;
pub use source::Manifest;
pub use split::{Cells, Slices, SplitBy, SplitParam, TimeEnds, TimeParams, Undated, Unit, Values, ValuesFrom};
pub use template::Template;
pub use value_check::{Form, ValueCheck};
