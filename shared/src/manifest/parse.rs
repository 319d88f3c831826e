//! From a manifest's text to a [`Manifest`], with every fault at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::rate;
use super::yaml::{Document, Fields, Node};
use super::{
    Auth, Client, Column, DataType, Endpoint, Filter, Incremental, JsonPath, KeyPlacement, Level, Manifest, Method,
    PART_BYTES, Paginator, PartitionField, Place, Resource, Slices, Template, TimeParams, Transform, WriteDisposition,
};
use crate::error::Faults;
use crate::time;

/// What a request's placeholders may be.
const REQUEST_PLACEHOLDERS: [&str; 2] = ["incremental.start_value", "incremental.end_value"];
/// Columns that the engine adds.
const OWN_COLUMNS: [&str; 3] = ["synced_at", "first_seen_at", "observed_date"];

impl Manifest {
    /// Reads and checks a manifest, YAML or JSON. `file` names it in faults; its stem is the source's name where the
    /// manifest gives none.
    pub fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        Document::read(file, text, |root| manifest(&root, file))
    }
}

fn manifest(root: &Node<'_>, file: &str) -> Option<Manifest> {
    let fields = root.fields()?;
    fields.only(&["name", "client", "resource_defaults", "resources"]);
    let name = match fields.get("name") {
        Some(node) => identifier(&node),
        None => Some(file.split('.').next().unwrap_or(file).to_owned()),
    };
    let client_fields = fields.required("client").and_then(|node| node.fields());
    let client = client_fields.as_ref().and_then(client);
    let paginator = client_fields.as_ref().and_then(|client| client.get("paginator"));
    let defaults = fields.get("resource_defaults").and_then(|node| node.fields());
    if let Some(defaults) = &defaults {
        defaults.only(&RESOURCE_KEYS);
        if let Some(endpoint) = defaults.get("endpoint").and_then(|node| node.fields()) {
            endpoint.only(&ENDPOINT_KEYS);
        }
    }
    let nodes = fields.required("resources").and_then(|node| node.list()).unwrap_or_default();
    if nodes.is_empty() {
        root.fault("declares no resource");
    }
    let mut resources = Vec::with_capacity(nodes.len());
    let mut names = BTreeSet::new();
    for node in &nodes {
        let Some(resource) = resource(node, defaults.as_ref(), paginator.as_ref()) else {
            continue;
        };
        if !names.insert(resource.name.clone()) {
            node.fault(format!("a resource named `{}` is declared already", resource.name));
        }
        resources.push(resource);
    }
    Some(Manifest { name: name?, client: client?, resources })
}

/// A name that becomes a folder or a column.
fn identifier(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if !text.starts_with('_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
    {
        return Some(text);
    }
    node.fault(format!("`{text}` is no name: use letters, digits, `_` and `-`, not beginning with `_`"));
    None
}

fn client(fields: &Fields<'_>) -> Option<Client> {
    fields.only(&["base_url", "headers", "auth", "paginator", "rate"]);
    let base_url = fields.required("base_url").and_then(|node| {
        let text = node.text()?;
        if text.starts_with("https://") || text.starts_with("http://") {
            return Some(text.trim_end_matches('/').to_owned());
        }
        node.fault(format!("`{text}` must begin with https:// or http://"));
        None
    });
    let auth = fields.get("auth").and_then(|node| auth(&node));
    Some(Client { base_url: base_url?, headers: texts(fields, "headers"), auth, rate: rate::rate(fields) })
}

fn auth(node: &Node<'_>) -> Option<Auth> {
    let fields = node.fields()?;
    let kinds = [("bearer", true), ("api_key", false)];
    let bearer = fields.get("type").map_or(Some(true), |kind| kind.one_of(&kinds))?;
    if bearer {
        fields.only(&["type", "token"]);
        return Some(Auth { secret: secret(&fields.required("token")?)?, placement: KeyPlacement::Bearer });
    }
    fields.only(&["type", "name", "api_key", "location"]);
    let secret = fields.required("api_key").and_then(|node| secret(&node));
    let name = fields.get("name").map_or(Some("Authorization".to_owned()), |node| node.text())?;
    let places = [("header", false), ("query", true), ("param", true)];
    let query = fields.get("location").map_or(Some(false), |node| node.one_of(&places))?;
    let placement = if query { KeyPlacement::Query(name) } else { KeyPlacement::Header(name) };
    Some(Auth { secret: secret?, placement })
}

/// A named secret: a key written into a manifest is refused, and not repeated in the fault.
fn secret(node: &Node<'_>) -> Option<String> {
    if node.is_text() {
        node.fault("a secret is named, never written: use {$secret: api_key}");
        return None;
    }
    let fields = node.fields()?;
    fields.only(&["$secret"]);
    identifier(&fields.required("$secret")?)
}

const RESOURCE_KEYS: [&str; 10] = [
    "name",
    "endpoint",
    "primary_key",
    "write_disposition",
    "columns",
    "partition",
    "part_bytes",
    "history",
    "slices",
    "explode",
];
const ENDPOINT_KEYS: [&str; 11] = [
    "path",
    "method",
    "params",
    "json",
    "headers",
    "data_selector",
    "paginator",
    "incremental",
    "total_path",
    "depth_limit",
    "filters",
];

fn resource(node: &Node<'_>, defaults: Option<&Fields<'_>>, client_paginator: Option<&Node<'_>>) -> Option<Resource> {
    let own = node.fields()?;
    own.only(&RESOURCE_KEYS);
    let fields = own.or(defaults.cloned());
    let name = fields.required("name").and_then(|node| identifier(&node));
    let endpoint = endpoint(&fields, name.as_deref().unwrap_or_default(), client_paginator);
    let primary_key = fields.required("primary_key").and_then(|node| strings(&node)).unwrap_or_default();
    let mut columns = columns(&fields);
    for key in primary_key.iter().rev() {
        match columns.iter().find(|column| column.name == *key) {
            Some(column)
                if column.list || !matches!(column.data_type, DataType::Text | DataType::Bigint | DataType::Date) =>
            {
                let kind = if column.list { "list" } else { column.data_type.name() };
                node.fault(format!("the key column `{key}` is a {kind}; a key is text, bigint or date"));
            }
            Some(_) => {}
            None => columns.insert(0, text_column(key)),
        }
    }
    let partition = partition(&fields, &columns);
    let slices = slices(&fields);
    let explode = explode(&fields);
    Some(Resource {
        name: name?,
        endpoint: endpoint?,
        primary_key,
        write_disposition: write_disposition(&fields)?,
        columns,
        partition,
        part_bytes: part_bytes(&fields),
        history: fields.get("history").map_or(Some(false), |node| node.boolean())?,
        slices,
        explode,
    })
}

fn part_bytes(fields: &Fields<'_>) -> usize {
    let given = fields.get("part_bytes").and_then(|node| node.integer(64 << 10..=1 << 30));
    given.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(PART_BYTES)
}

fn text_column(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        path: JsonPath::of_field(name),
        data_type: DataType::Text,
        list: false,
        volatile: false,
        description: None,
    }
}

fn write_disposition(fields: &Fields<'_>) -> Option<WriteDisposition> {
    let Some(node) = fields.get("write_disposition") else {
        return Some(WriteDisposition::Append);
    };
    let choices = [("append", WriteDisposition::Append), ("merge", WriteDisposition::Merge)];
    if node.is_text() {
        return node.one_of(&choices);
    }
    let fields = node.fields()?;
    fields.only(&["disposition", "strategy"]);
    let disposition = fields.required("disposition")?.one_of(&choices)?;
    let strategies = [("upsert", WriteDisposition::Merge), ("insert-only", WriteDisposition::Append)];
    fields.get("strategy").map_or(Some(disposition), |node| node.one_of(&strategies))
}

fn endpoint(resource: &Fields<'_>, name: &str, client_paginator: Option<&Node<'_>>) -> Option<Endpoint> {
    let shorthand = resource.get("endpoint").filter(Node::is_text);
    let fields = match &shorthand {
        Some(_) => resource.defaults().and_then(|defaults| defaults.fields("endpoint")),
        None => resource.fields("endpoint"),
    };
    let Some(fields) = fields else {
        resource.node().fault("needs `endpoint` with `data_selector` and a paginator");
        return None;
    };
    fields.only(&ENDPOINT_KEYS);
    let path = match shorthand.or_else(|| fields.get("path")) {
        Some(node) => node.text().map(|path| path.trim_start_matches('/').to_owned()),
        None => Some(name.to_owned()),
    };
    let method = fields
        .get("method")
        .map_or(Some(Method::Get), |node| node.one_of(&[("GET", Method::Get), ("POST", Method::Post)]));
    let incremental = fields.get("incremental").and_then(|node| incremental(&node));
    let placeholders: &[&str] = if incremental.is_some() { &REQUEST_PLACEHOLDERS } else { &[] };
    let paginator = match fields.get("paginator").as_ref().or(client_paginator) {
        Some(node) => paginator(node),
        None => {
            fields.node().fault("needs `paginator` here, in resource_defaults or in client");
            None
        }
    };
    Some(Endpoint {
        path: path?,
        method: method?,
        params: params(&fields, placeholders),
        json: body(&fields, placeholders),
        headers: texts(&fields, "headers"),
        data_selector: fields.required("data_selector").and_then(|node| json_path(&node))?,
        paginator: paginator?,
        total_path: optional_path(&fields, "total_path"),
        depth_limit: fields.get("depth_limit").and_then(|node| node.integer(1..=u64::MAX)),
        incremental,
        filters: filters(&fields),
    })
}

fn params(fields: &Fields<'_>, placeholders: &[&str]) -> BTreeMap<String, Template> {
    let mut params = fields.defaults().map(|defaults| params(defaults, placeholders)).unwrap_or_default();
    let own = fields.clone().or(None).fields("params");
    for (name, node) in own.iter().flat_map(Fields::members) {
        if let Some(template) = template(&node, placeholders) {
            params.insert(name, template);
        }
    }
    params
}

fn body(fields: &Fields<'_>, placeholders: &[&str]) -> Option<Template> {
    let json = fields.fields("json")?;
    let mut members = serde_json::Map::new();
    for fields in json.defaults().into_iter().chain([&json]) {
        members.extend(fields.members().into_iter().filter_map(|(name, node)| Some((name, node.json()?))));
    }
    checked(json.node(), Value::Object(members), placeholders)
}

fn template(node: &Node<'_>, placeholders: &[&str]) -> Option<Template> {
    checked(node, node.json()?, placeholders)
}

fn checked(node: &Node<'_>, value: Value, placeholders: &[&str]) -> Option<Template> {
    Template::parse(value, placeholders).map_err(|message| node.fault(message)).ok()
}

fn incremental(node: &Node<'_>) -> Option<Incremental> {
    let fields = node.fields()?;
    fields.only(&["cursor_path", "initial_value", "lag"]);
    let initial_value = fields.get("initial_value").filter(|node| !node.is_null()).and_then(|node| {
        let text = node.text()?;
        let instant = time::parse_instant(&text);
        if instant.is_none() {
            node.fault(format!("`{text}` is no instant: use YYYY-MM-DD or RFC 3339"));
        }
        instant
    });
    Some(Incremental {
        cursor_path: json_path(&fields.required("cursor_path")?)?,
        initial_value,
        lag: fields.get("lag").map_or(Some(0), |node| node.integer(0..=366 * 86_400))?,
    })
}

fn paginator(node: &Node<'_>) -> Option<Paginator> {
    #[derive(Clone, Copy)]
    enum Kind {
        Single,
        Offset,
        PageNumber,
    }
    let kinds = [("single_page", Kind::Single), ("offset", Kind::Offset), ("page_number", Kind::PageNumber)];
    if node.is_text() {
        return match node.one_of(&kinds)? {
            Kind::Single => Some(Paginator::SinglePage),
            Kind::Offset => {
                node.fault("`offset` needs its `limit`: {type: offset, limit: 100}");
                None
            }
            Kind::PageNumber => Some(Paginator::PageNumber {
                base_page: 0,
                page_place: Place::Query("page".into()),
                total_path: Some(JsonPath::of_field("total")),
            }),
        };
    }
    let fields = node.fields()?;
    match fields.required("type")?.one_of(&kinds)? {
        Kind::Single => {
            fields.only(&["type"]);
            Some(Paginator::SinglePage)
        }
        Kind::Offset => {
            fields.only(&[
                "type",
                "limit",
                "offset",
                "offset_param",
                "offset_body_path",
                "limit_param",
                "limit_body_path",
                "total_path",
            ]);
            Some(Paginator::Offset {
                limit: fields.required("limit")?.integer(1..=1_000_000)?,
                offset: fields.get("offset").map_or(Some(0), |node| node.integer(0..=u64::MAX))?,
                offset_place: place(&fields, "offset")?,
                limit_place: place(&fields, "limit")?,
                total_path: paginator_total(&fields),
            })
        }
        Kind::PageNumber => {
            fields.only(&["type", "base_page", "page_param", "page_body_path", "total_path"]);
            Some(Paginator::PageNumber {
                base_page: fields.get("base_page").map_or(Some(0), |node| node.integer(0..=u64::MAX))?,
                page_place: place(&fields, "page")?,
                total_path: paginator_total(&fields),
            })
        }
    }
}

/// dlt's default is a top-level `total`; null says that the API gives none.
fn paginator_total(fields: &Fields<'_>) -> Option<JsonPath> {
    match fields.get("total_path") {
        Some(node) if node.is_null() => None,
        Some(node) => json_path(&node),
        None => Some(JsonPath::of_field("total")),
    }
}

/// `<name>_param` or `<name>_body_path`; the query parameter of that name by default.
fn place(fields: &Fields<'_>, name: &str) -> Option<Place> {
    match (fields.get(&format!("{name}_param")), fields.get(&format!("{name}_body_path"))) {
        (Some(_), Some(node)) => {
            node.fault(format!("give `{name}_param` or `{name}_body_path`, not both"));
            None
        }
        (Some(node), None) => node.text().map(Place::Query),
        (None, Some(node)) => node.text().map(Place::Body),
        (None, None) => Some(Place::Query(name.to_owned())),
    }
}

fn filters(fields: &Fields<'_>) -> BTreeMap<String, Filter> {
    let mut filters = BTreeMap::new();
    for (name, node) in fields.fields("filters").iter().flat_map(Fields::members) {
        let Some(filter) = node.fields() else { continue };
        filter.only(&["list", "params", "json"]);
        let list = filter.get("list").and_then(|node| node.boolean()).unwrap_or(false);
        filters.insert(name, Filter { list, params: params(&filter, &["value"]), json: body(&filter, &["value"]) });
    }
    filters
}

fn columns(fields: &Fields<'_>) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let Some(own) = fields.fields("columns") else {
        return columns;
    };
    for fields in own.defaults().into_iter().chain([&own]) {
        for (name, node) in fields.members() {
            if OWN_COLUMNS.contains(&name.as_str()) || name.starts_with('_') {
                node.fault(format!("`{name}` is a name of the engine's own columns; choose another"));
            }
            let Some(column) = column(name, &node) else { continue };
            match columns.iter_mut().find(|existing| existing.name == column.name) {
                Some(existing) => *existing = column,
                None => columns.push(column),
            }
        }
    }
    columns
}

fn column(name: String, node: &Node<'_>) -> Option<Column> {
    let types = DataType::ALL.map(|data_type| (data_type.name(), data_type));
    let fields = node.fields()?;
    fields.only(&["path", "data_type", "list", "volatile", "description"]);
    let path = match fields.get("path") {
        Some(node) => json_path(&node)?,
        None => JsonPath::of_field(&name),
    };
    let list = fields.get("list").map_or(Some(false), |node| node.boolean())?;
    if path.is_many() && !list {
        node.fault(format!("`{path}` can meet many values: add `list: true`, or take one with `[0]`"));
    }
    Some(Column {
        name,
        path,
        data_type: fields.required("data_type")?.one_of(&types)?,
        list,
        volatile: fields.get("volatile").map_or(Some(false), |node| node.boolean())?,
        description: fields.get("description").and_then(|node| node.text()),
    })
}

fn partition(fields: &Fields<'_>, columns: &[Column]) -> Vec<PartitionField> {
    let nodes = fields.get("partition").and_then(|node| node.list()).unwrap_or_default();
    nodes.iter().filter_map(|node| partition_field(node, columns)).collect()
}

fn partition_field(node: &Node<'_>, columns: &[Column]) -> Option<PartitionField> {
    let fields = node.fields()?;
    fields.only(&["name", "from", "transform"]);
    let name = fields.required("name").and_then(|node| {
        let name = identifier(&node)?;
        if columns.iter().any(|column| column.name == name) {
            node.fault(format!("a column is named `{name}` too: readers of Hive folders take one or the other"));
        }
        Some(name)
    });
    let from = fields.required("from")?;
    let from_name = from.text()?;
    let Some(column) = columns.iter().find(|column| column.name == from_name) else {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        from.fault(format!("no column is named `{from_name}`{}", super::nearest(&from_name, &names)));
        return None;
    };
    let transform = fields.get("transform").map_or(Some(Transform::Identity), |node| transform(&node))?;
    let fits = match transform {
        Transform::Bucket(_) | Transform::Identity => {
            matches!(column.data_type, DataType::Text | DataType::Bigint | DataType::Date) && !column.list
        }
        _ => matches!(column.data_type, DataType::Text | DataType::Date | DataType::Timestamp) && !column.list,
    };
    if !fits {
        from.fault(format!(
            "`{transform}` does not go with `{from_name}`, a column of type {}",
            column.data_type.name()
        ));
    }
    Some(PartitionField { name: name?, from: from_name, transform })
}

fn transform(node: &Node<'_>) -> Option<Transform> {
    let text = node.text()?;
    if let Some(count) = text.strip_prefix("bucket[").and_then(|rest| rest.strip_suffix(']')) {
        if let Some(count) = count.parse().ok().filter(|count| (1..=10_000).contains(count)) {
            return Some(Transform::Bucket(count));
        }
        node.fault(format!("`{text}`: buckets are 1 to 10000"));
        return None;
    }
    node.one_of(&[
        ("identity", Transform::Identity),
        ("year", Transform::Year),
        ("month", Transform::Month),
        ("day", Transform::Day),
        ("hour", Transform::Hour),
        ("bucket[N]", Transform::Bucket(1)),
    ])
}

fn slices(fields: &Fields<'_>) -> Slices {
    let Some(slices) = fields.fields("slices") else {
        return Slices::default();
    };
    slices.only(&["time", "undated"]);
    let time = slices.fields("time").and_then(|time| {
        time.only(&["start_param", "end_param"]);
        Some(TimeParams {
            start_param: time.required("start_param")?.text()?,
            end_param: time.required("end_param")?.text()?,
        })
    });
    let undated = slices.get("undated").and_then(|node| node.list()).unwrap_or_default();
    let undated = undated.iter().filter_map(|node| Some(texts_of(&node.fields()?))).collect();
    Slices { time, undated }
}

fn explode(fields: &Fields<'_>) -> Vec<Vec<Level>> {
    let ways = fields.get("explode").and_then(|node| node.list()).unwrap_or_default();
    ways.iter()
        .filter_map(|way| {
            let levels: Vec<Level> = way.list()?.iter().filter_map(level).collect();
            if levels.is_empty() {
                way.fault("needs at least one level: [{as: segment, path: segment}]");
            }
            Some(levels)
        })
        .collect()
}

fn level(node: &Node<'_>) -> Option<Level> {
    let fields = node.fields()?;
    fields.only(&["as", "path"]);
    Some(Level { name: identifier(&fields.required("as")?)?, path: json_path(&fields.required("path")?)? })
}

fn json_path(node: &Node<'_>) -> Option<JsonPath> {
    JsonPath::parse(&node.text()?).map_err(|message| node.fault(message)).ok()
}

fn optional_path(fields: &Fields<'_>, name: &str) -> Option<JsonPath> {
    fields.get(name).filter(|node| !node.is_null()).and_then(|node| json_path(&node))
}

/// A text, or a list of texts.
fn strings(node: &Node<'_>) -> Option<Vec<String>> {
    if !node.is_list() {
        return Some(vec![node.text()?]);
    }
    let texts: Vec<String> = node.list()?.iter().filter_map(Node::text).collect();
    if texts.is_empty() {
        node.fault("must name at least one column");
    }
    Some(texts)
}

fn texts(fields: &Fields<'_>, name: &str) -> BTreeMap<String, String> {
    fields.fields(name).as_ref().map(texts_of).unwrap_or_default()
}

/// Scalars as the texts that a query or a header holds.
fn texts_of(fields: &Fields<'_>) -> BTreeMap<String, String> {
    let texts = fields.members().into_iter().filter_map(|(name, node)| match node.json()? {
        Value::Array(_) | Value::Object(_) | Value::Null => {
            node.fault("must be a text, a number, true or false");
            None
        }
        scalar => Some((name, super::template::plain(&scalar))),
    });
    texts.collect()
}
