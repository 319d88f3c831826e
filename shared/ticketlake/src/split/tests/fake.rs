//! An API in memory, with Ticketmaster's parameters.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use client::{End, Page, Record};
use manifest::time::{format_seconds, from_seconds, parse_instant};
use manifest::{Query, QueryId};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::super::{FirstAnswer, SplitSource};
use crate::error::{Error, Stop};
use crate::request::RequestId;
use crate::state::{Checkpoint, FinishedSubquery};

/// The parameters that take ids of classes, in the order of [`Item::classes`].
const CLASSES: [&str; 5] = ["segmentId", "genreId", "subGenreId", "typeId", "subTypeId"];

/// A record: an event, its venue and its attraction in one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) name: String,
    /// When it starts, in seconds since 1970.
    pub(super) time: Option<i64>,
    /// Since when it is visible.
    pub(super) announced: i64,
    pub(super) country: Option<String>,
    pub(super) state: Option<String>,
    pub(super) classes: [Option<String>; 5],
    /// A further segment that the API finds it by, and that no path of the manifest shows.
    pub(super) second_segment: Option<String>,
    pub(super) point: Option<(f64, f64)>,
    pub(super) source: Option<String>,
}

impl Item {
    pub(super) fn new(number: usize) -> Self {
        let id = format!("i{number:04}");
        Self { name: format!("n{id}"), id, ..Self::default() }
    }

    /// The hash that a finished part has of its key.
    pub(super) fn key(&self) -> u64 {
        xxh3_64(self.id.as_bytes())
    }

    fn record(&self) -> Record {
        let place = json!({"country": {"countryCode": self.country}, "state": {"stateCode": self.state}});
        let mut record = json!({"id": self.id, "name": self.name, "_embedded": {"venues": [place.clone()]}});
        let [segment, genre, sub_genre, class, sub_type] = &self.classes;
        let classes = json!([{"segment": {"id": segment}, "genre": {"id": genre}, "subGenre": {"id": sub_genre},
                              "type": {"id": class}, "subType": {"id": sub_type}}]);
        let parts = [
            ("country", place["country"].clone()),
            ("state", place["state"].clone()),
            ("classifications", classes),
            ("dates", json!({"start": {"dateTime": self.time.map(instant)}})),
            ("location", json!({"latitude": self.point.map(|at| at.0), "longitude": self.point.map(|at| at.1)})),
        ];
        for (name, part) in parts {
            record[name] = part;
        }
        Record::Value(without_nulls(record))
    }

    /// The texts that `param` finds it by.
    fn values(&self, param: &str) -> Vec<&String> {
        let further = self.second_segment.iter().filter(|_| param == "segmentId");
        let own = match param {
            "countryCode" => self.country.as_ref(),
            "stateCode" => self.state.as_ref(),
            "source" => self.source.as_ref(),
            _ => CLASSES.iter().position(|class| *class == param).and_then(|class| self.classes[class].as_ref()),
        };
        own.into_iter().chain(further).collect()
    }

    /// Whether the query with `params` finds it.
    pub(super) fn matches(&self, params: &BTreeMap<String, String>) -> bool {
        self.matches_in(circle(params), params)
    }

    fn matches_in(&self, circle: Option<Circle>, params: &BTreeMap<String, String>) -> bool {
        let flagged = ["includeTBA", "includeTBD"].iter().any(|flag| params.contains_key(*flag));
        if flagged && (params.contains_key("includeTBD") || self.time.is_some()) {
            return false;
        }
        params.iter().all(|(param, text)| match param.as_str() {
            "startDateTime" => self.time.is_some_and(|time| second(text) <= time),
            "endDateTime" => self.time.is_some_and(|time| time <= second(text)),
            "publicVisibilityStartDateTime" => {
                let (from, to) = text.split_once(',').unwrap();
                (from == "*" || second(from) <= self.announced) && (to == "*" || self.announced <= second(to))
            }
            "geoPoint" => {
                self.point.zip(circle).is_some_and(|(point, (middle, radius))| distance(point, middle) <= radius)
            }
            "radius" | "unit" | "locale" | "sort" | "includeTBA" => true,
            "countryCode" | "stateCode" | "source" => self.values(param).contains(&text),
            param if CLASSES.contains(&param) => {
                let values = self.values(param);
                let has = |value: &str| values.iter().any(|own| *own == value);
                match text.starts_with('-') {
                    true => text.split(',').all(|value| !has(&value[1..])),
                    false => text.split(',').any(has),
                }
            }
            other => panic!("the API has no parameter {other}"),
        })
    }
}

/// A middle, in degrees, and a radius in metres.
type Circle = ((f64, f64), f64);

/// The circle that a query asks for.
fn circle(params: &BTreeMap<String, String>) -> Option<Circle> {
    let middle = geohash::decode(params.get("geoPoint")?).unwrap().0;
    Some(((middle.y, middle.x), params["radius"].parse::<f64>().unwrap() * 1_000.0))
}

fn instant(seconds: i64) -> String {
    format_seconds(from_seconds(seconds).unwrap())
}

pub(super) fn second(text: &str) -> i64 {
    parse_instant(text).unwrap().timestamp()
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, member)| !member.is_null());
            Value::Object(kept.map(|(name, member)| (name, without_nulls(member))).collect())
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(without_nulls).collect()),
        value => value,
    }
}

/// In metres, on a globe somewhat smaller than the one that circles are measured on.
fn distance(one: (f64, f64), other: (f64, f64)) -> f64 {
    let (from, to) = (one.0.to_radians(), other.0.to_radians());
    let turn = (other.1 - one.1).to_radians();
    let chord = ((to - from) / 2.0).sin().powi(2) + from.cos() * to.cos() * (turn / 2.0).sin().powi(2);
    2.0 * 6_360_000.0 * chord.sqrt().min(1.0).asin()
}

/// What happens to the records before a request is answered.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Insert(Box<Item>),
    Remove(&'static str),
    Rename(&'static str, &'static str),
}

/// An API in memory, and what was stored of it.
#[derive(Debug)]
pub(super) struct FakeSource {
    pub(super) items: RefCell<Vec<Item>>,
    /// The records that it serves of one query.
    pub(super) limit: u64,
    pub(super) page_size: u64,
    /// The greatest total that it gives.
    pub(super) total_limit: Option<u64>,
    /// Values that it refuses, wherever they are asked for.
    pub(super) refused: Vec<String>,
    /// Whether records of equal names come in another order with each request.
    pub(super) shaky: bool,
    /// By the number of the request, from 1: what changes before it.
    pub(super) changes: BTreeMap<u64, Vec<Change>>,
    /// The number of the one request that fails.
    pub(super) fails_at: Option<u64>,
    pub(super) requests: Cell<u64>,
    /// How often each id was stored.
    pub(super) stored: RefCell<BTreeMap<String, u32>>,
    /// The queries whose first page was asked for.
    pub(super) asked: RefCell<Vec<Query>>,
    pub(super) checkpoint: RefCell<Checkpoint>,
    pub(super) resumed: Cell<u32>,
}

impl FakeSource {
    pub(super) fn new(items: Vec<Item>) -> Self {
        Self {
            items: RefCell::new(items),
            limit: 10,
            page_size: 5,
            total_limit: None,
            refused: Vec::new(),
            shaky: false,
            changes: BTreeMap::new(),
            fails_at: None,
            requests: Cell::new(0),
            stored: RefCell::default(),
            asked: RefCell::default(),
            checkpoint: RefCell::new(empty_checkpoint()),
            resumed: Cell::new(0),
        }
    }

    /// The same API in a later run, which goes on from `self`'s checkpoint.
    pub(super) fn again(&self) -> Self {
        let stored = RefCell::new(self.stored.borrow().clone());
        let checkpoint = RefCell::new(self.checkpoint.borrow().clone());
        let (limit, page_size, total_limit) = (self.limit, self.page_size, self.total_limit);
        Self { stored, checkpoint, limit, page_size, total_limit, ..Self::new(self.items.borrow().clone()) }
    }

    /// The ids that were stored.
    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.stored.borrow().keys().cloned().collect()
    }

    /// The ids of the records that were not stored, of those that `wanted` names.
    pub(super) fn lost(&self, wanted: impl Fn(&Item) -> bool) -> Vec<String> {
        let (items, stored) = (self.items.borrow(), self.stored.borrow());
        let lost = items.iter().filter(|item| wanted(item) && !stored.contains_key(&item.id));
        lost.map(|item| item.id.clone()).collect()
    }

    fn answer(&self, query: &Query, number: u64, size: u64) -> Result<Page, Stop> {
        let request = self.requests.get() + 1;
        self.requests.set(request);
        if self.fails_at == Some(request) {
            return Err(api_error("down", true));
        }
        for change in self.changes.get(&request).into_iter().flatten() {
            let mut items = self.items.borrow_mut();
            match change.clone() {
                Change::Insert(item) => items.push(*item),
                Change::Remove(id) => items.retain(|item| item.id != id),
                Change::Rename(id, name) => {
                    items.iter_mut().filter(|item| item.id == id).for_each(|item| item.name = name.to_owned());
                }
            }
        }
        if query.params.values().any(|text| text.split(',').any(|value| self.refused.iter().any(|one| one == value))) {
            return Err(api_error("no such value", false));
        }
        assert!(number * size < self.limit, "the API refuses a page beyond its depth");
        let (items, circle) = (self.items.borrow(), circle(&query.params));
        let mut found: Vec<&Item> = items.iter().filter(|item| item.matches_in(circle, &query.params)).collect();
        let mixed = |item: &Item, salt: u64| item.key() ^ xxh3_64(&salt.to_le_bytes());
        let tie = |item: &Item| if self.shaky { mixed(item, request) } else { 0 };
        match query.params["sort"].as_str() {
            "id,asc" => found.sort_by_key(|item| &item.id),
            "name,asc" => found.sort_by_key(|item| (&item.name, tie(item), &item.id)),
            "name,desc" => found.sort_by_key(|item| std::cmp::Reverse((&item.name, tie(item), &item.id))),
            "random" => found.sort_by_key(|item| mixed(item, 0)),
            other => panic!("the API has no order {other}"),
        }
        let total = (found.len() as u64).min(self.total_limit.unwrap_or(u64::MAX));
        let served = size.min(self.limit - number * size);
        let records = found.iter().skip((number * size) as usize).take(served as usize).map(|item| item.record());
        Ok(Page {
            records: records.collect(),
            total: Some(total),
            request: String::new(),
            read_at: manifest::time::Instant::default(),
            position: None,
            hints: client::Hints::default(),
            overlap: None,
            room: None,
        })
    }

    fn store(&self, page: &Page) {
        let mut stored = self.stored.borrow_mut();
        for record in &page.records {
            *stored.entry(record.value()["id"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
}

fn api_error(detail: &str, retryable: bool) -> Stop {
    let (source_name, request) = ("fake".to_owned(), "GET".to_owned());
    Stop::Error(Error::Client(client::Error::Api { source_name, request, detail: detail.to_owned(), retryable }))
}

/// The first page of a query.
#[derive(Debug)]
pub(super) struct FakeFirst(Page);

impl FirstAnswer for FakeFirst {
    fn total(&self) -> Option<u64> {
        self.0.total
    }

    fn records(&self) -> &[Record] {
        &self.0.records
    }

    fn into_page(self) -> Page {
        self.0
    }
}

impl SplitSource for FakeSource {
    type First = FakeFirst;

    async fn first_page(&self, query: &Arc<Query>) -> Result<Option<FakeFirst>, Stop> {
        self.asked.borrow_mut().push((**query).clone());
        tokio::task::yield_now().await;
        self.answer(query, 0, self.page_size).map(FakeFirst).map(Some)
    }

    async fn numbered_page(&self, query: &Arc<Query>, number: u64, size: u64) -> Result<Option<Page>, Stop> {
        tokio::task::yield_now().await;
        self.answer(query, number, size).map(Some)
    }

    async fn read_from(&self, query: &Arc<Query>, first: FakeFirst, observe: &dyn Fn(&Page)) -> Result<End, Stop> {
        let (mut page, mut number) = (first.0, 0);
        loop {
            observe(&page);
            self.store(&page);
            number += 1;
            if number * self.page_size >= page.total.unwrap() {
                return Ok(End::Reached);
            }
            if number * self.page_size >= self.limit {
                return Ok(End::TooDeep);
            }
            tokio::task::yield_now().await;
            page = self.answer(query, number, self.page_size)?;
        }
    }

    async fn store_page(&self, _: &Arc<Query>, page: Page) -> Result<(), Stop> {
        tokio::task::yield_now().await;
        self.store(&page);
        Ok(())
    }

    fn subquery_finished(&self, parent: QueryId, part: FinishedSubquery) {
        self.checkpoint.borrow_mut().finish_subquery(parent, part);
    }

    fn subquery_resumed(&self, _: &FinishedSubquery) {
        self.resumed.set(self.resumed.get() + 1);
    }

    fn in_flight(&self) -> usize {
        2
    }
}

/// The checkpoint of a read that begins.
fn empty_checkpoint() -> Checkpoint {
    let manifest = manifest::built_in::find("ticketmaster").unwrap().unwrap();
    let resource = manifest.resource("events").unwrap();
    Checkpoint::new(RequestId::default(), resource, manifest::time::Instant::default())
}
