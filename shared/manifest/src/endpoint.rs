//! The request for a resource's records, and what the API's responses mean.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::client::Auth;
use crate::incremental::{Incremental, RowOrder};
use crate::path::JsonPath;
use crate::template::Template;
use crate::value_check::ValueCheck;

/// The request for a resource's records, and what the API's responses mean.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The path below the base URL, or a whole `https://` address. The value of a placeholder is percent-encoded.
    pub path: Template,
    /// The HTTP method.
    pub method: Method,
    /// The query parameters, by name.
    pub params: BTreeMap<String, Template>,
    /// The body of the request.
    pub body: Option<BodyTemplate>,
    /// The headers, by name. They replace those of the client with the same name.
    pub headers: BTreeMap<String, Template>,
    /// The ways to send the key to this endpoint. If it is `None`, those of the client apply.
    pub auth: Option<Vec<Auth>>,
    /// Where the body of a response holds the records. If it is `None`, the first response decides.
    pub data_selector: Option<JsonPath>,
    /// How pages follow each other.
    pub paginator: Paginator,
    /// The parameter that sets how many records a page has.
    pub page_size: Option<PageSize>,
    /// Where a response holds the number of records of the whole query.
    pub total: Option<Total>,
    /// The number of records that the API serves of one query, whatever its total.
    pub depth_limit: Option<u64>,
    /// The total at which the API stops counting: this total means this many records or more.
    pub total_limit: Option<u64>,
    /// The members of a response that do not say whether there are more records, although their names suggest it.
    pub ignore_hints: Vec<JsonPath>,
    /// How a run continues where the runs before it ended.
    pub incremental: Option<Incremental>,
    /// The conditions that a user may add with `--param`, by name.
    pub filters: BTreeMap<String, Filter>,
    /// What certain responses mean. The first entry that fits a response decides.
    pub response_actions: Vec<ResponseAction>,
}

impl Endpoint {
    /// Returns whether a request holds the end of the range that a run reads.
    pub fn sends_range_end(&self) -> bool {
        let Some(incremental) = &self.incremental else { return false };
        let body = self.body.iter().map(|body| match body {
            BodyTemplate::Json(template) | BodyTemplate::Data(template) => template,
        });
        let mut templates =
            std::iter::once(&self.path).chain(self.params.values()).chain(self.headers.values()).chain(body);
        let has_end = |template: &Template| template.placeholders().iter().any(|name| name == "incremental.end_value");
        incremental.end_param.is_some() || templates.any(has_end)
    }

    /// Returns whether reading can stop at the end of a range: the request holds it, or the records are in the order of the runs.
    pub fn can_stop_at_range_end(&self) -> bool {
        let order = self.incremental.as_ref().and_then(|incremental| {
            let in_order = if incremental.descending { RowOrder::Desc } else { RowOrder::Asc };
            incremental.row_order.filter(|order| *order == in_order)
        });
        order.is_some() || self.sends_range_end()
    }
}

/// The HTTP method of a request for records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The method GET.
    Get,
    /// The method POST, for APIs that take a query as a body.
    Post,
}

impl Method {
    /// The name of the method in a request.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// The body of a request before its placeholders are filled.
#[derive(Clone, Debug, PartialEq)]
pub enum BodyTemplate {
    /// A JSON body (dlt's `json`).
    Json(Template),
    /// Another body (dlt's `data`): a mapping is sent as a form, a text as it is.
    Data(Template),
}

/// How pages follow each other, with dlt's names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Paginator {
    /// The first response decides, by dlt's rules.
    Auto,
    /// One response holds all records.
    SinglePage,
    /// The body of a response holds the address of the next page.
    JsonLink {
        /// Where the body holds the address.
        next_url_path: JsonPath,
    },
    /// The header `Link` of a response (RFC 8288) holds the address of the next page.
    HeaderLink {
        /// The relation of the link to the next page, for example `next`.
        rel: String,
    },
    /// A header of a response holds the page token of the next page.
    HeaderCursor {
        /// The name of the header.
        header: String,
        /// The query parameter that takes the page token.
        param: String,
    },
    /// The body of a response holds the page token of the next page.
    Cursor {
        /// Where the body holds the page token.
        cursor_path: JsonPath,
        /// Where a request holds the page token.
        place: ParamLocation,
        /// Whether a page without records is the last one.
        stop_after_empty_page: bool,
        /// Where the body says whether there are more pages.
        has_more_path: Option<JsonPath>,
    },
    /// A request names the number of records before the page. It advances by the number of records received.
    Offset {
        /// The number of records that are requested with one page.
        limit: u64,
        /// The offset of the first page.
        offset: u64,
        /// Where a request holds the offset.
        offset_location: ParamLocation,
        /// Where a request holds the limit.
        limit_location: ParamLocation,
        /// What ends the pages. The total is a number of records.
        end: RangeEnd,
    },
    /// A request names the number of the page.
    PageNumber {
        /// The number of the API's first page.
        base_page: u64,
        /// The number of the page to begin with.
        page: u64,
        /// Where a request holds the number of the page.
        page_location: ParamLocation,
        /// What ends the pages. The total is a number of pages.
        end: RangeEnd,
    },
}

impl Paginator {
    /// Returns the places in a body to which the paginator gives a meaning.
    pub fn paths(&self) -> Vec<&JsonPath> {
        match self {
            Self::JsonLink { next_url_path } => vec![next_url_path],
            Self::Cursor { cursor_path, has_more_path, .. } => [cursor_path].into_iter().chain(has_more_path).collect(),
            Self::Offset { end, .. } | Self::PageNumber { end, .. } => {
                let total = end.total.as_ref().map(|total| &total.path);
                total.into_iter().chain(&end.has_more_path).collect()
            }
            Self::Auto | Self::SinglePage | Self::HeaderLink { .. } | Self::HeaderCursor { .. } => Vec::new(),
        }
    }
}

/// What ends the pages by offset or by page number: the first of these that says so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RangeEnd {
    /// Where a response says how many records (by offset) or pages (by page number) there are.
    pub total: Option<RangeTotal>,
    /// The offset or the page number to stop before.
    pub maximum: Option<u64>,
    /// Whether a page without records is the last one.
    pub stop_after_empty_page: bool,
    /// Where the body of a response says whether there are more pages.
    pub has_more_path: Option<JsonPath>,
}

/// Where a response says how many records or pages there are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RangeTotal {
    /// The place in the body.
    pub path: JsonPath,
    /// Whether a response without the number is an error, because the manifest names the place. dlt's default place, `total`, is used
    /// only if it is there.
    pub required: bool,
}

/// Where a response holds the number of records of the whole query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Total {
    /// This place in the body.
    Path(JsonPath),
    /// The header of this name.
    Header(String),
}

/// The parameter that sets how many records a page has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PageSize {
    /// Where a request holds the number of records.
    pub place: ParamLocation,
    /// The most records that a page can have. This many are requested unless the request of the run says fewer.
    pub maximum: u64,
}

/// Where a request holds a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum ParamLocation {
    /// The query parameter of this name.
    Query(String),
    /// The member of the JSON body at this dotted path.
    Body(String),
}

/// A condition that a user may add with `--param NAME=VALUE`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Whether the value is a list, written with commas.
    pub list: bool,
    /// The query parameters that the filter sets, by name. If it is empty and `json` is `None`, the filter sets the parameter of its own
    /// name.
    pub params: BTreeMap<String, Template>,
    /// The members that the filter adds to the JSON body.
    pub json: Option<Template>,
    /// The field of the parent's records that the user's values replace.
    pub parent: Option<String>,
    /// The stored table in which the user's value is a name, and that has the id to send.
    pub lookup: Option<Lookup>,
    /// How the values must be written.
    pub check: ValueCheck,
}

/// A stored table with names and ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// The name of the resource whose table it is.
    pub resource: String,
    /// The column with the names.
    pub name: String,
    /// The column with the ids.
    pub id: String,
}

/// What a response with a certain status and content means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseAction {
    /// The HTTP status of the response; `None` means any.
    pub status_code: Option<u16>,
    /// A text that the body contains; `None` means any body.
    pub content: Option<String>,
    /// What to do with such a response.
    pub action: Action,
}

/// What to do with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take the response for one without records. After the first page this ends the query only if the API's total agrees.
    Ignore,
    /// Send the request again, as after a status 503.
    Retry,
    /// Do not send the request again.
    Fail,
}
