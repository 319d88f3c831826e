//! Searches and lookups.

use serde_json::Value;

use super::{
    answers::{self, not_found},
    catalogue::{Catalogue, NONE, Tick},
    filter::{Around, AttractionFilter, EventFilter, VenueFilter},
    query::{Found, Key, Paging, Params, Sort, directed, relevance, signed, unsteady},
};
use crate::server::Answer;

/// Something to be found, with the moment that it is searched at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) tick: Tick,
    pub(super) page_cap: Option<usize>,
}

impl Search<'_> {
    pub(super) fn answer(self, kind: &str, path: &str, params: &Params) -> Answer {
        let found = match kind {
            "events" => self.events(params),
            "venues" => self.venues(params),
            "attractions" => self.attractions(params),
            _ => self.classifications(params),
        };
        match found {
            Ok(found) => answers::page(kind, path, params, found),
            Err(refusal) => refusal,
        }
    }

    fn events(self, params: &Params) -> Result<Found, Answer> {
        let paging = Paging::read(params, self.page_cap)?;
        let sort = Sort::read(params, "events")?;
        let filter = EventFilter::read(params, self.catalogue)?;
        let events = &self.catalogue.events;
        let accepts = |position: &u32| filter.accepts(self.catalogue, &events[*position as usize], self.tick);
        let mut matched: Vec<u32> = (0..events.len() as u32).filter(accepts).collect();
        let around = filter.around();
        let name = |position: u32| u64::from(self.catalogue.event_ranks()[position as usize]);
        let date = |position: u32| signed(events[position as usize].start_at(self.tick).unwrap_or(i64::MAX));
        let order = |position: u32| -> Key {
            let event = &events[position as usize];
            // Ties fall one way now and another way with the next request.
            let tie = unsteady(self.catalogue.seed, position, self.tick.request);
            match sort {
                Sort::Name { descending } => (directed(name(position), descending), tie),
                Sort::NameThenDate { descending } => {
                    (directed(name(position), descending), directed(date(position), descending))
                }
                Sort::Date { descending } => (directed(date(position), descending), tie),
                Sort::DateThenName { descending } => {
                    (directed(date(position), descending), directed(name(position), descending))
                }
                Sort::OnSale => (signed(event.on_sale.0), tie),
                Sort::VenueName { descending } => {
                    let ranks = self.catalogue.venue_ranks();
                    let rank = if event.venue == NONE { u32::MAX } else { ranks[event.venue as usize] };
                    (directed(u64::from(rank), descending), tie)
                }
                Sort::Distance if event.venue != NONE => (self.distance(around, event.venue), tie),
                _ => self.by_score(sort, position, tie),
            }
        };
        // Events are kept in the order of their ids.
        let order: Option<&dyn Fn(u32) -> Key> = if sort == Sort::Id { None } else { Some(&order) };
        let total = paging.found(&mut matched, order);
        let show = |position: u32| {
            let event = &events[position as usize];
            let mut shown = self.catalogue.records.event(event, self.tick);
            if event.venue != NONE {
                self.tell_distance(&mut shown, around, event.venue);
            }
            shown
        };
        let items = matched.into_iter().map(show).collect();
        Ok(Found { total, size: paging.size, number: paging.number, items })
    }

    fn venues(self, params: &Params) -> Result<Found, Answer> {
        let paging = Paging::read(params, self.page_cap)?;
        let sort = Sort::read(params, "venues")?;
        let filter = VenueFilter::read(params, self.catalogue)?;
        let venues = &self.catalogue.venues;
        let accepts = |position: &u32| filter.accepts(self.catalogue, &venues[*position as usize]);
        let mut matched: Vec<u32> = (0..venues.len() as u32).filter(accepts).collect();
        let around = filter.around();
        let order = |position: u32| -> Key {
            let tie = unsteady(self.catalogue.seed, position, self.tick.request);
            match sort {
                Sort::Name { descending } => {
                    (directed(u64::from(self.catalogue.venue_ranks()[position as usize]), descending), tie)
                }
                Sort::Distance => (self.distance(around, position), tie),
                Sort::DistanceDescending => (directed(self.distance(around, position), true), tie),
                _ => self.by_score(sort, position, tie),
            }
        };
        let total = paging.found(&mut matched, Some(&order));
        let show = |position: u32| {
            let mut shown = self.catalogue.records.venue(position);
            self.tell_distance(&mut shown, around, position);
            shown
        };
        let items = matched.into_iter().map(show).collect();
        Ok(Found { total, size: paging.size, number: paging.number, items })
    }

    fn attractions(self, params: &Params) -> Result<Found, Answer> {
        let paging = Paging::read(params, self.page_cap)?;
        let sort = Sort::read(params, "attractions")?;
        let filter = AttractionFilter::read(params, self.catalogue)?;
        let attractions = &self.catalogue.attractions;
        let accepts = |position: &u32| filter.accepts(self.catalogue, &attractions[*position as usize]);
        let mut matched: Vec<u32> = (0..attractions.len() as u32).filter(accepts).collect();
        let order = |position: u32| -> Key {
            let tie = unsteady(self.catalogue.seed, position, self.tick.request);
            match sort {
                Sort::Name { descending } => {
                    (directed(u64::from(self.catalogue.attraction_ranks()[position as usize]), descending), tie)
                }
                _ => self.by_score(sort, position, tie),
            }
        };
        let total = paging.found(&mut matched, Some(&order));
        let items = matched.into_iter().map(|position| self.catalogue.records.attraction(position)).collect();
        Ok(Found { total, size: paging.size, number: paging.number, items })
    }

    fn classifications(self, params: &Params) -> Result<Found, Answer> {
        let paging = Paging::read(params, self.page_cap)?;
        let sort = Sort::read(params, "classifications")?;
        let ids = params.many("id");
        let keyword = params.one("keyword").map(str::to_lowercase);
        // The tree is published in one language, which the default and every English locale find.
        let locales = params.many("locale");
        let speaks = |asked: &&str| asked.starts_with("en") || *asked == "*";
        let spoken = locales.is_empty() || locales.iter().any(speaks);
        let asked = |item: &&Value| {
            let named = |name: &str| inner(item)[name].as_str().unwrap_or_default();
            spoken
                && (ids.is_empty() || ids.contains(&named("id")))
                && keyword.as_ref().is_none_or(|keyword| named("name").to_lowercase().contains(keyword.as_str()))
        };
        let mut matched: Vec<&Value> = self.catalogue.classifications.iter().filter(asked).collect();
        // Without an order the API's page keeps its own, segments first.
        if params.one("sort").is_some() {
            matched.sort_by_key(|item| inner(item)["name"].as_str().unwrap_or_default().to_owned());
            if sort == (Sort::Name { descending: true }) {
                matched.reverse();
            }
        }
        let total = matched.len();
        let items = matched.into_iter().skip(paging.size * paging.number).take(paging.size).cloned().collect();
        Ok(Found { total, size: paging.size, number: paging.number, items })
    }

    /// One record by its id. Details default to every locale and know no flags.
    pub(super) fn details(self, kind: &str, rest: &[&str]) -> Answer {
        let id = rest.last().copied().unwrap_or_default();
        let record = match (kind, rest) {
            ("events", [id]) => self
                .catalogue
                .event_by_id(id)
                .filter(|event| event.is_there(self.tick))
                .map(|event| self.catalogue.records.event(event, self.tick)),
            ("events", [id, "images"]) => self.catalogue.event_by_id(id).map(|event| {
                let event = self.catalogue.records.event(event, self.tick);
                serde_json::json!({"type": "event", "id": event["id"], "images": event["images"]})
            }),
            ("venues", [id]) => {
                let venue = self.catalogue.venues.iter().find(|venue| *venue.id == **id);
                venue.map(|venue| self.catalogue.records.venue(venue.index))
            }
            ("attractions", [id]) => {
                let attraction = self.catalogue.attractions.iter().find(|attraction| *attraction.id == **id);
                attraction.map(|attraction| self.catalogue.records.attraction(attraction.index))
            }
            ("classifications", [id] | ["segments" | "genres" | "subgenres" | "types" | "subtypes", id]) => {
                self.class(id, rest.len() == 2)
            }
            _ => None,
        };
        record.map_or_else(|| not_found(id), |record| Answer::json(200, &record))
    }

    /// An item that is, or has below it, the class `id`; of the item, the class alone when `alone`.
    fn class(self, id: &str, alone: bool) -> Option<Value> {
        fn find<'a>(value: &'a Value, id: &str) -> Option<&'a Value> {
            if value["id"] == id {
                return Some(value);
            }
            let lists = value["_embedded"].as_object()?.values();
            lists.flat_map(|list| list.as_array().into_iter().flatten()).find_map(|below| find(below, id))
        }
        self.catalogue.classifications.iter().find_map(|item| {
            let class = find(inner(item), id)?;
            Some(if alone { class.clone() } else { item.clone() })
        })
    }

    fn by_score(self, sort: Sort, position: u32, tie: u64) -> Key {
        let score = relevance(self.catalogue.seed, position, self.tick.request);
        match sort {
            Sort::Random => (tie, 0),
            Sort::Relevance { descending: false } => (score, 0),
            _ => (directed(score, true), 0),
        }
    }

    fn distance(self, around: Option<Around>, venue: u32) -> u64 {
        let distance = around.and_then(|around| around.distance(&self.catalogue.venues[venue as usize]));
        distance.map_or(u64::MAX, |distance| (distance * 1_000.0) as u64)
    }

    fn tell_distance(self, shown: &mut Value, around: Option<Around>, venue: u32) {
        let Some(around) = around else { return };
        if let Some(distance) = around.distance(&self.catalogue.venues[venue as usize]) {
            shown["distance"] = crate::dice::cents(distance).into();
            shown["units"] = around.units.into();
        }
    }
}

fn inner(item: &Value) -> &Value {
    if item["segment"].is_object() { &item["segment"] } else { &item["type"] }
}
