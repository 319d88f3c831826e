//! Splits a query by circles on the map. Each circle surrounds a geohash cell, and a cell that is too deep is split into smaller cells.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use geohash::Coord;

use super::received::GeoPoint;
use super::{FirstAnswer, ParamSplitter, SplitQuery, SplitSource};
use crate::error::Stop;
use manifest::{Cells, Query, SplitBy, Unit};

/// The digits of a geohash.
const LETTERS: &str = "0123456789bcdefghjkmnpqrstuvwxyz";
/// The mean radius of the Earth in metres.
const EARTH_RADIUS_METRES: f64 = 6_371_008.8;
/// The ratio of a circle's radius to the least one that covers the cell: APIs use other models of the Earth, which differ by up to 0.5 %.
const RADIUS_MARGIN: f64 = 1.01;

/// The cells of a query that are still to be read.
struct PendingCells {
    /// The greatest number of digits of a cell.
    precision: usize,
    /// The cells that are known to have records.
    with_records: Vec<String>,
    /// The other cells, which may have none.
    others: VecDeque<String>,
    /// All cells that were pending or read by an earlier run.
    listed: HashSet<String>,
}

impl PendingCells {
    /// Returns the next cell to read, and whether it is known to have records.
    fn next_cell(&mut self) -> Option<(String, bool)> {
        let with_records = self.with_records.pop().map(|cell| (cell, true));
        with_records.or_else(|| self.others.pop_front().map(|cell| (cell, false)))
    }

    /// Splits `cell` into its 32 smaller cells. `places` are the locations of known records.
    fn split(&mut self, cell: &str, places: &[GeoPoint]) {
        let hashes: HashSet<String> = places.iter().filter_map(|place| cell_of(*place, cell.len() + 1)).collect();
        for letter in LETTERS.chars() {
            let inner = format!("{cell}{letter}");
            if !self.listed.insert(inner.clone()) {
                continue;
            }
            if hashes.contains(&inner) { self.with_records.push(inner) } else { self.others.push_back(inner) }
        }
    }
}

impl<S: SplitSource> ParamSplitter<'_, S> {
    /// Reads a query by the circles of the parameter number `param`. `fills_shortfall` is set if another parameter was read before: if a
    /// circle then has no more records than were received, the cells within it are skipped.
    pub(super) async fn read_cells(
        &self,
        level: &SplitQuery<'_>,
        param: usize,
        fills_shortfall: bool,
    ) -> Result<(), Stop> {
        let split = &self.resource.slices.then[param];
        let SplitBy::Cells(cells) = &split.by else { return Ok(()) };
        // The records received so far are a sample of the locations.
        let sample: Vec<GeoPoint> = level.received.borrow().points().collect();
        let mut pending = PendingCells {
            precision: cells.precision,
            with_records: Vec::new(),
            others: VecDeque::new(),
            listed: HashSet::new(),
        };
        let earlier = self.earlier.subqueries(level.query.id()).iter().filter(|part| part.param == split.param);
        pending.listed.extend(earlier.flat_map(|part| part.values.clone()));
        pending.split("", &sample);
        // The cells that were split and have no more records than were received.
        let mut complete_cells: HashSet<String> = HashSet::new();
        while !level.is_complete() {
            let Some((cell, seen)) = pending.next_cell() else { break };
            let circle = Circle::around(&cell, cells.unit);
            if !fills_shortfall && seen && cell.len() < pending.precision && self.is_deep(level, &circle, &sample) {
                pending.split(&cell, &sample);
                continue;
            }
            let outer = &cell[..cell.len() - 1];
            if !seen && complete_cells.contains(outer) {
                continue;
            }
            if !fills_shortfall && !seen && !outer.is_empty() {
                // One request for the outer cell can show that all of its seemingly empty cells are complete.
                let circle = Circle::around(outer, cells.unit);
                if self
                    .count(level, &split.param, cells, outer)
                    .await?
                    .is_some_and(|total| total <= count_received(level, &circle))
                {
                    complete_cells.insert(outer.to_owned());
                    continue;
                }
            }
            let query = Arc::new(circle.query(level, &split.param, cells, &cell));
            let Some(first) = self.probe(&query).await? else { continue };
            let total = first.records_of_query();
            if total == 0 || (!self.is_inexact(total) && total <= count_received(level, &circle)) {
                continue;
            }
            if total > self.capacity() && cell.len() < pending.precision {
                let places: Vec<GeoPoint> = level.received.borrow().points().collect();
                pending.split(&cell, &places);
                continue;
            }
            self.read_subquery(level, (&split.param, &[cell]), query, first).await?;
        }
        Ok(())
    }

    /// Requests the number of records in the circle around `cell`. `None` if the API gives no exact total.
    async fn count(&self, level: &SplitQuery<'_>, param: &str, cells: &Cells, cell: &str) -> Result<Option<u64>, Stop> {
        let query = Arc::new(Circle::around(cell, cells.unit).query(level, param, cells, cell));
        let total = self.probe(&query).await?.as_ref().map_or(0, S::First::records_of_query);
        Ok((!self.is_inexact(total)).then_some(total))
    }

    /// Returns whether a circle is expected to be too deep.
    fn is_deep(&self, level: &SplitQuery<'_>, circle: &Circle, sample: &[GeoPoint]) -> bool {
        let inside = sample.iter().filter(|place| circle.contains(**place)).count() as u64;
        inside * level.total.max(level.received.borrow().len()) > self.capacity() * (sample.len() as u64).max(1)
    }
}

/// Returns the number of received records in `circle`.
fn count_received(level: &SplitQuery<'_>, circle: &Circle) -> u64 {
    level.received.borrow().points().filter(|place| circle.contains(*place)).count() as u64
}

/// The circle around a cell.
struct Circle {
    middle: GeoPoint,
    /// The radius in metres.
    radius: f64,
}

impl Circle {
    /// Returns the circle around `cell` whose radius is a whole number of `unit`.
    fn around(cell: &str, unit: Unit) -> Self {
        let corners = geohash::decode_bbox(cell).map(|cell| (cell.min(), cell.max()));
        // The name of a cell has only geohash digits, so it always has corners.
        let (low, high) = corners.unwrap_or((Coord { x: -180.0, y: -90.0 }, Coord { x: 180.0, y: 90.0 }));
        let middle = GeoPoint { latitude: f64::midpoint(low.y, high.y), longitude: f64::midpoint(low.x, high.x) };
        // The corners nearest to the equator are the farthest from the middle.
        let corner = |latitude| GeoPoint { latitude, longitude: low.x };
        let radius = distance(middle, corner(low.y)).max(distance(middle, corner(high.y)));
        Self { middle, radius: (radius * RADIUS_MARGIN / unit.metres()).ceil() * unit.metres() }
    }

    /// Returns whether `place` lies in the circle.
    fn contains(&self, place: GeoPoint) -> bool {
        distance(self.middle, place) <= self.radius
    }

    /// Returns the subquery of `level` for this circle, which surrounds `cell`.
    fn query(&self, level: &SplitQuery<'_>, param: &str, cells: &Cells, cell: &str) -> Query {
        let mut query = level.query.with_values(param, &[cell.to_owned()]);
        let radius = (self.radius / cells.unit.metres()).round();
        query.params.insert(cells.radius_param.clone(), format!("{radius:.0}"));
        query.params.extend(cells.params.clone());
        query
    }
}

/// Returns the cell of `length` digits that contains `place`.
fn cell_of(place: GeoPoint, length: usize) -> Option<String> {
    geohash::encode(Coord { x: place.longitude, y: place.latitude }, length).ok()
}

/// Returns the distance between two locations in metres.
fn distance(one: GeoPoint, other: GeoPoint) -> f64 {
    let (from, to) = (one.latitude.to_radians(), other.latitude.to_radians());
    let turn = (other.longitude - one.longitude).to_radians();
    let chord = ((to - from) / 2.0).sin().powi(2) + from.cos() * to.cos() * (turn / 2.0).sin().powi(2);
    2.0 * EARTH_RADIUS_METRES * chord.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circles_of_the_smaller_cells_cover_the_cell() {
        for cell in ["9", "9q", "9q5", "u", "gcpvj", "p", "zz"] {
            let bounds = geohash::decode_bbox(cell).unwrap();
            let circles: Vec<Circle> =
                LETTERS.chars().map(|letter| Circle::around(&format!("{cell}{letter}"), Unit::Mile)).collect();
            for x in 0..=20 {
                for y in 0..=20 {
                    let part = |low: f64, high: f64, step: i32| low + (high - low) * f64::from(step) / 20.0;
                    let place = GeoPoint {
                        latitude: part(bounds.min().y, bounds.max().y, y),
                        longitude: part(bounds.min().x, bounds.max().x, x),
                    };
                    assert!(Circle::around(cell, Unit::Mile).contains(place), "{cell} {place:?}");
                    assert!(circles.iter().any(|circle| circle.contains(place)), "{cell} {place:?}");
                }
            }
        }
    }

    #[test]
    fn the_distance_from_paris_to_london_is_correct() {
        let (paris, london) = ((48.8566, 2.3522), (51.5074, -0.1278));
        let place = |(latitude, longitude)| GeoPoint { latitude, longitude };
        assert!((distance(place(paris), place(london)) - 343_556.0).abs() < 1_000.0);
    }
}
