//! A catalogue of recorded records, served word for word.
//!
//! What a filter asks for is read out of each record as the API's reader would find it; a field that is not there
//! matches nothing. The recordings stay where they are: nothing of them is part of this project.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use serde_json::Value;

use super::{
    catalogue::{Attraction, Catalogue, Event, NONE, Records, Tick, Venue, Words},
    classes::{Class, Named},
};
use crate::clock;

#[derive(Debug)]
struct Recorded {
    events: Vec<Value>,
    venues: Vec<Value>,
    attractions: Vec<Value>,
    attractions_of: Vec<Vec<u32>>,
}

pub(super) fn catalogue(folder: &Path, seed: u64) -> io::Result<Catalogue> {
    let events: Vec<Value> = by_id(records(folder, "events")?).into_values().collect();
    let mut index = Index { catalogue: Default::default(), classes: HashMap::new() };
    index.catalogue.words.number("");
    for venue in by_id(records(folder, "venues")?).into_values() {
        index.venue(venue, false);
    }
    for attraction in by_id(records(folder, "attractions")?).into_values() {
        index.attraction(attraction, false);
    }
    let mut attractions_of = Vec::new();
    for event in &events {
        attractions_of.push(index.event(event));
    }
    let parts = index.catalogue;
    Ok(Catalogue {
        seed,
        events: parts.events,
        venues: parts.venues.values,
        attractions: parts.attractions.values,
        classes: parts.classes,
        classifications: classifications(records(folder, "classifications")?),
        words: parts.words,
        records: Box::new(Recorded {
            events,
            venues: parts.venues.recorded,
            attractions: parts.attractions.recorded,
            attractions_of,
        }),
        event_ranks: OnceLock::new(),
        venue_ranks: OnceLock::new(),
        attraction_ranks: OnceLock::new(),
    })
}

/// The records of one kind, file by file in the order of names. A folder that is not there has none.
fn records(folder: &Path, kind: &str) -> io::Result<Vec<Value>> {
    let folder = folder.join(kind);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let paths: io::Result<Vec<PathBuf>> = fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect();
    let mut paths: Vec<PathBuf> =
        paths?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    paths.sort();
    let mut all = Vec::new();
    for path in paths {
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()));
        let mut file: Value = serde_json::from_slice(&fs::read(&path)?).map_err(invalid)?;
        match file.pointer_mut(&format!("/_embedded/{kind}")).map(Value::take) {
            Some(Value::Array(records)) => all.extend(records),
            _ => match file {
                Value::Array(records) => all.extend(records),
                Value::Object(ref record) if record.contains_key("id") => all.push(file),
                _ => {}
            },
        }
    }
    Ok(all)
}

/// The last record of an id wins.
fn by_id(records: Vec<Value>) -> BTreeMap<String, Value> {
    let id = |record: Value| Some((record["id"].as_str()?.to_owned(), record));
    records.into_iter().filter_map(id).collect()
}

/// Items have no id of their own, and the files of a folder tell one tree in various depths: the first one to name a
/// segment or type wins.
fn classifications(items: Vec<Value>) -> Vec<Value> {
    let mut known = Vec::new();
    let mut first = Vec::new();
    for item in items {
        let inner = if item["segment"].is_object() { &item["segment"] } else { &item["type"] };
        let id = inner["id"].as_str().unwrap_or_default().to_owned();
        if !known.contains(&id) {
            known.push(id);
            first.push(item);
        }
    }
    first
}

#[derive(Default)]
struct Parts {
    words: Words,
    events: Vec<Event>,
    venues: Table<Venue>,
    attractions: Table<Attraction>,
    classes: Vec<Class>,
}

struct Table<T> {
    values: Vec<T>,
    recorded: Vec<Value>,
    by_id: HashMap<String, u32>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { values: Vec::new(), recorded: Vec::new(), by_id: HashMap::new() }
    }
}

struct Index {
    catalogue: Parts,
    classes: HashMap<[String; 5], u32>,
}

impl Index {
    /// The positions of the event's attractions.
    fn event(&mut self, value: &Value) -> Vec<u32> {
        let embedded = |kind: &str| value["_embedded"][kind].as_array().cloned().unwrap_or_default();
        let venue = embedded("venues").into_iter().next().map_or(NONE, |venue| self.venue(venue, true));
        let attractions = embedded("attractions").into_iter().map(|one| self.attraction(one, true)).collect();
        let start = &value["dates"]["start"];
        let flag = |name: &str| start[name].as_bool().unwrap_or(false);
        let instant = |value: &Value| value.as_str().and_then(clock::strict_utc);
        let day = start["localDate"].as_str().and_then(clock::midnight);
        let time = |text: &str| clock::lenient(&format!("1970-01-01T{text}"));
        let local = day.map(|day| day + start["localTime"].as_str().and_then(time).unwrap_or(0));
        let undated = flag("dateTBA") || flag("dateTBD");
        let dated = instant(&start["dateTime"]).or(day).filter(|_| !undated);
        let public = &value["sales"]["public"];
        let id = text(&value["id"]);
        let source = match id.get(..3) {
            Some("Z7r") => "tmr",
            Some("LvZ") => "universe",
            Some("Za5") => "archtics",
            _ => "ticketmaster",
        };
        let class = self.class(&value["classifications"][0]);
        let words = &mut self.catalogue.words;
        self.catalogue.events.push(Event {
            id: id.into(),
            index: self.catalogue.events.len() as u32,
            start: dated,
            local: local.unwrap_or(i64::MIN),
            // When it was announced is not recorded: as early as can be.
            visible: instant(&public["startDateTime"]).unwrap_or(0),
            on_sale: (
                instant(&public["startDateTime"]).unwrap_or(i64::MIN),
                instant(&public["endDateTime"]).unwrap_or(i64::MAX),
            ),
            venue,
            class,
            locale: words.number(text(&value["locale"])),
            source: words.number(source),
            tba: flag("dateTBA"),
            tbd: flag("dateTBD"),
            test: value["test"].as_bool().unwrap_or(false),
            change: None,
        });
        attractions
    }

    fn venue(&mut self, value: Value, unlisted: bool) -> u32 {
        let id = text(&value["id"]).to_owned();
        if let Some(known) = self.catalogue.venues.by_id.get(&id) {
            return *known;
        }
        let index = self.catalogue.venues.values.len() as u32;
        let words = &mut self.catalogue.words;
        let degrees = |name: &str| value["location"][name].as_str()?.parse::<f64>().ok();
        let number = |value: &Value| match &value["id"] {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|number| u16::try_from(number).ok()),
        };
        let numbers = |name: &str| value[name].as_array().into_iter().flatten().filter_map(number).collect();
        self.catalogue.venues.values.push(Venue {
            index,
            unlisted,
            locale: words.number(text(&value["locale"])),
            source: words.number("ticketmaster"),
            country: words.number(text(&value["country"]["countryCode"])),
            state: words.number(text(&value["state"]["stateCode"])),
            city: words.number(text(&value["city"]["name"])),
            postal_code: text(&value["postalCode"]).into(),
            markets: numbers("markets"),
            dmas: numbers("dmas"),
            location: degrees("latitude").zip(degrees("longitude")),
            test: value["test"].as_bool().unwrap_or(false),
            id: id.as_str().into(),
        });
        self.catalogue.venues.recorded.push(value);
        self.catalogue.venues.by_id.insert(id, index);
        index
    }

    fn attraction(&mut self, value: Value, unlisted: bool) -> u32 {
        let id = text(&value["id"]).to_owned();
        if let Some(known) = self.catalogue.attractions.by_id.get(&id) {
            return *known;
        }
        let index = self.catalogue.attractions.values.len() as u32;
        let class = self.class(&value["classifications"][0]);
        let words = &mut self.catalogue.words;
        self.catalogue.attractions.values.push(Attraction {
            index,
            unlisted,
            locale: words.number(text(&value["locale"])),
            source: words.number("ticketmaster"),
            class,
            test: value["test"].as_bool().unwrap_or(false),
            id: id.as_str().into(),
        });
        self.catalogue.attractions.recorded.push(value);
        self.catalogue.attractions.by_id.insert(id, index);
        index
    }

    fn class(&mut self, value: &Value) -> u32 {
        if !value.is_object() {
            return NONE;
        }
        let names = ["segment", "genre", "subGenre", "type", "subType"];
        let levels = names
            .map(|name| Named { id: text(&value[name]["id"]).to_owned(), name: text(&value[name]["name"]).to_owned() });
        let ids = levels.clone().map(|level| level.id);
        let family = value["family"].as_bool().unwrap_or(false);
        *self.classes.entry(ids).or_insert_with(|| {
            self.catalogue.classes.push(Class { levels, family });
            self.catalogue.classes.len() as u32 - 1
        })
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl Records for Recorded {
    fn event(&self, event: &Event, _tick: Tick) -> Value {
        self.events[event.index as usize].clone()
    }

    fn venue(&self, index: u32) -> Value {
        self.venues[index as usize].clone()
    }

    fn attraction(&self, index: u32) -> Value {
        self.attractions[index as usize].clone()
    }

    fn event_name(&self, index: u32) -> String {
        text(&self.events[index as usize]["name"]).to_owned()
    }

    fn venue_name(&self, index: u32) -> String {
        text(&self.venues[index as usize]["name"]).to_owned()
    }

    fn attraction_name(&self, index: u32) -> String {
        text(&self.attractions[index as usize]["name"]).to_owned()
    }

    fn attractions_of(&self, event: u32) -> Vec<u32> {
        self.attractions_of[event as usize].clone()
    }
}
