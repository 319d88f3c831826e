//! Checks whether a resource supports the options of a request, before anything is sent.

use manifest::{CursorKind, Fault, PageSize, Paginator, ParamLocation, Resource, TimeEnds, nearest};

use crate::request::Request;

/// Removes the options that `resource` does not support from a request for several resources. Returns a warning for each.
pub fn remove_unsupported(request: &mut Request, resource: &Resource) -> Vec<String> {
    let mut warnings = Vec::new();
    for fault in faults(request, resource) {
        match fault.place.as_str() {
            "from" => request.from = None,
            "to" => request.to = None,
            "initial_days" => request.initial_days = None,
            "retention_days" => request.retention_days = None,
            "page_size" if max_page_size(resource).is_none() => request.page_size = None,
            // Without a condition, more than the requested records would be read.
            _ => continue,
        }
        warnings.push(format!("`{}` is ignored: {}", fault.place, fault.message));
    }
    warnings
}

/// Returns a fault for each option of `request` that `resource` does not support.
pub(super) fn faults(request: &Request, resource: &Resource) -> Vec<Fault> {
    let endpoint = &resource.endpoint;
    let mut faults = Vec::new();
    let mut fault = |place: &str, message: String| faults.push(Fault::new(place, message));
    let kind = endpoint.incremental.as_ref().map(|incremental| incremental.kind);
    for (place, given) in [("from", request.from.is_some()), ("to", request.to.is_some())] {
        if given && kind.is_none() && resource.slices.time.is_none() {
            fault(place, format!("`{}` of {} has no time range", resource.name, request.source));
        } else if given && kind == Some(CursorKind::Number) {
            fault(
                place,
                format!("the cursor of `{}` is a number, not a time; set `full` to read everything", resource.name),
            );
        }
    }
    if request.initial_days.is_some() && kind != Some(CursorKind::Instant) {
        fault("initial_days", format!("`{}` of {} has no cursor that is a time", resource.name, request.source));
    }
    if request.retention_days.is_some() && resource.passed_by.is_empty() {
        fault(
            "retention_days",
            format!(
                "`{}` of {} has no column that says when a record is past (`passed_by`)",
                resource.name, request.source
            ),
        );
    }
    if let (Some(asked), Some(most)) = (request.page_size, max_page_size(resource))
        && asked > most
    {
        let message = format!(
            "{asked} is out of range for `{}`: 1 to {most}, the most that the API serves (`page_size.maximum` of the manifest)",
            resource.name
        );
        fault("page_size", message);
    }
    if request.page_size.is_some() && max_page_size(resource).is_none() {
        fault("page_size", format!("`{}` of {} has no page size parameter", resource.name, request.source));
    }
    for (name, text) in &request.params {
        let fault_text = endpoint.filters.get(name).and_then(|filter| filter.check.fault(text));
        if let Some(message) = fault_text {
            fault(&format!("params.{name}"), message);
        }
    }
    for name in request.params.keys().filter(|name| !endpoint.filters.contains_key(*name)) {
        let known: Vec<&str> = endpoint.filters.keys().map(String::as_str).collect();
        let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let hint = alternative(name, resource).unwrap_or_else(|| nearest(name, &known));
        let message = format!("unknown condition of `{}`; known: {list}{hint}", resource.name);
        fault(&format!("params.{name}"), message);
    }
    faults
}

/// Returns a hint what to set instead of a parameter that is not a condition, because the run or the manifest sets it.
fn alternative(name: &str, resource: &Resource) -> Option<String> {
    let endpoint = &resource.endpoint;
    let ends = resource.slices.time.as_ref().map(|time| &time.ends);
    let times = match ends {
        Some(TimeEnds::Pair { start_param, end_param }) => vec![start_param, end_param],
        Some(TimeEnds::Range { param }) => vec![param],
        None => Vec::new(),
    };
    if times.iter().any(|param| *param == name) {
        return Some(". The run sets it; use `from` and `to`".into());
    }
    if matches!(&endpoint.page_size, Some(PageSize { place: ParamLocation::Query(param), .. }) if param == name) {
        return Some(". The run sets it; use `page_size`".into());
    }
    let undated = resource.slices.undated.iter().any(|undated| undated.params.contains_key(name));
    (undated || endpoint.params.contains_key(name)).then(|| ". The manifest sets it".into())
}

/// Returns the greatest number of records that can be requested with one page. `None` if the manifest names no parameter for it.
fn max_page_size(resource: &Resource) -> Option<u64> {
    match (&resource.endpoint.page_size, &resource.endpoint.paginator) {
        (Some(size), _) => Some(size.maximum),
        // The manifest's limit is no limit of the API. An API that serves fewer records at once is read by what it gives.
        (None, Paginator::Offset { .. }) => Some(u64::MAX),
        _ => None,
    }
}
