//! The times when each part of a resource with `refresh` was last read completely.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use manifest::Refresh;
use manifest::time::{self, Instant};

/// The starts of the last complete reads, RFC 3339.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshMarks {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    full: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    announced: Option<String>,
    /// The starts by the length of the near window in days.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    near: BTreeMap<u64, String>,
}

impl RefreshMarks {
    /// Returns the start of the last full read.
    pub fn full(&self) -> Option<Instant> {
        self.full.as_deref().and_then(time::parse_instant)
    }

    /// Returns the start of the last read of announced records.
    pub fn announced(&self) -> Option<Instant> {
        self.announced.as_deref().and_then(time::parse_instant)
    }

    /// Returns the start of the last read of the next `ahead_days` days.
    pub fn near(&self, ahead_days: u64) -> Option<Instant> {
        self.near.get(&ahead_days).map(String::as_str).and_then(time::parse_instant)
    }

    /// Returns the marks without those after `now`.
    #[must_use]
    pub fn until(mut self, now: Instant) -> Self {
        let is_past = |mark: &String| time::parse_instant(mark).is_some_and(|mark| mark <= now);
        self.full = self.full.filter(is_past);
        self.announced = self.announced.filter(is_past);
        self.near.retain(|_, mark| is_past(mark));
        self
    }

    /// Returns whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Records a full read that began at `began`. It includes every part.
    pub fn reach_full(&mut self, refresh: &Refresh, began: Instant) {
        move_forward(&mut self.full, began);
        self.reach_announced(began);
        let longest = refresh.near.iter().map(|near| near.ahead_days).max();
        self.reach_near(refresh, longest.unwrap_or_default(), began);
    }

    /// Records a read of announced records.
    pub fn reach_announced(&mut self, began: Instant) {
        move_forward(&mut self.announced, began);
    }

    /// Records a read of the next `ahead_days` days, which includes all shorter windows.
    pub fn reach_near(&mut self, refresh: &Refresh, ahead_days: u64, began: Instant) {
        for near in refresh.near.iter().filter(|near| near.ahead_days <= ahead_days) {
            let mut mark = self.near.remove(&near.ahead_days);
            move_forward(&mut mark, began);
            self.near.extend(mark.map(|mark| (near.ahead_days, mark)));
        }
    }
}

/// Moves a mark to `began`, unless it is later: if two runs overlap, the mark of the later one stays.
fn move_forward(mark: &mut Option<String>, began: Instant) {
    let was = mark.as_deref().and_then(time::parse_instant);
    if was.is_none_or(|was| was < began) {
        *mark = Some(time::format_instant(began));
    }
}
