//! Which parameters take a query apart, in which order, and by which values.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::Cutting;
use super::came::Place;
use crate::error::Error;
use client::Record;
use manifest::template::plain;
use manifest::{By, Cut, JsonPath, Manifest, Values};
use table::merge::Table;
use crate::plan::Slice;
use crate::request::Request;
use lake::Store;

/// Values in one query: 40 ids of 20 letters are far below the 8 KB that servers take as an address.
const MOST_VALUES: usize = 40;
/// The share of the room that values are expected to fill, in percent: a share seen in a sample of 200 can be a tenth of the total off.
const FILLED: u64 = 80;

/// A way to take a query apart.
pub(super) enum Way {
    /// By the values of the parameter number `cut`: one query for each of `parts`.
    /// `rest`: what leaves all of these values out, where the parameter can.
    Values { cut: usize, parts: Vec<Vec<String>>, rest: Option<Vec<String>> },
    /// By circles.
    Cells { cut: usize },
}

impl Way {
    pub(super) fn cut(&self) -> usize {
        match self {
            Self::Values { cut, .. } | Self::Cells { cut } => *cut,
        }
    }

    /// Queries that it begins with; of circles nobody knows.
    fn queries(&self) -> usize {
        match self {
            Self::Values { parts, .. } => parts.len(),
            Self::Cells { .. } => usize::MAX,
        }
    }
}

/// The tables that values are taken from.
pub(crate) struct Stored<'s> {
    store: &'s dyn Store,
    manifest: &'s Manifest,
    request: &'s Request,
    rows: RefCell<HashMap<String, Rc<Rows>>>,
}

/// The distinct rows of some columns, with how often each is there.
type Rows = BTreeMap<Vec<Option<String>>, u64>;

impl<'s> Stored<'s> {
    /// The tables of `manifest` in `store`, as `request` has them written.
    pub(crate) fn new(store: &'s dyn Store, manifest: &'s Manifest, request: &'s Request) -> Self {
        Self { store, manifest, request, rows: RefCell::default() }
    }

    async fn rows(&self, resource: &str, columns: &[&str]) -> Result<Rc<Rows>, Error> {
        if let Some(rows) = self.rows.borrow().get(resource) {
            return Ok(Rc::clone(rows));
        }
        let rows = match self.manifest.resource(resource) {
            Some(resource) => {
                let table = Table::new(self.store, &self.manifest.name, resource, self.request.format);
                table.distinct(columns).await?
            }
            None => Rows::new(),
        };
        let rows = Rc::new(rows);
        self.rows.borrow_mut().insert(resource.to_owned(), Rc::clone(&rows));
        Ok(rows)
    }
}

/// What is known of a parameter's values in a query.
#[derive(Default)]
struct Known {
    /// Those that are seen or stored, with the share of the query's records that each is expected to have.
    shares: BTreeMap<String, f64>,
    /// Those that are listed alone.
    listed: Vec<String>,
    /// Whether some records of the sample have none.
    leaves_out: bool,
    /// Those that are seen or stored, and were read by an earlier invocation.
    names: BTreeSet<String>,
}

impl Cutting<'_, '_> {
    /// The ways to take `slice` of `total` records apart, `sample` of them: first the one that leaves out no record of the sample and needs
    /// the fewest queries, then, to fill what it lacks, the others from the fewest queries on.
    pub(super) async fn ways(&self, slice: &Slice, sample: &[Record], total: u64) -> Result<Vec<Way>, Error> {
        // What is not counted to its end is larger than it says.
        let total = if self.is_uncounted(total) { 2 * total } else { total };
        let mut first: Option<((bool, u64), usize)> = None;
        let mut ways = Vec::new();
        let mut later = Vec::new();
        for (index, cut) in self.resource.slices.then.iter().enumerate() {
            let given = slice.params.get(&cut.param);
            let (way, leaves_out, cost) = match &cut.by {
                By::Cells(cells) => {
                    if given.is_some() || slice.params.contains_key(&cells.radius_param) {
                        continue;
                    }
                    let places: Vec<Place> =
                        sample.iter().filter_map(|record| Place::of(cells, &record.value())).collect();
                    let apart = places.iter().any(|place| *place != places[0]);
                    (Way::Cells { cut: index }, places.len() < sample.len(), apart.then_some(u64::MAX))
                }
                By::Values(values) => {
                    // What the query asks for already is taken apart where it is a list, and left as it is where not.
                    let only = match given.map(|text| text.split(',').collect::<Vec<_>>()) {
                        Some(list) if list.len() < 2 || list.iter().any(|value| excludes(values, value)) => continue,
                        only => only.filter(|_| values.several),
                    };
                    if given.is_some() && only.is_none() {
                        continue;
                    }
                    let known = self.known(slice, index, values, only.as_deref(), sample).await?;
                    if !known.listed.is_empty() {
                        let bin = if values.several { MOST_VALUES } else { 1 };
                        let parts = known.listed.chunks(bin).map(<[_]>::to_vec).collect();
                        later.push(Way::Values { cut: index, parts, rest: None });
                    }
                    let (parts, cost) = self.bins(values, &known.shares, total);
                    let cost = (parts.len() > 1).then_some(cost);
                    let rest = match &values.exclude {
                        // The values of a list are all that the query asks for.
                        Some(_) if only.is_some() => Some(Vec::new()),
                        Some(mark) => Some(known.names.iter().map(|value| format!("{mark}{value}")).collect()),
                        None => None,
                    };
                    (Way::Values { cut: index, parts, rest }, known.leaves_out && rest_is_lost(values), cost)
                }
            };
            if way.queries() == 0 {
                continue;
            }
            if let Some(cost) = cost
                && first.as_ref().is_none_or(|(least, _)| (leaves_out, cost) < *least)
            {
                first = Some(((leaves_out, cost), ways.len()));
            }
            ways.push(way);
        }
        let first = first.map(|(_, at)| ways.remove(at));
        ways.extend(later);
        ways.sort_by_key(Way::queries);
        Ok(first.into_iter().chain(ways).collect())
    }

    async fn known(
        &self,
        slice: &Slice,
        index: usize,
        values: &Values,
        only: Option<&[&str]>,
        sample: &[Record],
    ) -> Result<Known, Error> {
        let cut = &self.resource.slices.then[index];
        let seen = values.path.as_ref().map(|path| counts(path, sample)).unwrap_or_default();
        let with: u64 = seen.values().sum();
        let stored = self.stored_values(slice, cut, values).await?;
        // Of the resource's own table the numbers count too; of another's, a tree of classes, they say nothing.
        let own = values.from.as_ref().is_some_and(|from| from.resource == self.resource.name);
        let weights = if own && stored.values().sum::<u64>() > with { &stored } else { &seen };
        #[expect(clippy::cast_precision_loss, reason = "shares of the records of one query")]
        let share = |value: &String| {
            let all = weights.values().sum::<u64>().max(1) as f64;
            weights.get(value).map_or(0.0, |count| *count as f64 / all)
        };
        let prefix = slice.part_prefix(&cut.param);
        let done: BTreeSet<&str> = self.earlier.parts(&prefix).flat_map(|(word, _)| word.split(',')).collect();
        let names: BTreeSet<String> = match only {
            Some(only) => only.iter().map(|value| (*value).to_owned()).collect(),
            None => {
                let earlier = done.iter().map(|value| (*value).to_owned()).filter(|value| !excludes(values, value));
                seen.keys().chain(stored.keys()).cloned().chain(earlier).collect()
            }
        };
        let listed = values.listed.iter().filter(|value| only.is_none() && !names.contains(*value));
        Ok(Known {
            listed: listed.filter(|value| !done.contains(value.as_str())).cloned().collect(),
            shares: names
                .iter()
                .filter(|name| !done.contains(name.as_str()))
                .map(|name| (name.clone(), share(name)))
                .collect(),
            leaves_out: values.path.is_none() || with < sample.len() as u64,
            names,
        })
    }

    /// The stored values of a parameter, in the rows that agree with what the query asks for.
    async fn stored_values(&self, slice: &Slice, cut: &Cut, values: &Values) -> Result<BTreeMap<String, u64>, Error> {
        let Some(from) = &values.from else { return Ok(BTreeMap::new()) };
        let column = |cut: &'_ Cut| match &cut.by {
            By::Values(Values { from: Some(other), .. }) if other.resource == from.resource => {
                Some((cut.param.clone(), other.column.clone()))
            }
            _ => None,
        };
        let columns: Vec<(String, String)> = self.resource.slices.then.iter().filter_map(column).collect();
        let names: Vec<&str> = columns.iter().map(|(_, column)| column.as_str()).collect();
        let rows = self.stored.rows(&from.resource, &names).await?;
        let agrees = |row: &[Option<String>]| {
            columns.iter().zip(row).all(|((param, _), value)| match (slice.params.get(param), value) {
                (Some(asked), Some(value)) if *param != cut.param && !excludes(values, asked) => {
                    asked.split(',').any(|asked| asked == value)
                }
                _ => true,
            })
        };
        let Some(own) = columns.iter().position(|(param, _)| *param == cut.param) else { return Ok(BTreeMap::new()) };
        let mut counts = BTreeMap::new();
        for (row, count) in rows.iter().filter(|(row, _)| agrees(row)) {
            if let Some(value) = &row[own] {
                *counts.entry(value.clone()).or_insert(0) += count;
            }
        }
        Ok(counts)
    }

    /// The values in parts that are expected to fit: each alone, or several together where the parameter takes a list; and the queries that
    /// they are expected to need, those that are cut again as many as they are too deep.
    fn bins(&self, values: &Values, shares: &BTreeMap<String, f64>, total: u64) -> (Vec<Vec<String>>, u64) {
        let mut largest: Vec<(&String, f64)> = shares.iter().map(|(value, share)| (value, *share)).collect();
        largest.sort_by(|(a, one), (b, other)| other.total_cmp(one).then_with(|| a.cmp(b)));
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "numbers of records, and shares of them from 0 to 1"
        )]
        let queries = |share: f64| match (share * total as f64) as u64 {
            records if records > self.capacity() => 1 + 2 * records / self.capacity(),
            _ => 1,
        };
        if !values.several {
            let cost = largest.iter().map(|(_, share)| queries(*share)).sum();
            return (largest.into_iter().map(|(value, _)| vec![value.clone()]).collect(), cost);
        }
        #[expect(clippy::cast_precision_loss, reason = "numbers of records")]
        let room = (self.capacity() * FILLED / 100) as f64 / total.max(1) as f64;
        let mut bins: Vec<(f64, Vec<String>)> = Vec::new();
        for (value, share) in largest {
            match bins.iter_mut().find(|(held, bin)| held + share <= room && bin.len() < MOST_VALUES) {
                Some((held, bin)) => {
                    *held += share;
                    bin.push(value.clone());
                }
                None => bins.push((share, vec![value.clone()])),
            }
        }
        let cost = bins.iter().map(|(share, _)| queries(*share)).sum();
        let mut bins: Vec<Vec<String>> = bins.into_iter().map(|(_, bin)| bin).collect();
        // What was expected to fit and did not is taken apart all the same.
        if let [bin] = bins.as_mut_slice()
            && bin.len() > 1
        {
            let rest = bin.split_off(bin.len() / 2);
            bins.push(rest);
        }
        (bins, cost)
    }
}

/// Whether records without a value of the parameter come with no query by it.
fn rest_is_lost(values: &Values) -> bool {
    values.exclude.is_none()
}

/// Whether `value` is one that is left out.
fn excludes(values: &Values, value: &str) -> bool {
    values.exclude.as_ref().is_some_and(|mark| value.starts_with(mark.as_str()))
}

/// How many records have each value at `path`.
fn counts(path: &JsonPath, records: &[Record]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for value in records.iter().filter_map(|record| record.at(path)) {
        *counts.entry(plain(&value)).or_insert(0) += 1;
    }
    counts
}
