//! A query split by circles on the map: geohash cells, each asked for by the circle around it, and split into the cells within it where
//! there is too much.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use geohash::Coord;

use super::received::GeoPoint;
use super::{FirstAnswer, Level, ParamSplitter, SplitSource};
use crate::error::Stop;
use manifest::{Cells, Query, SplitBy, Unit};

/// The letters of a geohash.
const LETTERS: &str = "0123456789bcdefghjkmnpqrstuvwxyz";
/// The Earth's mean radius, in metres.
const EARTH: f64 = 6_371_008.8;
/// By how much a circle is larger than its cell: APIs measure on other globes, up to half a percent off.
const MARGIN: f64 = 1.01;

/// The cells of a query that are to be read.
struct Frontier {
    precision: usize,
    /// Where records are known to lie.
    next: Vec<String>,
    /// The other cells within those that were split.
    beyond: VecDeque<String>,
    listed: HashSet<String>,
}

impl Frontier {
    /// Splits `cell` into the 32 within it.
    fn split(&mut self, cell: &str, places: &[GeoPoint]) {
        let hashes: HashSet<String> = places.iter().filter_map(|place| hash(*place, cell.len() + 1)).collect();
        for letter in LETTERS.chars() {
            let inner = format!("{cell}{letter}");
            if !self.listed.insert(inner.clone()) {
                continue;
            }
            if hashes.contains(&inner) { self.next.push(inner) } else { self.beyond.push_back(inner) }
        }
    }
}

impl<S: SplitSource> ParamSplitter<'_, S> {
    /// Reads a query by the circles of parameter number `param`. `fills`: to fill what another parameter left out; a circle that has no
    /// more records than were received is then the proof for all cells within it.
    pub(super) async fn read_cells(&self, level: &Level<'_>, param: usize, fills: bool) -> Result<(), Stop> {
        let split = &self.resource.slices.then[param];
        let SplitBy::Cells(cells) = &split.by else { return Ok(()) };
        // What was received so far is a sample of where the query's records lie.
        let sample: Vec<GeoPoint> = level.received.borrow().points().collect();
        let mut frontier =
            Frontier { precision: cells.precision, next: Vec::new(), beyond: VecDeque::new(), listed: HashSet::new() };
        let earlier = self.earlier.parts(level.query.id()).iter().filter(|part| part.param == split.param);
        frontier.listed.extend(earlier.flat_map(|part| part.values.clone()));
        frontier.split("", &sample);
        // Cells that were split and hold no more than what was received.
        let mut full: HashSet<String> = HashSet::new();
        while !level.is_complete() {
            let (cell, seen) = match frontier.next.pop() {
                Some(cell) => (cell, true),
                None => match frontier.beyond.pop_front() {
                    Some(cell) => (cell, false),
                    None => break,
                },
            };
            let circle = Circle::of(&cell, cells.unit);
            if !fills && seen && cell.len() < frontier.precision && self.is_deep(level, &circle, &sample) {
                frontier.split(&cell, &sample);
                continue;
            }
            let outer = &cell[..cell.len() - 1];
            if !seen && full.contains(outer) {
                continue;
            }
            if !fills && !seen && !outer.is_empty() {
                // Before the cells of a split one that seem empty are asked for one by one: whether it has anything that was not received.
                let circle = Circle::of(outer, cells.unit);
                if self
                    .counted(level, &split.param, cells, outer)
                    .await?
                    .is_some_and(|total| total <= within(level, &circle))
                {
                    full.insert(outer.to_owned());
                    continue;
                }
            }
            let query = Arc::new(circle.query(level, &split.param, cells, &cell));
            let Some(first) = self.probe(&query).await? else { continue };
            let total = first.records_of_query();
            if total == 0 || (!self.is_uncounted(total) && total <= within(level, &circle)) {
                continue;
            }
            if total > self.capacity() && cell.len() < frontier.precision {
                let places: Vec<GeoPoint> = level.received.borrow().points().collect();
                frontier.split(&cell, &places);
                continue;
            }
            self.read_part(level, (&split.param, &[cell]), query, first).await?;
        }
        Ok(())
    }

    /// The records in the circle around `cell`; `None` where the API does not count them all.
    async fn counted(&self, level: &Level<'_>, param: &str, cells: &Cells, cell: &str) -> Result<Option<u64>, Stop> {
        let query = Arc::new(Circle::of(cell, cells.unit).query(level, param, cells, cell));
        let total = self.probe(&query).await?.as_ref().map_or(0, S::First::records_of_query);
        Ok((!self.is_uncounted(total)).then_some(total))
    }

    /// Whether a circle is expected to have more than one query gives.
    fn is_deep(&self, level: &Level<'_>, circle: &Circle, sample: &[GeoPoint]) -> bool {
        let inside = sample.iter().filter(|place| circle.has(**place)).count() as u64;
        inside * level.total.max(level.received.borrow().len()) > self.capacity() * (sample.len() as u64).max(1)
    }
}

/// How many of the records that were received lie in `circle`.
fn within(level: &Level<'_>, circle: &Circle) -> u64 {
    level.received.borrow().points().filter(|place| circle.has(*place)).count() as u64
}

/// The circle around a cell.
struct Circle {
    middle: GeoPoint,
    /// In metres.
    radius: f64,
}

impl Circle {
    /// The smallest with a whole radius.
    fn of(cell: &str, unit: Unit) -> Self {
        let corners = geohash::decode_bbox(cell).map(|cell| (cell.min(), cell.max()));
        // A cell's name is made of its letters, so it has corners.
        let (low, high) = corners.unwrap_or((Coord { x: -180.0, y: -90.0 }, Coord { x: 180.0, y: 90.0 }));
        let middle = GeoPoint { latitude: f64::midpoint(low.y, high.y), longitude: f64::midpoint(low.x, high.x) };
        // The corners nearer to the equator are the farthest.
        let corner = |latitude| GeoPoint { latitude, longitude: low.x };
        let radius = distance(middle, corner(low.y)).max(distance(middle, corner(high.y)));
        Self { middle, radius: (radius * MARGIN / unit.metres()).ceil() * unit.metres() }
    }

    fn has(&self, place: GeoPoint) -> bool {
        distance(self.middle, place) <= self.radius
    }

    /// The query of `level` within the circle, which is the one around `cell`.
    fn query(&self, level: &Level<'_>, param: &str, cells: &Cells, cell: &str) -> Query {
        let mut query = level.query.with_values(param, &[cell.to_owned()]);
        let radius = (self.radius / cells.unit.metres()).round();
        query.params.insert(cells.radius_param.clone(), format!("{radius:.0}"));
        query.params.extend(cells.params.clone());
        query
    }
}

/// The cell of `length` letters that `place` lies in.
fn hash(place: GeoPoint, length: usize) -> Option<String> {
    geohash::encode(Coord { x: place.longitude, y: place.latitude }, length).ok()
}

/// The way between two places on the globe, in metres.
fn distance(one: GeoPoint, other: GeoPoint) -> f64 {
    let (from, to) = (one.latitude.to_radians(), other.latitude.to_radians());
    let turn = (other.longitude - one.longitude).to_radians();
    let chord = ((to - from) / 2.0).sin().powi(2) + from.cos() * to.cos() * (turn / 2.0).sin().powi(2);
    2.0 * EARTH * chord.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circles_of_the_cells_within_a_cell_cover_it() {
        for cell in ["9", "9q", "9q5", "u", "gcpvj", "p", "zz"] {
            let bounds = geohash::decode_bbox(cell).unwrap();
            let circles: Vec<Circle> =
                LETTERS.chars().map(|letter| Circle::of(&format!("{cell}{letter}"), Unit::Mile)).collect();
            for x in 0..=20 {
                for y in 0..=20 {
                    let part = |low: f64, high: f64, step: i32| low + (high - low) * f64::from(step) / 20.0;
                    let place = GeoPoint {
                        latitude: part(bounds.min().y, bounds.max().y, y),
                        longitude: part(bounds.min().x, bounds.max().x, x),
                    };
                    assert!(Circle::of(cell, Unit::Mile).has(place), "{cell} {place:?}");
                    assert!(circles.iter().any(|circle| circle.has(place)), "{cell} {place:?}");
                }
            }
        }
    }

    #[test]
    fn a_distance_is_the_known_one() {
        let (paris, london) = ((48.8566, 2.3522), (51.5074, -0.1278));
        let place = |(latitude, longitude)| GeoPoint { latitude, longitude };
        assert!((distance(place(paris), place(london)) - 343_556.0).abs() < 1_000.0);
    }
}
