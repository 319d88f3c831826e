//! Reads the records of a parent resource, with the fields that its children need.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use client::{Api, End, Pages, Reader};
use futures::FutureExt;
use manifest::template::param_text;
use manifest::{Column, JsonPath, Parent, Query, RECORD_KEY, Resource};
use serde_json::{Map, Value};
use table::map::join_key;
use table::merge::key_hash;

use super::incomplete_reason;
use crate::context::{RunContext, resource};
use crate::error::{Error, Stop};
use crate::evidence::{Evidence, PageRecords, Proof, ProvenQuery, ReceivedRecord, RecordVersion, Unproven, Verdict};
use crate::plan::{ParentRecord, Plan, values};
use crate::report::IncompleteQuery;

/// The records of a parent resource, and how far they are all of them.
#[derive(Debug, Default)]
pub struct Parents {
    /// The records.
    pub records: Vec<ParentRecord>,
    /// The queries that were not read completely.
    pub incomplete: Vec<IncompleteQuery>,
    /// The complete queries: those that a total proves, and the others.
    pub proof: Proof,
}

/// Returns the records of the parent of the run's resource: those that `params` name, or else all. There are none without a parent.
///
/// # Errors
///
/// The error of the API, or a limit of the run.
pub async fn read_parents(ctx: &RunContext<'_>, api: &Api<'_>) -> Result<Parents, Stop> {
    let Some(parent) = &ctx.resource.parent else { return Ok(Parents::default()) };
    if let Some(records) = named_parents(ctx) {
        return Ok(Parents { records, ..Parents::default() });
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
        parents.proof = grandparents.proof;
        plan = plan.with_parents(grandparents.records, &BTreeMap::new());
    }
    let reader = Reader::new(api, declared);
    let mut collector = Collector::new(parent, declared)?;
    for index in 0..plan.len() {
        match plan.query(index) {
            Ok(planned) => match collector.read_query(&reader, &Arc::new(planned.query)).boxed_local().await? {
                Ok(proof) => parents.proof.add(proof),
                Err(incomplete) => parents.incomplete.push(incomplete),
            },
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
    /// The number of records that the API serves of one query of the parent.
    depth_limit: Option<u64>,
    /// The total at which the API stops counting.
    total_limit: Option<u64>,
    /// The places of the parent's own key. There are none if it has none: then a record is identified by its text.
    identity: Vec<JsonPath>,
}

impl<'p> Collector<'p> {
    fn new(parent: &'p Parent, declared: &Resource) -> Result<Self, Error> {
        let path = |field: &'p String| {
            let path = JsonPath::parse(field).map_err(|reason| Error::configuration("include_from_parent", reason))?;
            Ok((field.as_str(), path))
        };
        let paths = parent.fields.iter().chain(&parent.include).map(path).collect::<Result<_, Error>>()?;
        let is_key = |column: &&Column| declared.primary_key.contains(&column.name) && column.name != RECORD_KEY;
        let identity = declared.columns.iter().filter(is_key).map(|column| column.path.clone()).collect();
        Ok(Self {
            parent,
            paths,
            seen: HashSet::new(),
            records: Vec::new(),
            unusable: 0,
            depth_limit: declared.endpoint.depth_limit,
            total_limit: declared.endpoint.total_limit,
            identity,
        })
    }

    /// Reads `query`, and again if records can be missing. Returns its proof, or the query if it is incomplete.
    async fn read_query(
        &mut self,
        reader: &Reader<'_>,
        query: &Arc<Query>,
    ) -> Result<Result<ProvenQuery, IncompleteQuery>, Stop> {
        let mut reads = 0;
        let (evidence, verdict) = loop {
            let mut pages = reader.pages(query, None);
            let (evidence, verdict) = self.read_once(&mut pages).await?;
            reads += 1;
            if !verdict.is_read_again(reads) {
                break (evidence, verdict);
            }
        };
        let verdict = match verdict {
            Verdict::Unproven(_) if evidence.pages() == 0 => Verdict::Unproven(Unproven::Ignored),
            Verdict::Unproven(Unproven::NoTotal) if reader.lacks_paginator() => {
                Verdict::Unproven(Unproven::NoPaginator)
            }
            verdict => verdict,
        };
        if let Some(proof) = ProvenQuery::new(&verdict, evidence.distinct()) {
            return Ok(Ok(proof));
        }
        let label = format!("{}: {}", self.parent.resource, query.label);
        let (total, received) = (evidence.total(), evidence.distinct());
        let reason = incomplete_reason(verdict, self.depth_limit);
        Ok(Err(IncompleteQuery { query: label, total, received, reason }))
    }

    /// Reads the pages of a query once.
    async fn read_once(&mut self, pages: &mut Pages<'_>) -> Result<(Evidence, Verdict), Stop> {
        let mut evidence = Evidence::default().with_total_limit(self.total_limit);
        while let Some(page) = pages.next().await? {
            let mut records = PageRecords::default();
            page.records.iter().for_each(|record| self.add_record(&record.value(), &mut records));
            records.overlap = page.overlap.as_ref().map(|record| self.identity_of(&record.value()));
            evidence.add_page(page.total, &records, &page.hints, |cursor, _| cursor);
            if evidence.is_in_circles() {
                let verdict = evidence.circle_verdict();
                return Ok((evidence, verdict));
            }
        }
        let verdict = evidence.verdict(pages.end().unwrap_or(&End::Reached));
        Ok((evidence, verdict))
    }

    /// Returns the hash that identifies a record. Several records of the parent can have the same values for their children's placeholders.
    fn identity_of(&self, record: &Value) -> u64 {
        let values: Option<Vec<String>> = self
            .identity
            .iter()
            .map(|path| Some(param_text(path.first(record).filter(|value| !value.is_null())?)))
            .collect();
        match values.filter(|values| !values.is_empty()) {
            Some(values) => key_hash(&join_key(values)),
            None => key_hash(&record.to_string()),
        }
    }

    /// Returns the key of a record: the values of the fields that placeholders use. `None` if one of them is missing.
    fn key(&self, record: &Value) -> Option<String> {
        let value = |field: &String| {
            let (_, path) = self.paths.iter().find(|(name, _)| name == field)?;
            path.first(record).filter(|value| !value.is_null())
        };
        let values: Vec<&Value> = self.parent.fields.iter().map(value).collect::<Option<_>>()?;
        Some(match values.as_slice() {
            [value] => param_text(value),
            values => Value::from_iter(values.iter().map(|value| (*value).clone())).to_string(),
        })
    }

    /// Adds a record, unless its key was added before.
    fn add_record(&mut self, record: &Value, records: &mut PageRecords) {
        let key = self.key(record);
        records.records.push(ReceivedRecord {
            key: self.identity_of(record),
            version: RecordVersion::default(),
            name: String::new(),
            is_anonymous: false,
        });
        let Some(key) = key else {
            self.unusable += 1;
            return;
        };
        if self.seen.insert(key.clone()) {
            let fields: Map<String, Value> = self
                .paths
                .iter()
                .filter_map(|(name, path)| Some(((*name).to_owned(), path.first(record)?.clone())))
                .collect();
            self.records.push(ParentRecord { key, fields });
        }
    }
}
