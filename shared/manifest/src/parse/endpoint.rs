//! `endpoint`: how a resource is asked for.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::Context;
use super::bind::Binding;
use super::client::auths;
use super::incremental::incremental;
use super::paginator::paginator;
use super::values::{json_path, optional_path};
use crate::yaml::{Fields, Node};
use crate::{
    Action, BodyTemplate, Column, Endpoint, Filter, Form, Lookup, Method, PageSize, Paginator, ParamLocation, Parent,
    ResponseAction, Template, Total, ValueCheck,
};

pub(super) const KEYS: [&str; 18] = [
    "path",
    "method",
    "params",
    "json",
    "data",
    "headers",
    "auth",
    "data_selector",
    "paginator",
    "page_size",
    "incremental",
    "total_path",
    "total_header",
    "depth_limit",
    "total_limit",
    "filters",
    "response_actions",
    "batch",
];

/// An endpoint, and what it says of the resource around it.
pub(super) struct Bound {
    pub(super) endpoint: Endpoint,
    pub(super) parent: Option<Parent>,
    pub(super) notes: Vec<String>,
}

/// The endpoint of the resource `name`: its own fields over the defaults' ones.
pub(super) fn endpoint(
    resource: &Fields<'_>,
    name: &str,
    columns: &[Column],
    context: &Context<'_, '_>,
) -> Option<Bound> {
    let shorthand = resource.get("endpoint").filter(Node::is_text);
    let fields = match &shorthand {
        Some(_) => resource.defaults().and_then(|defaults| defaults.fields("endpoint")),
        None => resource.fields("endpoint"),
    };
    let fields = fields.unwrap_or_else(|| resource.node().no_fields());
    fields.only(&KEYS);
    let mut params = merged_params(&fields);
    // dlt's older form: the cursor is declared where its parameter stands.
    let param_cursor = take_incremental(&mut params);
    let cursor_node = fields.get("incremental").or_else(|| param_cursor.as_ref().map(|(_, node)| node.clone()));
    let mut cursor = cursor_node.as_ref().and_then(|node| incremental(node, columns));
    if let (Some(cursor), Some((param, _))) = (&mut cursor, &param_cursor) {
        cursor.params.0 = Some(param.clone());
    }
    let binding = Binding {
        resource: name,
        resources: context.resources,
        settings: context.settings,
        has_incremental: cursor_node.is_some(),
        parent: RefCell::default(),
        notes: RefCell::default(),
    };
    let path_node = shorthand.or_else(|| fields.get("path"));
    let path_text = match &path_node {
        Some(node) => node.text()?,
        None => name.to_owned(),
    };
    // One entity: the last segment is a record's own id, and the answer is that record (dlt's rule).
    let single_entity = path_text.trim_end_matches('/').rsplit('/').next().is_some_and(|segment| segment.contains('{'));
    let path_text = if path_text.contains("://") { path_text } else { path_text.trim_start_matches('/').to_owned() };
    let path = binding.path(path_node.as_ref().unwrap_or(fields.node()), &path_text, &mut params);
    let check = |name: &str| binding.check(name);
    let params = templates(&params, &check);
    let (method, body) = (method(&fields), body_template(&fields, &check));
    let headers = headers(&fields, &check);
    let selector = match fields.get("data_selector") {
        Some(node) => json_path(&node),
        None if single_entity => crate::JsonPath::parse("$").ok(),
        None => None,
    };
    let paginator = match (fields.get("paginator"), context.paginator) {
        (Some(node), _) => paginator(&node),
        (None, _) if single_entity => Some(Paginator::SinglePage),
        (None, Some(node)) => paginator(node),
        (None, None) => Some(Paginator::Auto),
    };
    let filters = filters(&fields, &binding);
    let path = path?;
    let batch = batch(&fields, &path);
    let parent = binding.parent.into_inner().map(|(parent, fields)| Parent {
        resource: parent,
        fields,
        include: Vec::new(),
        batch,
    });
    let endpoint = Endpoint {
        path,
        method: method?,
        params,
        body,
        headers,
        auth: fields.get("auth").map(|node| auths(&node, context.settings)),
        data_selector: selector,
        paginator: paginator?,
        page_size: page_size(&fields),
        total: total(&fields),
        depth_limit: fields.get("depth_limit").and_then(|node| node.integer(1..=u64::MAX)),
        total_limit: fields.get("total_limit").and_then(|node| node.integer(1..=u64::MAX)),
        incremental: cursor,
        filters,
        response_actions: response_actions(&fields),
    };
    Some(Bound { endpoint, parent, notes: binding.notes.into_inner() })
}

/// The parameters' nodes, the defaults' ones under the resource's own (dlt merges them one level deep).
fn merged_params<'y>(fields: &Fields<'y>) -> BTreeMap<String, Node<'y>> {
    let Some(params) = fields.fields("params") else { return BTreeMap::new() };
    params.defaults().into_iter().chain([&params]).flat_map(Fields::members).collect()
}

/// Takes the parameter that is `{"type": "incremental", …}` out; a second one is a fault.
fn take_incremental<'y>(params: &mut BTreeMap<String, Node<'y>>) -> Option<(String, Node<'y>)> {
    let is_incremental = |node: &Node<'_>| {
        node.is_mapping()
            && node.json().is_some_and(|value| value.get("type").and_then(Value::as_str) == Some("incremental"))
    };
    let names: Vec<String> =
        params.iter().filter(|(_, node)| is_incremental(node)).map(|(name, _)| name.clone()).collect();
    let mut found = names.into_iter().filter_map(|name| params.remove_entry(&name));
    let first = found.next();
    for (name, node) in found {
        node.fault(format!("`{name}` is a second incremental parameter: a resource has one cursor"));
    }
    first
}

type Check<'c> = dyn Fn(&str) -> Result<(), String> + 'c;

fn templates(params: &BTreeMap<String, Node<'_>>, check: &Check<'_>) -> BTreeMap<String, Template> {
    let mut templates = BTreeMap::new();
    for (name, node) in params {
        if let Err(message) = Template::check_name(name) {
            node.fault(message);
        } else if node.is_mapping() {
            match super::bind::resolve(node) {
                Some(_) => node
                    .fault(format!("`resolve` is for a path: write {{{name}}} in it, or a placeholder as the value")),
                None => node.fault("a parameter is a text, a number, true or false"),
            }
        } else if node.is_list() {
            node.fault("a parameter is a text, a number, true or false; join a list with commas");
        } else if !node.is_null()
            && let Some(template) = template(node, check)
        {
            templates.insert(name.clone(), template);
        }
    }
    templates
}

fn template(node: &Node<'_>, check: &Check<'_>) -> Option<Template> {
    Template::parse(node.json()?, check).map_err(|message| node.fault(message)).ok()
}

fn method(fields: &Fields<'_>) -> Option<Method> {
    fields.get("method").map_or(Some(Method::Get), |node| node.one_of(&[("GET", Method::Get), ("POST", Method::Post)]))
}

fn headers(fields: &Fields<'_>, check: &Check<'_>) -> BTreeMap<String, Template> {
    let members =
        fields.get("headers").and_then(|node| node.fields()).map(|headers| headers.members()).unwrap_or_default();
    let header = |(name, node): &(String, Node<'_>)| {
        Template::check_name(name).map_err(|message| node.fault(message)).ok()?;
        Some((name.clone(), template(node, check)?))
    };
    members.iter().filter_map(header).collect()
}

fn body_template(fields: &Fields<'_>, check: &Check<'_>) -> Option<BodyTemplate> {
    match (fields.get("json"), fields.get("data")) {
        (Some(_), Some(node)) => {
            node.fault("give `json` or `data`, not both");
            None
        }
        (Some(_), None) => json_body(fields, check).map(BodyTemplate::Json),
        (None, Some(node)) => template(&node, check).map(BodyTemplate::Data),
        (None, None) => None,
    }
}

/// The JSON body, the defaults' members under the own ones.
fn json_body(fields: &Fields<'_>, check: &Check<'_>) -> Option<Template> {
    if let Some(node) = fields.get("json").filter(|node| !node.is_mapping()) {
        return template(&node, check);
    }
    let json = fields.fields("json")?;
    let mut members = serde_json::Map::new();
    for fields in json.defaults().into_iter().chain([&json]) {
        members.extend(fields.members().into_iter().filter_map(|(name, node)| Some((name, node.json()?))));
    }
    Template::parse(Value::Object(members), check).map_err(|message| json.node().fault(message)).ok()
}

fn filters(fields: &Fields<'_>, binding: &Binding<'_>) -> BTreeMap<String, Filter> {
    let check = |name: &str| {
        if name == "value" { Ok(()) } else { Err(format!("`{{{name}}}` is not known here; known: value")) }
    };
    let mut filters = BTreeMap::new();
    for (name, node) in fields.fields("filters").iter().flat_map(Fields::members) {
        let Some(filter) = node.fields() else { continue };
        filter.only(&["list", "params", "json", "parent", "lookup", "one_of", "format"]);
        let parent = filter.get("parent").and_then(|node| {
            let field = node.text()?;
            let known = binding.parent.borrow().as_ref().is_some_and(|(_, fields)| fields.contains(&field));
            if !known {
                node.fault(format!("no placeholder of this endpoint takes `{field}` of a parent"));
            }
            Some(field)
        });
        let list = filter.get("list").and_then(|node| node.boolean()).unwrap_or(false);
        let params = templates(&merged_params(&filter), &check);
        filters.insert(
            name,
            Filter {
                list,
                params,
                json: json_body(&filter, &check),
                parent,
                lookup: lookup(&filter, binding.resources),
                check: value_check(&filter),
            },
        );
    }
    filters
}

/// `one_of` and `format`: what the values must look like.
fn value_check(filter: &Fields<'_>) -> ValueCheck {
    let forms = Form::ALL.map(|form| (form.name(), form));
    let nodes = filter.get("one_of").and_then(|node| node.list()).unwrap_or_default();
    let text = |node: &Node<'_>| match node.json()? {
        Value::Array(_) | Value::Object(_) | Value::Null => {
            node.fault("must be a text, a number, true or false");
            None
        }
        scalar => Some(crate::template::plain(&scalar)),
    };
    if let Some(node) = filter.get("one_of").filter(|_| nodes.is_empty()) {
        node.fault("must name at least one value");
    }
    ValueCheck {
        one_of: nodes.iter().filter_map(text).collect(),
        form: filter.get("format").and_then(|node| node.one_of(&forms)),
    }
}

fn lookup(filter: &Fields<'_>, resources: &[String]) -> Option<Lookup> {
    let fields = filter.fields("lookup")?;
    fields.only(&["resource", "name", "id"]);
    let resource = fields.required("resource")?;
    let name = resource.text()?;
    if !resources.contains(&name) {
        resource.fault(format!("no resource `{name}` is declared{}", crate::nearest(&name, resources)));
    }
    Some(Lookup { resource: name, name: fields.required("name")?.text()?, id: fields.required("id")?.text()? })
}

fn batch(fields: &Fields<'_>, path: &Template) -> Option<usize> {
    let node = fields.get("batch")?;
    let size = node.integer(1..=10_000)?;
    if path.placeholders().iter().any(|name| name.starts_with("resources.")) {
        node.fault("a path holds one parent's value at a time: leave `batch` out");
    }
    usize::try_from(size).ok()
}

fn page_size(fields: &Fields<'_>) -> Option<PageSize> {
    let size = fields.fields("page_size")?;
    size.only(&["param", "body_path", "maximum"]);
    let place = match (size.get("param"), size.get("body_path")) {
        (Some(node), None) => ParamLocation::Query(node.text()?),
        (None, Some(node)) => ParamLocation::Body(node.text()?),
        _ => {
            size.node().fault("needs one of `param`, `body_path`");
            return None;
        }
    };
    Some(PageSize { place, maximum: size.required("maximum")?.integer(1..=1_000_000)? })
}

fn total(fields: &Fields<'_>) -> Option<Total> {
    match (optional_path(fields, "total_path"), fields.get("total_header").filter(|node| !node.is_null())) {
        (Some(_), Some(node)) => {
            node.fault("give `total_path` or `total_header`, not both");
            None
        }
        (Some(path), None) => Some(Total::Path(path)),
        (None, Some(node)) => node.text().map(Total::Header),
        (None, None) => None,
    }
}

fn response_actions(fields: &Fields<'_>) -> Vec<ResponseAction> {
    let nodes = fields.get("response_actions").and_then(|node| node.list()).unwrap_or_default();
    nodes.iter().filter_map(response_action).collect()
}

fn response_action(node: &Node<'_>) -> Option<ResponseAction> {
    let fields = node.fields()?;
    fields.only(&["status_code", "content", "action"]);
    let status_code = match fields.get("status_code") {
        Some(node) => u16::try_from(node.integer(100..=599)?).ok(),
        None => None,
    };
    let content = match fields.get("content") {
        Some(node) => Some(node.text()?),
        None => None,
    };
    if status_code.is_none() && content.is_none() {
        node.fault("would take every answer: give `status_code`, `content` or both");
    }
    let actions = [("ignore", Action::Ignore), ("retry", Action::Retry), ("fail", Action::Fail)];
    Some(ResponseAction { status_code, content, action: fields.required("action")?.one_of(&actions)? })
}
