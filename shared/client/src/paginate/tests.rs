//! Every paginator over an API in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use manifest::{Cursor, Query};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::{Error, Stop};
use crate::fake::{CapturedLog, Fault, LinkForm, Paging, Setup, Spec};

/// What came of a query.
#[derive(Debug, Default, PartialEq)]
struct ReadQuery {
    /// The records' ids.
    ids: Vec<u64>,
    /// The position of each page, and the number of records before it.
    positions: Vec<(Option<Position>, u64)>,
    totals: Vec<Option<u64>>,
    /// The query's end, or its error's message.
    end: Option<Result<End, String>>,
    /// The requests that were sent.
    requests: u64,
}

impl ReadQuery {
    fn reached(&self) -> bool {
        self.end == Some(Ok(End::Reached))
    }
}

async fn read(setup: &Setup, resumption: Option<Resumption>) -> ReadQuery {
    read_query(setup, &setup.query(), resumption).await
}

async fn read_query(setup: &Setup, query: &Arc<Query>, resumption: Option<Resumption>) -> ReadQuery {
    let api = setup.api();
    let reader = Reader::new(&api, setup.resource());
    let mut read = read_pages(reader.pages(query, resumption)).await;
    read.requests = api.requests().sent;
    read
}

async fn read_pages(mut pages: Pages<'_>) -> ReadQuery {
    let mut read = ReadQuery::default();
    loop {
        match pages.next().await {
            Ok(Some(page)) => {
                if !page.records.is_empty() || read.positions.is_empty() {
                    read.positions.push((page.position.clone(), read.ids.len() as u64));
                }
                read.totals.push(page.total);
                read.ids.extend(page.records.iter().map(|record| record.value()["id"].as_u64().unwrap()));
            }
            Ok(None) => break,
            Err(stop) => {
                assert_eq!(pages.end(), None);
                assert!(matches!(pages.next().await, Ok(None)), "an error ends the query");
                read.end = Some(Err(stop.to_string()));
                return read;
            }
        }
    }
    read.end = pages.end().cloned().map(Ok);
    assert!(matches!(pages.next().await, Ok(None)), "an ended query has no more pages");
    read
}

/// A kind of API, and the manifest's endpoint for it.
#[derive(Clone, Debug)]
struct Case {
    spec: Spec,
    endpoint: Value,
    /// Whether the query ends only at an empty page.
    needs_empty_page: bool,
    /// Whether a page, but for the first, has a position.
    has_positions: bool,
}

impl Case {
    fn new(paging: Paging, paginator: &Value) -> Self {
        Self {
            spec: Spec { paging, ..Spec::default() },
            endpoint: json!({"paginator": paginator}),
            needs_empty_page: false,
            has_positions: false,
        }
    }

    fn with_total(mut self) -> Self {
        self.spec.has_total = true;
        self
    }

    fn with_has_more(mut self) -> Self {
        self.spec.has_more = true;
        self
    }

    fn needing_empty_page(mut self) -> Self {
        self.needs_empty_page = true;
        self
    }

    fn with_positions(mut self) -> Self {
        self.has_positions = true;
        self
    }

    fn with(mut self, endpoint: Value) -> Self {
        for (name, value) in endpoint.as_object().unwrap() {
            self.endpoint[name] = value.clone();
        }
        self
    }

    /// The API with so many records, in pages of so many.
    fn setup(&self, records: u64, page_size: u64) -> Setup {
        let mut endpoint = self.endpoint.clone();
        if endpoint["paginator"]["type"] == "offset" {
            endpoint["paginator"]["limit"] = page_size.into();
        }
        Setup::new(Spec { records, page_size, ..self.spec.clone() }, &endpoint)
    }

    /// The requests for so many records, in pages of so many.
    fn requests(&self, records: u64, page_size: u64) -> u64 {
        let pages = if self.spec.paging == Paging::Single { 1 } else { records.div_ceil(page_size) };
        let has_extra_page = self.needs_empty_page || self.checks_total(records, page_size);
        if has_extra_page { pages + 1 } else { pages.max(1) }
    }

    /// Whether the last page is full, so that the next one is requested although the total is reached.
    fn checks_total(&self, records: u64, page_size: u64) -> bool {
        let paging = self.spec.paging;
        let is_offset = matches!(paging, Paging::Offset { .. });
        let is_full = page_size >= 10 && records.is_multiple_of(page_size);
        is_offset && self.spec.has_total && records > 0 && is_full
    }
}

/// Every paginator, in every form.
fn cases() -> Vec<Case> {
    let offset = |base: u64| json!({"type": "offset", "limit": 3, "offset": base, "total_path": null});
    let number = |base: u64| json!({"type": "page_number", "base_page": base, "total_path": null});
    let with = |mut paginator: Value, name: &str, value: &str| {
        paginator[name] = value.into();
        paginator
    };
    let mut cases = Vec::new();
    for base in [0, 1] {
        let paging = Paging::Offset { base };
        cases.extend([
            Case::new(paging, &offset(base)).needing_empty_page().with_positions(),
            Case::new(paging, &with(offset(base), "total_path", "total")).with_total().with_positions(),
            Case::new(paging, &offset(base)).with(json!({"total_path": "total"})).with_total().with_positions(),
            Case::new(paging, &with(offset(base), "has_more_path", "has_more")).with_has_more().with_positions(),
        ]);
        let paging = Paging::PageNumber { base };
        cases.extend([
            Case::new(paging, &number(base)).needing_empty_page().with_positions(),
            Case::new(paging, &with(number(base), "total_path", "total_pages")).with_total().with_positions(),
            Case::new(paging, &with(number(base), "has_more_path", "has_more")).with_has_more().with_positions(),
            Case::new(paging, &with(with(number(base), "total_path", "total_pages"), "has_more_path", "has_more"))
                .with_total()
                .with_has_more()
                .with_positions(),
        ]);
    }
    let cursor = json!({"type": "cursor", "cursor_path": "next_token"});
    cases.extend([
        Case::new(Paging::Cursor, &cursor).with_positions(),
        Case::new(Paging::Cursor, &with(cursor.clone(), "has_more_path", "has_more")).with_has_more().with_positions(),
        Case::new(
            Paging::BodyCursor,
            &json!({"type": "cursor", "cursor_path": "next_token", "cursor_body_path": "page.cursor"}),
        )
        .with(json!({"method": "POST", "json": {"filter": {"sold": true}}}))
        .with_positions(),
        Case::new(Paging::HeaderCursor, &json!({"type": "header_cursor", "cursor_key": "x-next"})).with_positions(),
    ]);
    for form in [LinkForm::Absolute, LinkForm::Path, LinkForm::Query, LinkForm::Repeating] {
        cases.extend([
            Case::new(Paging::JsonLink(form), &json!({"type": "json_link", "next_url_path": "next"})).with_positions(),
            Case::new(Paging::HeaderLink(form), &json!("header_link")).with_positions(),
        ]);
    }
    cases.extend([
        Case::new(Paging::Single, &json!("single_page")),
        Case::new(Paging::Single, &json!("auto")),
        Case::new(Paging::JsonLink(LinkForm::Path), &json!("auto")).with_positions(),
        Case::new(Paging::HeaderLink(LinkForm::Absolute), &json!("auto")).with_positions(),
        Case::new(Paging::Cursor, &json!("auto")).with_positions(),
        Case::new(Paging::PageNumber { base: 0 }, &json!("auto")).with_total().with_positions(),
    ]);
    cases
}

#[tokio::test(start_paused = true)]
async fn every_paginator_reads_all_records_once_in_order() {
    for case in cases() {
        for records in [0, 1, 2, 3, 4, 6, 7, 20] {
            let setup = case.setup(records, 3);
            let read = read(&setup, None).await;
            assert_eq!(read.ids, (0..records).collect::<Vec<u64>>(), "{case:?}");
            assert!(read.reached(), "{case:?}: {read:?}");
            assert_eq!(read.requests, case.requests(records, 3), "{records} records of {case:?}");
            assert_eq!(setup.fake.requests().len() as u64, read.requests);
            assert!(setup.fake.requests().iter().all(|request| request.url.path() == "/v1/events"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_can_be_resumed_at_every_position() {
    for case in cases() {
        let setup = case.setup(10, 3);
        let whole = read(&setup, None).await;
        let positions: Vec<_> =
            whole.positions.iter().filter_map(|(position, before)| Some((position.clone()?, *before))).collect();
        // Page tokens lead to all pages but the first.
        let expected = match (case.has_positions, &whole.positions[0].0) {
            (false, _) => 0,
            (true, Some(_)) => whole.positions.len(),
            (true, None) => whole.positions.len() - 1,
        };
        assert_eq!(positions.len(), expected, "{case:?}");
        for (position, before) in positions {
            let stored = serde_json::to_string(&position).unwrap();
            let position: Position = serde_json::from_str(&stored).unwrap();
            let setup = case.setup(10, 3);
            let rest = read(&setup, Some(Resumption { position: position.clone(), before })).await;
            assert_eq!(rest.ids, (before..10).collect::<Vec<u64>>(), "{position:?} of {case:?}");
            assert!(rest.reached(), "{position:?} of {case:?}");
            assert_eq!(rest.positions[0].0, Some(position.clone()), "{case:?}");
            // Only `auto` reads the first page to find out how to go on.
            let probes = u64::from(case.endpoint["paginator"] == "auto" && before > 0);
            let pages_before = before / 3;
            assert_eq!(rest.requests, whole.requests - pages_before + probes, "{position:?} of {case:?}");
        }
    }
}

#[test]
fn positions_are_stored_in_a_form_that_stays() {
    for (position, stored) in [
        (Position::Offset(20), json!({"offset": 20})),
        (
            Position::PageNumber { number: 3, page_size: None, served: None },
            json!({"page_number": {"number": 3, "page_size": null}}),
        ),
        (Position::PageToken("x".into()), json!({"page_token": "x"})),
    ] {
        assert_eq!(serde_json::to_value(&position).unwrap(), stored);
        assert_eq!(serde_json::from_value::<Position>(stored).unwrap(), position);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_number_of_other_pages_is_no_position() {
    let case = Case::new(Paging::PageNumber { base: 0 }, &json!({"type": "page_number", "total_path": "total_pages"}))
        .with_total()
        .with(json!({"page_size": {"param": "size", "maximum": 5}}));
    let mut setup = case.setup(10, 5);
    setup.budget.page_size = Some(2);
    let position = Position::PageNumber { number: 3, page_size: Some(2), served: None };
    let rest = read(&setup, Some(Resumption { position: position.clone(), before: 6 })).await;
    assert_eq!(rest.ids, [6, 7, 8, 9]);
    setup.budget.page_size = Some(3);
    let all = read(&setup, Some(Resumption { position, before: 6 })).await;
    assert_eq!(all.ids, (0..10).collect::<Vec<u64>>());
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_page_token_leads_to_the_beginning() {
    let case = Case::new(Paging::Cursor, &json!({"type": "cursor", "cursor_path": "next_token"}));
    let setup = case.setup(7, 3);
    setup.fake.change(|spec| spec.forgotten_token = Some("after-6".into()));
    let resumption = Resumption { position: Position::PageToken("after-6".into()), before: 6 };
    // The API knows the token again when the query gets there.
    let api = setup.api();
    let reader = Reader::new(&api, setup.resource());
    let mut pages = reader.pages(&setup.query(), Some(resumption));
    let first = pages.next().await.unwrap().unwrap();
    assert_eq!((first.records.len(), first.position), (3, None));
    setup.fake.change(|spec| spec.forgotten_token = None);
    let rest = read_pages(pages).await;
    assert_eq!(rest.ids, [3, 4, 5, 6]);
    assert_eq!(api.requests().sent, 4);
}

#[tokio::test(start_paused = true)]
async fn pages_that_are_read_ahead_stay_in_order() {
    let paginator = json!({"type": "page_number", "total_path": "total_pages"});
    let case = Case::new(Paging::PageNumber { base: 0 }, &paginator).with_total();
    let setup = case.setup(100, 5);
    // Later responses overtake earlier ones.
    setup.fake.change(|spec| spec.delay = |number| Duration::from_millis(10 - (number as u64 * 3) % 10));
    let read = read(&setup, None).await;
    assert_eq!(read.ids, (0..100).collect::<Vec<u64>>());
    assert!(read.reached());
    assert_eq!(read.requests, 20);
    assert_eq!(setup.fake.max_in_flight(), setup.api().in_flight());
}

#[tokio::test(start_paused = true)]
async fn no_page_is_read_ahead_where_the_response_can_end_the_query() {
    let paginator = json!({"type": "page_number", "total_path": "total_pages", "has_more_path": "has_more"});
    let case = Case::new(Paging::PageNumber { base: 0 }, &paginator).with_total().with_has_more();
    let setup = case.setup(20, 5);
    setup.fake.change(|spec| spec.delay = |_| Duration::from_millis(1));
    assert!(read(&setup, None).await.reached());
    assert_eq!(setup.fake.max_in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn as_many_pages_are_read_ahead_as_there_is_room_for() {
    let paginator = json!({"type": "page_number", "total_path": "total_pages"});
    let case = Case::new(Paging::PageNumber { base: 0 }, &paginator).with_total();
    let setup = case.setup(100, 5);
    let api = setup.api();
    let reader = Reader::new(&api, setup.resource());
    let mut pages = reader.pages(&setup.query(), None);
    let mut kept = Vec::new();
    // The first page is not read ahead; four more pages can be kept.
    for _ in 0..5 {
        kept.push(pages.next().await.unwrap().unwrap());
    }
    assert_eq!(kept.iter().filter(|page| page.room.is_some()).count(), 4);
    let next = tokio::time::timeout(Duration::from_secs(1), pages.next()).await;
    assert!(next.is_err(), "there is no room for another page");
    kept.remove(1);
    let next = pages.next().await.unwrap().unwrap();
    assert_eq!(next.position, Some(Position::PageNumber { number: 5, page_size: None, served: None }));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_for_a_page_loses_no_page() {
    for case in cases() {
        let whole = read(&case.setup(10, 3), None).await;
        let second = whole.positions.get(1).and_then(|(position, before)| Some((position.clone()?, *before)));
        for start in [None, second] {
            let resumption = start.map(|(position, before)| Resumption { position, before });
            let before = resumption.as_ref().map_or(0, |resumption| resumption.before);
            let setup = case.setup(10, 3);
            setup.fake.change(|spec| spec.delay = |_| Duration::from_millis(5));
            let api = setup.api();
            let reader = Reader::new(&api, setup.resource());
            let mut pages = reader.pages(&setup.query(), resumption);
            let ids = read_with_dropped_waits(&mut pages).await;
            assert_eq!(ids, (before..10).collect::<Vec<u64>>(), "{case:?}");
            assert_eq!(pages.end(), Some(&End::Reached));
        }
    }
}

/// Reads all records. The first wait for each page is too short, the second one is not.
async fn read_with_dropped_waits(pages: &mut Pages<'_>) -> Vec<u64> {
    let (short, long) = (Duration::from_millis(1), Duration::from_millis(100));
    let mut ids = Vec::new();
    let mut wait = short;
    loop {
        match tokio::time::timeout(wait, pages.next()).await {
            Err(_) => wait = long,
            Ok(Ok(Some(page))) => {
                ids.extend(page.records.iter().map(|record| record.value()["id"].as_u64().unwrap()));
                wait = short;
            }
            Ok(Ok(None)) => return ids,
            Ok(Err(stop)) => panic!("{stop}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_page_is_an_error() {
    for case in cases() {
        if case.spec.paging == Paging::Single {
            continue;
        }
        let setup = case.setup(7, 3);
        setup.fake.change(|spec| spec.ignores_position = true);
        let read = read(&setup, None).await;
        assert_eq!(read.ids, [0, 1, 2], "{case:?}");
        let Some(Err(message)) = &read.end else { panic!("{case:?}: {read:?}") };
        assert!(message.contains("gave the page before it once more"), "{case:?}: {message}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_circle_of_pages_is_an_error() {
    for case in cases() {
        if !matches!(case.spec.paging, Paging::Cursor | Paging::BodyCursor | Paging::HeaderCursor)
            && !matches!(case.spec.paging, Paging::JsonLink(_) | Paging::HeaderLink(_))
            || case.spec.has_more
        {
            continue;
        }
        let setup = case.setup(7, 3);
        setup.fake.change(|spec| spec.is_circular = true);
        let read = read(&setup, None).await;
        assert_eq!(read.ids, [0, 1, 2, 3, 4, 5, 6], "the last page is good: {case:?}");
        let Some(Err(message)) = &read.end else { panic!("{case:?}: {read:?}") };
        assert!(message.contains("names a next page that was read already"), "{case:?}: {message}");
        assert_eq!(read.requests, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_to_another_host_is_not_followed() {
    for (paging, paginator) in [
        (Paging::JsonLink(LinkForm::OtherHost), json!({"type": "json_link", "next_url_path": "next"})),
        (Paging::HeaderLink(LinkForm::OtherHost), json!("header_link")),
    ] {
        let setup = Case::new(paging, &paginator).setup(7, 3);
        let read = read(&setup, None).await;
        assert_eq!(read.ids, [0, 1, 2], "the page before is good");
        let Some(Err(message)) = &read.end else { panic!("{read:?}") };
        assert!(message.contains("leads to https://elsewhere.example, not to https://api.example"), "{message}");
        assert_eq!(read.requests, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_ignored_response_ends_the_query_where_there_may_be_more() {
    for case in cases() {
        let case = case.with(json!({"response_actions": [{"status_code": 404, "action": "ignore"}]}));
        for (before, expected_end) in [
            (0, End::Reached),
            (
                3,
                End::Stopped(
                    "the answer to page 2 is one that response_actions ignore: what follows it was not read".into(),
                ),
            ),
        ] {
            if before > 0 && case.spec.paging == Paging::Single {
                continue;
            }
            let setup = case.setup(7, 3);
            setup.fake.change(|spec| spec.page_faults = BTreeMap::from([(before, Fault::Status(404, "none"))]));
            let read = read(&setup, None).await;
            assert_eq!(read.ids.len() as u64, before, "{case:?}");
            assert_eq!(read.end, Some(Ok(expected_end)), "{case:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_ends_at_the_depth_that_the_api_serves() {
    for case in cases() {
        let case = case.with(json!({"depth_limit": 6}));
        let setup = case.setup(20, 3);
        let read = read(&setup, None).await;
        if case.spec.paging == Paging::Single {
            assert_eq!((read.ids.len(), read.reached()), (20, true), "{case:?}");
            continue;
        }
        assert_eq!(read.ids, [0, 1, 2, 3, 4, 5], "{case:?}");
        assert_eq!(read.end, Some(Ok(End::TooDeep)), "{case:?}");
        assert_eq!(read.requests, 2, "{case:?}");
        // The records before a resumption count.
        if let (Some(position), before) = read.positions[1].clone() {
            let rest = read_query(&setup, &setup.query(), Some(Resumption { position, before })).await;
            assert_eq!((rest.ids, rest.end), (vec![3, 4, 5], Some(Ok(End::TooDeep))), "{case:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_maximum_of_the_manifest_stops_a_query() {
    let offset = json!({"type": "offset", "limit": 3, "total_path": null, "maximum_offset": 6});
    let number = json!({"type": "page_number", "total_path": null, "maximum_page": 2});
    let number_from_1 = json!({"type": "page_number", "base_page": 1, "total_path": null, "maximum_page": 3});
    let counted = json!({"type": "page_number", "total_path": "total_pages", "maximum_page": 2});
    for (case, reason) in [
        (Case::new(Paging::Offset { base: 0 }, &offset), "`maximum_offset: 6` ends the reading where there is more"),
        (Case::new(Paging::PageNumber { base: 0 }, &number), "`maximum_page: 2` ends the reading where there is more"),
        (
            Case::new(Paging::PageNumber { base: 1 }, &number_from_1),
            "`maximum_page: 3` ends the reading where there is more",
        ),
        (
            Case::new(Paging::PageNumber { base: 0 }, &counted).with_total(),
            "`maximum_page: 2` ends the reading where there is more",
        ),
    ] {
        let read = read(&case.setup(20, 3), None).await;
        assert_eq!(read.ids, [0, 1, 2, 3, 4, 5], "{case:?}");
        assert_eq!(read.end, Some(Ok(End::Stopped(reason.into()))), "{case:?}");
        assert_eq!(read.requests, 2, "{case:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_query_in_order_ends_where_it_leaves_its_range() {
    for case in cases() {
        let incremental = json!({"cursor_path": "at", "initial_value": 0, "row_order": "asc"});
        let case = case.with(json!({"incremental": incremental}));
        let setup = case.setup(20, 3);
        let mut query = (*setup.query()).clone();
        query.end = Some(Cursor::Number(40));
        let read = read_query(&setup, &Arc::new(query), None).await;
        if case.spec.paging == Paging::Single {
            assert_eq!((read.ids.len(), read.end), (20, Some(Ok(End::LeftRange))), "{case:?}");
            continue;
        }
        // The record with the cursor 40 is the fifth one; the last record of its page lies beyond the range.
        assert_eq!(read.ids, [0, 1, 2, 3, 4, 5], "{case:?}");
        assert_eq!(read.end, Some(Ok(End::LeftRange)), "{case:?}");
        assert_eq!(read.requests, 2, "{case:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_total_comes_with_every_page() {
    for paginator in [json!({"type": "offset", "limit": 3}), json!({"type": "page_number", "total_path": null})] {
        let paging =
            if paginator["type"] == "offset" { Paging::Offset { base: 0 } } else { Paging::PageNumber { base: 0 } };
        let case = Case::new(paging, &paginator).with_total().with(json!({"total_path": "total"}));
        let read = read(&case.setup(7, 3), None).await;
        // The empty page that ends a read by page number has it, too.
        let pages = if paginator["type"] == "offset" { 3 } else { 4 };
        assert_eq!(read.totals, vec![Some(7); pages], "{case:?}");
    }
    // A first offset above 1 leaves records out, and the total too.
    let later = json!({"type": "offset", "limit": 3, "offset": 2});
    let read = read(&Case::new(Paging::Offset { base: 0 }, &later).with_total().setup(7, 3), None).await;
    assert_eq!((read.ids, read.totals), (vec![2, 3, 4, 5, 6], vec![Some(5), Some(5)]));
}

#[tokio::test(start_paused = true)]
async fn an_empty_first_page_has_its_total() {
    let paginator = json!({"type": "page_number", "total_path": null});
    let case = Case::new(Paging::PageNumber { base: 0 }, &paginator).with_total().with(json!({"total_path": "total"}));
    let read = read(&case.setup(0, 3), None).await;
    assert_eq!((read.ids, read.totals), (vec![], vec![Some(0)]));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_says_more_than_it_leads_to_stops_the_query() {
    let cursor = json!({"type": "cursor", "cursor_path": "next_token", "has_more_path": "has_more"});
    let number = json!({"type": "page_number", "total_path": null, "has_more_path": "has_more"});
    for (paging, paginator, body, reason) in [
        (
            Paging::Cursor,
            &cursor,
            r#"{"events": [{"id": 3}], "has_more": true}"#,
            "the answer says that there is more, and gives no cursor to it",
        ),
        (
            Paging::PageNumber { base: 0 },
            &number,
            r#"{"events": [], "has_more": true}"#,
            "a page has no records, and `has_more` says that there are more",
        ),
    ] {
        let setup = Case::new(paging, paginator).with_has_more().setup(7, 3);
        setup.fake.change(|spec| spec.page_faults = BTreeMap::from([(3, Fault::Body(body))]));
        let read = read(&setup, None).await;
        assert_eq!(read.end, Some(Ok(End::Stopped(reason.into()))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_of_pages_that_shrinks_meanwhile_leaves_no_page_out() {
    let paginator = json!({"type": "page_number", "total_path": "total_pages"});
    let case = Case::new(Paging::PageNumber { base: 0 }, &paginator).with_total();
    let setup = case.setup(15, 3);
    // The third page says that there are only three; the fourth one has records all the same.
    let fewer = r#"{"events": [{"id": 6}, {"id": 7}, {"id": 8}], "total_pages": 3}"#;
    setup.fake.change(|spec| spec.page_faults = BTreeMap::from([(6, Fault::Body(fewer))]));
    let read = read(&setup, None).await;
    assert_eq!(read.ids, (0..15).collect::<Vec<u64>>());
    assert!(read.reached());
}

#[tokio::test(start_paused = true)]
async fn a_number_of_pages_that_grows_meanwhile_is_read_to_its_new_end() {
    let paginator = json!({"type": "page_number", "total_path": "total_pages"});
    let case = Case::new(Paging::PageNumber { base: 0 }, &paginator).with_total();
    let setup = case.setup(6, 3);
    let api = setup.api();
    let reader = Reader::new(&api, setup.resource());
    let mut pages = reader.pages(&setup.query(), None);
    pages.next().await.unwrap().unwrap();
    setup.fake.change(|spec| spec.records = 11);
    let rest = read_pages(pages).await;
    assert_eq!(rest.ids, (3..11).collect::<Vec<u64>>());
    assert!(rest.reached());
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_before_the_last_one_is_not_the_end() {
    let paginator = json!({"type": "page_number", "total_path": "total_pages"});
    let case = Case::new(Paging::PageNumber { base: 0 }, &paginator).with_total();
    let setup = case.setup(9, 3);
    let empty = r#"{"events": [], "total_pages": 3}"#;
    setup.fake.change(|spec| spec.page_faults = BTreeMap::from([(3, Fault::Body(empty))]));
    let read = read(&setup, None).await;
    assert_eq!(read.ids, [0, 1, 2, 6, 7, 8]);
    assert!(read.reached());
}

#[tokio::test(start_paused = true)]
async fn a_first_page_that_was_read_already_is_not_requested_again() {
    for case in cases() {
        let setup = case.setup(7, 3);
        let api = setup.api();
        let reader = Reader::new(&api, setup.resource());
        let first = reader.first_page(&setup.query()).await.unwrap().unwrap();
        assert_eq!(api.requests().sent, 1);
        assert_eq!(first.records().len(), if case.spec.paging == Paging::Single { 7 } else { 3 });
        let mut read = read_pages(reader.pages_from(&setup.query(), first)).await;
        read.requests = api.requests().sent;
        assert_eq!(read.ids, (0..7).collect::<Vec<u64>>(), "{case:?}");
        assert!(read.reached(), "{case:?}");
        assert_eq!(read.requests, case.requests(7, 3), "{case:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_page_tells_the_total_in_records() {
    let offset = json!({"type": "offset", "limit": 3});
    let number = json!({"type": "page_number", "total_path": "total_pages"});
    for (paging, endpoint, expected) in [
        (Paging::Offset { base: 0 }, json!({"paginator": offset}), Some(7)),
        (Paging::PageNumber { base: 0 }, json!({"paginator": number, "total_path": "total"}), Some(7)),
        // The paginator counts pages.
        (Paging::PageNumber { base: 0 }, json!({"paginator": number}), None),
    ] {
        let setup = Setup::new(Spec { paging, has_total: true, ..Spec::default() }, &endpoint);
        let api = setup.api();
        let reader = Reader::new(&api, setup.resource());
        let first = reader.first_page(&setup.query()).await.unwrap().unwrap();
        assert_eq!(first.total(), expected, "{endpoint}");
        assert_eq!(first.into_page().records.len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_can_be_read_by_its_number_and_size() {
    let offset = json!({"type": "offset", "limit": 3, "offset": 1});
    let number = json!({"type": "page_number", "base_page": 1});
    for (paging, paginator) in [(Paging::Offset { base: 1 }, offset), (Paging::PageNumber { base: 1 }, number)] {
        let case = Case::new(paging, &paginator).with(json!({"page_size": {"param": "size", "maximum": 3}}));
        let setup = case.setup(20, 3);
        let api = setup.api();
        let reader = Reader::new(&api, setup.resource());
        let page = reader.numbered_page(&setup.query(), 4, 2).await.unwrap().unwrap();
        let ids: Vec<u64> = page.records.iter().map(|record| record.value()["id"].as_u64().unwrap()).collect();
        assert_eq!(ids, [8, 9], "{case:?}");
    }
    let setup = Case::new(Paging::Single, &json!("single_page")).setup(7, 3);
    let api = setup.api();
    let reader = Reader::new(&api, setup.resource());
    assert!(reader.numbered_page(&setup.query(), 0, 2).await.unwrap().is_none());
    assert_eq!(api.requests().sent, 0);
}

/// The first query has one page, and shows no paginator; the third one has more.
#[tokio::test(start_paused = true)]
async fn a_single_page_says_nothing_about_other_queries() {
    for (paging, name) in [
        (Paging::JsonLink(LinkForm::Path), "JsonLink"),
        (Paging::HeaderLink(LinkForm::Path), "HeaderLink"),
        (Paging::Cursor, "Cursor"),
    ] {
        let log = CapturedLog::start();
        let setup = Case::new(paging, &json!("auto")).setup(3, 3);
        let api = setup.api();
        let reader = Reader::new(&api, setup.resource());
        for _ in 0..2 {
            assert_eq!(read_pages(reader.pages(&setup.query(), None)).await.ids, [0, 1, 2]);
        }
        setup.fake.change(|spec| spec.records = 7);
        for _ in 0..2 {
            let read = read_pages(reader.pages(&setup.query(), None)).await;
            assert_eq!(read.ids, (0..7).collect::<Vec<u64>>(), "{paging:?}");
        }
        assert_eq!(api.requests().sent, 8);
        // Each paginator is reported once.
        let reported: Vec<String> =
            log.text().lines().filter(|line| line.starts_with("paginator")).map(str::to_owned).collect();
        assert_eq!(reported.len(), 2, "{reported:?}");
        assert!(reported[0].contains("SinglePage") && reported[1].contains(name), "{reported:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_place_of_the_records_is_found_once() {
    let case = Case::new(Paging::PageNumber { base: 0 }, &json!({"type": "page_number", "total_path": null}))
        .with(json!({"data_selector": null}));
    let read = read(&case.setup(7, 3), None).await;
    assert_eq!(read.ids, (0..7).collect::<Vec<u64>>());
}

#[tokio::test(start_paused = true)]
async fn a_page_names_the_request_that_brought_it() {
    let paginator = json!({"type": "cursor", "cursor_path": "next_token", "cursor_body_path": "page.cursor"});
    let setup = Case::new(Paging::BodyCursor, &paginator).with(json!({"method": "POST", "json": {}})).setup(4, 3);
    let api = setup.api();
    let reader = Reader::new(&api, setup.resource());
    let mut query = (*setup.query()).clone();
    query.params.insert("q".into(), "a b".into());
    let mut pages = reader.pages(&Arc::new(query), None);
    assert_eq!(pages.next().await.unwrap().unwrap().request, "POST events?q=a b");
    let second = pages.next().await.unwrap().unwrap();
    assert_eq!(second.request, r#"POST events?q=a b {"page":{"cursor":"after-3"}}"#);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_the_run_ends_a_query() {
    for case in cases() {
        let mut setup = case.setup(20, 3);
        setup.budget.max_requests = Some(2);
        let api = setup.api();
        let reader = Reader::new(&api, setup.resource());
        let mut pages = reader.pages(&setup.query(), None);
        let mut count = 0;
        let stop = loop {
            match pages.next().await {
                Ok(Some(_)) => count += 1,
                Ok(None) => break None,
                Err(stop) => break Some(stop),
            }
        };
        if case.spec.paging == Paging::Single {
            assert!(stop.is_none() && count == 1, "{case:?}");
            continue;
        }
        assert!(matches!(&stop, Some(Stop::Limit(reason)) if reason == "max_requests of 2 is used up"), "{stop:?}");
        assert_eq!((count, api.requests().sent), (2, 2), "{case:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_without_what_the_manifest_names_is_an_error() {
    let offset = |more: Value| {
        let mut paginator = json!({"type": "offset", "limit": 3});
        paginator.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"paginator": paginator})
    };
    for (endpoint, body, words) in [
        (
            offset(json!({"total_path": "count"})),
            r#"{"events": [1]}"#,
            "`count` is not in the answer, which should say how much there is",
        ),
        (
            offset(json!({"total_path": "count"})),
            r#"{"events": [1], "count": "many"}"#,
            "`count` is \"many\", not a whole number",
        ),
        (
            offset(json!({"has_more_path": "more"})),
            r#"{"events": [1]}"#,
            "`more` is not in the answer, which should say whether there is more",
        ),
        (
            offset(json!({"has_more_path": "more"})),
            r#"{"events": [1], "more": 5}"#,
            "`more` is 5, neither true nor false",
        ),
        (json!({"paginator": {"type": "json_link"}}), r#"{"events": [1], "next": {}}"#, "`next` is {}, not a link"),
        (json!({}), r#"{"evnts": [1]}"#, "`events` is not in the answer; it has: evnts"),
        (json!({"data_selector": null}), r#"{"a": [1], "b": [2]}"#, "several lists are in the answer: a, b"),
        (json!({}), "<html>", "status 200, no JSON: expected value"),
    ] {
        let mut setup = Setup::new(Spec::default(), &endpoint);
        setup.budget.attempts = 2;
        let body: &'static str = body;
        setup.fake.change(|spec| spec.faults = (1..=2).map(|number| (number, Fault::Body(body))).collect());
        let api = setup.api();
        let reader = Reader::new(&api, setup.resource());
        match reader.pages(&setup.query(), None).next().await {
            Err(Stop::Error(Error::Decode { source_name, request, detail })) => {
                assert_eq!((source_name.as_str(), request.as_str()), ("mine", "GET events"));
                assert!(detail.contains(words) && detail.ends_with(", after 2 attempts"), "{detail}");
            }
            outcome => panic!("{words}: {outcome:?}"),
        }
    }
}

proptest! {
    /// For any number of records and any size of a page, the pages of every paginator hold every record once and in order, also after a
    /// resumption at any of its positions.
    #[test]
    fn pages_put_together_are_the_records(records in 0_u64..60, page_size in 1_u64..12, case in 0_usize..1000, stop in 0_usize..8) {
        let cases = cases();
        let case = &cases[case % cases.len()];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let whole = read(&case.setup(records, page_size), None).await;
            prop_assert_eq!(&whole.ids, &(0..records).collect::<Vec<u64>>());
            prop_assert!(whole.reached());
            prop_assert_eq!(whole.requests, case.requests(records, page_size));
            if let Some((Some(position), before)) = whole.positions.get(stop) {
                let resumption = Resumption { position: position.clone(), before: *before };
                let rest = read(&case.setup(records, page_size), Some(resumption)).await;
                prop_assert_eq!(rest.ids, (*before..records).collect::<Vec<u64>>());
                prop_assert!(rest.end == Some(Ok(End::Reached)));
            }
            Ok(())
        })?;
    }
}
