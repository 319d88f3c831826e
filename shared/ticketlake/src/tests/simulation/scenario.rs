//! A scenario as data: an API, a table, and a script of runs. It is printed when a law is broken, and made smaller.

/// What happens in one simulation.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) api: Behaviour,
    pub(super) table: Table,
    /// The records at the beginning.
    pub(super) records: Vec<Record>,
    /// The records of the parent, if the resource has one: their ids are 1 to this number.
    pub(super) owners: Option<u32>,
    pub(super) steps: Vec<Step>,
    /// The seed of the order in which overlapping runs take their turns.
    pub(super) turns: u64,
}

/// A record of the API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) id: u32,
    /// Grows with every change.
    pub(super) version: u32,
    /// When it was last changed, in milliseconds since 1970.
    pub(super) updated: i64,
    /// When the thing starts, in milliseconds since 1970.
    pub(super) starts: Option<i64>,
    /// A property that a query can be split by: 0 to 3.
    pub(super) kind: u8,
    pub(super) owner: u32,
    pub(super) flaw: Option<Flaw>,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It has no id.
    NoKey,
    /// It has no `updated_at`.
    NoCursor,
    /// Another record has its id and other content.
    Twin,
}

/// How the API behaves.
#[derive(Clone, Debug)]
pub(super) struct Behaviour {
    pub(super) paging: Paging,
    /// Whether the manifest names the paginator.
    pub(super) is_declared: bool,
    /// The most records on a page.
    pub(super) page: u32,
    pub(super) total: Total,
    /// Whether the manifest says where the total is.
    pub(super) is_total_declared: bool,
    pub(super) order: Order,
    pub(super) hint: Option<Hint>,
    /// How the API selects records by the time of their change, if the manifest has a cursor.
    pub(super) changes: Option<Changes>,
    pub(super) depth: Option<Depth>,
    /// What the API answers to a page token that it has forgotten.
    pub(super) forgotten: Forgotten,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paging {
    Offset,
    /// The first page has this number.
    PageNumber(u32),
    /// Page tokens in the body.
    Cursor(Token),
    /// Page tokens in a header.
    HeaderCursor(Token),
    JsonLink(Token),
    HeaderLink(Token),
    SinglePage,
}

impl Paging {
    /// Whether a page token is the key of a record.
    pub(super) fn is_by_key(self) -> bool {
        let token = match self {
            Self::Cursor(token) | Self::HeaderCursor(token) | Self::JsonLink(token) | Self::HeaderLink(token) => token,
            Self::Offset | Self::PageNumber(_) | Self::SinglePage => return false,
        };
        token == Token::Key
    }
}

/// What a page token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The number of records before the page.
    Place,
    /// The last record before the page.
    Key,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Total {
    Absent,
    Exact,
    /// The API counts no further than this, and the manifest says so.
    Capped(u32),
    /// The number of records on the page.
    OfPage,
    /// The exact total and this much more or less.
    Wrong(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    ById,
    NewestFirst,
    /// A record that changes moves to the end.
    NewestLast,
}

/// A field of an answer that says whether there is more, and that the manifest does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    HasMore,
    Count,
    MetaTotal,
    Continuation,
    LastPage,
}

/// How records are selected by the time of their change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Changes {
    pub(super) bounds: Bounds,
    /// The seconds that the manifest's `lag` has.
    pub(super) lag: u32,
    /// How many seconds after its `updated_at` a record appears.
    pub(super) late: u32,
    /// Whether a request has an end, too.
    pub(super) has_end: bool,
    pub(super) missing: Missing,
}

/// Which records a time filter selects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) is_start_open: bool,
    pub(super) is_end_open: bool,
    /// The milliseconds that the API compares times by: 1, a second, or a day.
    pub(super) resolution: i64,
}

/// What the manifest says about a record without a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    Raise,
    Include,
    Exclude,
}

/// The records that the API serves of one query, and how the manifest splits a query that has more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Depth {
    pub(super) limit: u32,
    pub(super) split: Split,
    /// Whether a page beyond is empty. It is refused otherwise.
    pub(super) is_empty_beyond: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Split {
    Time(Bounds),
    Kind { values_are_known: bool },
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forgotten {
    Status(u16),
    FirstPage,
    EmptyPage,
}

/// How the rows are stored.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) disposition: Disposition,
    /// Whether the manifest names the key.
    pub(super) has_key: bool,
    pub(super) has_history: bool,
    pub(super) is_parquet: bool,
    pub(super) has_columns: bool,
    pub(super) partition: Partition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    Append,
    Merge,
    Replace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Partition {
    None,
    Bucket,
    /// The kind of a record.
    Kind,
}

/// One step of the script.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Run(Run),
    Overlap(Run, Run),
    /// The API changes while nothing runs.
    Change(Change),
    Correct(Correction),
    /// So many seconds pass.
    Wait(u32),
}

/// A change of the manifest. The same change a second time takes it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Correction {
    /// A filter that leaves most records out.
    Filter,
    PageSize,
    /// Another API, which has every second record.
    Sandbox,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    pub(super) max_requests: Option<u32>,
    pub(super) full: bool,
    /// The first and the last day of the request, in days before the beginning.
    pub(super) days: Option<(u32, u32)>,
    pub(super) faults: Vec<Fault>,
    pub(super) kill: Option<Kill>,
    pub(super) store_fault: Option<StoreFault>,
    /// How many seconds the clock of the run is ahead.
    pub(super) ahead: i64,
}

/// A fault at one request of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) request: u32,
    pub(super) kind: FaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The API changes before it answers.
    Change(Change),
    Status(u16),
    Timeout,
    /// The second half of the body is missing.
    CutBody,
    /// The page has fewer records than it should.
    Truncated,
    /// The page before comes again.
    Repeated,
    /// The page has no records.
    Empty,
    /// The API forgets every page token that it gave.
    Forget,
}

/// A change of one record. The number chooses the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Insert,
    Update(u32),
    Delete(u32),
    /// The record loses its id.
    Spoil(u32),
}

/// Where a run is killed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kill {
    /// Before the answer to this request comes.
    Request(u32),
    /// Before this operation of the store.
    StoreBefore(u32),
    /// After this operation of the store took effect.
    StoreAfter(u32),
}

/// An operation of the store that fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreFault {
    pub(super) operation: u32,
    /// Whether the write took effect all the same.
    pub(super) is_applied: bool,
}

impl Scenario {
    /// Whether the totals of the API prove that a reading is complete, also while the API changes. Without a key, both versions of a record
    /// that changes count.
    pub(super) fn proves(&self) -> bool {
        self.api.is_total_declared && self.api.total == Total::Exact && self.table.has_key
    }

    /// Whether nothing in an answer tells an honest reader that there are more pages, or how many records there are.
    pub(super) fn is_guesswork(&self) -> bool {
        let api = &self.api;
        let is_led = match api.paging {
            Paging::SinglePage | Paging::Cursor(_) | Paging::JsonLink(_) | Paging::HeaderLink(_) => true,
            Paging::Offset | Paging::PageNumber(_) | Paging::HeaderCursor(_) => api.is_declared,
        };
        let is_lie = matches!(api.total, Total::Wrong(more) if more < 0);
        is_lie || (!is_led && matches!(api.total, Total::Absent | Total::Capped(_)) && api.hint.is_none())
    }

    /// Whether a manifest of this API can read it completely while it has `records` and is honest and calm.
    pub(super) fn can_be_complete(&self, records: &[Record]) -> bool {
        let api = &self.api;
        let is_led = match api.paging {
            Paging::SinglePage | Paging::Cursor(_) | Paging::JsonLink(_) | Paging::HeaderLink(_) => true,
            Paging::Offset | Paging::PageNumber(_) | Paging::HeaderCursor(_) => api.is_declared,
        };
        let has_true_total = matches!(api.total, Total::Absent | Total::Exact);
        let has_flaws = records.iter().any(|record| match record.flaw {
            None => false,
            Some(Flaw::NoCursor) => api.changes.is_some_and(|changes| changes.missing == Missing::Raise),
            Some(Flaw::NoKey) => self.table.has_key,
            // A page token that is the key of a record leads past another record with that key.
            Some(Flaw::Twin) => self.table.has_key || api.paging.is_by_key(),
        });
        is_led
            && has_true_total
            && !has_flaws
            && api.depth.is_none_or(|depth| depth.can_split(records, api.served(depth)))
    }
}

impl Behaviour {
    /// The records of one query that can be read: whole pages, by page number.
    fn served(&self, depth: Depth) -> usize {
        let limit = match self.paging {
            Paging::PageNumber(_) => (depth.limit / self.page).max(1) * self.page,
            _ => depth.limit,
        };
        limit as usize
    }
}

impl Depth {
    /// Whether the split leads to queries that are not too deep.
    fn can_split(&self, records: &[Record], limit: usize) -> bool {
        let most = |group: &dyn Fn(&Record) -> i64| {
            let mut counts = std::collections::BTreeMap::<i64, usize>::new();
            records.iter().for_each(|record| *counts.entry(group(record)).or_default() += 1);
            counts.into_values().max().unwrap_or(0)
        };
        records.len() <= limit
            || match self.split {
                // The narrowest window that finds a record may be two units wide.
                Split::Time(bounds) if bounds.resolution <= 1000 => {
                    let unit = 3 * bounds.resolution.max(1000);
                    let shifted = |by: i64| most(&|record| (record.starts.unwrap_or(0) + by).div_euclid(unit));
                    let is_dated = records.iter().all(|record| record.starts.is_some());
                    is_dated && [0, unit / 3, unit / 3 * 2].into_iter().all(|by| shifted(by) <= limit)
                }
                Split::Kind { values_are_known: true } => most(&|record| i64::from(record.kind)) <= limit,
                Split::Time(_) | Split::Kind { values_are_known: false } | Split::Nothing => false,
            }
    }
}

impl std::fmt::Display for Scenario {
    /// One line for each part, record and step.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "  {:?}\n  {:?}", self.api, self.table)?;
        if let Some(owners) = self.owners {
            writeln!(f, "  {owners} owners")?;
        }
        for record in &self.records {
            writeln!(f, "  {record:?}")?;
        }
        for step in &self.steps {
            match step {
                Step::Overlap(first, second) => writeln!(f, "  Overlap of\n    {first}\n    {second}")?,
                Step::Run(run) => writeln!(f, "  {run}")?,
                step => writeln!(f, "  {step:?}")?,
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Run {
    /// What distinguishes the run from one without any option or fault.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Run")?;
        if let Some(most) = self.max_requests {
            write!(f, ", at most {most} requests")?;
        }
        if self.full {
            write!(f, ", full")?;
        }
        if let Some((first, last)) = self.days {
            write!(f, ", from {first} to {last} days ago")?;
        }
        if self.ahead != 0 {
            write!(f, ", its clock {} s ahead", self.ahead)?;
        }
        for fault in &self.faults {
            write!(f, ", {:?} at request {}", fault.kind, fault.request)?;
        }
        if let Some(kill) = self.kill {
            write!(f, ", killed at {kill:?}")?;
        }
        if let Some(fault) = self.store_fault {
            write!(f, ", {fault:?}")?;
        }
        Ok(())
    }
}
