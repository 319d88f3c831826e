//! Where a window ends: the second at which a record costs least, by what is known of what comes.

use super::super::density::{BIN, Mass};
use super::{EARLIEST, LATEST, Stretch, Sweep};

/// How full a window comes to be, in parts of the limit, that is cut from one that was too deep.
const RECUT: f64 = 0.975;
/// The share that is tried of a range of which only a sample is known: of up to 300,000 records, one learns the number.
const FIRST_SHARE: f64 = 0.03;
/// An end whose length is unknown is asked for as a whole when it seems to have at most so many windows.
const LAST_WINDOWS: f64 = 3.0;
/// Squared relative error by which the density's shape over a stretch may be wrong, per week of its length.
const DRIFT: f64 = 0.03;
/// Candidates that are a bin apart, two weeks; after them, they are a day apart.
const FINE: usize = 14 * 96;
/// Candidates that are a day apart; after them, each is twice as far as the one before.
const DAYS: usize = 1_000;
/// Too deep windows from one second on after which halves are tried: where predictions fail, it ends after 38 more at most.
const TRIES: u32 = 8;
/// A window is not looked for beyond where this share of the limit is to be expected.
pub(super) const BEYOND: f64 = 1.6;

impl Sweep {
    /// The last second of the next window, which begins at `at`.
    pub(super) fn cut(&self, at: i64) -> i64 {
        if self.tries > TRIES {
            return self.middle(at);
        }
        if let Some(to) = self.cut_as_known(at) {
            return to;
        }
        if let Some(now) = self.now.filter(|_| self.blind) {
            return self.cut_blind(at, now);
        }
        let Some(stretch) = self.ahead.first() else { return self.last() };
        let all: f64 = self.ahead.iter().map(Stretch::estimate).sum();
        let goes_on = at == self.first() && self.density.is_level();
        if !stretch.exact && stretch.gone.1 == 0.0 && !goes_on {
            let index = (stretch.sample.len() as f64 * FIRST_SHARE) as usize;
            return match stretch.sample.get(index) {
                Some(start) if bin_end(*start) < stretch.to => bin_end(*start),
                _ => self.middle(at),
            };
        }
        let exact = self.ahead.iter().all(|stretch| stretch.exact);
        // Asked for once: as a part of it is too deep, so is all of it.
        if exact && all <= self.limit || !exact && self.tries == 0 && all <= LAST_WINDOWS * self.limit {
            return self.last();
        }
        self.best(at).unwrap_or_else(|| self.middle(at))
    }

    /// Half of what may be asked for, where nothing tells of its records.
    fn middle(&self, at: i64) -> i64 {
        at + (self.below - at) / 2
    }

    /// The candidate with the least cost; of equal ones the last: an empty time is crossed at once.
    fn best(&self, at: i64) -> Option<i64> {
        let mut best: Option<(f64, i64)> = None;
        let (mut before, mut begin) = ((0.0, 0.0), at);
        for stretch in &self.ahead {
            let nominal = if begin == EARLIEST { stretch.sample.first().copied().unwrap_or(begin) } else { begin };
            let end = if stretch.to == LATEST { stretch.sample.last().copied().unwrap_or(LATEST) } else { stretch.to };
            let whole = self.density.mass(nominal, end.max(nominal));
            let (mut mass, mut next) = (Mass::default(), nominal);
            for to in self.candidates(nominal, stretch) {
                if to >= next {
                    mass = mass.plus(self.density.mass(next, to));
                    next = to + 1;
                }
                let own = self.own(stretch, to, mass, whole, (end - nominal) as f64);
                let (mean, variance) = (before.0 + own.0, before.1 + own.1);
                let cost = self.cost(mean, variance);
                if best.is_none_or(|(least, _)| cost <= least) {
                    best = Some((cost, to));
                }
                if mean > BEYOND * self.limit {
                    return best.map(|(_, to)| to);
                }
            }
            before = if stretch.exact {
                (before.0 + stretch.total, before.1)
            } else {
                (before.0 + stretch.estimate(), before.1 + stretch.estimate() * stretch.estimate())
            };
            begin = stretch.to.saturating_add(1);
        }
        best.map(|(_, to)| to)
    }

    /// The mean and variance of the records of `stretch` up to `to`.
    fn own(&self, stretch: &Stretch, to: i64, mass: Mass, whole: Mass, seconds: f64) -> (f64, f64) {
        let doubt = self.density.doubt(mass);
        if !stretch.exact {
            return (mass.mean, mass.mean + doubt * mass.mean * mass.mean);
        }
        let (sampled, size) = (stretch.sampled_to(to) as f64, stretch.sample.len() as f64);
        let share = if to >= stretch.to { 1.0 } else { (mass.mean / whole.mean.max(f64::MIN_POSITIVE)).min(1.0) };
        let trust = (1.0 / (doubt + DRIFT * seconds / 604_800.0)).clamp(1.0, 5_000.0);
        let share = (trust * share + sampled) / (trust + size);
        let rest = stretch.total - size;
        let spread = share * (1.0 - share);
        (sampled + rest * share, rest * spread + rest * rest * spread / (trust + size + 1.0))
    }

    /// Where a window may end, in order.
    fn candidates(&self, from: i64, stretch: &Stretch) -> Vec<i64> {
        let last = stretch.to.min(self.below);
        let mut ends = Vec::new();
        let (mut end, mut step, mut count) = (bin_end(from), BIN, 0);
        while end < last && ends.len() < 4_000 {
            ends.push(end);
            count += 1;
            if count == FINE {
                step = 86_400;
            }
            if count > FINE + DAYS {
                step = step.saturating_mul(2);
            }
            end = end.saturating_add(step);
        }
        let narrow = last.saturating_sub(from) < BIN;
        for start in &stretch.sample {
            if narrow {
                ends.push(*start - 1);
                ends.push(*start);
            } else {
                ends.push(bin_end(*start));
            }
        }
        ends.push(stretch.to);
        ends.retain(|end| *end >= from.min(last) && *end <= last);
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// Requests per record that a window costs which has `mean` records, give or take.
    pub(super) fn cost(&self, mean: f64, variance: f64) -> f64 {
        let deviation = variance.sqrt().max(0.5);
        let above = |records: f64| upper((records + 0.5 - mean) / deviation);
        let pages = (self.limit / self.page).ceil();
        let mut requests = 1.0;
        let mut page = 1.0;
        while page < pages {
            requests += above(page * self.page);
            page += 1.0;
        }
        let z = (self.limit - mean) / deviation;
        let deep = above(self.limit);
        let cut_off = (deviation * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
            - (self.limit - mean) * upper(z))
        .max(0.0);
        let records = mean - cut_off - deep * (1.0 - RECUT) * self.limit;
        (requests + deep) / records.max(1e-3)
    }
}

/// The last second of the bin that `second` lies in.
fn bin_end(second: i64) -> i64 {
    second.div_euclid(BIN) * BIN + BIN - 1
}

/// The probability that a normal deviate is above `z`.
fn upper(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let series =
        t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = series * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if z >= 0.0 { tail } else { 1.0 - tail }
}
