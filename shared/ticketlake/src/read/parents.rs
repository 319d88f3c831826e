//! Reads the records of a parent resource, with the fields that its children need.

use std::collections::HashSet;
use std::sync::Arc;

use client::{Api, End, Pages, Reader};
use futures::FutureExt;
use manifest::template::param_text;
use manifest::{JsonPath, Parent, Query, Resource};
use serde_json::{Map, Value};

use super::read_pages;
use crate::context::{RunContext, resource};
use crate::error::{Error, Stop};
use crate::evidence::{Evidence, PageRecords, Verdict};
use crate::plan::{ParentRecord, Plan, values};
use crate::report::IncompleteQuery;
use crate::split::params::MAX_READS;
use crate::state::Watermarks;

/// The records of a parent resource, and its incomplete queries.
#[derive(Debug, Default)]
pub struct Parents {
    /// The records.
    pub records: Vec<ParentRecord>,
    /// The queries that were not read completely.
    pub incomplete: Vec<IncompleteQuery>,
}

/// Returns the records of the parent of the run's resource: those that `params` name, or else all. There are none without a parent.
///
/// # Errors
///
/// The error of the API, or a limit of the run.
pub async fn read_parents(ctx: &RunContext<'_>, api: &Api<'_>) -> Result<Parents, Stop> {
    let Some(parent) = &ctx.resource.parent else { return Ok(Parents::default()) };
    if let Some(records) = named_parents(ctx) {
        return Ok(Parents { records, incomplete: Vec::new() });
    }
    read_parent(ctx, api, parent).boxed_local().await
}

/// Returns the parent records that `params` name. `None` if they name none.
fn named_parents(ctx: &RunContext<'_>) -> Option<Vec<ParentRecord>> {
    ctx.request.params.iter().find_map(|(name, text)| {
        let filter = ctx.resource.endpoint.filters.get(name)?;
        let field = filter.parent.as_ref()?;
        let record = |value: Value| ParentRecord {
            key: param_text(&value),
            fields: [(field.clone(), value)].into_iter().collect(),
        };
        Some(values(filter, text).into_iter().map(record).collect())
    })
}

/// Reads all records of `parent`: new records of a child can belong to an old parent.
async fn read_parent(ctx: &RunContext<'_>, api: &Api<'_>, parent: &Parent) -> Result<Parents, Stop> {
    let declared: &Resource = resource(ctx.manifest, &parent.resource)?;
    let mut parents = Parents::default();
    let mut plan = Plan::everything(ctx.request, ctx.manifest, declared);
    if let Some(grandparent) = &declared.parent {
        let grandparents = read_parent(ctx, api, grandparent).boxed_local().await?;
        parents.incomplete = grandparents.incomplete;
        plan = plan.with_parents(grandparents.records, &Watermarks::default(), ctx.now());
    }
    let reader = Reader::new(api, declared);
    let mut collector = Collector::new(parent)?;
    for index in 0..plan.len() {
        match plan.query(index) {
            Ok(planned) => {
                let read = collector.read_query(&reader, &Arc::new(planned.query)).boxed_local().await?;
                parents.incomplete.extend(read);
            }
            Err(unsendable) => parents.incomplete.push(IncompleteQuery {
                query: unsendable.label,
                total: None,
                received: 0,
                reason: unsendable.reason,
            }),
        }
    }
    if collector.unusable > 0 {
        parents.incomplete.push(IncompleteQuery {
            query: parent.resource.clone(),
            total: Some(collector.unusable),
            received: 0,
            reason: format!(
                "records of `{}` have no {}, so their children were not read",
                parent.resource,
                parent.fields.join(", ")
            ),
        });
    }
    parents.records = collector.records;
    Ok(parents)
}

/// Collects the parent records with the fields that are needed.
struct Collector<'p> {
    parent: &'p Parent,
    paths: Vec<(&'p str, JsonPath)>,
    seen: HashSet<String>,
    records: Vec<ParentRecord>,
    /// The number of records without a field that a placeholder needs.
    unusable: u64,
}

impl<'p> Collector<'p> {
    fn new(parent: &'p Parent) -> Result<Self, Error> {
        let path = |field: &'p String| {
            let path = JsonPath::parse(field).map_err(|reason| Error::configuration("include_from_parent", reason))?;
            Ok((field.as_str(), path))
        };
        let paths = parent.fields.iter().chain(&parent.include).map(path).collect::<Result<_, Error>>()?;
        Ok(Self { parent, paths, seen: HashSet::new(), records: Vec::new(), unusable: 0 })
    }

    /// Reads `query` until it is complete, at most [`MAX_READS`] times. Returns it if it is incomplete.
    async fn read_query(&mut self, reader: &Reader<'_>, query: &Arc<Query>) -> Result<Option<IncompleteQuery>, Stop> {
        let mut evidence = Evidence::default();
        let mut verdict = Verdict::Complete;
        for _ in 0..MAX_READS {
            let mut pages = reader.pages(query, None);
            let end;
            (evidence, end) = self.read_once(&mut pages).await?;
            verdict = evidence.verdict(&end);
            if !matches!(verdict, Verdict::Short(_)) {
                break;
            }
        }
        let reason = match verdict {
            Verdict::Complete => return Ok(None),
            Verdict::Short(reason) => reason.to_owned(),
            Verdict::TooDeep => {
                format!("`{}` has more records than the API serves for one query", self.parent.resource)
            }
            Verdict::Stopped(reason) => reason,
        };
        let label = format!("{}: {}", self.parent.resource, query.label);
        let (total, received) = (evidence.total(), evidence.distinct());
        Ok(Some(IncompleteQuery { query: label, total, received, reason }))
    }

    /// Reads the pages of a query once.
    async fn read_once(&mut self, pages: &mut Pages<'_>) -> Result<(Evidence, End), Stop> {
        let mut evidence = Evidence::default();
        let end = read_pages(pages, async |page| {
            let mut records = PageRecords::default();
            page.records.iter().for_each(|record| self.add_record(&record.value(), &mut records));
            evidence.add_page(page.total, &records, |cursor, _| cursor);
            Ok(())
        })
        .await?;
        Ok((evidence, end))
    }

    /// Adds a record, unless its key was added before.
    fn add_record(&mut self, record: &Value, records: &mut PageRecords) {
        let fields: Map<String, Value> = self
            .paths
            .iter()
            .filter_map(|(name, path)| Some(((*name).to_owned(), path.first(record)?.clone())))
            .collect();
        let key_values: Option<Vec<&Value>> =
            self.parent.fields.iter().map(|field| fields.get(field).filter(|value| !value.is_null())).collect();
        let key = match key_values.as_deref() {
            Some([value]) => param_text(value),
            Some(values) => Value::from_iter(values.iter().map(|value| (*value).clone())).to_string(),
            None => {
                self.unusable += 1;
                records.unkeyed += 1;
                return;
            }
        };
        records.keys.push(table::merge::key_hash(&key));
        if self.seen.insert(key.clone()) {
            self.records.push(ParentRecord { key, fields });
        }
    }
}
