//! Chooses the parameters that split a query, their order, and their values.

use std::collections::{BTreeMap, BTreeSet};

use client::Record;
use manifest::template::param_text;
use manifest::{Cells, JsonPath, Query, SplitBy, SplitParam, Values};

use super::received::GeoPoint;
use super::stored_values::excludes;
use super::way::SplitWay;
use super::{ParamSplitter, SplitSource};
use crate::error::Error;

/// The greatest number of values in one query: 40 ids of 20 letters are far below the 8 KB that servers accept as an address.
const MAX_VALUES: usize = 40;
/// The target share of the capacity of a query, in percent: the share of a value in a sample of 200 can differ by a tenth of the total.
const FILL_PERCENT: u64 = 80;

/// The expected cost of a way, in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    /// This number of queries.
    Queries(u64),
    /// The cost is not known.
    Unknown,
}

/// A way that can be chosen, with its expected cost.
struct Candidate {
    way: SplitWay,
    /// Whether it misses records of the sample.
    leaves_out: bool,
    /// The cost. `None` if the way does not make the query smaller.
    cost: Option<Cost>,
}

/// The known values of a parameter in a query.
#[derive(Default)]
struct KnownValues {
    /// The values in the sample and in stored tables, each with its expected share of the query's records.
    shares: BTreeMap<String, f64>,
    /// The values that only the manifest lists.
    listed: Vec<String>,
    /// Whether some records of the sample have no value.
    leaves_out: bool,
    /// The values in the sample, in stored tables, and in subqueries of an earlier run.
    names: BTreeSet<String>,
    /// Whether the query has a list of values for the parameter already.
    is_list: bool,
}

impl<S: SplitSource> ParamSplitter<'_, S> {
    /// Returns the ways to split `query`, which has `total` records; `sample` is some of them. The first way misses no record of the sample
    /// if possible, and needs the fewest queries. The others, which may find the records that it misses, follow by their number of queries.
    pub(super) async fn ways(&self, query: &Query, sample: &[Record], total: u64) -> Result<Vec<SplitWay>, Error> {
        // If the total is only a lower bound, twice as many records are expected.
        let total = if self.is_inexact(total) { 2 * total } else { total };
        let mut candidates = Vec::new();
        let mut listed = Vec::new();
        for (param, split) in self.resource.slices.then.iter().enumerate() {
            match &split.by {
                SplitBy::Cells(cells) => candidates.extend(by_cells(query, param, (split, cells), sample)),
                SplitBy::Values(values) => {
                    let only = match QueryValues::of(query, split, values) {
                        QueryValues::Absent => None,
                        QueryValues::List(list) => Some(list),
                        QueryValues::Unsplittable => continue,
                    };
                    let known = self.known_values(query, (split, values), only.as_deref(), sample).await?;
                    if !known.listed.is_empty() {
                        let size = if values.several { MAX_VALUES } else { 1 };
                        let groups = known.listed.chunks(size).map(<[_]>::to_vec).collect();
                        listed.push(SplitWay::Values { param, groups, rest: None });
                    }
                    candidates.push(self.by_values(param, values, known, total));
                }
            }
        }
        candidates.retain(|candidate| candidate.way.queries() != Some(0));
        let best = candidates
            .iter()
            .enumerate()
            .filter_map(|(index, candidate)| Some((candidate.leaves_out, candidate.cost?, index)));
        let first = best.min().map(|(.., index)| candidates.remove(index).way);
        let mut others: Vec<SplitWay> = candidates.into_iter().map(|candidate| candidate.way).chain(listed).collect();
        others.sort_by_key(|way| (way.queries().is_none(), way.queries()));
        Ok(first.into_iter().chain(others).collect())
    }

    /// Returns the way by `values` of the parameter number `param`.
    fn by_values(&self, param: usize, values: &Values, known: KnownValues, total: u64) -> Candidate {
        let (groups, cost) = self.group(values, &known.shares, total);
        let cost = (groups.len() > 1).then_some(Cost::Queries(cost));
        let rest = match &values.exclude {
            // A query with a list of values has no records with other values.
            Some(_) if known.is_list => Some(Vec::new()),
            Some(mark) => Some(known.names.iter().map(|value| format!("{mark}{value}")).collect()),
            None => None,
        };
        // No query by a value returns the records without one, unless the parameter can exclude values.
        let leaves_out = known.leaves_out && values.exclude.is_none();
        Candidate { way: SplitWay::Values { param, groups, rest }, leaves_out, cost }
    }

    /// Returns the known values of `split` in `query`. `only` are the values that the query has for the parameter already.
    async fn known_values(
        &self,
        query: &Query,
        (split, values): (&SplitParam, &Values),
        only: Option<&[String]>,
        sample: &[Record],
    ) -> Result<KnownValues, Error> {
        let seen = values.path.as_ref().map(|path| counts(path, sample)).unwrap_or_default();
        let with: u64 = seen.values().sum();
        let stored = self.stored.counts(query, split, values, &self.resource.slices.then).await?;
        // The number of rows with a value is meaningful in the table of this resource, and not in that of another one.
        let is_same_table = values.from.as_ref().is_some_and(|from| from.resource == self.resource.name);
        let weights = if is_same_table && stored.values().sum::<u64>() > with { &stored } else { &seen };
        #[expect(clippy::cast_precision_loss, reason = "shares of the records of one query")]
        let share = |value: &String| {
            let all = weights.values().sum::<u64>().max(1) as f64;
            weights.get(value).map_or(0.0, |count| *count as f64 / all)
        };
        let parts = self.earlier.subqueries(query.id()).iter().filter(|part| part.param == split.param);
        let read: BTreeSet<&String> = parts.flat_map(|part| &part.values).collect();
        let names: BTreeSet<String> = match only {
            Some(only) => only.iter().cloned().collect(),
            None => {
                let earlier = read.iter().map(|value| (*value).clone()).filter(|value| !excludes(values, value));
                seen.keys().chain(stored.keys()).cloned().chain(earlier).collect()
            }
        };
        let listed = values.listed.iter().filter(|value| only.is_none() && !names.contains(*value));
        Ok(KnownValues {
            listed: listed.filter(|value| !read.contains(value)).cloned().collect(),
            shares: names.iter().filter(|name| !read.contains(name)).map(|name| (name.clone(), share(name))).collect(),
            leaves_out: values.path.is_none() || with < sample.len() as u64,
            names,
            is_list: only.is_some(),
        })
    }

    /// Returns the values in groups that are expected to fit into a query, and the expected number of queries. A group is one value, or
    /// several if the parameter accepts a list. A group that is too deep needs several queries.
    fn group(&self, values: &Values, shares: &BTreeMap<String, f64>, total: u64) -> (Vec<Vec<String>>, u64) {
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
        let room = (self.capacity() * FILL_PERCENT / 100) as f64 / total.max(1) as f64;
        let mut bins: Vec<(f64, Vec<String>)> = Vec::new();
        for (value, share) in largest {
            match bins.iter_mut().find(|(held, bin)| held + share <= room && bin.len() < MAX_VALUES) {
                Some((held, bin)) => {
                    *held += share;
                    bin.push(value.clone());
                }
                None => bins.push((share, vec![value.clone()])),
            }
        }
        let cost = bins.iter().map(|(share, _)| queries(*share)).sum();
        let mut bins: Vec<Vec<String>> = bins.into_iter().map(|(_, bin)| bin).collect();
        // All values fit into one group, and yet the query was too deep: it is split in two.
        if let [bin] = bins.as_mut_slice()
            && bin.len() > 1
        {
            let rest = bin.split_off(bin.len() / 2);
            bins.push(rest);
        }
        (bins, cost)
    }
}

/// The values that a query has for a parameter.
enum QueryValues {
    /// The query does not have the parameter.
    Absent,
    /// A list of values, which can be split.
    List(Vec<String>),
    /// One value, or an exclusion, which cannot be split further.
    Unsplittable,
}

impl QueryValues {
    fn of(query: &Query, split: &SplitParam, values: &Values) -> Self {
        let Some(text) = query.params.get(&split.param) else { return Self::Absent };
        let list: Vec<String> = text.split(',').map(str::to_owned).collect();
        let splittable = values.several && list.len() > 1 && !list.iter().any(|value| excludes(values, value));
        if splittable { Self::List(list) } else { Self::Unsplittable }
    }
}

/// Returns the way by the circles of `split`, the parameter number `param`. `None` if the query has a circle already.
fn by_cells(
    query: &Query,
    param: usize,
    (split, cells): (&SplitParam, &Cells),
    sample: &[Record],
) -> Option<Candidate> {
    if query.params.contains_key(&split.param) || query.params.contains_key(&cells.radius_param) {
        return None;
    }
    let points: Vec<GeoPoint> =
        sample.iter().filter_map(|record| GeoPoint::of_record(cells, &record.value())).collect();
    let apart = points.iter().any(|point| *point != points[0]);
    let leaves_out = points.len() < sample.len();
    Some(Candidate { way: SplitWay::Cells { param }, leaves_out, cost: apart.then_some(Cost::Unknown) })
}

/// Returns the number of records for each value at `path`.
fn counts(path: &JsonPath, records: &[Record]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for value in records.iter().filter_map(|record| record.at(path)) {
        *counts.entry(param_text(&value)).or_insert(0) += 1;
    }
    counts
}
