//! How a resource is asked for.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::Cursor;
use crate::{Auth, JsonPath, Template, ValueCheck};

/// How a resource is asked for.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Appended to the base URL, or a whole `https://` address. Values that fill a placeholder are percent-encoded.
    pub path: Template,
    /// The HTTP method.
    pub method: Method,
    /// Query parameters.
    pub params: BTreeMap<String, Template>,
    /// The body.
    pub body: Option<BodyTemplate>,
    /// Headers; they go before the client's of the same name.
    pub headers: BTreeMap<String, Template>,
    /// How the key is sent here; `None`: as the client says.
    pub auth: Option<Vec<Auth>>,
    /// Where the records lie in the answer; `None`: found in the first answer, see [`client::records`].
    pub data_selector: Option<JsonPath>,
    /// How the next page is asked for.
    pub paginator: Paginator,
    /// The parameter that says how many records a page has.
    pub page_size: Option<PageSize>,
    /// Where the answer says how many records the query has.
    pub total: Option<Total>,
    /// Records that the API serves of one query, whatever its total.
    pub depth_limit: Option<u64>,
    /// The total at which the API stops counting: where it says this much, there may be more.
    pub total_limit: Option<u64>,
    /// How a run goes on from the last one.
    pub incremental: Option<Incremental>,
    /// What `--param` accepts, by name.
    pub filters: BTreeMap<String, Filter>,
    /// What certain answers mean, in order.
    pub response_actions: Vec<ResponseAction>,
}

/// The HTTP method of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST, for the reports that take their query as a body.
    Post,
}

impl Method {
    /// As it stands in a request line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A request's body before its placeholders are filled.
#[derive(Clone, Debug, PartialEq)]
pub enum BodyTemplate {
    /// dlt's `json`.
    Json(Template),
    /// dlt's `data`: a mapping is sent as a form, a text as it is.
    Data(Template),
}

/// How the next page is asked for (dlt's names).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Paginator {
    /// As the first answer suggests.
    Auto,
    /// One request has everything.
    SinglePage,
    /// By a link in the answer.
    JsonLink {
        /// Where the link lies.
        next_url_path: JsonPath,
    },
    /// By a link in the `Link` header (RFC 8288).
    HeaderLink {
        /// The relation's name: `next`.
        rel: String,
    },
    /// By a cursor in a header.
    HeaderCursor {
        /// The header's name.
        header: String,
        /// The query parameter that takes it.
        param: String,
    },
    /// By a cursor in the answer.
    Cursor {
        /// Where the cursor lies.
        cursor_path: JsonPath,
        /// Where it goes.
        place: ParamLocation,
        /// Whether a page without records is the last.
        stop_after_empty_page: bool,
        /// Where the answer says whether there is more.
        has_more_path: Option<JsonPath>,
    },
    /// By the number of records before it; advances by what was received.
    Offset {
        /// Records asked for.
        limit: u64,
        /// The first offset.
        offset: u64,
        /// Where the offset goes.
        offset_place: ParamLocation,
        /// Where the limit goes.
        limit_place: ParamLocation,
        /// Where it ends.
        end: RangeEnd,
    },
    /// By its number.
    PageNumber {
        /// The number of the API's first page.
        base_page: u64,
        /// The number to begin with.
        page: u64,
        /// Where the number goes.
        page_place: ParamLocation,
        /// Where it ends.
        end: RangeEnd,
    },
}

/// Where a reading by offset or page number ends: the first of these that says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RangeEnd {
    /// Where the answer says how many records (by offset) or pages (by page number) there are.
    pub total: Option<RangeTotal>,
    /// The offset or page number to stop before.
    pub maximum: Option<u64>,
    /// Whether a page without records is the last.
    pub stop_after_empty_page: bool,
    /// Where the answer says whether there is more.
    pub has_more_path: Option<JsonPath>,
}

/// Where an answer says how much there is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RangeTotal {
    /// The place.
    pub path: JsonPath,
    /// Whether an answer without it is an error: where the manifest names it. dlt's default, `total`, is taken where it is there.
    pub required: bool,
}

/// Where an answer says how many records the whole query has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Total {
    /// In its body.
    Path(JsonPath),
    /// In the header of this name.
    Header(String),
}

/// The parameter that says how many records a page has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PageSize {
    /// Where it goes.
    pub place: ParamLocation,
    /// The most that the API gives, and what is asked for unless the request says less.
    pub maximum: u64,
}

/// Where a value goes in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum ParamLocation {
    /// The query parameter of this name.
    Query(String),
    /// The member of the JSON body at this dotted path.
    Body(String),
}

/// How a run goes on from the last one: records at or after a cursor's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Incremental {
    /// Where a record's cursor lies.
    pub cursor_path: JsonPath,
    /// What kind of value it is.
    pub kind: CursorKind,
    /// Where the first run begins; `None`: at the API's first record.
    pub initial_value: Option<Cursor>,
    /// Where every run ends unless the request says so; with it the watermark stays.
    pub end_value: Option<Cursor>,
    /// Seconds (for instants) or units (for numbers) before the watermark that are read again, for records that change after they appear.
    pub lag: u64,
    /// What happens to a record without a cursor.
    pub missing: CursorMissing,
    /// The order in which the API gives records, by cursor: reading ends where it leaves the range.
    pub row_order: Option<RowOrder>,
    /// Whether the cursor goes down from run to run (dlt's `last_value_func: min`).
    pub descending: bool,
    /// How `{incremental.*}` is written.
    pub format: CursorFormat,
    /// The query parameters of the range's ends, for the configurations that name them apart (dlt's deprecated `start_param`, `end_param`).
    pub params: (Option<String>, Option<String>),
}

/// What kind of value a cursor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorKind {
    /// A day or an instant, read with [`crate::time::parse_instant`].
    Instant,
    /// A whole number: an id, or seconds since 1970.
    Number,
}

/// What happens to a record without a cursor (dlt's `on_cursor_value_missing`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorMissing {
    /// The run ends with an error.
    Raise,
    /// It is stored.
    Include,
    /// It is left out, and counted.
    Exclude,
}

/// The order of an API's records by their cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

/// How an instant is written in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CursorFormat {
    /// `2026-11-21T10:00:00Z`.
    #[default]
    Rfc3339,
    /// `2026-11-21`.
    Date,
    /// Seconds since 1970.
    Epoch,
    /// Milliseconds since 1970.
    EpochMs,
}

/// A condition that a user may add with `--param NAME=VALUE`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Whether the value is a comma-separated list.
    pub list: bool,
    /// Query parameters it adds; empty and no body: the parameter of its own name.
    pub params: BTreeMap<String, Template>,
    /// What it adds to the JSON body.
    pub json: Option<Template>,
    /// The field of the parent resource whose values it gives, instead of those that the parent has.
    pub parent: Option<String>,
    /// Where its values are names that stand for ids.
    pub lookup: Option<Lookup>,
    /// What its values must look like.
    pub check: ValueCheck,
}

/// A stored table with names and ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The resource whose table it is.
    pub resource: String,
    /// The column of names.
    pub name: String,
    /// The column of ids.
    pub id: String,
}

/// What an answer means that has this status and holds this text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseAction {
    /// The status; `None`: any.
    pub status_code: Option<u16>,
    /// A part of its body; `None`: any.
    pub content: Option<String>,
    /// What to do.
    pub action: Action,
}

/// What to do with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take it for an answer without records. After the first page that is the end only where the API's numbers agree.
    Ignore,
    /// Ask again, like after a 503.
    Retry,
    /// Do not ask again.
    Fail,
}
