//! The rules that every search shares: parameters, paging, order.

use axum::{extract::Query, http::Uri};
use serde_json::Value;

use super::answers::bad_request;
use crate::{dice::mix, server::Answer};

/// The parameters of a request without the key.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

/// What a search found: how many records, and those of one page.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) total: usize,
    pub(super) size: usize,
    pub(super) number: usize,
    pub(super) items: Vec<Value>,
}

const COMMON: &[&str] = &[
    "id",
    "keyword",
    "source",
    "locale",
    "includeTest",
    "size",
    "page",
    "sort",
    "preferredCountry",
    "includeSpellcheck",
    "domain",
];

const BY_CLASS: &[&str] = &[
    "classificationName",
    "classificationId",
    "includeFamily",
    "segmentId",
    "segmentName",
    "genreId",
    "subGenreId",
    "typeId",
    "subTypeId",
];

const BY_PLACE: &[&str] = &["latlong", "radius", "unit", "countryCode", "stateCode", "geoPoint"];

const EVENTS_ONLY: &[&str] = &[
    "attractionId",
    "venueId",
    "postalCode",
    "marketId",
    "dmaId",
    "city",
    "startDateTime",
    "endDateTime",
    "includeTBA",
    "includeTBD",
    "onsaleStartDateTime",
    "onsaleEndDateTime",
    "localStartDateTime",
    "publicVisibilityStartDateTime",
];

/// Documented for events; a request with one of them is refused, as the sandbox would give a wrong answer.
pub(super) const NOT_PLAYED: &[&str] = &[
    "localStartEndDateTime",
    "startEndDateTime",
    "preSaleDateTime",
    "onsaleOnStartDate",
    "onsaleOnAfterStartDate",
    "collectionId",
    "promoterId",
];

impl Params {
    pub(super) fn read(query: &str) -> Self {
        let uri: Uri = format!("/?{query}").parse().unwrap_or_default();
        let pairs =
            Query::<Vec<(String, String)>>::try_from_uri(&uri).map_or_else(|_| Vec::new(), |Query(pairs)| pairs);
        Self(pairs.into_iter().filter(|(name, _)| name != "apikey").collect())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value of a parameter; an empty one is none.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.all().find(|(given, value)| *given == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// All values of a parameter, repeated or with commas between them.
    pub(super) fn many(&self, name: &str) -> Vec<&str> {
        let values = self.all().filter(|(given, _)| *given == name).flat_map(|(_, value)| value.split(','));
        values.map(str::trim).filter(|value| !value.is_empty()).collect()
    }

    /// The parameters that a search of `kind` has not: the API ignores them, and says so in a header.
    pub(super) fn unknown(&self, kind: &str) -> Vec<&str> {
        let known: &[&[&str]] = match kind {
            "events" => &[COMMON, BY_CLASS, BY_PLACE, EVENTS_ONLY, NOT_PLAYED],
            "venues" => &[COMMON, BY_PLACE],
            "attractions" => &[COMMON, BY_CLASS],
            _ => &[COMMON],
        };
        let is_known = |name: &str| known.iter().any(|names| names.contains(&name));
        let mut unknown: Vec<&str> = self.all().map(|(name, _)| name).filter(|name| !is_known(name)).collect();
        unknown.dedup();
        unknown
    }
}

/// Which page is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paging {
    pub(super) size: usize,
    pub(super) number: usize,
}

impl Paging {
    pub(super) fn read(params: &Params, cap: Option<usize>) -> Result<Self, Answer> {
        let number = |name: &str, default: usize| match params.one(name) {
            Some(text) => text.parse().map_err(|_| {
                bad_request("DIS1034", &format!("Query param \"{name}\" must be a whole number, zero or more"))
            }),
            None => Ok(default),
        };
        let (size, page): (usize, usize) = (number("size", 20)?, number("page", 0)?);
        if size > 200 || size == 0 {
            return Err(bad_request("DIS1036", "Query param \"size\" must be less than 200"));
        }
        if size.saturating_mul(page) >= 9_980 {
            return Err(bad_request("DIS1024", "Results limit exceeded"));
        }
        if size * page > 1_000 {
            let detail = "API Limits Exceeded: Max paging depth exceeded. (page * size) must be less than 1,000";
            return Err(bad_request("DIS1035", detail));
        }
        Ok(Self { size: size.min(cap.unwrap_or(size)).max(1), number: page })
    }

    /// This page of `matched`, which is cut down to it.
    pub(super) fn found(self, matched: &mut Vec<u32>, order: Option<&dyn Fn(u32) -> Key>) -> usize {
        let total = matched.len();
        let begins = (self.size * self.number).min(total);
        let ends = (begins + self.size).min(total);
        if let Some(order) = order {
            let mut keyed: Vec<(Key, u32)> = matched.iter().map(|position| (order(*position), *position)).collect();
            // Only what comes before the end of the page has to be in order.
            if ends > 0 && ends < total {
                keyed.select_nth_unstable(ends);
                keyed.truncate(ends);
            }
            keyed.sort_unstable();
            *matched = keyed.into_iter().map(|(_, position)| position).collect();
        }
        matched.truncate(ends);
        matched.drain(..begins);
        total
    }
}

/// What records are ordered by: two numbers, the second for ties of the first.
pub(super) type Key = (u64, u64);

/// The values of `sort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Relevance { descending: bool },
    Name { descending: bool },
    NameThenDate { descending: bool },
    Date { descending: bool },
    DateThenName { descending: bool },
    OnSale,
    VenueName { descending: bool },
    Distance,
    DistanceDescending,
    Id,
    Random,
}

const EVENT_SORTS: &[(&str, Sort)] = &[
    ("name,asc", Sort::Name { descending: false }),
    ("name,desc", Sort::Name { descending: true }),
    ("date,asc", Sort::Date { descending: false }),
    ("date,desc", Sort::Date { descending: true }),
    ("relevance,asc", Sort::Relevance { descending: false }),
    ("relevance,desc", Sort::Relevance { descending: true }),
    ("distance,asc", Sort::Distance),
    ("name,date,asc", Sort::NameThenDate { descending: false }),
    ("name,date,desc", Sort::NameThenDate { descending: true }),
    ("date,name,asc", Sort::DateThenName { descending: false }),
    ("date,name,desc", Sort::DateThenName { descending: true }),
    ("distance,date,asc", Sort::Distance),
    ("onSaleStartDate,asc", Sort::OnSale),
    ("id,asc", Sort::Id),
    ("venueName,asc", Sort::VenueName { descending: false }),
    ("venueName,desc", Sort::VenueName { descending: true }),
    ("random", Sort::Random),
];

const VENUE_SORTS: &[(&str, Sort)] = &[
    ("name,asc", Sort::Name { descending: false }),
    ("name,desc", Sort::Name { descending: true }),
    ("relevance,asc", Sort::Relevance { descending: false }),
    ("relevance,desc", Sort::Relevance { descending: true }),
    ("distance,asc", Sort::Distance),
    ("distance,desc", Sort::DistanceDescending),
    ("random", Sort::Random),
];

const ATTRACTION_SORTS: &[(&str, Sort)] = &[
    ("name,asc", Sort::Name { descending: false }),
    ("name,desc", Sort::Name { descending: true }),
    ("relevance,asc", Sort::Relevance { descending: false }),
    ("relevance,desc", Sort::Relevance { descending: true }),
    ("random", Sort::Random),
];

const CLASSIFICATION_SORTS: &[(&str, Sort)] =
    &[("name,asc", Sort::Name { descending: false }), ("name,desc", Sort::Name { descending: true })];

impl Sort {
    pub(super) fn read(params: &Params, kind: &str) -> Result<Self, Answer> {
        let (sorts, default) = match kind {
            "events" => (EVENT_SORTS, Self::Relevance { descending: true }),
            "venues" => (VENUE_SORTS, Self::Relevance { descending: true }),
            "attractions" => (ATTRACTION_SORTS, Self::Relevance { descending: true }),
            _ => (CLASSIFICATION_SORTS, Self::Name { descending: false }),
        };
        let Some(asked) = params.one("sort") else { return Ok(default) };
        match sorts.iter().find(|(name, _)| *name == asked) {
            Some((_, sort)) => Ok(*sort),
            None => {
                let names: Vec<String> = sorts.iter().map(|(name, _)| format!("'{name}'")).collect();
                let detail = format!(
                    "Query param \"sort\" may take one of these {} values only - {{{}}}",
                    names.len(),
                    names.join(", ")
                );
                Err(bad_request("DIS1005", &detail))
            }
        }
    }
}

/// A score of 0 to 2^33 that a record keeps, but for an unsteady part of one sixteenth that every request throws anew:
/// neighbours change places between two pages, as they do in the real index.
pub(super) fn relevance(seed: u64, position: u32, request: u32) -> u64 {
    let steady = mix(seed ^ mix(u64::from(position) + 1)) >> 32;
    steady + unsteady(seed, position, request)
}

/// 0 to 2^28, another one for every request.
pub(super) fn unsteady(seed: u64, position: u32, request: u32) -> u64 {
    mix(mix(seed ^ u64::from(request)).wrapping_add(u64::from(position))) >> 36
}

/// `key` for an ascending order, turned around for a descending one.
pub(super) fn directed(key: u64, descending: bool) -> u64 {
    if descending { u64::MAX - key } else { key }
}

/// A signed number as a key.
pub(super) fn signed(number: i64) -> u64 {
    (number as u64) ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use super::{Paging, Params, Sort};

    fn refused(query: &str) -> Option<String> {
        let answer = Paging::read(&Params::read(query), None).err()?;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        Some(body["errors"][0]["code"].as_str()?.to_owned())
    }

    #[test]
    fn depth_is_limited_as_observed() {
        assert_eq!(refused("size=200&page=5"), None);
        assert_eq!(refused("size=200&page=6").as_deref(), Some("DIS1035"));
        assert_eq!(refused("size=199&page=5"), None);
        assert_eq!(refused("page=50"), None);
        assert_eq!(refused("page=51").as_deref(), Some("DIS1035"));
        assert_eq!(refused("size=20&page=499").as_deref(), Some("DIS1024"));
        assert_eq!(refused("size=200"), None);
        assert_eq!(refused("size=201").as_deref(), Some("DIS1036"));
        assert_eq!(refused("size=many").as_deref(), Some("DIS1034"));
    }

    #[test]
    fn only_events_have_an_order_by_id() {
        let params = Params::read("sort=id,asc");
        assert_eq!(Sort::read(&params, "events").ok(), Some(Sort::Id));
        for kind in ["venues", "attractions", "classifications"] {
            assert!(Sort::read(&params, kind).is_err(), "{kind}");
        }
    }

    #[test]
    fn what_is_not_a_parameter_is_listed_and_the_key_is_not() {
        let params = Params::read("apikey=k&size=1&format=json&city=Paris&genre=Jazz");
        assert_eq!(params.unknown("events"), ["format", "genre"]);
        assert_eq!(params.unknown("venues"), ["format", "city", "genre"]);
    }
}
