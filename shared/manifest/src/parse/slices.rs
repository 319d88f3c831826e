//! `slices`: how a query is cut where it is deeper than the API serves.

use std::collections::BTreeMap;

use super::values::{json_path, optional_path, texts, texts_of};
use crate::yaml::{Fields, Node};
use crate::{
    Cells, Endpoint, Paginator, Parent, Resource, Slices, SplitBy, SplitParam, TimeEnds, TimeParams, Undated, Unit,
    Values, ValuesFrom, nearest,
};

pub(super) fn slices(
    fields: &Fields<'_>,
    endpoint: Option<&Endpoint>,
    parent: Option<&Parent>,
    resources: &[String],
) -> Slices {
    let Some(slices) = fields.fields("slices") else {
        return Slices::default();
    };
    slices.only(&["time", "undated", "then", "reverse", "sample"]);
    let list = |name: &str| slices.get(name).and_then(|node| node.list()).unwrap_or_default();
    let cut = |node: &Node<'_>| cut(node, resources);
    let read = Slices {
        time: slices.fields("time").and_then(|time| time_params(&time, &[])),
        undated: list("undated").iter().filter_map(undated).collect(),
        then: list("then").iter().filter_map(cut).collect(),
        reverse: texts(&slices, "reverse"),
        sample: texts(&slices, "sample"),
    };
    let by_params = slices.get("then").or_else(|| slices.get("reverse"));
    if let (Some(node), Some(endpoint)) = (by_params, endpoint) {
        check(&node, endpoint, parent);
    }
    read
}

/// What cutting by parameters needs of the endpoint.
fn check(node: &Node<'_>, endpoint: &Endpoint, parent: Option<&Parent>) {
    if endpoint.depth_limit.is_none() || endpoint.total.is_none() {
        node.fault("needs the endpoint's `depth_limit` and `total_path`: they say which query is too deep");
    }
    if !matches!(endpoint.paginator, Paginator::PageNumber { .. } | Paginator::Offset { .. }) {
        node.fault("goes with the paginators `page_number` and `offset` alone");
    }
    if let Some(parent) = parent {
        node.fault(format!("a query is cut by its parent already: there is one for each of `{}`", parent.resource));
    }
}

/// The parameters of a range of time, in fields that may have `others` beside.
pub(super) fn time_params(fields: &Fields<'_>, others: &[&str]) -> Option<TimeParams> {
    fields.only(&[&["start_param", "end_param", "range_param", "path"], others].concat());
    let ends = match fields.get("range_param") {
        Some(node) => TimeEnds::Range { param: node.text()? },
        None => TimeEnds::Pair {
            start_param: fields.required("start_param")?.text()?,
            end_param: fields.required("end_param")?.text()?,
        },
    };
    Some(TimeParams { ends, path: optional_path(fields, "path") })
}

fn undated(node: &Node<'_>) -> Option<Undated> {
    let fields = node.fields()?;
    fields.only(&["params", "time"]);
    let params = fields.required("params").and_then(|node| node.fields()).as_ref().map(texts_of)?;
    Some(Undated { params, time: fields.fields("time").and_then(|time| time_params(&time, &[])) })
}

fn cut(node: &Node<'_>, resources: &[String]) -> Option<SplitParam> {
    let fields = node.fields()?;
    fields.only(&["param", "path", "several", "values", "values_from", "exclude", "geohash"]);
    let param = fields.required("param")?.text()?;
    if let Some(geohash) = fields.fields("geohash") {
        for name in ["path", "several", "values", "values_from", "exclude"] {
            if let Some(node) = fields.get(name) {
                node.fault("does not go with `geohash`, which finds its cells itself");
            }
        }
        return Some(SplitParam { param, by: SplitBy::Cells(cells(&geohash)?) });
    }
    let listed = fields.get("values").and_then(|node| node.list()).unwrap_or_default();
    let values = Values {
        path: optional_path(&fields, "path"),
        several: fields.get("several").map_or(Some(false), |node| node.boolean())?,
        from: fields.fields("values_from").and_then(|from| values_from(&from, resources)),
        listed: listed.iter().filter_map(Node::text).collect(),
        exclude: fields.get("exclude").and_then(|node| node.text()),
    };
    if let (Some(node), false) = (fields.get("exclude"), values.several) {
        node.fault("goes with `several: true` alone: all known values are left out in one query");
    }
    if fields.get("path").is_none() && fields.get("values").is_none() && fields.get("values_from").is_none() {
        node.fault(format!("`{param}` has no values to cut by: give `path`, `values_from`, `values` or `geohash`"));
    }
    Some(SplitParam { param, by: SplitBy::Values(values) })
}

fn values_from(fields: &Fields<'_>, resources: &[String]) -> Option<ValuesFrom> {
    fields.only(&["resource", "column"]);
    let node = fields.required("resource")?;
    let resource = node.text()?;
    if !resources.contains(&resource) {
        node.fault(format!("no resource `{resource}` is declared{}", nearest(&resource, resources)));
    }
    Some(ValuesFrom { resource, column: fields.required("column")?.text()? })
}

fn cells(fields: &Fields<'_>) -> Option<Cells> {
    fields.only(&["latitude", "longitude", "radius_param", "unit", "params", "precision"]);
    let params = match fields.get("params") {
        Some(_) => texts(fields, "params"),
        None => BTreeMap::new(),
    };
    let precision = fields.get("precision").map_or(Some(5), |node| node.integer(1..=9))?;
    Some(Cells {
        latitude: json_path(&fields.required("latitude")?)?,
        longitude: json_path(&fields.required("longitude")?)?,
        radius_param: fields.required("radius_param")?.text()?,
        unit: fields.required("unit")?.one_of(&[("km", Unit::Kilometre), ("miles", Unit::Mile)])?,
        params,
        precision: usize::try_from(precision).ok()?,
    })
}

/// Faults the columns that `values_from` names and their resource does not declare.
pub(super) fn check_values(node: &Node<'_>, resource: &Resource, resources: &[Resource]) {
    for cut in &resource.slices.then {
        let SplitBy::Values(Values { from: Some(from), .. }) = &cut.by else { continue };
        let Some(other) = resources.iter().find(|other| other.name == from.resource) else { continue };
        let names: Vec<&str> = other.columns.iter().map(|column| column.name.as_str()).collect();
        if !other.infer_columns && !names.contains(&from.column.as_str()) {
            let (param, table, column) = (&cut.param, &from.resource, &from.column);
            node.fault(format!(
                "slices.then: `{param}` takes values from `{table}`, which has no column `{column}`{}",
                nearest(column, &names)
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Manifest;

    /// The faults of a manifest whose one resource has these `slices`.
    fn faults(endpoint: &str, slices: &str) -> String {
        let text = format!(
            "client: {{base_url: \"https://api.example\", paginator: {{type: page_number, total_path: pages}}}}\nresources:\n  - name: shops\n    primary_key: id\n    endpoint: {{path: shops{endpoint}}}\n    columns: {{id: {{data_type: text}}, country: {{data_type: text}}}}\n    slices: {slices}\n"
        );
        Manifest::parse("test.yaml", &text).err().map(|faults| faults.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_a_cut_needs_is_said_with_its_place() {
        let deep = ", depth_limit: 100, total_path: total";
        let whole = "{reverse: {order: down}, sample: {order: none}, then: [{param: country, path: country, values_from: {resource: shops, column: country}, values: [DE]}]}";
        assert_eq!(faults(deep, whole), "");
        for (endpoint, slices, message) in [
            ("", "{reverse: {order: down}}", "needs the endpoint's `depth_limit` and `total_path`"),
            (deep, "{then: [{param: country}]}", "`country` has no values to cut by"),
            (deep, "{then: [{path: country}]}", "param"),
            (deep, "{then: [{param: c, values_from: {resource: shop, column: country}}]}", "Did you mean `shops`?"),
            (deep, "{then: [{param: c, values_from: {resource: shops, column: county}}]}", "Did you mean `country`?"),
            (deep, "{then: [{param: c, values: [DE], exclude: \"-\"}]}", "goes with `several: true` alone"),
            (
                deep,
                "{then: [{param: at, geohash: {latitude: lat, longitude: lon, radius_param: r, unit: feet}}]}",
                "`feet` is not one of km, miles",
            ),
            (
                ", depth_limit: 100, total_path: total, paginator: {type: cursor}",
                "{reverse: {order: down}}",
                "`page_number` and `offset` alone",
            ),
        ] {
            let said = faults(endpoint, slices);
            assert!(said.contains(message) && said.contains("test.yaml:"), "{slices}: {said}");
        }
    }
}
