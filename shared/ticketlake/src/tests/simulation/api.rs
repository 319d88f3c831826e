//! The API of a scenario: it selects, orders and pages its records, and changes them.

use std::fmt::Write;

use chrono::{DateTime, SecondsFormat};
use manifest::time::parse_instant;

use super::ledger::Ledger;
use super::play::SECRET;
use super::scenario::{
    Behaviour, Bounds, Change, FaultKind, Flaw, Forgotten, Hint, Order, Paging, Record, Scenario, Split, Token, Total,
};

/// The ids of a sandbox begin here.
pub(super) const SANDBOX_IDS: u32 = 1000;

/// A request as the API sees it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) params: Vec<(String, String)>,
}

impl Asked {
    fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().rev().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The path and the conditions, without what names a page.
    fn list(&self) -> String {
        let is_condition = |name: &str| !["offset", "limit", "page", "size", "cursor"].contains(&name);
        let conditions = self.params.iter().filter(|(name, _)| is_condition(name));
        conditions.fold(self.path.clone(), |list, (name, value)| format!("{list}&{name}={value}"))
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.param(name)?.parse().ok()
    }

    fn time(&self, name: &str) -> Option<i64> {
        Some(parse_instant(self.param(name)?)?.timestamp_millis())
    }
}

/// What the API answers.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn status(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.to_owned() }
    }
}

/// The state of the API.
#[derive(Debug)]
pub(super) struct Api {
    behaviour: Behaviour,
    owners: Option<u32>,
    records: Vec<Record>,
    pub(super) ledger: Ledger,
    next_id: u32,
    /// Grows when the API forgets its page tokens.
    epoch: u32,
    /// The answer before, and the list that it is a page of.
    previous: Option<(String, Reply)>,
}

/// The part of a list that one page shows.
#[derive(Clone, Copy, Debug)]
struct Place {
    from: usize,
    size: usize,
}

impl Api {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut ledger = Ledger::default();
        for record in scenario.records.iter().filter(|record| record.flaw != Some(Flaw::Twin)) {
            ledger.put(*record);
        }
        Self {
            behaviour: scenario.api.clone(),
            owners: scenario.owners,
            records: scenario.records.clone(),
            ledger,
            next_id: 1 + scenario.records.iter().map(|record| record.id).max().unwrap_or(0),
            epoch: 0,
            previous: None,
        }
    }

    /// Begins a run. What the API answered to the run before is not answered again. Returns the moment.
    pub(super) fn begin_run(&mut self) -> usize {
        self.previous = None;
        self.ledger.now()
    }

    /// The present records.
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Changes one record. `now` is the API's time.
    pub(super) fn change(&mut self, change: Change, now: i64) {
        let chosen = |number: u32| (!self.records.is_empty()).then(|| number as usize % self.records.len());
        match change {
            Change::Insert => {
                let late = self.behaviour.changes.map_or(0, |changes| i64::from(changes.late) * 1000);
                let id = self.next_id;
                self.next_id += 1;
                let owner = self.owners.map_or(0, |owners| 1 + id % owners.max(1));
                let starts = Some(now + i64::from(id % 7) * 86_400_000);
                let record =
                    Record { id, version: 1, updated: now - late, starts, kind: (id % 3) as u8, owner, flaw: None };
                self.records.push(record);
                self.ledger.put(record);
            }
            Change::Update(number) => {
                let Some(place) = chosen(number) else { return };
                let record = &mut self.records[place];
                if record.flaw.is_some() {
                    return;
                }
                record.version += 1;
                record.updated = now;
                self.ledger.put(*record);
            }
            Change::Spoil(number) => {
                let Some(place) = chosen(number) else { return };
                let record = &mut self.records[place];
                if record.flaw.is_some() {
                    return;
                }
                record.version += 1;
                record.updated = now;
                record.flaw = Some(Flaw::NoKey);
                self.ledger.put(*record);
            }
            Change::Delete(number) => {
                let Some(place) = chosen(number) else { return };
                let record = self.records.remove(place);
                if record.flaw != Some(Flaw::Twin) {
                    self.ledger.delete(record.id);
                }
            }
        }
    }

    /// Whether the answer to a page token that is forgotten is an empty page.
    pub(super) fn ends_forgotten_lists(&self) -> bool {
        self.behaviour.forgotten == Forgotten::EmptyPage
    }

    pub(super) fn forget_tokens(&mut self) {
        self.epoch += 1;
    }

    /// Answers a request, with this fault.
    pub(super) fn answer(&mut self, asked: &Asked, is_sandbox: bool, fault: Option<FaultKind>) -> Reply {
        let list = asked.list();
        if let (Some(FaultKind::Repeated), Some((_, previous))) =
            (fault, self.previous.as_ref().filter(|(other, _)| *other == list))
        {
            return previous.clone();
        }
        let reply = match asked.path.strip_prefix("/owners") {
            Some("") => self.owners_page(asked),
            _ => self.page(asked, is_sandbox, fault),
        };
        self.previous = Some((list, reply.clone()));
        reply
    }

    /// The list of the parents. It is short, and comes in pages as the other list does.
    fn owners_page(&self, asked: &Asked) -> Reply {
        let owners = self.owners.unwrap_or(0) as usize;
        let place = match self.place(asked, &[], owners) {
            Ok(place) => place,
            Err(reply) => return reply,
        };
        let end = (place.from + place.size).min(owners);
        let from = place.from.min(end);
        let list: Vec<String> = (from..end).map(|at| format!("{{\"id\":{}}}", at + 1)).collect();
        self.reply(asked, &list, (from, end, owners), None)
    }

    fn page(&self, asked: &Asked, is_sandbox: bool, fault: Option<FaultKind>) -> Reply {
        let listed = self.list(asked, is_sandbox);
        let mut place = match self.place(asked, &listed, listed.len()) {
            Ok(place) => place,
            Err(reply) => return reply,
        };
        if let Some(depth) = self.behaviour.depth
            && place.from + place.size > depth.limit as usize
        {
            let left = (depth.limit as usize).saturating_sub(place.from);
            match left {
                0 if !depth.is_empty_beyond => return Reply::status(400, "{\"error\":\"too deep\"}"),
                _ => place.size = left,
            }
        }
        let from = place.from.min(listed.len());
        let whole_end = (place.from + place.size).min(listed.len());
        let end = match fault {
            Some(FaultKind::Truncated) => from + (whole_end - from).div_ceil(2),
            Some(FaultKind::Empty) => from,
            _ => whole_end,
        };
        let rows: Vec<String> = listed[from..end].iter().map(to_json).collect();
        // The link to the next page leads behind the whole page: a truncated one has lost its last records.
        self.reply(asked, &rows, (from, whole_end, listed.len()), listed.get(whole_end.wrapping_sub(1)))
    }

    /// The records that the request selects, in the API's order.
    fn list(&self, asked: &Asked, is_sandbox: bool) -> Vec<Record> {
        let owner = asked.path.strip_prefix("/owners/").and_then(|rest| rest.split('/').next()?.parse::<u32>().ok());
        let kind = asked.param("kind");
        let changed = self.behaviour.changes.map(|changes| changes.bounds);
        let starts = self.behaviour.depth.and_then(|depth| match depth.split {
            Split::Time(bounds) => Some(bounds),
            _ => None,
        });
        let (since, until) = (asked.time("since"), asked.time("until"));
        let (start, end) = (asked.time("start"), asked.time("end"));
        let is_selected = |record: &&Record| {
            let time = (record.flaw != Some(Flaw::NoCursor)).then_some(record.updated);
            owner.is_none_or(|owner| record.owner == owner)
                && kind.is_none_or(|kinds| kinds.split(',').any(|kind| kind == kind_name(record.kind)))
                && (!is_sandbox || record.id.is_multiple_of(2))
                && changed.is_none_or(|bounds| time.is_none() || bounds.contain(time, since, until))
                && starts.is_none_or(|bounds| bounds.contain(record.starts, start, end))
        };
        let mut listed: Vec<Record> = self.records.iter().filter(is_selected).copied().collect();
        match self.behaviour.order {
            Order::ById => listed.sort_by_key(|record| record.id),
            Order::NewestLast => listed.sort_by_key(|record| (record.updated, record.id)),
            Order::NewestFirst => listed.sort_by_key(|record| std::cmp::Reverse((record.updated, record.id))),
        }
        if is_sandbox {
            listed.iter_mut().for_each(|record| record.id += SANDBOX_IDS);
        }
        listed
    }

    /// The place of the requested page in a list of `total` records.
    fn place(&self, asked: &Asked, listed: &[Record], total: usize) -> Result<Place, Reply> {
        let most = self.behaviour.page as usize;
        let asked_size = asked.number("limit").or(asked.number("size")).map_or(most, |size| size as usize);
        let size = asked_size.clamp(1, most);
        let from = match self.behaviour.paging {
            Paging::SinglePage => return Ok(Place { from: 0, size: total }),
            Paging::Offset => asked.number("offset").unwrap_or(0) as usize,
            Paging::PageNumber(base) => asked.number("page").unwrap_or(base).saturating_sub(base) as usize * size,
            Paging::Cursor(_) | Paging::HeaderCursor(_) | Paging::JsonLink(_) | Paging::HeaderLink(_) => {
                match asked.param("cursor") {
                    None | Some("") => 0,
                    Some(token) => match self.place_of(token, listed) {
                        Some(place) => place,
                        None => match self.behaviour.forgotten {
                            Forgotten::Status(status) => {
                                return Err(Reply::status(status, "{\"error\":\"unknown cursor\"}"));
                            }
                            Forgotten::FirstPage => 0,
                            Forgotten::EmptyPage => total,
                        },
                    },
                }
            }
        };
        Ok(Place { from, size })
    }

    /// The place that a page token leads to. `None` if the API has forgotten it.
    fn place_of(&self, token: &str, listed: &[Record]) -> Option<usize> {
        let (epoch, place) = token.split_once('.')?;
        if epoch.parse::<u32>().ok()? != self.epoch {
            return None;
        }
        if let Some(place) = place.strip_prefix('p') {
            return place.parse().ok();
        }
        let (updated, id) = place.strip_prefix('k')?.split_once('-')?;
        let (updated, id): (i64, u32) = (updated.parse().ok()?, id.parse().ok()?);
        let is_before = |record: &Record| match self.behaviour.order {
            Order::ById => record.id <= id,
            Order::NewestLast => (record.updated, record.id) <= (updated, id),
            Order::NewestFirst => (record.updated, record.id) >= (updated, id),
        };
        Some(listed.partition_point(is_before))
    }

    /// The answer with the records `rows`, which are number `from` to `end` of `total`. `last` is the last record before the next page.
    fn reply(
        &self,
        asked: &Asked,
        rows: &[String],
        (from, end, total): (usize, usize, usize),
        last: Option<&Record>,
    ) -> Reply {
        let behaviour = &self.behaviour;
        let has_more = end < total && behaviour.depth.is_none_or(|depth| end < depth.limit as usize);
        let mut body = format!("{{\"things\":[{}]", rows.join(","));
        let counted = match behaviour.total {
            Total::Absent => None,
            Total::Exact => Some(total as i64),
            Total::Capped(most) => Some(total.min(most as usize) as i64),
            Total::OfPage => Some(rows.len() as i64),
            Total::Wrong(more) => Some((total as i64 + i64::from(more)).max(0)),
        };
        if let Some(counted) = counted {
            write!(body, ",\"total\":{counted}").unwrap();
            if let (Paging::PageNumber(_), true) = (behaviour.paging, behaviour.is_declared) {
                write!(body, ",\"pages\":{}", counted.max(0).unsigned_abs().div_ceil(u64::from(behaviour.page)))
                    .unwrap();
            }
        }
        match behaviour.hint {
            Some(Hint::HasMore) => write!(body, ",\"has_more\":{has_more}").unwrap(),
            Some(Hint::Count) => write!(body, ",\"count\":{total}").unwrap(),
            Some(Hint::MetaTotal) => write!(body, ",\"meta\":{{\"total\":{total},\"from\":{from}}}").unwrap(),
            Some(Hint::Continuation) if has_more => body.push_str(",\"continuation\":\"abc\""),
            Some(Hint::Continuation) => body.push_str(",\"continuation\":null"),
            Some(Hint::LastPage) => write!(body, ",\"last\":{}", !has_more).unwrap(),
            None => {}
        }
        let mut headers = Vec::new();
        let (token, is_link) = match behaviour.paging {
            Paging::Cursor(token) | Paging::HeaderCursor(token) => (token, false),
            Paging::JsonLink(token) | Paging::HeaderLink(token) => (token, true),
            _ => {
                body.push('}');
                return Reply { status: 200, headers, body };
            }
        };
        let text = match (token, last) {
            (Token::Key, Some(last)) => format!("{}.k{}-{}", self.epoch, last.updated, last.id),
            _ => format!("{}.p{end}", self.epoch),
        };
        let next = has_more.then(|| if is_link { link(asked, &text) } else { text });
        match behaviour.paging {
            Paging::Cursor(_) | Paging::JsonLink(_) => match next {
                Some(next) => write!(body, ",\"next\":\"{next}\"").unwrap(),
                None => body.push_str(",\"next\":null"),
            },
            Paging::HeaderCursor(_) => headers.extend(next.map(|next| ("next", next))),
            _ => headers.extend(next.map(|next| ("link", format!("<{next}>; rel=\"next\"")))),
        }
        body.push('}');
        Reply { status: 200, headers, body }
    }
}

/// The address of the next page: the same request with another page token.
fn link(asked: &Asked, token: &str) -> String {
    let mut link = format!("{}?cursor={token}", asked.path);
    for (name, value) in asked.params.iter().filter(|(name, _)| name != "cursor") {
        write!(link, "&{name}={}", value.replace('+', "%2B")).unwrap();
    }
    link
}

impl Bounds {
    /// Whether `time` lies between `start` and `end`. What has no time is in no range.
    fn contain(&self, time: Option<i64>, start: Option<i64>, end: Option<i64>) -> bool {
        let whole = |time: i64| time.div_euclid(self.resolution);
        let is_after = |time: i64, start: i64| {
            if self.is_start_open { whole(time) > whole(start) } else { whole(time) >= whole(start) }
        };
        let is_before =
            |time: i64, end: i64| if self.is_end_open { whole(time) < whole(end) } else { whole(time) <= whole(end) };
        match time {
            None => start.is_none() && end.is_none(),
            Some(time) => start.is_none_or(|start| is_after(time, start)) && end.is_none_or(|end| is_before(time, end)),
        }
    }
}

/// The name of a kind, as the API writes it.
pub(super) fn kind_name(kind: u8) -> &'static str {
    ["a", "b", "c", "d"][usize::from(kind % 4)]
}

fn to_json(record: &Record) -> String {
    let mut json = String::with_capacity(128);
    json.push('{');
    if record.flaw == Some(Flaw::NoKey) {
        // An API can repeat the key, and this record is stored as it came.
        write!(json, "\"asked_with\":\"{SECRET}\",").unwrap();
    } else {
        write!(json, "\"id\":{},", record.id).unwrap();
    }
    write!(json, "\"version\":{},\"kind\":\"{}\"", record.version, kind_name(record.kind)).unwrap();
    if record.flaw != Some(Flaw::NoCursor) {
        write!(json, ",\"updated_at\":\"{}\"", time_text(record.updated)).unwrap();
    }
    if let Some(starts) = record.starts {
        write!(json, ",\"starts_at\":\"{}\"", time_text(starts)).unwrap();
    }
    json.push('}');
    json
}

fn time_text(time: i64) -> String {
    DateTime::from_timestamp_millis(time).unwrap_or_default().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
