//! `paginator`: how the next page is requested.

use crate::endpoint::{Paginator, ParamLocation, RangeEnd, RangeTotal};
use crate::keys::paginator::PAGINATOR;
use crate::yaml::{Fields, Node};

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
    ("json_response", Kind::JsonLink),
    ("header_link", Kind::HeaderLink),
    ("header_cursor", Kind::HeaderCursor),
    ("cursor", Kind::Cursor),
    ("offset", Kind::Offset),
    ("page_number", Kind::PageNumber),
    ("auto", Kind::Auto),
];

/// Reads the name of a type, or a mapping with its fields.
pub(super) fn paginator(node: &Node<'_>) -> Option<Paginator> {
    let (fields, kind) = node.variant(&PAGINATOR, &KINDS)?;
    match kind {
        Kind::Auto => Some(Paginator::Auto),
        Kind::SinglePage => Some(Paginator::SinglePage),
        Kind::JsonLink => Some(Paginator::JsonLink { next_url_path: fields.json_path("next_url_path")? }),
        Kind::HeaderLink => Some(Paginator::HeaderLink { rel: fields.text("links_next_key")? }),
        Kind::HeaderCursor => {
            Some(Paginator::HeaderCursor { header: fields.text("cursor_key")?, param: fields.text("cursor_param")? })
        }
        Kind::Cursor => cursor(&fields),
        Kind::Offset if node.is_text() => {
            node.fault("`offset` needs its `limit`: {type: offset, limit: 100}");
            None
        }
        Kind::Offset => offset(&fields),
        Kind::PageNumber => page_number(&fields),
    }
}

fn cursor(fields: &Fields<'_>) -> Option<Paginator> {
    Some(Paginator::Cursor {
        cursor_path: fields.json_path("cursor_path")?,
        place: location(fields, "cursor")?,
        stop_after_empty_page: fields.boolean("stop_after_empty_page")?,
        has_more_path: fields.json_path("has_more_path"),
    })
}

fn offset(fields: &Fields<'_>) -> Option<Paginator> {
    let limit = fields.integer("limit");
    Some(Paginator::Offset {
        limit: limit?,
        offset: fields.integer("offset")?,
        offset_location: location(fields, "offset")?,
        limit_location: location(fields, "limit")?,
        end: range_end(fields, "maximum_offset")?,
    })
}

fn page_number(fields: &Fields<'_>) -> Option<Paginator> {
    let base_page = fields.integer("base_page")?;
    Some(Paginator::PageNumber {
        base_page,
        page: fields.get("page").map_or(Some(base_page), |node| node.integer_within(base_page, None))?,
        page_location: location(fields, "page")?,
        end: range_end(fields, "maximum_page")?,
    })
}

/// Reads where the pages end. `maximum` is the name of the key with the position to stop before.
fn range_end(fields: &Fields<'_>, maximum: &str) -> Option<RangeEnd> {
    let total = match fields.get("total_path") {
        Some(node) if node.is_null() => None,
        Some(node) => Some(RangeTotal { path: node.json_path()?, required: true }),
        None => Some(RangeTotal { path: fields.json_path("total_path")?, required: false }),
    };
    let end = RangeEnd {
        total,
        maximum: match fields.get(maximum) {
            Some(node) => Some(node.integer()?),
            None => None,
        },
        stop_after_empty_page: fields.boolean("stop_after_empty_page")?,
        has_more_path: fields.json_path("has_more_path"),
    };
    let names_an_end = end.total.as_ref().is_some_and(|total| total.required) || end.maximum.is_some();
    if !names_an_end && !end.stop_after_empty_page && end.has_more_path.is_none() {
        fields.node().fault(format!(
            "never ends: give `total_path`, `has_more_path` or `{maximum}`, or leave `stop_after_empty_page` true"
        ));
    }
    Some(end)
}

/// Reads `<name>_param` or `<name>_body_path`. If both are absent, the default of `<name>_param` applies.
fn location(fields: &Fields<'_>, name: &str) -> Option<ParamLocation> {
    let param = format!("{name}_param");
    match (fields.get(&param), fields.get(&format!("{name}_body_path"))) {
        (Some(_), Some(node)) => {
            node.fault(format!("give `{name}_param` or `{name}_body_path`, not both"));
            None
        }
        (None, Some(node)) => node.text().map(ParamLocation::Body),
        (_, None) => fields.text(&param).map(ParamLocation::Query),
    }
}
