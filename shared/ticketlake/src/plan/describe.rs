//! The plan as `--check` prints it.

use serde_json::{Value, json};

use super::resource_plan::Plan;
use crate::state::Interval;
use manifest::PartitionField;

/// The expected size and cost of a run.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Estimate {
    /// The total of the API, or the number of records that the previous complete run received.
    pub records: Option<u64>,
    /// The number of requests.
    pub requests: Option<u64>,
    /// The number of seconds at the rate that the API allows.
    pub seconds: Option<u64>,
    /// The share of the quota over the longest rate window, in percent.
    pub quota_percent: Option<f64>,
    /// The source of the numbers, or the reason why there are none.
    pub basis: String,
}

impl Plan<'_> {
    /// Returns the plan and its estimate as JSON.
    pub fn describe(&self, estimate: &Estimate) -> Value {
        let (request, client, resource) = (self.request, &self.manifest.client, self.resource);
        let path = resource.endpoint.path.to_string();
        let address =
            if path.contains("://") { path } else { format!("{}/{}", client.base_url, path.trim_start_matches('/')) };
        let queries: Vec<String> = match &resource.parent {
            Some(parent) => vec![match parent.batch {
                Some(size) => format!("one for every {size} records of `{}`", parent.resource),
                None => format!("one for each record of `{}`", parent.resource),
            }],
            None => (0..self.len())
                .map(|index| {
                    self.query(index).map_or_else(|unsendable| unsendable.label, |planned| planned.query.label)
                })
                .collect(),
        };
        let partition = |field: &PartitionField| format!("{}={}({})", field.name, field.transform, field.from);
        json!({
            "source": request.source,
            "resource": resource.name,
            "lake": request.lake.to_string(),
            "format": request.format.name(),
            "request": format!("{} {address}", resource.endpoint.method.name()),
            "from": self.ranges.first().and_then(Interval::start).map(|start| start.to_string()),
            "to": self.ranges.last().and_then(Interval::end).map(|end| end.to_string()),
            "slices": queries,
            "estimate": estimate,
            "depth_limit": resource.endpoint.depth_limit,
            "rate": client.rate.windows.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "primary_key": resource.primary_key,
            "partition": resource.partition.iter().map(partition).collect::<Vec<_>>(),
            "columns": resource.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
            "notes": resource.notes,
        })
    }
}
