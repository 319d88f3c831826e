//! How many events start when, as far as it has been seen: what a window's size is predicted from.

/// Seconds of a bin. Nearly all events start on a quarter of an hour: a bin holds one such moment, at its beginning.
pub(super) const BIN: i64 = 900;
/// Bins of a day.
const DAY_BINS: usize = 96;
/// Bins of a week: an evening's shape and a weekend's repeat weekly.
const WEEK_BINS: usize = 7 * DAY_BINS;
/// Where a day ends, in bins after midnight UTC: at 7:00 the evenings of the Americas are over, and those of Oceania,
/// which belong to the next day, begin.
const DAY_BREAK: i64 = 28;
/// Events that a bin's guess from its time of day and its weekday weighs as many as.
const BIN_PRIOR: f64 = 60.0;
/// The same for the guess that a time of day is like any other.
const DAY_PRIOR: f64 = 3.0;
/// Of a weekday.
const WEEKDAY_PRIOR: f64 = 8.0;
/// After how many days and how many events a level forgets all but a third: the one that predicts best is taken.
const MEMORIES: [(f64, f64); 4] = [(1.5, 3_000.0), (3.0, 5_000.0), (8.0, 10_000.0), (30.0, 40_000.0)];
/// The weight of the latest window in how far a level has been off.
const SCORE_GAIN: f64 = 0.05;
/// Bins that the shape is learned from: half a year.
const HISTORY: usize = 26 * WEEK_BINS;
/// Bins after which a week counts for a third of the last one's in the shape.
const SHAPE_MEMORY: f64 = 12.0 * 672.0;
/// Times that level and shape are fitted to each other.
const ROUNDS: usize = 2;
/// Squared standard deviations from which on a window tells of a step in the level, not of chance.
const STEP: f64 = 9.0;
/// What counts of a level's evidence from before a step.
const BEFORE_STEP: f64 = 0.05;
/// The error, squared, before any was seen.
const FIRST_ERROR: f64 = 0.001;
/// The least error, squared, 0.7 %: no calendar is predicted better.
const LEAST_ERROR: f64 = 0.000_05;
/// How many times what was to be expected one window can count for in the error: a step must not make the next ten timid.
const OUTLIER: f64 = 1.0;
/// A window with less than this share of what was expected tells of a gap: the next is expected to have as much less again,
/// so that windows grow fast enough to cross years in a few steps.
const DRY: f64 = 0.25;
/// The weight of the latest window in the learned error.
const ERROR_GAIN: f64 = 0.08;
/// Share of a bin's events at its first second; the others are spread evenly.
const AT_BEGIN: f64 = 0.9;
/// Beyond these bins, 8 weeks, the shape no longer matters to a window's size.
const SHAPED: i64 = 8 * WEEK_BINS as i64;

/// What was seen and what would have been seen at shape 1, both in events.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    seen: f64,
    due: f64,
}

impl Cell {
    /// How many times the mean, with `prior` events' worth of doubt that it is not `guess` times.
    fn factor(self, guess: f64, prior: f64) -> f64 {
        (self.seen + prior) / (self.due + prior / guess)
    }
}

/// A number of events to be expected.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mass {
    /// Events.
    pub(super) mean: f64,
    /// Squared events by which the bins' shapes may be wrong, each for itself.
    apart: f64,
    /// Events by which they may be wrong all together.
    together: f64,
}

impl Mass {
    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { mean: self.mean + other.mean, apart: self.apart + other.apart, together: self.together + other.together }
    }
}

/// A rate of events over time: a level that drifts, times a weekly shape.
#[derive(Clone, Debug)]
pub(super) struct Density {
    /// Of the level: `seen` events where mean bins were `due`.
    level: Cell,
    /// The level by each of `MEMORIES`, and how far it has been off lately: the squared error as a share.
    levels: [(Cell, f64); MEMORIES.len()],
    /// How many windows in a row have had less than `DRY` of what was expected.
    dry: i32,
    /// The level's error beyond chance, squared, as a share of it.
    error: f64,
    /// Dates of samples, by time of day and by weekday.
    sampled: (Vec<f64>, Vec<f64>),
    /// The last weeks' events by bin, up to where windows were read.
    history: Vec<f64>,
    /// The bin after the last of `history`.
    end: i64,
    /// Windows whose number of events is known, but not yet their starts.
    ahead: Vec<(i64, i64, f64)>,
    /// The first bin whose level is like today's.
    since: i64,
    /// By the bin of the week: how many times the mean, and the squared relative errors that are its own and its weekday's.
    shape: Vec<(f64, f64, f64)>,
}

impl Default for Density {
    fn default() -> Self {
        let mut density = Self {
            level: Cell::default(),
            levels: [(Cell::default(), 0.0); MEMORIES.len()],
            dry: 0,
            error: FIRST_ERROR,
            sampled: (vec![0.0; DAY_BINS], vec![0.0; 7]),
            history: Vec::new(),
            end: 0,
            ahead: Vec::new(),
            since: i64::MIN,
            shape: vec![(1.0, 1.0 / BIN_PRIOR, 1.0 / WEEKDAY_PRIOR); WEEK_BINS],
        };
        density.fit();
        density
    }
}

/// Its place in the week, the day, and among the weekdays.
fn places(bin: i64) -> (usize, usize, usize) {
    let week = (bin - DAY_BREAK).rem_euclid(WEEK_BINS as i64) as usize;
    (week, week % DAY_BINS, week / DAY_BINS)
}

impl Density {
    /// Whether it has seen any events' number.
    pub(super) fn is_level(&self) -> bool {
        self.level.seen > 0.0
    }

    /// Events of a mean bin.
    fn level(&self) -> f64 {
        if self.is_level() { DRY.powi(self.dry) * self.level.seen / self.level.due } else { 1.0 }
    }

    /// Level and shape by what the history and the samples show: the level of a moment is that of the week around it,
    /// in which the shape takes no part.
    fn fit(&mut self) {
        let begin = self.end - self.history.len() as i64;
        let mut seen = vec![0.0; self.history.len() + 1];
        for (index, count) in self.history.iter().enumerate() {
            seen[index + 1] = seen[index] + count;
        }
        let half = WEEK_BINS / 2;
        for _ in 0..ROUNDS {
            let mut due = vec![0.0; self.history.len() + 1];
            for index in 0..self.history.len() {
                due[index + 1] = due[index] + self.shape[places(begin + index as i64).0].0;
            }
            let mut week = vec![Cell::default(); WEEK_BINS];
            let dates: f64 = self.sampled.1.iter().sum();
            let day: Vec<Cell> =
                self.sampled.0.iter().map(|seen| Cell { seen: *seen, due: dates / DAY_BINS as f64 }).collect();
            let weekday: Vec<Cell> = self.sampled.1.iter().map(|seen| Cell { seen: *seen, due: dates / 7.0 }).collect();
            let factors =
                |cells: &[Cell], prior: f64| -> Vec<f64> { cells.iter().map(|cell| cell.factor(1.0, prior)).collect() };
            let (mut of_day, mut of_weekday) = (factors(&day, DAY_PRIOR), factors(&weekday, WEEKDAY_PRIOR));
            let mut levels = Vec::with_capacity(self.history.len());
            for index in 0..self.history.len() {
                let length = self.history.len();
                let middle = index.max(half).min(length.saturating_sub(half));
                let (low, high) = (middle.saturating_sub(half), (middle + half).min(length));
                let level = (seen[high] - seen[low]) / (due[high] - due[low]).max(1e-9);
                let cell = &mut week[places(begin + index as i64).0];
                let weight = (-((self.history.len() - index) as f64) / SHAPE_MEMORY).exp();
                cell.seen += weight * self.history[index];
                cell.due += weight * level;
                levels.push(level);
            }
            for _ in 0..3 {
                let mut days = day.clone();
                let mut weekdays = weekday.clone();
                for (index, cell) in week.iter().enumerate() {
                    let (d, w) = (index % DAY_BINS, index / DAY_BINS);
                    days[d].seen += cell.seen;
                    days[d].due += cell.due * of_weekday[w];
                    weekdays[w].seen += cell.seen;
                    weekdays[w].due += cell.due * of_day[d];
                }
                of_day = factors(&days, DAY_PRIOR);
                of_weekday = factors(&weekdays, WEEKDAY_PRIOR);
            }
            let weekday_seen: Vec<f64> = (0..7)
                .map(|w| self.sampled.1[w] + week[w * DAY_BINS..(w + 1) * DAY_BINS].iter().map(|c| c.seen).sum::<f64>())
                .collect();
            let mut sum = 0.0;
            for (index, cell) in week.iter().enumerate() {
                let (d, w) = (index % DAY_BINS, index / DAY_BINS);
                let guess = of_day[d] * of_weekday[w];
                let own = cell.seen + BIN_PRIOR;
                let trust = BIN_PRIOR / own;
                let shape = cell.factor(guess, BIN_PRIOR);
                sum += shape;
                self.shape[index] = (shape, 1.0 / own, trust * trust / (weekday_seen[w] + WEEKDAY_PRIOR));
            }
            let mean = sum / WEEK_BINS as f64;
            for shape in &mut self.shape {
                shape.0 /= mean;
            }
        }
        self.find_level();
    }

    /// The level now: that of the last days, or windows where they are long.
    fn find_level(&mut self) {
        let now = self.ahead.last().map_or(self.end, |(_, to, _)| to.div_euclid(BIN) + 1);
        let begin = self.end - self.history.len() as i64;
        let mut mass = 0.0;
        let mut parts = Vec::with_capacity(self.history.len() + self.ahead.len());
        for (from, to, total) in self.ahead.iter().rev() {
            parts.push((to.div_euclid(BIN), *total, self.bins(*from, *to), mass));
            mass += total;
        }
        for (index, count) in self.history.iter().enumerate().rev() {
            let bin = begin + index as i64;
            parts.push((bin, *count, self.shape[places(bin).0].0, mass));
            mass += count;
        }
        for (slot, (days, events)) in self.levels.iter_mut().zip(MEMORIES) {
            let (mut level, mut squares) = (Cell::default(), 0.0);
            for (bin, seen, due, mass) in &parts {
                let mut weight = (-(now - bin) as f64 / (days * DAY_BINS as f64) - mass / events).exp();
                if *bin < self.since {
                    weight *= BEFORE_STEP;
                }
                level.seen += weight * seen;
                level.due += weight * due;
                squares += weight * weight * seen;
            }
            if level.due > 0.0 {
                let seen = level.seen.max(0.5);
                let effective = (seen / squares.max(0.5)).min(2.0);
                slot.0 = Cell { seen: seen * effective, due: level.due * effective };
            }
        }
        let best = self.levels.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((level, _)) = best.filter(|(level, _)| level.due > 0.0) {
            self.level = *level;
        }
    }

    /// A window's length in mean bins.
    fn bins(&self, from: i64, to: i64) -> f64 {
        let (first, last) = (from.div_euclid(BIN), to.div_euclid(BIN));
        let shaped = (first..=last.min(first + SHAPED)).map(|bin| self.shape[places(bin).0].0 * share(bin, from, to));
        shaped.sum::<f64>() + (last - first - SHAPED).max(0) as f64
    }

    /// Events expected from `from` to `to`, both inclusive, in seconds since 1970.
    pub(super) fn mass(&self, from: i64, to: i64) -> Mass {
        let mut mass = Mass::default();
        let level = self.level();
        let first = from.div_euclid(BIN);
        let last = to.div_euclid(BIN);
        for bin in first..=last.min(first.saturating_add(SHAPED)) {
            let (shape, apart, together) = self.shape[places(bin).0];
            let mean = level * shape * share(bin, from, to);
            mass.mean += mean;
            mass.apart += mean * mean * apart;
            mass.together += mean * together.sqrt();
        }
        let rest = last.saturating_sub(first.saturating_add(SHAPED)).max(0);
        mass.mean += level * rest as f64;
        mass
    }

    /// The squared relative error of `mass` beyond chance.
    pub(super) fn doubt(&self, mass: Mass) -> f64 {
        let squared = (mass.mean * mass.mean).max(1e-9);
        let level = if self.is_level() { 1.0 / self.level.seen } else { 1.0 };
        self.error + level + (mass.apart + mass.together * mass.together) / squared
    }

    /// Takes in when a sample of events starts, drawn from a range so long that no weekday is more often in it than another.
    pub(super) fn sampled(&mut self, starts: &[i64]) {
        for start in starts {
            let (_, day, weekday) = places(start.div_euclid(BIN));
            self.sampled.0[day] += 1.0;
            self.sampled.1[weekday] += 1.0;
        }
        self.fit();
    }

    /// Takes in that a window was too deep: the gap, if there was one, is over.
    pub(super) fn crowded(&mut self) {
        self.dry = 0;
    }

    /// Takes in how many events a window has: it tells of the level.
    pub(super) fn counted(&mut self, from: i64, to: i64, total: f64) {
        if self.is_level() {
            let mass = self.mass(from, to);
            let off = (total - mass.mean) * (total - mass.mean);
            let variance = mass.mean.max(1.0) + self.doubt(mass) * mass.mean * mass.mean;
            self.dry = if total < DRY * mass.mean { (self.dry + 1).min(12) } else { 0 };
            if off > STEP * variance {
                self.since = from.div_euclid(BIN);
            }
            if mass.mean > 50.0 {
                let bins = mass.mean / self.level();
                for (level, score) in &mut self.levels {
                    let off = total / (bins * level.seen / level.due.max(1e-9)).max(1.0) - 1.0;
                    *score += SCORE_GAIN * ((off * off).min(4.0 * STEP * variance / mass.mean / mass.mean) - *score);
                }
                let shapes = self.doubt(mass) - self.error;
                let error = (off - mass.mean) / (mass.mean * mass.mean) - shapes;
                self.error += ERROR_GAIN * (error.min(OUTLIER * variance / mass.mean / mass.mean) - self.error);
                self.error = self.error.clamp(LEAST_ERROR, 0.05);
            }
        }
        self.ahead.push((from, to, total));
        self.find_level();
    }

    /// Takes in when the events of a window start: it tells of the shape.
    pub(super) fn learn(&mut self, from: i64, to: i64, starts: &[i64]) {
        self.ahead.retain(|window| window.1 > to);
        let (first, last) = (from.div_euclid(BIN), to.div_euclid(BIN));
        if self.history.is_empty() || last - self.end > HISTORY as i64 {
            self.history.clear();
            self.end = first.max(last - HISTORY as i64 + 1);
        }
        self.history.extend(std::iter::repeat_n(0.0, (last + 1 - self.end).max(0) as usize));
        self.end = self.end.max(last + 1);
        let begin = self.end - self.history.len() as i64;
        for start in starts {
            let index = start.div_euclid(BIN) - begin;
            if let Some(count) = usize::try_from(index).ok().and_then(|index| self.history.get_mut(index)) {
                *count += 1.0;
            }
        }
        let excess = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..excess);
        self.fit();
    }
}

/// The share of the bin's events that the window has.
fn share(bin: i64, from: i64, to: i64) -> f64 {
    let (begin, end) = (bin * BIN, bin * BIN + BIN - 1);
    if from <= begin && end <= to {
        return 1.0;
    }
    let (first, last) = (begin.max(from), end.min(to));
    if first > last {
        return 0.0;
    }
    let spread = (1.0 - AT_BEGIN) * (last - first + 1) as f64 / BIN as f64;
    if first == begin { AT_BEGIN + spread } else { spread }
}
