//! When each part of a resource that is refreshed in parts was last read whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use manifest::Refresh;
use manifest::time::{self, Instant};

/// When the readings began that were the last to be complete, RFC 3339.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshMarks {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    full: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    announced: Option<String>,
    /// By the window's length in days.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    near: BTreeMap<u64, String>,
}

impl RefreshMarks {
    /// When everything was read.
    pub fn full(&self) -> Option<Instant> {
        self.full.as_deref().and_then(time::parse_instant)
    }

    /// When the newly announced records were read.
    pub fn announced(&self) -> Option<Instant> {
        self.announced.as_deref().and_then(time::parse_instant)
    }

    /// When the window of the next `ahead_days` was read.
    pub fn near(&self, ahead_days: u64) -> Option<Instant> {
        self.near.get(&ahead_days).map(String::as_str).and_then(time::parse_instant)
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes note of a reading of everything that began at `began`; every part of it is read, too.
    pub fn reach_full(&mut self, refresh: &Refresh, began: Instant) {
        later(&mut self.full, began);
        self.reach_announced(began);
        let longest = refresh.near.iter().map(|near| near.ahead_days).max();
        self.reach_near(refresh, longest.unwrap_or_default(), began);
    }

    /// Takes note of a reading of the newly announced records.
    pub fn reach_announced(&mut self, began: Instant) {
        later(&mut self.announced, began);
    }

    /// Takes note of a reading of the next `ahead_days`; shorter windows lie within.
    pub fn reach_near(&mut self, refresh: &Refresh, ahead_days: u64, began: Instant) {
        for near in refresh.near.iter().filter(|near| near.ahead_days <= ahead_days) {
            let mut mark = self.near.remove(&near.ahead_days);
            later(&mut mark, began);
            self.near.extend(mark.map(|mark| (near.ahead_days, mark)));
        }
    }
}

/// A mark never goes back: of two runs at once, the later one's stays.
fn later(mark: &mut Option<String>, began: Instant) {
    let was = mark.as_deref().and_then(time::parse_instant);
    if was.is_none_or(|was| was < began) {
        *mark = Some(time::format_instant(began));
    }
}
