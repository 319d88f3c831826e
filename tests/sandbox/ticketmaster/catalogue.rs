//! What can be searched: of each record only what filters and orders ask for. The record itself is made, or cloned
//! from a recording, when a page shows it.

use std::{collections::HashMap, fmt, sync::OnceLock};

use serde_json::Value;

use super::classes::Class;

/// No venue, no class.
pub(super) const NONE: u32 = u32::MAX;

/// When a question is asked: what moves, moves by the number of requests; what changes between two runs, by revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) request: u32,
    pub(super) revision: u32,
}

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Request(u32),
    Revision(u32),
}

impl At {
    pub(super) fn reached(self, tick: Tick) -> bool {
        match self {
            Self::Request(number) => tick.request >= number,
            Self::Revision(number) => tick.revision >= number,
        }
    }
}

/// What happens to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is there from then on.
    Insert,
    /// It is there until then.
    Remove,
    /// It starts at another time, so many days later.
    Move(u8),
    /// Its status becomes `cancelled`.
    Cancel,
    /// Its price ranges become others.
    Price,
}

/// What an event is found by.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) id: Box<str>,
    /// Its number in its [`Records`].
    pub(super) index: u32,
    /// The start in UTC; none for TBA and TBD. A day without a time starts at its midnight.
    pub(super) start: Option<i64>,
    /// The start by the venue's clock.
    pub(super) local: i64,
    /// When it was announced.
    pub(super) visible: i64,
    /// Between when and when it is sold.
    pub(super) on_sale: (i64, i64),
    pub(super) venue: u32,
    pub(super) class: u32,
    pub(super) locale: u16,
    pub(super) source: u16,
    pub(super) tba: bool,
    pub(super) tbd: bool,
    pub(super) test: bool,
    pub(super) change: Option<(Change, At)>,
}

impl Event {
    pub(super) fn is_there(&self, tick: Tick) -> bool {
        match self.change {
            Some((Change::Insert, at)) => at.reached(tick),
            Some((Change::Remove, at)) => !at.reached(tick),
            _ => true,
        }
    }

    /// By how many seconds the start is later than it was first.
    pub(super) fn moved(&self, tick: Tick) -> i64 {
        match self.change {
            Some((Change::Move(days), at)) if at.reached(tick) => i64::from(days) * crate::clock::DAY,
            _ => 0,
        }
    }

    pub(super) fn start_at(&self, tick: Tick) -> Option<i64> {
        self.start.map(|start| start + self.moved(tick))
    }
}

/// What a venue is found by.
#[derive(Clone, Debug, Default)]
pub(super) struct Venue {
    pub(super) id: Box<str>,
    pub(super) index: u32,
    /// Only known from inside an event: filters of events see it, the venue search does not.
    pub(super) unlisted: bool,
    pub(super) locale: u16,
    pub(super) source: u16,
    pub(super) country: u16,
    pub(super) state: u16,
    pub(super) city: u16,
    pub(super) postal_code: Box<str>,
    pub(super) markets: Vec<u16>,
    pub(super) dmas: Vec<u16>,
    /// Latitude and longitude.
    pub(super) location: Option<(f64, f64)>,
    pub(super) test: bool,
}

/// What an attraction is found by.
#[derive(Clone, Debug, Default)]
pub(super) struct Attraction {
    pub(super) id: Box<str>,
    pub(super) index: u32,
    /// As a venue's.
    pub(super) unlisted: bool,
    pub(super) locale: u16,
    pub(super) source: u16,
    pub(super) class: u32,
    pub(super) test: bool,
}

/// Words by number, so that filters compare numbers.
#[derive(Debug, Default)]
pub(super) struct Words {
    words: Vec<String>,
    numbers: HashMap<String, u16>,
}

impl Words {
    pub(super) fn number(&mut self, word: &str) -> u16 {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = u16::try_from(self.words.len()).expect("fewer than 65,536 places, locales and sources");
        self.words.push(word.to_owned());
        self.numbers.insert(word.to_owned(), number);
        number
    }

    /// Which words are accepted, by number.
    pub(super) fn accepted(&self, accepts: impl Fn(&str) -> bool) -> Vec<bool> {
        self.words.iter().map(|word| accepts(word)).collect()
    }
}

/// Where the records themselves come from.
pub(super) trait Records: fmt::Debug + Send + Sync {
    fn event(&self, event: &Event, tick: Tick) -> Value;
    fn venue(&self, index: u32) -> Value;
    fn attraction(&self, index: u32) -> Value;
    fn event_name(&self, index: u32) -> String;
    fn venue_name(&self, index: u32) -> String;
    fn attraction_name(&self, index: u32) -> String;
    /// The attractions of an event, as positions in [`Catalogue::attractions`].
    fn attractions_of(&self, event: u32) -> Vec<u32>;
}

/// Everything that a server holds.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) seed: u64,
    /// In the byte order of their ids.
    pub(super) events: Vec<Event>,
    pub(super) venues: Vec<Venue>,
    pub(super) attractions: Vec<Attraction>,
    pub(super) classes: Vec<Class>,
    pub(super) classifications: Vec<Value>,
    pub(super) words: Words,
    pub(super) records: Box<dyn Records>,
    pub(super) event_ranks: OnceLock<Vec<u32>>,
    pub(super) venue_ranks: OnceLock<Vec<u32>>,
    pub(super) attraction_ranks: OnceLock<Vec<u32>>,
}

impl Catalogue {
    /// The place of every event in the order of names; made when the first search asks for it.
    pub(super) fn event_ranks(&self) -> &[u32] {
        let name = |event: &Event| self.records.event_name(event.index);
        self.event_ranks.get_or_init(|| ranks(&self.events, name))
    }

    pub(super) fn venue_ranks(&self) -> &[u32] {
        let name = |venue: &Venue| self.records.venue_name(venue.index);
        self.venue_ranks.get_or_init(|| ranks(&self.venues, name))
    }

    pub(super) fn attraction_ranks(&self) -> &[u32] {
        let name = |attraction: &Attraction| self.records.attraction_name(attraction.index);
        self.attraction_ranks.get_or_init(|| ranks(&self.attractions, name))
    }

    pub(super) fn event_by_id(&self, id: &str) -> Option<&Event> {
        let position = self.events.binary_search_by(|event| (*event.id).cmp(id)).ok()?;
        Some(&self.events[position])
    }
}

/// Equal names have equal ranks: an order by name alone does not say how they follow each other.
fn ranks<T>(records: &[T], name: impl Fn(&T) -> String) -> Vec<u32> {
    let mut named: Vec<(String, u32)> =
        records.iter().enumerate().map(|(position, record)| (name(record).to_lowercase(), position as u32)).collect();
    named.sort_unstable();
    let mut ranks = vec![0; records.len()];
    let mut rank = 0;
    for (place, (name, position)) in named.iter().enumerate() {
        if place > 0 && named[place - 1].0 != *name {
            rank = place as u32;
        }
        ranks[*position as usize] = rank;
    }
    ranks
}
