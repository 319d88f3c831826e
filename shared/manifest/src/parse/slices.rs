//! `slices`: how a query is split that has more records than the API serves.

use super::values::{scalar_texts, texts_of_scalars};
use crate::endpoint::{Endpoint, Paginator};
use crate::fault::nearest;
use crate::keys::slices::{GEOHASH, SLICES, SPLIT, TIME, UNDATED, VALUES_FROM};
use crate::resource::{Parent, Resource};
use crate::split::{Cells, Slices, SplitBy, SplitParam, TimeEnds, TimeParams, Undated, Unit, Values, ValuesFrom};
use crate::yaml::{Fields, Node};

/// Reads the member `slices` of a resource.
pub(super) fn slices(
    resource: &Fields<'_>,
    endpoint: Option<&Endpoint>,
    parent: Option<&Parent>,
    resources: &[String],
) -> Slices {
    let Some(fields) = resource.fields("slices", &SLICES) else {
        return Slices::default();
    };
    let slices = Slices {
        time: fields.fields("time", &TIME).and_then(|time| time_params(&time)),
        undated: fields.list("undated").iter().filter_map(undated).collect(),
        then: fields.list("then").iter().filter_map(|node| split_param(node, resources)).collect(),
        reverse: scalar_texts(&fields, "reverse"),
        sample: scalar_texts(&fields, "sample"),
    };
    let by_params = fields.get("then").or_else(|| fields.get("reverse"));
    if let (Some(node), Some(endpoint)) = (by_params, endpoint) {
        check_endpoint(&node, endpoint, parent);
    }
    slices
}

/// Adds a fault for each property of the endpoint that does not allow splitting by parameters.
fn check_endpoint(node: &Node<'_>, endpoint: &Endpoint, parent: Option<&Parent>) {
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

/// Reads the parameters that bound a query in time.
pub(super) fn time_params(fields: &Fields<'_>) -> Option<TimeParams> {
    let ends = match fields.get("range_param") {
        Some(node) => TimeEnds::Range { param: node.text()? },
        None => TimeEnds::Pair { start_param: fields.text("start_param")?, end_param: fields.text("end_param")? },
    };
    let whole_seconds = fields.boolean("whole_seconds").unwrap_or_default();
    Some(TimeParams { ends, path: fields.json_path("path"), whole_seconds })
}

fn undated(node: &Node<'_>) -> Option<Undated> {
    let fields = node.fields(&UNDATED)?;
    let params = fields.required("params").and_then(|node| node.named_values()).as_ref().map(texts_of_scalars)?;
    Some(Undated { params, time: fields.fields("time", &TIME).and_then(|time| time_params(&time)) })
}

fn split_param(node: &Node<'_>, resources: &[String]) -> Option<SplitParam> {
    let fields = node.fields(&SPLIT)?;
    let param = fields.text("param")?;
    if let Some(geohash) = fields.fields("geohash", &GEOHASH) {
        for name in ["path", "several", "values", "values_from", "exclude"] {
            if let Some(node) = fields.get(name) {
                node.fault("does not go with `geohash`, which finds its cells itself");
            }
        }
        return Some(SplitParam { param, by: SplitBy::Cells(cells(&geohash)?) });
    }
    let value_nodes = fields.list("values");
    let values = Values {
        path: fields.json_path("path"),
        several: fields.boolean("several")?,
        from: fields.fields("values_from", &VALUES_FROM).and_then(|from| values_from(&from, resources)),
        listed: value_nodes.iter().filter_map(Node::text).collect(),
        exclude: fields.text("exclude"),
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
    let node = fields.required("resource")?;
    let resource = node.text()?;
    if !resources.contains(&resource) {
        node.fault(format!("no resource `{resource}` is declared{}", nearest(&resource, resources)));
    }
    Some(ValuesFrom { resource, column: fields.text("column")? })
}

fn cells(fields: &Fields<'_>) -> Option<Cells> {
    let params = scalar_texts(fields, "params");
    let precision = fields.integer("precision")?;
    Some(Cells {
        latitude: fields.json_path("latitude")?,
        longitude: fields.json_path("longitude")?,
        radius_param: fields.text("radius_param")?,
        unit: fields.one_of("unit", &[("km", Unit::Kilometre), ("miles", Unit::Mile)])?,
        params,
        precision: usize::try_from(precision).ok()?,
    })
}

/// Adds a fault for each column that `values_from` names and that its resource does not declare.
pub(super) fn check_values_from(node: &Node<'_>, resource: &Resource, resources: &[Resource]) {
    for split_param in &resource.slices.then {
        let SplitBy::Values(Values { from: Some(from), .. }) = &split_param.by else { continue };
        let Some(named) = resources.iter().find(|resource| resource.name == from.resource) else { continue };
        let names: Vec<&str> = named.columns.iter().map(|column| column.name.as_str()).collect();
        if !named.infer_columns && !names.contains(&from.column.as_str()) {
            let (param, table, column) = (&split_param.param, &from.resource, &from.column);
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

    /// The faults of a manifest with one resource that has these `slices`.
    fn faults(endpoint: &str, slices: &str) -> String {
        let text = format!(
            "client: {{base_url: \"https://api.example\", paginator: {{type: page_number, total_path: pages}}}}\nresources:\n  - name: shops\n    primary_key: id\n    endpoint: {{path: shops{endpoint}}}\n    columns: {{id: {{data_type: text}}, country: {{data_type: text}}}}\n    slices: {slices}\n"
        );
        Manifest::parse("test.yaml", &text).err().map(|faults| faults.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_split_that_lacks_something_is_a_fault_with_its_place() {
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
            let faults = faults(endpoint, slices);
            assert!(faults.contains(message) && faults.contains("test.yaml:"), "{slices}: {faults}");
        }
    }
}
