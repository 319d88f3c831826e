//! Which records a query is about.

use std::collections::HashSet;

use super::{
    answers::{bad_request, not_played},
    catalogue::{Attraction, Catalogue, Event, NONE, Tick, Venue},
    query::{NOT_PLAYED, Params},
};
use crate::{clock, server::Answer};

/// `yes`, `no` or `only`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Include {
    Yes,
    No,
    Only,
}

impl Include {
    fn read(params: &Params, name: &str, default: Self) -> Result<Self, Answer> {
        match params.one(name) {
            None => Ok(default),
            Some("yes") => Ok(Self::Yes),
            Some("no") => Ok(Self::No),
            Some("only") => Ok(Self::Only),
            Some(_) => Err(bad_request("DIS1007", &format!("Query param \"{name}\" must be one of yes, no, only"))),
        }
    }

    fn accepts(self, is_it: bool) -> bool {
        match self {
            Self::Yes => true,
            Self::No => !is_it,
            Self::Only => is_it,
        }
    }
}

/// A range with both of its ends.
#[derive(Clone, Copy, Debug)]
struct Range {
    from: i64,
    to: i64,
}

impl Range {
    fn contains(self, value: i64) -> bool {
        self.from <= value && value <= self.to
    }

    /// Two parameters, one for each end.
    fn of_two(params: &Params, from: &str, to: &str) -> Result<Option<Self>, Answer> {
        let end = |name: &str| params.one(name).map(|text| clock::strict_utc(text).ok_or_else(bad_date)).transpose();
        Ok(match (end(from)?, end(to)?) {
            (None, None) => None,
            (from, to) => Some(Self { from: from.unwrap_or(i64::MIN), to: to.unwrap_or(i64::MAX) }),
        })
    }

    /// One parameter, `from,to`, either of them `*` for no end.
    fn of_one(params: &Params, name: &str, read: fn(&str) -> Option<i64>) -> Result<Option<Self>, Answer> {
        let end = |text: Option<&&str>, open: i64| match text {
            None | Some(&"*") => Ok(open),
            Some(text) => read(text).ok_or_else(bad_date),
        };
        let ends = params.many(name);
        if ends.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { from: end(ends.first(), i64::MIN)?, to: end(ends.get(1), i64::MAX)? }))
    }
}

fn bad_date() -> Answer {
    let detail = "Query param with date must be of valid format YYYY-MM-DDTHH:mm:ssZ {example: 2020-08-01T14:00:00Z }";
    bad_request("DIS1015", detail)
}

/// What every search filters by.
#[derive(Debug)]
struct Common {
    ids: Option<HashSet<String>>,
    locales: Vec<bool>,
    sources: Option<Vec<bool>>,
    test: Include,
    keywords: Vec<String>,
}

impl Common {
    fn read(params: &Params, catalogue: &Catalogue) -> Result<Self, Answer> {
        let ids = params.many("id");
        let sources = params.many("source");
        let locales = match params.many("locale") {
            given if given.is_empty() => vec!["en"],
            given => given,
        };
        Ok(Self {
            ids: (!ids.is_empty()).then(|| ids.iter().map(|id| (*id).to_owned()).collect()),
            locales: catalogue.words.accepted(|word| locales.iter().any(|asked| speaks(asked, word))),
            sources: (!sources.is_empty()).then(|| catalogue.words.accepted(|word| sources.contains(&word))),
            test: Include::read(params, "includeTest", Include::No)?,
            keywords: params.one("keyword").unwrap_or_default().split_whitespace().map(str::to_lowercase).collect(),
        })
    }

    fn accepts(&self, id: &str, locale: u16, source: u16, test: bool, text: impl FnOnce() -> String) -> bool {
        self.locales[usize::from(locale)]
            && self.test.accepts(test)
            && self.sources.as_ref().is_none_or(|sources| sources[usize::from(source)])
            && self.ids.as_ref().is_none_or(|ids| ids.contains(id))
            && (self.keywords.is_empty() || has_words(&text(), &self.keywords))
    }
}

/// Whole words only: the API does not find a part of one.
fn has_words(text: &str, keywords: &[String]) -> bool {
    let text = text.to_lowercase();
    let words: HashSet<&str> = text.split(|letter: char| !letter.is_alphanumeric()).collect();
    keywords.iter().all(|keyword| words.contains(keyword.as_str()))
}

/// Whether a record's locale is one that `asked` means. Without fallback: what is not published in it is not there.
fn speaks(asked: &str, locale: &str) -> bool {
    let asked = asked.to_lowercase();
    asked == "*" || locale == asked || locale.strip_prefix(&asked).is_some_and(|rest| rest.starts_with('-'))
}

/// Which classes are accepted, and whether to have none is.
#[derive(Debug)]
struct Classes {
    accepted: Vec<bool>,
    without: bool,
}

impl Classes {
    fn read(params: &Params, catalogue: &Catalogue) -> Result<Option<Self>, Answer> {
        let family = Include::read(params, "includeFamily", Include::Yes)?;
        let mut classes = Self { accepted: vec![true; catalogue.classes.len()], without: family.accepts(false) };
        let mut asked = family != Include::Yes;
        for (accepted, class) in classes.accepted.iter_mut().zip(&catalogue.classes) {
            *accepted = family.accepts(class.family);
        }
        for (name, levels, by_name) in [
            ("segmentId", 0..1, false),
            ("segmentName", 0..1, true),
            ("genreId", 1..2, false),
            ("subGenreId", 2..3, false),
            ("typeId", 3..4, false),
            ("subTypeId", 4..5, false),
            ("classificationId", 0..5, false),
            ("classificationName", 0..5, true),
        ] {
            let values = params.many(name);
            if values.is_empty() {
                continue;
            }
            asked = true;
            let (excluded, included): (Vec<&str>, Vec<&str>) = values.iter().partition(|value| value.starts_with('-'));
            classes.without &= included.is_empty();
            for (accepted, class) in classes.accepted.iter_mut().zip(&catalogue.classes) {
                let is = |value: &str| {
                    class.levels[levels.clone()]
                        .iter()
                        .any(|level| if by_name { level.name.eq_ignore_ascii_case(value) } else { level.id == value })
                };
                *accepted &= included.is_empty() || included.iter().any(|value| is(value));
                *accepted &= !excluded.iter().any(|value| is(&value[1..]));
            }
        }
        Ok(asked.then_some(classes))
    }

    fn accepts(&self, class: u32) -> bool {
        if class == NONE { self.without } else { self.accepted[class as usize] }
    }
}

/// Where to search, for filters and for the order by distance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    center: (f64, f64),
    radius: Option<f64>,
    pub(super) units: &'static str,
}

impl Around {
    fn read(params: &Params) -> Result<Option<Self>, Answer> {
        let Some(text) = params.one("geoPoint").or(params.one("latlong")) else { return Ok(None) };
        let pair = text.split_once(',').and_then(|(north, east)| Some((north.parse().ok()?, east.parse().ok()?)));
        let center = pair
            .or_else(|| geohash(text))
            .ok_or_else(|| bad_request("DIS1009", "Query param \"geoPoint\" must be a valid geo point"))?;
        let radius = match params.one("radius") {
            Some(text) => {
                let whole = text.parse::<u32>();
                Some(f64::from(whole.map_err(|_| bad_request("DIS1034", "Query param \"radius\" must be an integer"))?))
            }
            None => None,
        };
        let units = if params.one("unit") == Some("km") { "KILOMETERS" } else { "MILES" };
        Ok(Some(Self { center, radius, units }))
    }

    /// How far away a venue is. What has no location is nowhere near.
    pub(super) fn distance(&self, venue: &Venue) -> Option<f64> {
        let (north, east) = venue.location?;
        let radius = if self.units == "KILOMETERS" { 6_371.0 } else { 3_958.8 };
        let (from, to) = (self.center.0.to_radians(), north.to_radians());
        let turn = (east - self.center.1).to_radians();
        let chord = ((to - from) / 2.0).sin().powi(2) + from.cos() * to.cos() * (turn / 2.0).sin().powi(2);
        Some(2.0 * radius * chord.sqrt().min(1.0).asin())
    }

    fn accepts(&self, venue: &Venue) -> bool {
        self.radius.is_none_or(|radius| self.distance(venue).is_some_and(|distance| distance <= radius))
    }
}

/// The middle of a geohash's cell.
fn geohash(text: &str) -> Option<(f64, f64)> {
    let mut ranges = [(-180.0, 180.0), (-90.0, 90.0)];
    let mut axis = 0;
    for letter in text.to_lowercase().bytes() {
        let value = b"0123456789bcdefghjkmnpqrstuvwxyz".iter().position(|digit| *digit == letter)?;
        for bit in (0..5).rev() {
            let (low, high) = ranges[axis];
            let middle = (low + high) / 2.0;
            ranges[axis] = if value >> bit & 1 == 1 { (middle, high) } else { (low, middle) };
            axis = 1 - axis;
        }
    }
    let middle = |(low, high): (f64, f64)| (low + high) / 2.0;
    (!text.is_empty()).then_some((middle(ranges[1]), middle(ranges[0])))
}

/// Which venues lie where the query asks.
#[derive(Debug)]
struct Places {
    asked: bool,
    accepted: Vec<bool>,
    around: Option<Around>,
}

impl Places {
    fn read(params: &Params, catalogue: &Catalogue, of_events: bool) -> Result<Self, Answer> {
        let around = Around::read(params)?;
        let mut places = Self {
            asked: around.is_some_and(|around| around.radius.is_some()),
            accepted: catalogue.venues.iter().map(|venue| around.is_none_or(|around| around.accepts(venue))).collect(),
            around,
        };
        let same = |value: &str| catalogue.words.accepted(|word| !word.is_empty() && word.eq_ignore_ascii_case(value));
        if let Some(country) = params.one("countryCode").map(same) {
            places.keep(catalogue, |venue| country[usize::from(venue.country)]);
        }
        if let Some(state) = params.one("stateCode").map(same) {
            places.keep(catalogue, |venue| state[usize::from(venue.state)]);
        }
        if !of_events {
            return Ok(places);
        }
        let cities: Vec<Vec<bool>> = params.many("city").into_iter().map(same).collect();
        if !cities.is_empty() {
            places.keep(catalogue, |venue| cities.iter().any(|city| city[usize::from(venue.city)]));
        }
        if let Some(code) = params.one("postalCode") {
            places.keep(catalogue, |venue| *venue.postal_code == *code);
        }
        let ids = params.many("venueId");
        if !ids.is_empty() {
            places.keep(catalogue, |venue| ids.contains(&&*venue.id));
        }
        for (name, areas) in [("marketId", (|venue| &venue.markets) as fn(&Venue) -> &Vec<u16>), ("dmaId", |v| &v.dmas)]
        {
            let numbers: Result<Vec<u16>, _> = params.many(name).iter().map(|number| number.parse()).collect();
            let numbers = numbers
                .map_err(|_| bad_request("DIS1013", &format!("Query param \"{name}\" must match ^(\\d+(,\\d+)*)?$")))?;
            if !numbers.is_empty() {
                places.keep(catalogue, |venue| areas(venue).iter().any(|area| numbers.contains(area)));
            }
        }
        Ok(places)
    }

    fn keep(&mut self, catalogue: &Catalogue, accepts: impl Fn(&Venue) -> bool) {
        self.asked = true;
        for (accepted, venue) in self.accepted.iter_mut().zip(&catalogue.venues) {
            *accepted &= accepts(venue);
        }
    }

    fn accepts(&self, venue: u32) -> bool {
        !self.asked || (venue != NONE && self.accepted[venue as usize])
    }
}

/// The filters of `/events`.
#[derive(Debug)]
pub(super) struct EventFilter {
    common: Common,
    classes: Option<Classes>,
    places: Places,
    attractions: Option<HashSet<u32>>,
    start: Option<Range>,
    local: Option<Range>,
    visible: Option<Range>,
    on_sale: Option<Range>,
    tba: Include,
    tbd: Include,
}

impl EventFilter {
    pub(super) fn read(params: &Params, catalogue: &Catalogue) -> Result<Self, Answer> {
        if let Some((name, _)) = params.all().find(|(name, _)| NOT_PLAYED.contains(name)) {
            return Err(not_played(&format!("the parameter {name}")));
        }
        let attractions = params.many("attractionId");
        let positions = || {
            let asked = |attraction: &&Attraction| attractions.contains(&&*attraction.id);
            catalogue.attractions.iter().filter(asked).map(|attraction| attraction.index).collect()
        };
        Ok(Self {
            common: Common::read(params, catalogue)?,
            classes: Classes::read(params, catalogue)?,
            places: Places::read(params, catalogue, true)?,
            attractions: (!attractions.is_empty()).then(positions),
            start: Range::of_two(params, "startDateTime", "endDateTime")?,
            local: Range::of_one(params, "localStartDateTime", clock::strict_local)?,
            visible: Range::of_one(params, "publicVisibilityStartDateTime", clock::strict_utc)?,
            on_sale: Range::of_two(params, "onsaleStartDateTime", "onsaleEndDateTime")?,
            // Documented as "yes" without a date; observed as "no" either way.
            tba: Include::read(params, "includeTBA", Include::No)?,
            tbd: Include::read(params, "includeTBD", Include::No)?,
        })
    }

    pub(super) fn accepts(&self, catalogue: &Catalogue, event: &Event, tick: Tick) -> bool {
        let text = || {
            let records = &catalogue.records;
            let mut text = records.event_name(event.index);
            if event.venue != NONE {
                text = format!("{text} {}", records.venue_name(event.venue));
            }
            for attraction in records.attractions_of(event.index) {
                text = format!("{text} {}", records.attraction_name(attraction));
            }
            text
        };
        event.is_there(tick)
            && self.start.is_none_or(|range| event.start_at(tick).is_some_and(|start| range.contains(start)))
            && self.local.is_none_or(|range| event.start.is_some() && range.contains(event.local + event.moved(tick)))
            && self.tba.accepts(event.tba)
            && self.tbd.accepts(event.tbd)
            && self.visible.is_none_or(|range| range.contains(event.visible))
            && self.on_sale.is_none_or(|range| event.on_sale.0 <= range.to && range.from <= event.on_sale.1)
            && self.places.accepts(event.venue)
            && self.classes.as_ref().is_none_or(|classes| classes.accepts(event.class))
            && self
                .attractions
                .as_ref()
                .is_none_or(|asked| catalogue.records.attractions_of(event.index).iter().any(|one| asked.contains(one)))
            && self.common.accepts(&event.id, event.locale, event.source, event.test, text)
    }

    pub(super) fn around(&self) -> Option<Around> {
        self.places.around
    }
}

/// The filters of `/venues`.
#[derive(Debug)]
pub(super) struct VenueFilter {
    common: Common,
    places: Places,
}

impl VenueFilter {
    pub(super) fn read(params: &Params, catalogue: &Catalogue) -> Result<Self, Answer> {
        Ok(Self { common: Common::read(params, catalogue)?, places: Places::read(params, catalogue, false)? })
    }

    pub(super) fn accepts(&self, catalogue: &Catalogue, venue: &Venue) -> bool {
        let text = || catalogue.records.venue_name(venue.index);
        !venue.unlisted
            && self.places.accepts(venue.index)
            && self.common.accepts(&venue.id, venue.locale, venue.source, venue.test, text)
    }

    pub(super) fn around(&self) -> Option<Around> {
        self.places.around
    }
}

/// The filters of `/attractions`.
#[derive(Debug)]
pub(super) struct AttractionFilter {
    common: Common,
    classes: Option<Classes>,
}

impl AttractionFilter {
    pub(super) fn read(params: &Params, catalogue: &Catalogue) -> Result<Self, Answer> {
        Ok(Self { common: Common::read(params, catalogue)?, classes: Classes::read(params, catalogue)? })
    }

    pub(super) fn accepts(&self, catalogue: &Catalogue, attraction: &Attraction) -> bool {
        let text = || catalogue.records.attraction_name(attraction.index);
        !attraction.unlisted
            && self.classes.as_ref().is_none_or(|classes| classes.accepts(attraction.class))
            && self.common.accepts(&attraction.id, attraction.locale, attraction.source, attraction.test, text)
    }
}

#[cfg(test)]
mod tests {
    use super::{geohash, speaks};

    #[test]
    fn a_language_means_all_of_its_countries_and_nothing_else() {
        assert!(speaks("en", "en-us") && speaks("en-us", "en-us") && speaks("*", "fr-fr") && speaks("en", "en"));
        assert!(!speaks("en-us", "en-gb") && !speaks("en", "fr-fr") && !speaks("e", "en-us"));
    }

    #[test]
    fn a_geohash_names_the_middle_of_its_cell() {
        let (north, east) = geohash("9q5ctr").unwrap();
        assert!((north - 34.05).abs() < 0.1 && (east + 118.24).abs() < 0.1, "{north} {east}");
        assert_eq!(geohash("9q5!"), None);
    }
}
