//! The synthetic catalogue: what each record is, from its number.

use std::{io, sync::OnceLock};

use serde_json::Value;

use super::{
    Options,
    catalogue::{At, Attraction, Catalogue, Change, Event, NONE, Records, Tick, Venue, Words},
    classes::{Class, Tree},
    vocabulary::{PERFORMER_FIRST, PERFORMER_LAST, Place, SEGMENTS, TOURS, VENUE_FIRST, VENUE_LAST, places},
};
use crate::{
    clock::{self, DAY},
    dice::{Alphabet, Dice, Purpose, code},
};

/// Makes the records.
#[derive(Debug)]
pub(super) struct Synthetic {
    pub(super) seed: u64,
    pub(super) now: i64,
    pub(super) images: usize,
    pub(super) places: Vec<(Place, u32)>,
    pub(super) classes: Vec<Class>,
    /// For each segment, where its classes begin and end.
    segments: Vec<(usize, usize)>,
    venue_count: usize,
    archtics_venues: usize,
    attraction_count: usize,
    moment: Option<Crowd>,
    undated: f64,
    sparse: f64,
    moving: f64,
    moving_over: u32,
    revised: f64,
}

/// The many events of one moment.
#[derive(Debug)]
struct Crowd {
    count: usize,
    at: i64,
    places: Vec<usize>,
    venues: Vec<u32>,
}

/// What is known of an event's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    Exact,
    TimeTba,
    NoSpecificTime,
    /// To be announced; perhaps with a provisional day.
    Tba(Option<i64>),
    /// To be determined.
    Tbd(Option<i64>),
}

/// What an event is, before its details.
#[derive(Debug)]
pub(super) struct EventFacts {
    pub(super) id: String,
    pub(super) source: &'static str,
    pub(super) sparse: bool,
    pub(super) venue: Option<u32>,
    pub(super) attractions: Vec<u32>,
    pub(super) class: Option<u32>,
    pub(super) timing: Timing,
    /// By the venue's clock; without meaning when undated.
    pub(super) local: i64,
    pub(super) offset: i64,
    pub(super) visible: i64,
    pub(super) locale: &'static str,
    pub(super) change: Option<(Change, At)>,
}

impl EventFacts {
    pub(super) fn start(&self) -> Option<i64> {
        match self.timing {
            Timing::Exact => Some(self.local - self.offset),
            Timing::TimeTba | Timing::NoSpecificTime => Some(self.local - self.local.rem_euclid(DAY) - self.offset),
            Timing::Tba(_) | Timing::Tbd(_) => None,
        }
    }
}

/// What a venue is, before its details.
#[derive(Debug)]
pub(super) struct VenueFacts<'a> {
    pub(super) id: String,
    pub(super) archtics: bool,
    pub(super) place: &'a Place,
    /// As the record tells it: not always ISO-2, not always there.
    pub(super) country_code: Option<&'static str>,
    pub(super) postal_code: String,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) locale: &'static str,
    pub(super) name: String,
}

/// What an attraction is, before its details.
#[derive(Debug)]
pub(super) struct AttractionFacts {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) class: u32,
    pub(super) locale: &'static str,
}

pub(super) fn catalogue(options: &Options) -> io::Result<Catalogue> {
    let synthetic = Synthetic::new(options)?;
    let tree = Tree::new(options.seed, options.classes);
    let mut words = Words::default();
    // Number 0 is no word at all: a venue without a state matches no state.
    words.number("");
    let venues = (0..synthetic.venue_count as u32).map(|index| {
        let venue = synthetic.venue_facts(index);
        let state = if venue.archtics { None } else { venue.place.state };
        Venue {
            locale: words.number(venue.locale),
            source: words.number(if venue.archtics { "archtics" } else { "ticketmaster" }),
            country: words.number(venue.country_code.unwrap_or_default()),
            state: words.number(state.map_or("", |(_, code)| code)),
            city: words.number(venue.place.city),
            postal_code: venue.postal_code.as_str().into(),
            markets: venue.markets(),
            dmas: venue.dmas(),
            location: (!venue.archtics).then_some((venue.latitude, venue.longitude)),
            id: venue.id.into(),
            index,
            ..Venue::default()
        }
    });
    let venues = venues.collect();
    let attractions = (0..synthetic.attraction_count as u32).map(|index| {
        let attraction = synthetic.attraction_facts(index);
        Attraction {
            locale: words.number(attraction.locale),
            source: words.number("ticketmaster"),
            class: attraction.class,
            id: attraction.id.into(),
            index,
            ..Attraction::default()
        }
    });
    let attractions = attractions.collect();
    let events = (0..options.events as u32).map(|index| {
        let event = synthetic.event_facts(index);
        let start = event.start();
        Event {
            index,
            start,
            local: event.local,
            visible: event.visible,
            on_sale: (event.visible + 3 * DAY, start.unwrap_or(i64::MAX)),
            venue: event.venue.unwrap_or(NONE),
            class: event.class.unwrap_or(NONE),
            locale: words.number(event.locale),
            source: words.number(event.source),
            tba: matches!(event.timing, Timing::Tba(_)),
            tbd: matches!(event.timing, Timing::Tbd(_)),
            test: false,
            change: event.change,
            id: event.id.into(),
        }
    });
    let mut events: Vec<Event> = events.collect();
    events.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    Ok(Catalogue {
        seed: options.seed,
        events,
        venues,
        attractions,
        classes: synthetic.classes.clone(),
        classifications: tree.items(),
        words,
        records: Box::new(synthetic),
        event_ranks: OnceLock::new(),
        venue_ranks: OnceLock::new(),
        attraction_ranks: OnceLock::new(),
    })
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

impl Synthetic {
    fn new(options: &Options) -> io::Result<Self> {
        let instant = |text: &str| clock::strict_utc(text).ok_or_else(|| invalid(format!("not a UTC time: {text}")));
        let classes = Tree::new(options.seed, options.classes).classes();
        let segments = SEGMENTS
            .iter()
            .map(|(name, ..)| {
                let of = |class: &Class| class.levels[0].name == *name;
                let begins = classes.iter().position(of).expect("every segment has a genre");
                (begins, begins + classes[begins..].iter().take_while(|class| of(class)).count())
            })
            .collect();
        let venue_count = options.venues.unwrap_or(options.events / 12).max(1);
        let mut synthetic = Self {
            seed: options.seed,
            now: instant(&options.now)?,
            images: options.images,
            places: places(),
            classes,
            segments,
            venue_count,
            archtics_venues: venue_count / 25,
            attraction_count: options.attractions.unwrap_or(options.events / 8).max(1),
            moment: None,
            undated: options.undated,
            sparse: options.sparse,
            moving: options.moving,
            moving_over: options.moving_over.max(1),
            revised: options.revised,
        };
        if let Some(moment) = &options.moment {
            let country = |place: &Place| place.country.1 == moment.country;
            let of = |(number, (place, _)): (usize, &(Place, u32))| country(place).then_some(number);
            let there: Vec<usize> = synthetic.places.iter().enumerate().filter_map(of).collect();
            if there.is_empty() {
                return Err(invalid(format!("the sandbox knows no place in {}", moment.country)));
            }
            let at = instant(&moment.at)?;
            synthetic.moment = Some(Crowd { count: moment.count, at, places: there, venues: Vec::new() });
            let hosts = |index: &u32| country(synthetic.venue_facts(*index).place);
            let venues = (0..synthetic.regular_venues() as u32).filter(hosts).collect();
            if let Some(crowd) = &mut synthetic.moment {
                crowd.venues = venues;
            }
        }
        Ok(synthetic)
    }

    fn regular_venues(&self) -> usize {
        self.venue_count - self.archtics_venues
    }

    fn in_moment(&self, index: u32) -> Option<&Crowd> {
        self.moment.as_ref().filter(|crowd| (index as usize) < crowd.count)
    }

    pub(super) fn event_facts(&self, index: u32) -> EventFacts {
        let mut dice = Dice::new(self.seed, Purpose::Event, index.into());
        let crowd = self.in_moment(index);
        let sparse = dice.chance(self.sparse) && crowd.is_none() && self.archtics_venues > 0;
        let (source, prefix) = if sparse { ("archtics", "Za5ju3rKuqZ") } else { *dice.weighted(PREFIXES) };
        let mut id = format!("{prefix}{}", code::<40>(self.seed, index.into(), Alphabet::Base62, 8));
        match (sparse, source) {
            (true, _) => {
                let length = 14 + dice.below(2);
                id.push_str(&dice.letters(length));
            }
            (_, "universe") => id.push_str(&dice.letters(9)),
            _ => id.push_str(&dice.letters(index as usize % 4)),
        }

        let venue = match crowd {
            Some(crowd) => Some(*dice.pick(&crowd.venues)),
            None if !dice.chance(0.97) => None,
            None if sparse => Some((self.regular_venues() + dice.below(self.archtics_venues)) as u32),
            None => Some(dice.skewed_below(self.regular_venues(), 2) as u32),
        };
        let place = match venue {
            Some(venue) => self.venue_facts(venue).place,
            None => dice.weighted(&self.places),
        };
        let mut attractions = Vec::new();
        if !sparse && dice.chance(0.76) {
            let most = *dice.weighted(&[(1, 55), (2, 25), (3, 10), (5, 7), (14, 3)]);
            for _ in 0..=dice.below(most) {
                let attraction = dice.skewed_below(self.attraction_count, 2) as u32;
                if !attractions.contains(&attraction) {
                    attractions.push(attraction);
                }
            }
        }
        let class = match attractions.first() {
            Some(first) => Some(self.attraction_facts(*first).class),
            None if crowd.is_some() || (!sparse && dice.chance(0.5)) => Some(self.class(&mut dice)),
            None => None,
        };
        let offset = i64::from(place.offset_minutes) * 60;
        let local = match crowd {
            Some(crowd) => crowd.at + offset,
            None => self.local_start(&mut dice),
        };
        let timing = match dice.unit() {
            _ if crowd.is_some() => Timing::Exact,
            throw if throw < self.undated => {
                // Announced without any day at all, or with a provisional one.
                let day = (!dice.chance(0.3)).then_some(local - local.rem_euclid(DAY));
                if dice.chance(0.5) { Timing::Tba(day) } else { Timing::Tbd(day) }
            }
            _ => *dice.weighted(&[(Timing::Exact, 965), (Timing::TimeTba, 32), (Timing::NoSpecificTime, 3)]),
        };
        let change = self.change(index);
        let visible = match change {
            // Later than any run at revision 0 can have looked.
            Some((Change::Insert, At::Revision(revision))) => self.now + i64::from(revision) * 7 * DAY,
            _ => self.now - DAY - dice.below(300 * DAY as usize) as i64,
        };
        let locale = self.locale(&mut dice, place);
        EventFacts { id, source, sparse, venue, attractions, class, timing, local, offset, visible, locale, change }
    }

    fn change(&self, index: u32) -> Option<(Change, At)> {
        let mut dice = Dice::new(self.seed, Purpose::Change, index.into());
        let throw = dice.unit();
        let days = 1 + dice.below(60) as u8;
        if throw < self.moving {
            let at = At::Request(2 + dice.below(self.moving_over as usize) as u32);
            let change = *dice.weighted(&[(Change::Insert, 1), (Change::Remove, 1), (Change::Move(days), 1)]);
            return Some((change, at));
        }
        if throw < self.moving + self.revised {
            let at = At::Revision(1 + dice.below(3) as u32);
            let kinds = [Change::Insert, Change::Remove, Change::Move(days), Change::Cancel, Change::Price]
                .map(|kind| (kind, 1));
            return Some((*dice.weighted(&kinds), at));
        }
        None
    }

    /// Most of the next four months' evenings, more on weekends, in the season of each.
    fn local_start(&self, dice: &mut Dice) -> i64 {
        let today = self.now - self.now.rem_euclid(DAY);
        let mut day = today;
        for _ in 0..8 {
            let ahead = match dice.unit() {
                throw if throw < 0.70 => 1.0 + 119.0 * dice.unit().powf(1.2),
                throw if throw < 0.95 => 120.0 + 240.0 * dice.unit().powf(1.5),
                _ => 360.0 + 360.0 * dice.unit(),
            };
            day = today + ahead as i64 * DAY;
            // 1970 began on a Thursday; a year's months are near enough as twelfths.
            let weekday = [0.6, 0.9, 1.0, 0.6, 0.3, 0.35, 0.4][(day / DAY).rem_euclid(7) as usize];
            let month = (day / DAY % 365 * 12 / 365) as usize;
            let season = [0.5, 0.6, 0.8, 0.9, 1.0, 1.0, 0.9, 0.8, 0.9, 1.0, 1.0, 0.8][month.min(11)];
            if dice.chance(weekday * season) {
                break;
            }
        }
        let hour = *dice.weighted(HOURS);
        let minute = *dice.weighted(&[(0, 50), (30, 38), (15, 7), (45, 5)]);
        day + hour * 3_600 + minute * 60
    }

    fn class(&self, dice: &mut Dice) -> u32 {
        let weights: Vec<(usize, u32)> =
            SEGMENTS.iter().enumerate().map(|(number, segment)| (number, segment.1)).collect();
        let (begins, ends) = self.segments[*dice.weighted(&weights)];
        let leaf = begins / 2 + dice.skewed_below((ends - begins) / 2, 2);
        (2 * leaf + usize::from(dice.chance(0.1))) as u32
    }

    /// Even where another language is spoken, many records are in English.
    fn locale(&self, dice: &mut Dice, place: &Place) -> &'static str {
        if place.locale.starts_with("en") || dice.chance(0.4) {
            return if dice.chance(0.05) { place.locale } else { "en-us" };
        }
        place.locale
    }

    pub(super) fn venue_facts(&self, index: u32) -> VenueFacts<'_> {
        let mut dice = Dice::new(self.seed, Purpose::Venue, index.into());
        let archtics = index as usize >= self.regular_venues();
        let place = match &self.moment {
            // However few venues there are, some lie where the moment is.
            Some(crowd) if (index as usize) < 3.max(self.venue_count / 25) => &self.places[*dice.pick(&crowd.places)].0,
            _ => dice.weighted(&self.places),
        };
        let prefix = match (archtics, place.country.1) {
            (true, _) => "Za5ju3rKuqZ",
            (_, "US" | "CA" | "GB") => "KovZ",
            _ => "Z698x",
        };
        let id = format!("{prefix}{}", code::<40>(self.seed ^ 0x56, index.into(), Alphabet::Base62, 8));
        let country_code = match archtics {
            true => dice.chance(0.75).then_some("CAN"),
            false => Some(place.country.1),
        };
        let postal_code = match place.country.1 {
            "GB" | "IE" | "CA" => {
                format!("K{}{} {}AB", dice.below(10), "CDEH".as_bytes()[dice.below(4)] as char, dice.below(10))
            }
            _ => format!("{:05}", 10_000 + dice.below(89_000)),
        };
        let mut near = |degrees: f64| (degrees + (dice.unit() - 0.5) * 0.8) as f32;
        // Through f32 and back: the up to 16 decimals that the real ones have.
        let (latitude, longitude) = (f64::from(near(place.latitude)), f64::from(near(place.longitude)));
        let name = format!("{} {}", dice.pick(VENUE_FIRST), dice.pick(VENUE_LAST));
        let name = if dice.chance(0.5) { format!("{} {name}", place.city) } else { name };
        let locale = self.locale(&mut dice, place);
        VenueFacts { id, archtics, place, country_code, postal_code, latitude, longitude, locale, name }
    }

    pub(super) fn attraction_facts(&self, index: u32) -> AttractionFacts {
        let mut dice = Dice::new(self.seed, Purpose::Attraction, index.into());
        let id = format!("K8vZ91{}", code::<40>(self.seed ^ 0x41, index.into(), Alphabet::Base62, 8));
        let the = if dice.chance(0.3) { "The " } else { "" };
        let mut name = format!("{the}{} {}", dice.pick(PERFORMER_FIRST), dice.pick(PERFORMER_LAST));
        if dice.chance(0.5) {
            name =
                format!("{name} {}", dice.pick(&["Collective", "Duo", "Ensemble", "Experience", "Project", "Revue"]));
        }
        let class = self.class(&mut dice);
        let locale = *dice.weighted(&[("en-us", 97), ("fr-fr", 1), ("de-de", 1), ("cs-cz", 1)]);
        AttractionFacts { id, name, class, locale }
    }
}

/// Where events come from, and how their ids begin.
const PREFIXES: &[((&str, &str), u32)] = &[
    (("ticketmaster", "vvG1"), 22),
    (("ticketmaster", "G5vY"), 20),
    (("ticketmaster", "G5dV"), 10),
    (("ticketmaster", "k7vG"), 6),
    (("ticketmaster", "17AZ"), 8),
    (("ticketmaster", "1AdF"), 4),
    (("ticketmaster", "Z698"), 8),
    (("ticketmaster", "rZ7H"), 6),
    (("tmr", "Z7r9"), 10),
    (("universe", "LvZ1"), 4),
    (("frontgate", "d_-F"), 2),
];

const HOURS: &[(i64, u32)] = &[
    (10, 2),
    (11, 3),
    (12, 3),
    (13, 4),
    (14, 8),
    (15, 6),
    (16, 4),
    (17, 6),
    (18, 11),
    (19, 24),
    (20, 20),
    (21, 6),
    (22, 3),
];

impl Records for Synthetic {
    fn event(&self, event: &Event, tick: Tick) -> Value {
        self.render_event(event, tick)
    }

    fn venue(&self, index: u32) -> Value {
        self.render_venue(index)
    }

    fn attraction(&self, index: u32) -> Value {
        self.render_attraction(index)
    }

    fn event_name(&self, index: u32) -> String {
        let facts = self.event_facts(index);
        let mut dice = Dice::new(self.seed, Purpose::EventDetails, index.into());
        match *facts.attractions {
            [] => format!("{} {}", dice.pick(PERFORMER_FIRST), dice.pick(PERFORMER_LAST)),
            [one] => format!("{}{}", self.attraction_name(one), dice.pick(TOURS)),
            [home, guest, ..] => format!("{} vs. {}", self.attraction_name(home), self.attraction_name(guest)),
        }
    }

    fn venue_name(&self, index: u32) -> String {
        self.venue_facts(index).name
    }

    fn attraction_name(&self, index: u32) -> String {
        self.attraction_facts(index).name
    }

    fn attractions_of(&self, event: u32) -> Vec<u32> {
        self.event_facts(event).attractions
    }
}
