//! Which parameters split a query, in which order, and by which values.

use std::collections::{BTreeMap, BTreeSet};

use client::Record;
use manifest::template::param_text;
use manifest::{Cells, JsonPath, Query, SplitBy, SplitParam, Values};

use super::received::GeoPoint;
use super::stored_values::excludes;
use super::{ParamSplitter, SplitSource};
use crate::error::Error;

/// Values in one query: 40 ids of 20 letters are far below the 8 KB that servers take as an address.
const MAX_VALUES: usize = 40;
/// The share of the room that values are expected to fill, in percent: a share seen in a sample of 200 can be a tenth of the total off.
const FILL_PERCENT: u64 = 80;

/// A way to split a query.
pub(super) enum SplitWay {
    /// By the values of the parameter number `param`: one query for each of `parts`. `rest`: the values that leave all of these out, where
    /// the parameter can.
    Values { param: usize, parts: Vec<Vec<String>>, rest: Option<Vec<String>> },
    /// By circles, with the parameter number `param`.
    Cells { param: usize },
}

impl SplitWay {
    /// The number of its parameter.
    pub(super) fn param(&self) -> usize {
        match self {
            Self::Values { param, .. } | Self::Cells { param } => *param,
        }
    }

    /// The queries that it begins with; `None` for circles, whose number nobody knows.
    fn queries(&self) -> Option<usize> {
        match self {
            Self::Values { parts, .. } => Some(parts.len()),
            Self::Cells { .. } => None,
        }
    }
}

/// What a way is expected to cost, least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    /// So many queries.
    Queries(u64),
    /// Nobody knows.
    Unknown,
}

/// A way, and how good it is expected to be.
struct Candidate {
    way: SplitWay,
    /// Whether it leaves records of the sample out.
    leaves_out: bool,
    /// `None`: it splits nothing off.
    cost: Option<Cost>,
}

/// What is known of a parameter's values in a query.
#[derive(Default)]
struct KnownValues {
    /// The values that are seen or stored, with the share of the query's records that each is expected to have.
    shares: BTreeMap<String, f64>,
    /// The values that only the manifest lists.
    listed: Vec<String>,
    /// Whether some records of the sample have no value.
    leaves_out: bool,
    /// The values that are seen, stored, or were read by an earlier run.
    names: BTreeSet<String>,
}

impl<S: SplitSource> ParamSplitter<'_, S> {
    /// The ways to split `query`, which has `total` records, `sample` among them: first the one that leaves out no record of the sample and
    /// needs the fewest queries; then, to fill what it leaves out, the others from the fewest queries on.
    pub(super) async fn ways(&self, query: &Query, sample: &[Record], total: u64) -> Result<Vec<SplitWay>, Error> {
        // A query that is not counted to its end is larger than it says.
        let total = if self.is_uncounted(total) { 2 * total } else { total };
        let mut candidates = Vec::new();
        let mut listed = Vec::new();
        for (param, split) in self.resource.slices.then.iter().enumerate() {
            match &split.by {
                SplitBy::Cells(cells) => candidates.extend(by_cells(query, param, (split, cells), sample)),
                SplitBy::Values(values) => {
                    let only = match Asked::of(query, split, values) {
                        Asked::Nothing => None,
                        Asked::List(list) => Some(list),
                        Asked::Unsplittable => continue,
                    };
                    let known = self.known_values(query, (split, values), only.as_deref(), sample).await?;
                    if !known.listed.is_empty() {
                        let size = if values.several { MAX_VALUES } else { 1 };
                        let parts = known.listed.chunks(size).map(<[_]>::to_vec).collect();
                        listed.push(SplitWay::Values { param, parts, rest: None });
                    }
                    candidates.push(self.by_values(param, values, only.is_some(), known, total));
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

    /// The way by `values` of the parameter number `param`. `is_list`: the query asks for a list of values already.
    fn by_values(&self, param: usize, values: &Values, is_list: bool, known: KnownValues, total: u64) -> Candidate {
        let (parts, cost) = self.parts(values, &known.shares, total);
        let cost = (parts.len() > 1).then_some(Cost::Queries(cost));
        let rest = match &values.exclude {
            // The values of a list are all that the query asks for.
            Some(_) if is_list => Some(Vec::new()),
            Some(mark) => Some(known.names.iter().map(|value| format!("{mark}{value}")).collect()),
            None => None,
        };
        // Records without a value of the parameter come with no query by it, unless all values can be left out.
        let leaves_out = known.leaves_out && values.exclude.is_none();
        Candidate { way: SplitWay::Values { param, parts, rest }, leaves_out, cost }
    }

    /// What is known of the values of `split` in `query`. `only`: the values that the query asks for already.
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
        // Of the resource's own table the numbers count too; of another's, a tree of classes, they say nothing.
        let own = values.from.as_ref().is_some_and(|from| from.resource == self.resource.name);
        let weights = if own && stored.values().sum::<u64>() > with { &stored } else { &seen };
        #[expect(clippy::cast_precision_loss, reason = "shares of the records of one query")]
        let share = |value: &String| {
            let all = weights.values().sum::<u64>().max(1) as f64;
            weights.get(value).map_or(0.0, |count| *count as f64 / all)
        };
        let parts = self.earlier.parts(query.id()).iter().filter(|part| part.param == split.param);
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
        })
    }

    /// The values in parts that are expected to fit: each alone, or several together where the parameter takes a list; and the queries that
    /// they are expected to need, as many for a part that is too deep as it is deep.
    fn parts(&self, values: &Values, shares: &BTreeMap<String, f64>, total: u64) -> (Vec<Vec<String>>, u64) {
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
        // What was expected to fit and did not is split all the same.
        if let [bin] = bins.as_mut_slice()
            && bin.len() > 1
        {
            let rest = bin.split_off(bin.len() / 2);
            bins.push(rest);
        }
        (bins, cost)
    }
}

/// What a query asks for already by a parameter.
enum Asked {
    /// Nothing: any value can be asked for.
    Nothing,
    /// A list of values, which can be split.
    List(Vec<String>),
    /// What cannot be split by this parameter any further.
    Unsplittable,
}

impl Asked {
    fn of(query: &Query, split: &SplitParam, values: &Values) -> Self {
        let Some(text) = query.params.get(&split.param) else { return Self::Nothing };
        let list: Vec<String> = text.split(',').map(str::to_owned).collect();
        let splittable = values.several && list.len() > 1 && !list.iter().any(|value| excludes(values, value));
        if splittable { Self::List(list) } else { Self::Unsplittable }
    }
}

/// The way by the circles of `split`, the parameter number `param`; `None` where the query asks for a place already.
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

/// How many records have each value at `path`.
fn counts(path: &JsonPath, records: &[Record]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for value in records.iter().filter_map(|record| record.at(path)) {
        *counts.entry(param_text(&value)).or_insert(0) += 1;
    }
    counts
}
