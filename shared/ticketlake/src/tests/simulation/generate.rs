//! Makes a scenario from a seed.

use super::dice::Dice;
use super::scenario::*;
use super::world::BEGIN;

const DAY_MS: i64 = 86_400_000;

/// Makes the scenario of this seed.
pub(super) fn generate(seed: u64) -> Scenario {
    let mut dice = Dice::new(seed);
    let api = behaviour(&mut dice);
    let table = table(&mut dice, &api);
    let owners = (api.changes.is_none() && api.depth.is_none() && api.is_declared && dice.chance(10))
        .then(|| dice.between(1, 4));
    let records = records(&mut dice, &api, owners);
    let steps = steps(&mut dice, &api);
    Scenario { api, table, records, owners, steps, turns: dice.next() }
}

fn behaviour(dice: &mut Dice) -> Behaviour {
    let page = dice.between(1, 10);
    let depth = dice.chance(12).then(|| depth(dice, page));
    let token = if dice.chance(50) { Token::Place } else { Token::Key };
    let paging = match depth {
        Some(_) => dice.weighted(&[(1, Paging::Offset), (1, Paging::PageNumber(0))]),
        None => paging(dice, token),
    };
    let is_declared = depth.is_some() || dice.chance(88);
    let total = match depth {
        Some(_) => Total::Exact,
        None => total(dice, is_declared),
    };
    let can_declare = !matches!(total, Total::Absent | Total::OfPage);
    let is_total_declared = can_declare && (depth.is_some() || dice.chance(85));
    Behaviour {
        paging,
        is_declared,
        page,
        total,
        is_total_declared,
        order: dice.weighted(&[(50, Order::ById), (25, Order::NewestFirst), (25, Order::NewestLast)]),
        hint: dice.chance(15).then(|| hint(dice)),
        changes: (depth.is_none() && dice.chance(30)).then(|| changes(dice)),
        depth,
        forgotten: forgotten(dice),
    }
}

fn paging(dice: &mut Dice, token: Token) -> Paging {
    dice.weighted(&[
        (30, Paging::Offset),
        (10, Paging::PageNumber(0)),
        (15, Paging::PageNumber(1)),
        (15, Paging::Cursor(token)),
        (5, Paging::HeaderCursor(token)),
        (10, Paging::JsonLink(token)),
        (8, Paging::HeaderLink(token)),
        (4, Paging::SinglePage),
    ])
}

fn total(dice: &mut Dice, is_declared: bool) -> Total {
    let most = dice.between(1, 50);
    let wrong = dice.between(0, 8) as i32 - 3;
    let of_page = u32::from(is_declared) * 3;
    dice.weighted(&[
        (60, Total::Exact),
        (30, Total::Absent),
        (4, Total::Capped(most)),
        (4, Total::Wrong(wrong)),
        (of_page, Total::OfPage),
    ])
}

fn hint(dice: &mut Dice) -> Hint {
    dice.weighted(&[
        (1, Hint::HasMore),
        (1, Hint::Count),
        (1, Hint::MetaTotal),
        (1, Hint::Continuation),
        (1, Hint::LastPage),
    ])
}

fn forgotten(dice: &mut Dice) -> Forgotten {
    dice.weighted(&[
        (50, Forgotten::Status(410)),
        (20, Forgotten::Status(400)),
        (30, Forgotten::FirstPage),
        (20, Forgotten::EmptyPage),
    ])
}

/// The bounds of a time filter.
fn bounds(dice: &mut Dice) -> Bounds {
    let resolution = dice.weighted(&[(50, 1), (35, 1000), (3, DAY_MS)]);
    if resolution == DAY_MS {
        return Bounds { is_start_open: false, is_end_open: false, resolution };
    }
    Bounds { is_start_open: dice.chance(25), is_end_open: dice.chance(40), resolution }
}

fn changes(dice: &mut Dice) -> Changes {
    let late = dice.weighted(&[(60, 0), (40, 60)]);
    Changes {
        bounds: bounds(dice),
        lag: if late > 0 { 120 } else { dice.weighted(&[(70, 0), (30, 60)]) },
        late,
        has_end: dice.chance(40),
        missing: dice.weighted(&[(80, Missing::Raise), (10, Missing::Include), (10, Missing::Exclude)]),
    }
}

fn depth(dice: &mut Dice, page: u32) -> Depth {
    let split = match dice.below(10) {
        0..=5 => Split::Time(bounds(dice)),
        6..=8 => Split::Kind { values_are_known: dice.chance(50) },
        _ => Split::Nothing,
    };
    let limit = dice.between(page.max(2), 15);
    Depth { limit, split, is_empty_beyond: dice.chance(30) }
}

fn table(dice: &mut Dice, api: &Behaviour) -> Table {
    let disposition = dice.weighted(&[(15, Disposition::Append), (65, Disposition::Merge), (20, Disposition::Replace)]);
    let partition = dice.weighted(&[(85, Partition::None), (10, Partition::Bucket), (5, Partition::Kind)]);
    let has_key = disposition != Disposition::Append || dice.chance(50) || partition == Partition::Bucket;
    Table {
        disposition,
        has_key,
        has_history: disposition == Disposition::Merge && dice.chance(8),
        is_parquet: dice.chance(2),
        has_columns: api.changes.is_some() || partition != Partition::None || dice.chance(80),
        partition,
    }
}

fn records(dice: &mut Dice, api: &Behaviour, owners: Option<u32>) -> Vec<Record> {
    let most = dice.weighted(&[(3, 0), (7, 3), (60, 20), (30, 40)]);
    let count = if most == 0 { 0 } else { dice.between(1, most) };
    let is_whole = dice.chance(50);
    let span = dice.weighted(&[(50, 30 * DAY_MS), (30, 60_000), (20, 3_000)]);
    let moment = |dice: &mut Dice| {
        let ago = (dice.next() % span as u64) as i64;
        if is_whole { ago / 1000 * 1000 } else { ago }
    };
    let undated = if dice.chance(10) { 20 } else { 0 };
    let mut records: Vec<Record> = (1..=count)
        .map(|id| Record {
            id,
            version: 1,
            updated: BEGIN - DAY_MS - moment(dice),
            starts: (!dice.chance(undated)).then(|| BEGIN + moment(dice)),
            kind: dice.below(4) as u8,
            owner: owners.map_or(0, |owners| 1 + dice.below(owners)),
            flaw: None,
        })
        .collect();
    add_flaws(dice, api, &mut records);
    records
}

fn add_flaws(dice: &mut Dice, api: &Behaviour, records: &mut Vec<Record>) {
    if let Some(first) = records.first_mut()
        && api.changes.is_some_and(|changes| changes.missing != Missing::Raise)
        && dice.chance(50)
    {
        first.flaw = Some(Flaw::NoCursor);
    }
    let Some(last) = records.last().copied() else { return };
    if dice.chance(3) {
        let number = dice.below(records.len() as u32) as usize;
        records[number].flaw = Some(Flaw::NoKey);
    } else if dice.chance(3) {
        records.push(Record { version: 50, kind: (last.kind + 1) % 4, flaw: Some(Flaw::Twin), ..last });
    }
}

fn steps(dice: &mut Dice, api: &Behaviour) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..dice.between(0, 3) {
        if dice.chance(50) {
            for _ in 0..dice.between(1, 3) {
                steps.push(Step::Change(change(dice)));
            }
        }
        if dice.chance(70) {
            steps.push(Step::Wait(dice.weighted(&[(30, 1), (40, 600), (30, 86_400)])));
        }
        if let Some(correction) = correction(dice) {
            steps.push(Step::Correct(correction));
        }
        steps.push(if dice.chance(15) {
            Step::Overlap(run(dice, api), run(dice, api))
        } else {
            Step::Run(Run { ahead: ahead(dice), ..run(dice, api) })
        });
    }
    steps
}

fn correction(dice: &mut Dice) -> Option<Correction> {
    match dice.below(20) {
        0 => Some(Correction::Filter),
        1 => Some(Correction::Sandbox),
        2 => Some(Correction::PageSize),
        _ => None,
    }
}

fn run(dice: &mut Dice, api: &Behaviour) -> Run {
    let mut run = Run { full: dice.chance(5), ..Run::default() };
    if dice.chance(35) {
        run.max_requests = Some(dice.between(1, 8));
    }
    if dice.chance(50) {
        for _ in 0..dice.between(1, 3) {
            run.faults.push(Fault { request: dice.below(10), kind: fault(dice) });
        }
    }
    if api.changes.is_some() && !run.full && dice.chance(15) {
        let last = dice.between(0, 20);
        run.days = Some((last + dice.between(0, 10), last));
    }
    match dice.below(12) {
        0 => run.kill = Some(Kill::Request(dice.below(12))),
        1 => run.kill = Some(Kill::StoreBefore(dice.below(40))),
        2 => run.kill = Some(Kill::StoreAfter(dice.below(40))),
        3 => run.store_fault = Some(StoreFault { operation: dice.below(40), is_applied: dice.chance(50) }),
        _ => {}
    }
    run
}

/// How many seconds the clock of a run is ahead.
fn ahead(dice: &mut Dice) -> i64 {
    if !dice.chance(8) {
        return 0;
    }
    dice.weighted(&[(1, 200), (1, -200), (1, 3_600), (1, -3_600), (1, 400_000), (1, -400_000)])
}

fn fault(dice: &mut Dice) -> FaultKind {
    match dice.below(20) {
        0..=9 => FaultKind::Change(change(dice)),
        10 => FaultKind::Status(503),
        11 => FaultKind::Status(dice.weighted(&[(1, 429), (1, 500), (1, 404), (1, 400)])),
        12 => FaultKind::Timeout,
        13 => FaultKind::CutBody,
        14 | 15 => FaultKind::Truncated,
        16 => FaultKind::Repeated,
        17 => FaultKind::Empty,
        _ => FaultKind::Forget,
    }
}

fn change(dice: &mut Dice) -> Change {
    let record = dice.below(60);
    dice.weighted(&[
        (35, Change::Insert),
        (35, Change::Update(record)),
        (30, Change::Delete(record)),
        (3, Change::Spoil(record)),
    ])
}
