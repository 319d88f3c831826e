//! The keys of `paginator`: how the next page is requested.

use super::key::DefaultValue::{Boolean as Flag, Described, Integer as Number, Text as Literal};
use super::key::Type::{AnyOf, Boolean, Integer, IntegerFrom, Null, Path, Text};
use super::key::{Key, Mapping, Variants};

/// How pages follow each other.
pub static PAGINATOR: Variants = Variants {
    name: "paginator",
    title: "`paginator`",
    description: "How pages follow each other. The text of a type stands for a mapping with the defaults of that type.",
    default: Some("auto"),
    shorthand: true,
    mappings: &[&SINGLE_PAGE, &JSON_LINK, &HEADER_LINK, &HEADER_CURSOR, &CURSOR, &OFFSET, &PAGE_NUMBER, &AUTO],
};

/// One page with everything.
pub static SINGLE_PAGE: Mapping = Mapping {
    name: "paginator_single_page",
    title: "`paginator`: `single_page`",
    description: "One response holds all records.",
    keys: &[Key::type_of(&["single_page"])],
};

/// A link in the response's body.
pub static JSON_LINK: Mapping = Mapping {
    name: "paginator_json_link",
    title: "`paginator`: `json_link`",
    description: "The body of a response holds the address of the next page. `json_response` is dlt's older name of this type.",
    keys: &[
        Key::type_of(&["json_link", "json_response"]),
        Key::dlt("next_url_path", Path, "Where the body holds the address of the next page.").or(Literal("next")),
    ],
};

/// A link in the response's headers.
pub static HEADER_LINK: Mapping = Mapping {
    name: "paginator_header_link",
    title: "`paginator`: `header_link`",
    description: "The header `Link` of a response (RFC 8288) holds the address of the next page.",
    keys: &[
        Key::type_of(&["header_link"]),
        Key::dlt("links_next_key", Text, "The relation (`rel`) of the link to the next page.").or(Literal("next")),
    ],
};

/// A page token in a header.
pub static HEADER_CURSOR: Mapping = Mapping {
    name: "paginator_header_cursor",
    title: "`paginator`: `header_cursor`",
    description: "A header of a response holds the page token of the next page.",
    keys: &[
        Key::type_of(&["header_cursor"]),
        Key::dlt("cursor_key", Text, "The name of the header.").or(Literal("next")),
        Key::dlt("cursor_param", Text, "The query parameter that takes the page token.").or(Literal("cursor")),
    ],
};

const STOP_AFTER_EMPTY_PAGE: Key =
    Key::dlt("stop_after_empty_page", Boolean, "Whether a page without records is the last one.");

const HAS_MORE_PATH: Key = Key::dlt(
    "has_more_path",
    Path,
    "Where the body says whether there are more pages. Reading ends when this or another sign of the end says so.",
)
.nullable();

/// A page token in the response's body.
pub static CURSOR: Mapping = Mapping {
    name: "paginator_cursor",
    title: "`paginator`: `cursor`",
    description: "The body of a response holds the page token of the next page.",
    keys: &[
        Key::type_of(&["cursor"]),
        Key::dlt("cursor_path", Path, "Where the body holds the page token.").or(Literal("cursors.next")),
        Key::dlt("cursor_param", Text, "The query parameter that takes the page token.")
            .or(Literal("cursor"))
            .nullable(),
        Key::dlt(
            "cursor_body_path",
            Text,
            "The dotted path in the JSON body that takes the page token, in place of `cursor_param`.",
        )
        .nullable(),
        STOP_AFTER_EMPTY_PAGE.or(Flag(false)),
        HAS_MORE_PATH,
    ],
};

/// Pages by the number of records before them.
pub static OFFSET: Mapping = Mapping {
    name: "paginator_offset",
    title: "`paginator`: `offset`",
    description: "A request names the number of records before the page. The offset advances by the number of records received.",
    keys: &[
        Key::type_of(&["offset"]),
        Key::dlt("limit", Integer { min: 1, max: 1_000_000 }, "The number of records that are requested with one page, unless `--page-size` says another. The API may give fewer.").required(),
        Key::dlt("offset", IntegerFrom(0), "The offset of the first page.").or(Number(0)),
        Key::dlt("offset_param", Text, "The query parameter that takes the offset.").or(Literal("offset")).nullable(),
        Key::dlt(
            "offset_body_path",
            Text,
            "The dotted path in the JSON body that takes the offset, in place of `offset_param`.",
        )
        .nullable(),
        Key::dlt("limit_param", Text, "The query parameter that takes the limit.").or(Literal("limit")).nullable(),
        Key::dlt(
            "limit_body_path",
            Text,
            "The dotted path in the JSON body that takes the limit, in place of `limit_param`.",
        )
        .nullable(),
        Key::dlt(
            "total_path",
            AnyOf(&[Path, Null]),
            "Where the body holds the number of records of the query. If the manifest names it, a response without it is an error; the \
             default is used only if it is there. Null means that the API gives no total.",
        )
        .or(Literal("total")),
        Key::dlt("maximum_offset", IntegerFrom(1), "The offset to stop before.").nullable(),
        STOP_AFTER_EMPTY_PAGE.or(Flag(true)),
        HAS_MORE_PATH,
    ],
};

/// Pages by their number.
pub static PAGE_NUMBER: Mapping = Mapping {
    name: "paginator_page_number",
    title: "`paginator`: `page_number`",
    description: "A request names the number of the page.",
    keys: &[
        Key::type_of(&["page_number"]),
        Key::dlt("base_page", IntegerFrom(0), "The number of the API's first page.").or(Number(0)),
        Key::dlt("page", IntegerFrom(0), "The number of the page to begin with, at least `base_page`.")
            .or(Described("`base_page`")),
        Key::dlt("page_param", Text, "The query parameter that takes the number of the page.").or(Literal("page")).nullable(),
        Key::dlt(
            "page_body_path",
            Text,
            "The dotted path in the JSON body that takes the number of the page, in place of `page_param`.",
        )
        .nullable(),
        Key::dlt(
            "total_path",
            AnyOf(&[Path, Null]),
            "Where the body holds the number of pages. If the manifest names it, a response without it is an error; the default is used \
             only if it is there. Null means that the API gives no number of pages.",
        )
        .or(Literal("total")),
        Key::dlt("maximum_page", IntegerFrom(1), "The number of the page to stop before.").nullable(),
        STOP_AFTER_EMPTY_PAGE.or(Flag(true)),
        HAS_MORE_PATH,
    ],
};

/// Whatever the first response suggests.
pub static AUTO: Mapping = Mapping {
    name: "paginator_auto",
    title: "`paginator`: `auto`",
    description: "The first response decides how pages follow each other, by dlt's rules.",
    keys: &[Key::type_of(&["auto"])],
};
