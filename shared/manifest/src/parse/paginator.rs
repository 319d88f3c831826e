//! `paginator`: how the next page is asked for.

use super::values::{json_path, optional_path};
use crate::yaml::{Fields, Node};
use crate::{JsonPath, Paginator, ParamLocation, RangeEnd, RangeTotal};

#[derive(Clone, Copy)]
enum Kind {
    Auto,
    SinglePage,
    JsonLink,
    HeaderLink,
    HeaderCursor,
    Cursor,
    Offset,
    PageNumber,
}

const KINDS: [(&str, Kind); 9] = [
    ("single_page", Kind::SinglePage),
    ("json_link", Kind::JsonLink),
    // dlt's older name for it.
    ("json_response", Kind::JsonLink),
    ("header_link", Kind::HeaderLink),
    ("header_cursor", Kind::HeaderCursor),
    ("cursor", Kind::Cursor),
    ("offset", Kind::Offset),
    ("page_number", Kind::PageNumber),
    ("auto", Kind::Auto),
];

/// A type's name alone, or a mapping of its fields.
pub(super) fn paginator(node: &Node<'_>) -> Option<Paginator> {
    let (fields, kind) = if node.is_text() {
        (node.no_fields(), node.one_of(&KINDS)?)
    } else {
        let fields = node.fields()?;
        let kind = fields.get("type").map_or(Some(Kind::Auto), |kind| kind.one_of(&KINDS))?;
        (fields, kind)
    };
    match kind {
        Kind::Auto => {
            fields.only(&["type"]);
            Some(Paginator::Auto)
        }
        Kind::SinglePage => {
            fields.only(&["type"]);
            Some(Paginator::SinglePage)
        }
        Kind::JsonLink => {
            fields.only(&["type", "next_url_path"]);
            Some(Paginator::JsonLink { next_url_path: path_or(&fields, "next_url_path", "next")? })
        }
        Kind::HeaderLink => {
            fields.only(&["type", "links_next_key"]);
            Some(Paginator::HeaderLink { rel: text_or(&fields, "links_next_key", "next")? })
        }
        Kind::HeaderCursor => {
            fields.only(&["type", "cursor_key", "cursor_param"]);
            let header = text_or(&fields, "cursor_key", "next")?;
            Some(Paginator::HeaderCursor { header, param: text_or(&fields, "cursor_param", "cursor")? })
        }
        Kind::Cursor => cursor(&fields),
        Kind::Offset => offset(node, &fields),
        Kind::PageNumber => page_number(&fields),
    }
}

fn cursor(fields: &Fields<'_>) -> Option<Paginator> {
    fields.only(&["type", "cursor_path", "cursor_param", "cursor_body_path", "stop_after_empty_page", "has_more_path"]);
    Some(Paginator::Cursor {
        cursor_path: path_or(fields, "cursor_path", "cursors.next")?,
        place: place(fields, "cursor")?,
        stop_after_empty_page: fields.get("stop_after_empty_page").map_or(Some(false), |node| node.boolean())?,
        has_more_path: optional_path(fields, "has_more_path"),
    })
}

fn offset(node: &Node<'_>, fields: &Fields<'_>) -> Option<Paginator> {
    fields.only(&[
        "type",
        "limit",
        "offset",
        "offset_param",
        "offset_body_path",
        "limit_param",
        "limit_body_path",
        "total_path",
        "maximum_offset",
        "stop_after_empty_page",
        "has_more_path",
    ]);
    if node.is_text() {
        node.fault("`offset` needs its `limit`: {type: offset, limit: 100}");
        return None;
    }
    let limit = fields.required("limit").and_then(|node| node.integer(1..=1_000_000));
    Some(Paginator::Offset {
        limit: limit?,
        offset: fields.get("offset").map_or(Some(0), |node| node.integer(0..=u64::MAX))?,
        offset_place: place(fields, "offset")?,
        limit_place: place(fields, "limit")?,
        end: range_end(fields, "maximum_offset")?,
    })
}

fn page_number(fields: &Fields<'_>) -> Option<Paginator> {
    fields.only(&[
        "type",
        "base_page",
        "page",
        "page_param",
        "page_body_path",
        "total_path",
        "maximum_page",
        "stop_after_empty_page",
        "has_more_path",
    ]);
    let base_page = fields.get("base_page").map_or(Some(0), |node| node.integer(0..=u64::MAX))?;
    Some(Paginator::PageNumber {
        base_page,
        page: fields.get("page").map_or(Some(base_page), |node| node.integer(base_page..=u64::MAX))?,
        page_place: place(fields, "page")?,
        end: range_end(fields, "maximum_page")?,
    })
}

fn range_end(fields: &Fields<'_>, maximum: &str) -> Option<RangeEnd> {
    let total = match fields.get("total_path") {
        Some(node) if node.is_null() => None,
        Some(node) => Some(RangeTotal { path: json_path(&node)?, required: true }),
        None => Some(RangeTotal { path: JsonPath::of_field("total"), required: false }),
    };
    let end = RangeEnd {
        total,
        maximum: match fields.get(maximum).filter(|node| !node.is_null()) {
            Some(node) => Some(node.integer(1..=u64::MAX)?),
            None => None,
        },
        stop_after_empty_page: fields.get("stop_after_empty_page").map_or(Some(true), |node| node.boolean())?,
        has_more_path: optional_path(fields, "has_more_path"),
    };
    let named = end.total.as_ref().is_some_and(|total| total.required) || end.maximum.is_some();
    if !named && !end.stop_after_empty_page && end.has_more_path.is_none() {
        fields.node().fault(format!(
            "never ends: give `total_path`, `has_more_path` or `{maximum}`, or leave `stop_after_empty_page` true"
        ));
    }
    Some(end)
}

/// `<name>_param` or `<name>_body_path`; the query parameter of that name by default.
fn place(fields: &Fields<'_>, name: &str) -> Option<ParamLocation> {
    let given = |suffix: &str| fields.get(&format!("{name}_{suffix}")).filter(|node| !node.is_null());
    match (given("param"), given("body_path")) {
        (Some(_), Some(node)) => {
            node.fault(format!("give `{name}_param` or `{name}_body_path`, not both"));
            None
        }
        (Some(node), None) => node.text().map(ParamLocation::Query),
        (None, Some(node)) => node.text().map(ParamLocation::Body),
        (None, None) => Some(ParamLocation::Query(name.to_owned())),
    }
}

fn text_or(fields: &Fields<'_>, name: &str, default: &str) -> Option<String> {
    fields.get(name).map_or_else(|| Some(default.to_owned()), |node| node.text())
}

fn path_or(fields: &Fields<'_>, name: &str, default: &str) -> Option<JsonPath> {
    match fields.get(name) {
        Some(node) => json_path(&node),
        None => JsonPath::parse(default).ok(),
    }
}
