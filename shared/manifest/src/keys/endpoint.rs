//! The keys of `endpoint`: the request, and what the API's responses mean.

use super::client::AUTHS;
use super::incremental::INCREMENTAL;
use super::key::DefaultValue::{Boolean as Flag, Described, Text as Literal};
use super::key::Type::{
    AnyOf, Boolean, Integer, IntegerFrom, Json, List, MapOf, Mapping as Is, Merged, NonEmptyList, Null, OneOf, Path,
    Scalar, Text, Variants as Chosen,
};
use super::key::{Key, Mapping, Variants};
use super::paginator::PAGINATOR;
use crate::value_check::Form;

/// The request for a resource's records, and what the API's responses mean.
pub static ENDPOINT: Mapping = Mapping {
    name: "endpoint",
    title: "`endpoint`",
    description: "The request for a resource's records, and what the API's responses mean.",
    keys: &[
        Key::dlt(
            "path",
            Text,
            "The path below `base_url`, or a whole address. It may hold placeholders. The value of a placeholder is percent-encoded.",
        )
        .or(Described("the resource's name")),
        Key::dlt("method", OneOf(&["GET", "POST"]), "The HTTP method.").or(Literal("GET")),
        Key::dlt(
            "params",
            MapOf(&AnyOf(&[Scalar, Null, Chosen(&PARAM)])),
            "The query parameters, by name. A text may hold placeholders; a parameter whose placeholder has no value is not sent. Null \
             removes a parameter of `resource_defaults`.",
        ),
        Key::dlt(
            "json",
            Json,
            "The JSON body. Its texts may hold placeholders. A text that is one placeholder takes the value with its type; a member \
             whose placeholder has no value is left out.",
        ),
        Key::dlt(
            "data",
            Json,
            "The body if it is not JSON: a mapping is sent as a form, a text as it is. It excludes `json`.",
        ),
        Key::dlt("headers", MapOf(&Json), "The headers, by name. Their values may hold placeholders."),
        Key::dlt("auth", AUTHS, "How the API's key is sent to this endpoint, in place of `client.auth`.")
            .or(Described("`client.auth`")),
        Key::dlt("data_selector", Path, "Where the body holds the records.").or(Described(
            "found in the first response; `$` if the last segment of the path has a placeholder",
        )),
        Key::dlt("paginator", Chosen(&PAGINATOR), "How pages follow each other.").or(Described(
            "`client.paginator`; `single_page` if the last segment of the path has a placeholder",
        )),
        Key::ours("page_size", Merged(&PAGE_SIZE), "The parameter that sets how many records a page has."),
        Key::dlt("incremental", Is(&INCREMENTAL), "How a run continues where the runs before it ended."),
        Key::ours(
            "total_path",
            Path,
            "Where the body holds the number of records of the whole query. A query is proven when the records received agree with it.",
        )
        .nullable(),
        Key::ours(
            "total_header",
            Text,
            "The header that holds the number of records of the whole query. It excludes `total_path`.",
        )
        .nullable(),
        Key::ours(
            "depth_limit",
            IntegerFrom(1),
            "The number of records that the API serves of one query, whatever its total. A query with a greater total is split: see \
             `slices`.",
        ),
        Key::ours(
            "total_limit",
            IntegerFrom(1),
            "The total at which the API stops counting: this total means this many records or more.",
        ),
        Key::ours(
            "ignore_hints",
            List(&Path),
            "The members of a response that do not say whether there are more records, or that something failed, although their names \
             suggest it: for example a `total` that counts all records, whatever the conditions of the query, or `errors` with notes.",
        ),
        Key::ours(
            "filters",
            MapOf(&Is(&FILTER)),
            "The conditions that a user may add with `--param NAME=VALUE`, by name. Every other name is refused.",
        ),
        Key::dlt(
            "response_actions",
            List(&Is(&RESPONSE_ACTION)),
            "What certain responses mean. The first entry that fits a response decides.",
        ),
        Key::ours(
            "batch",
            Integer { min: 1, max: 10_000 },
            "The number of parent records in one query, for a placeholder `{resources.PARENT.FIELD}` in a parameter or in the body. The \
             values are joined with commas in a parameter, and are a list in the body. A placeholder in the path allows no `batch`.",
        )
        .or(Described("one query for each parent record")),
    ],
};

/// A parameter that is written as a mapping: dlt's older forms.
pub static PARAM: Variants = Variants {
    name: "param",
    title: "`params.<name>`",
    description: "A parameter that is written as a mapping: dlt's older forms of a placeholder and of `incremental`.",
    default: None,
    shorthand: false,
    mappings: &[&RESOLVE, &INCREMENTAL],
};

/// A field of the parent's records, for a placeholder in the path.
pub static RESOLVE: Mapping = Mapping {
    name: "resolve",
    title: "`params.<name>`: `resolve`",
    description: "A field of the parent's records. The path must hold a placeholder with the parameter's name: `{event_id}` is then the \
                  same as `{resources.events.id}`.",
    keys: &[
        Key::type_of(&["resolve"]),
        Key::dlt("resource", Text, "The name of the parent.").required(),
        Key::dlt("field", Text, "The field of the parent's records, as a JSONPath.").required(),
    ],
};

/// The parameter that sets how many records a page has.
pub static PAGE_SIZE: Mapping = Mapping {
    name: "page_size",
    title: "`page_size`",
    description: "The parameter that sets how many records a page has. It needs one of `param` and `body_path`.",
    keys: &[
        Key::ours("param", Text, "The query parameter that takes the number of records."),
        Key::ours("body_path", Text, "The dotted path in the JSON body that takes the number of records."),
        Key::ours(
            "maximum",
            Integer { min: 1, max: 1_000_000 },
            "The most records that the API serves on a page. This many are requested unless `--page-size` asks for fewer; more is refused.",
        )
        .required(),
    ],
};

/// A condition that a user may add to the query.
pub static FILTER: Mapping = Mapping {
    name: "filter",
    title: "`filters.<name>`",
    description: "A condition that a user may add with `--param NAME=VALUE`. Without `params` and `json`, the value goes into the query \
                  parameter of the filter's own name.",
    keys: &[
        Key::ours("list", Boolean, "Whether the value is a list, written with commas.").or(Flag(false)),
        Key::ours(
            "params",
            MapOf(&AnyOf(&[Scalar, Null])),
            "The query parameters that the filter sets, by name. `{value}` stands for the user's value.",
        ),
        Key::ours(
            "json",
            Json,
            "The members that the filter adds to the JSON body. `{value}` stands for the user's value.",
        ),
        Key::ours(
            "parent",
            Text,
            "The field of the parent's records that the user's values replace. A placeholder of the endpoint must take this field.",
        ),
        Key::ours(
            "lookup",
            Is(&LOOKUP),
            "The stored table in which the user's value is a name, and that has the id to send.",
        ),
        Key::ours(
            "one_of",
            NonEmptyList(&Scalar),
            "The values allowed. Of a value with commas, each part must be one of them.",
        ),
        Key::ours("format", OneOf(&FORM_NAMES), "How the value must be written."),
    ],
};

const FORM_NAMES: [&str; Form::ALL.len()] = {
    let mut names = [""; Form::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = Form::ALL[index].name();
        index += 1;
    }
    names
};

/// A stored table with names and ids.
pub static LOOKUP: Mapping = Mapping {
    name: "lookup",
    title: "`lookup`",
    description: "A stored table with names and ids: a user gives a name, and the API receives the id.",
    keys: &[
        Key::ours("resource", Text, "The resource whose table it is.").required(),
        Key::ours("name", Text, "The column with the names.").required(),
        Key::ours("id", Text, "The column with the ids.").required(),
    ],
};

/// What a certain response means.
pub static RESPONSE_ACTION: Mapping = Mapping {
    name: "response_action",
    title: "`response_actions[]`",
    description: "What a response with this status and this content means. It needs `status_code`, `content` or both.",
    keys: &[
        Key::dlt("status_code", Integer { min: 100, max: 599 }, "The HTTP status of the response.")
            .or(Described("any status")),
        Key::dlt("content", Text, "A text that the body contains.").or(Described("any content")),
        Key::dlt(
            "action",
            OneOf(&["ignore", "retry", "fail"]),
            "What to do. `ignore` takes the response for one without records; after the first page this ends the query only if the API's \
             total agrees. `retry` sends the request again, as after a status 503. `fail` does not send it again. dlt has `ignore` alone.",
        )
        .required(),
    ],
};
