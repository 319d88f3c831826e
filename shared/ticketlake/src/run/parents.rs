//! The records of a parent resource, as far as its children need them.

use std::collections::HashSet;
use std::sync::Arc;

use futures::FutureExt;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::PASSES;
use crate::error::Error;
use client::paginate::{End, Message, News, Reader};
use client::{Api, Stop};
use crate::landing::Tally;
use manifest::template::plain;
use manifest::{JsonPath, Manifest, Parent};
use crate::plan::{ParentRow, Plan, Slice};
use crate::report::IncompleteSlice;
use crate::request::Request;
use crate::state::Watermarks;

/// Pages of a parent that wait to be taken up.
const PAGES_AHEAD: usize = 2;

/// A parent's records, and what of it could not be read.
#[derive(Debug, Default)]
pub(super) struct Parents {
    pub(super) rows: Vec<ParentRow>,
    pub(super) incomplete: Vec<IncompleteSlice>,
}

/// Reads the whole of `parent` from the API: a child's new records can belong to an old parent.
pub(super) async fn read<'a>(
    api: &'a Api<'a>,
    request: &'a Request,
    manifest: &'a Manifest,
    parent: &'a Parent,
) -> Result<Parents, Stop> {
    let resource = super::resource(manifest, &parent.resource)?;
    let mut parents = Parents::default();
    let mut plan = Plan::whole(request, manifest, resource);
    if let Some(grandparent) = &resource.parent {
        let above = read(api, request, manifest, grandparent).boxed_local().await?;
        parents.incomplete = above.incomplete;
        plan = plan.with_parents(above.rows, &Watermarks::default());
    }
    let reader = Reader::new(api, resource);
    let mut taking = Taking::new(parent)?;
    for index in 0..plan.len() {
        match plan.slice(index) {
            Ok(slice) => {
                if let Some(incomplete) = taking.slice(&reader, &Arc::new(slice)).boxed_local().await? {
                    parents.incomplete.push(incomplete);
                }
            }
            Err((name, reason)) => {
                parents.incomplete.push(IncompleteSlice { name, expected: None, received: 0, reason });
            }
        }
    }
    if taking.without > 0 {
        parents.incomplete.push(IncompleteSlice {
            name: parent.resource.clone(),
            expected: Some(taking.without),
            received: 0,
            reason: format!(
                "records of `{}` have no {}: what belongs to them was not read",
                parent.resource,
                parent.fields.join(", ")
            ),
        });
    }
    parents.rows = taking.rows;
    Ok(parents)
}

/// Takes the fields that are needed out of a parent's records.
struct Taking<'p> {
    parent: &'p Parent,
    paths: Vec<(&'p str, JsonPath)>,
    seen: HashSet<String>,
    rows: Vec<ParentRow>,
    /// Records without a field that a placeholder needs.
    without: u64,
}

impl<'p> Taking<'p> {
    fn new(parent: &'p Parent) -> Result<Self, Error> {
        let path = |field: &'p String| {
            let path = JsonPath::parse(field).map_err(|reason| Error::configuration("include_from_parent", reason))?;
            Ok((field.as_str(), path))
        };
        let paths = parent.fields.iter().chain(&parent.include).map(path).collect::<Result<_, Error>>()?;
        Ok(Self { parent, paths, seen: HashSet::new(), rows: Vec::new(), without: 0 })
    }

    /// Reads `slice` until it is whole, or has been read [`PASSES`] times.
    async fn slice(&mut self, reader: &Reader<'_>, slice: &Arc<Slice>) -> Result<Option<IncompleteSlice>, Stop> {
        let mut tally = Tally::default();
        let mut cut = None;
        for _ in 0..PASSES {
            let (sender, mut pages) = mpsc::channel::<Message>(PAGES_AHEAD);
            let slice = Arc::clone(slice);
            let fetch = async move { reader.read(0, slice, &sender).await };
            tally = Tally::default();
            let take = async {
                while let Some(message) = pages.recv().await {
                    match message.news {
                        News::Page(page) => {
                            tally.count(page.total);
                            page.records.iter().for_each(|record| self.take(&record.value(), &mut tally));
                        }
                        News::End(end) => return end,
                        News::Covered { .. } | News::Part(_) | News::Sum { .. } => {}
                    }
                }
                Ok(End::Reached)
            };
            let ((), end) = futures::join!(fetch, take);
            cut = match end? {
                End::TooDeep => Some(format!("the API serves no more of `{}` in one query", self.parent.resource)),
                End::Cut(reason) => Some(reason),
                End::Reached | End::LeftRange => None,
            };
            if cut.is_some() || tally.is_whole() {
                break;
            }
        }
        let reason = match cut {
            // Cut short, and yet all that the API says it has.
            Some(reason) if tally.total.is_none() || !tally.is_whole() => reason,
            None if !tally.is_whole() => tally.lack().to_owned(),
            _ => return Ok(None),
        };
        let name = format!("{}: {}", self.parent.resource, slice.name);
        Ok(Some(IncompleteSlice { name, expected: tally.total, received: tally.distinct(), reason }))
    }

    fn take(&mut self, record: &Value, tally: &mut Tally) {
        let fields: Map<String, Value> = self
            .paths
            .iter()
            .filter_map(|(name, path)| Some(((*name).to_owned(), path.first(record)?.clone())))
            .collect();
        let bound: Option<Vec<&Value>> =
            self.parent.fields.iter().map(|field| fields.get(field).filter(|value| !value.is_null())).collect();
        let key = match bound.as_deref() {
            Some([value]) => plain(value),
            Some(values) => Value::from_iter(values.iter().map(|value| (*value).clone())).to_string(),
            None => {
                self.without += 1;
                return tally.add_other();
            }
        };
        tally.add(&key);
        self.add(key, fields);
    }

    fn add(&mut self, key: String, fields: Map<String, Value>) {
        if self.seen.insert(key.clone()) {
            self.rows.push(ParentRow { key, fields });
        }
    }
}
