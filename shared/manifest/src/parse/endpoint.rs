//! `endpoint`: the request for a resource's records, and what the API's responses mean.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::bind::{Binding, resolve};
use super::client::auths;
use super::context::Context;
use super::incremental::incremental;
use super::paginator::paginator;
use super::values::scalar_text;
use crate::column::Column;
use crate::endpoint::{
    Action, BodyTemplate, Endpoint, Filter, Lookup, Method, PageSize, Paginator, ParamLocation, ResponseAction, Total,
};
use crate::fault::nearest;
use crate::keys::endpoint::{ENDPOINT, FILTER, LOOKUP, PAGE_SIZE, RESPONSE_ACTION};
use crate::path::JsonPath;
use crate::resource::Parent;
use crate::template::Template;
use crate::value_check::{Form, ValueCheck};
use crate::yaml::{Fields, Node};

/// An endpoint, and what it says about its resource.
pub(super) struct BoundEndpoint {
    pub(super) endpoint: Endpoint,
    /// The resource that placeholders refer to.
    pub(super) parent: Option<Parent>,
    /// How placeholders were understood that the manifest leaves open, for the log.
    pub(super) notes: Vec<String>,
}

/// Reads the member `endpoint` of the resource `name`, whose declared columns are `columns`.
pub(super) fn endpoint(
    resource: &Fields<'_>,
    name: &str,
    columns: &[Column],
    context: &Context<'_, '_>,
) -> Option<BoundEndpoint> {
    let shorthand = resource.get("endpoint").filter(Node::is_text);
    let fields = match &shorthand {
        Some(_) => resource.defaults().and_then(|defaults| defaults.fields("endpoint", &ENDPOINT)),
        None => resource.fields("endpoint", &ENDPOINT),
    };
    let fields = fields.unwrap_or_else(|| resource.node().no_fields(&ENDPOINT));
    let mut params = merged_params(&fields);
    // In dlt's older form, the cursor is declared in the place of the parameter that takes it.
    let param_cursor = take_incremental(&mut params);
    let cursor_node = fields.get("incremental").or_else(|| param_cursor.as_ref().map(|(_, node)| node.clone()));
    let mut cursor = cursor_node.as_ref().and_then(|node| incremental(node, columns));
    if let (Some(cursor), Some((param, _))) = (&mut cursor, &param_cursor) {
        cursor.start_param = Some(param.clone());
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
    // By dlt's rule, a placeholder in the last segment is the id of a record, and the response is that record.
    let is_single_entity =
        path_text.trim_end_matches('/').rsplit('/').next().is_some_and(|segment| segment.contains('{'));
    let path_text = if path_text.contains("://") { path_text } else { path_text.trim_start_matches('/').to_owned() };
    let path = binding.path(path_node.as_ref().unwrap_or(fields.node()), &path_text, &mut params);
    let check = |name: &str| binding.check(name);
    let params = templates(&params, &check);
    let (method, body) = (method(&fields), body_template(&fields, &check));
    let headers = headers(&fields, &check);
    let selector = match fields.get("data_selector") {
        Some(node) => node.json_path(),
        None if is_single_entity => JsonPath::parse("$").ok(),
        None => None,
    };
    let paginator = match (fields.get("paginator"), context.paginator) {
        (Some(node), _) => paginator(&node),
        (None, _) if is_single_entity => Some(Paginator::SinglePage),
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
        depth_limit: fields.integer("depth_limit"),
        total_limit: fields.integer("total_limit"),
        ignore_hints: fields.list("ignore_hints").iter().filter_map(Node::json_path).collect(),
        incremental: cursor,
        filters,
        response_actions: response_actions(&fields),
    };
    Some(BoundEndpoint { endpoint, parent, notes: binding.notes.into_inner() })
}

/// The values of the parameters. As in dlt, a parameter of the resource replaces one of the defaults with the same name.
fn merged_params<'y>(fields: &Fields<'y>) -> BTreeMap<String, Node<'y>> {
    let Some(params) = fields.named_values("params") else { return BTreeMap::new() };
    params.defaults().into_iter().chain([&params]).flat_map(Fields::members).collect()
}

/// Removes the parameter that is `{"type": "incremental", …}` from `params` and returns it. A second one is a fault.
fn take_incremental<'y>(params: &mut BTreeMap<String, Node<'y>>) -> Option<(String, Node<'y>)> {
    let is_incremental = |node: &Node<'_>| {
        node.is_mapping()
            && node.json().is_some_and(|value| value.get("type").and_then(Value::as_str) == Some("incremental"))
    };
    let names: Vec<String> =
        params.iter().filter(|(_, node)| is_incremental(node)).map(|(name, _)| name.clone()).collect();
    let mut removed = names.into_iter().filter_map(|name| params.remove_entry(&name));
    let first = removed.next();
    for (name, node) in removed {
        node.fault(format!("`{name}` is a second incremental parameter: a resource has one cursor"));
    }
    first
}

/// Says what is wrong with the placeholder of a name.
type Check<'c> = dyn Fn(&str) -> Result<(), String> + 'c;

fn templates(params: &BTreeMap<String, Node<'_>>, check: &Check<'_>) -> BTreeMap<String, Template> {
    let mut templates = BTreeMap::new();
    for (name, node) in params {
        if let Err(message) = Template::check_name(name) {
            node.fault(message);
        } else if node.is_mapping() {
            match resolve(node) {
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
    fields.one_of("method", &[("GET", Method::Get), ("POST", Method::Post)])
}

fn headers(fields: &Fields<'_>, check: &Check<'_>) -> BTreeMap<String, Template> {
    let members =
        fields.get("headers").and_then(|node| node.named_values()).map(|headers| headers.members()).unwrap_or_default();
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

/// Reads the JSON body. A member of the resource replaces one of the defaults with the same name.
fn json_body(fields: &Fields<'_>, check: &Check<'_>) -> Option<Template> {
    if let Some(node) = fields.get("json").filter(|node| !node.is_mapping()) {
        return template(&node, check);
    }
    let json = fields.named_values("json")?;
    let mut members = serde_json::Map::new();
    for level in json.defaults().into_iter().chain([&json]) {
        members.extend(level.members().into_iter().filter_map(|(name, node)| Some((name, node.json()?))));
    }
    Template::parse(Value::Object(members), check).map_err(|message| json.node().fault(message)).ok()
}

fn filters(fields: &Fields<'_>, binding: &Binding<'_>) -> BTreeMap<String, Filter> {
    let check = |name: &str| {
        if name == "value" { Ok(()) } else { Err(format!("`{{{name}}}` is not known here; known: value")) }
    };
    let mut filters = BTreeMap::new();
    for (name, node) in fields.named_values("filters").iter().flat_map(Fields::members) {
        let Some(filter) = node.fields(&FILTER) else { continue };
        let parent = filter.get("parent").and_then(|node| {
            let field = node.text()?;
            let is_bound = binding.parent.borrow().as_ref().is_some_and(|(_, fields)| fields.contains(&field));
            if !is_bound {
                node.fault(format!("no placeholder of this endpoint takes `{field}` of a parent"));
            }
            Some(field)
        });
        let list = filter.boolean("list").unwrap_or(false);
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

/// Reads `one_of` and `format`: what the values must look like.
fn value_check(filter: &Fields<'_>) -> ValueCheck {
    let forms = Form::ALL.map(|form| (form.name(), form));
    let nodes = filter.list("one_of");
    if let Some(node) = filter.get("one_of").filter(|_| nodes.is_empty()) {
        node.fault("must name at least one value");
    }
    ValueCheck {
        one_of: nodes.iter().filter_map(scalar_text).collect(),
        form: filter.get("format").and_then(|node| node.one_of(&forms)),
    }
}

fn lookup(filter: &Fields<'_>, resources: &[String]) -> Option<Lookup> {
    let fields = filter.fields("lookup", &LOOKUP)?;
    let node = fields.required("resource")?;
    let resource = node.text()?;
    if !resources.contains(&resource) {
        node.fault(format!("no resource `{resource}` is declared{}", nearest(&resource, resources)));
    }
    Some(Lookup { resource, name: fields.text("name")?, id: fields.text("id")? })
}

fn batch(fields: &Fields<'_>, path: &Template) -> Option<usize> {
    let node = fields.get("batch")?;
    let size = node.integer()?;
    if path.placeholders().iter().any(|name| name.starts_with("resources.")) {
        node.fault("a path holds one parent's value at a time: leave `batch` out");
    }
    usize::try_from(size).ok()
}

fn page_size(fields: &Fields<'_>) -> Option<PageSize> {
    let size = fields.fields("page_size", &PAGE_SIZE)?;
    let place = match (size.get("param"), size.get("body_path")) {
        (Some(node), None) => ParamLocation::Query(node.text()?),
        (None, Some(node)) => ParamLocation::Body(node.text()?),
        _ => {
            size.node().fault("needs one of `param`, `body_path`");
            return None;
        }
    };
    Some(PageSize { place, maximum: size.integer("maximum")? })
}

fn total(fields: &Fields<'_>) -> Option<Total> {
    match (fields.json_path("total_path"), fields.get("total_header")) {
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
    fields.list("response_actions").iter().filter_map(response_action).collect()
}

fn response_action(node: &Node<'_>) -> Option<ResponseAction> {
    let fields = node.fields(&RESPONSE_ACTION)?;
    let status_code = match fields.get("status_code") {
        Some(node) => u16::try_from(node.integer()?).ok(),
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
    Some(ResponseAction { status_code, content, action: fields.one_of("action", &actions)? })
}
