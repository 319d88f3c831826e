//! What a run calls complete: what it received agrees with the API's own numbers, or it says that nothing proves it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{Mine, Request, Response, Stub, ended, events_with_tickets, records, stub};

/// A manifest of the one resource `events` with these members beside its name.
fn manifest(stub: &Stub, resource: &Value) -> Value {
    let mut events = json!({"name": "events", "primary_key": "id", "write_disposition": "merge"});
    events.as_object_mut().unwrap().extend(resource.as_object().unwrap().clone());
    json!({"client": {"base_url": stub.base_url}, "resources": [events]})
}

fn by_offset(stub: &Stub, paginator: &Value) -> Value {
    let mut all = json!({"type": "offset"});
    all.as_object_mut().unwrap().extend(paginator.as_object().unwrap().clone());
    manifest(stub, &json!({"endpoint": {"data_selector": "events", "paginator": all}}))
}

/// The page of `all` that the request asks for by `offset` and `limit`, with more members.
fn slice(request: &Request, all: &[Value], more: &Value) -> Response {
    let from = request.number("offset").min(all.len());
    let to = (from + request.number("limit")).min(all.len());
    let mut body = json!({"events": &all[from..to]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Response::json(&body)
}

#[test]
fn the_report_says_what_is_proven() {
    let stub = stub(|request| slice(request, &records(0..25), &json!({"total": 25})));
    let proven = Mine::json(&by_offset(&stub, &json!({"limit": 10}))).reading("events").complete();
    assert_eq!(proven["proof"]["proven"], json!({"queries": 1, "records": 25}));
    assert_eq!(proven["proof"]["unproven"], json!({"queries": 0, "records": 0}));
    let unproven =
        Mine::json(&by_offset(&stub, &json!({"limit": 10, "total_path": null}))).reading("events").complete();
    assert_eq!(unproven["proof"]["unproven"], json!({"queries": 1, "records": 25}));
    assert_eq!(unproven["proof"]["reasons"]["the API gives no total"]["queries"], 1);
}

/// A hundred records, oldest change first. After the first run, thirty that were read change, so that they move to the end.
#[test]
fn records_that_move_behind_a_resumed_read_are_not_taken_for_those_in_their_places() {
    for total in [json!("total"), Value::Null] {
        let changed = Arc::new(AtomicUsize::new(0));
        let now = Arc::clone(&changed);
        let stub = stub(move |request| {
            let changed = now.load(Ordering::Relaxed);
            slice(
                request,
                &records(changed..100).into_iter().chain(records(0..changed)).collect::<Vec<_>>(),
                &json!({"total": 100}),
            )
        });
        let mine = Mine::json(&by_offset(&stub, &json!({"limit": 10, "total_path": total})));
        ended(&mine.reading("events").with(&["--max-requests", "5"]), 3, &[]);
        changed.store(30, Ordering::Relaxed);
        let run = mine.reading("events").run();
        assert_eq!((run.code, mine.ids("events").len()), (0, 100), "{total}: {}", run.report);
    }
}

#[test]
fn an_answer_without_records_after_a_resumption_is_not_the_end() {
    // The API has forgotten the list behind the offset: an empty page, or an ignored status.
    for status in [200, 404] {
        let forgets = Arc::new(AtomicUsize::new(0));
        let now = Arc::clone(&forgets);
        let stub = stub(move |request| {
            let forgets = now.load(Ordering::Relaxed) == 1 && request.number("offset") > 0;
            match (forgets, status) {
                (true, 404) => Response::status(404, "gone"),
                (true, _) => Response::json(&json!({"events": []})),
                (false, _) => slice(request, &records(0..40), &json!({})),
            }
        });
        let mut manifest = by_offset(&stub, &json!({"limit": 10, "total_path": null}));
        manifest["resources"][0]["endpoint"]["response_actions"] = json!([{"status_code": 404, "action": "ignore"}]);
        let mine = Mine::json(&manifest);
        ended(&mine.reading("events").with(&["--max-requests", "3"]), 3, &[]);
        forgets.store(1, Ordering::Relaxed);
        stub.take();
        mine.reading("events").run();
        let asked: Vec<usize> = stub.take().iter().map(|request| request.number("offset")).collect();
        assert!(asked.len() > 1 && asked[1] == 0, "it begins again: {asked:?}");
        forgets.store(0, Ordering::Relaxed);
        mine.reading("events").complete();
        assert_eq!(mine.ids("events").len(), 40, "{status}");
    }
}

#[test]
fn an_empty_first_page_with_a_total_is_incomplete() {
    let stub = stub(|_| Response::json(&json!({"events": [], "total": 1000})));
    let words = ["received fewer records than the total"];
    ended(&Mine::json(&by_offset(&stub, &json!({"limit": 10}))).reading("events"), 4, &words);
}

/// A record in front is removed between two pages, so that the first one of the next page is on neither.
#[test]
fn a_removal_in_front_is_seen_without_a_total() {
    let asked = AtomicUsize::new(0);
    let stub = stub(move |request| {
        let gone = usize::from(asked.fetch_add(1, Ordering::Relaxed) > 0);
        slice(request, &records(gone..300), &json!({}))
    });
    let mine = Mine::json(&by_offset(&stub, &json!({"limit": 100, "total_path": null})));
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), 300, "none of those that are there is missing, and the removed one stays");
}

#[test]
fn an_api_that_rounds_offsets_is_read_all_the_same() {
    let stub = stub(|request| {
        let from = request.number("offset") / 60 * 60;
        let all = records(0..180);
        Response::json(&json!({"events": &all[from.min(180)..(from + 60).min(180)]}))
    });
    let mine = Mine::json(&by_offset(&stub, &json!({"limit": 60, "total_path": null})));
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), 180);
}

#[test]
fn a_first_page_that_hints_at_others_is_not_all() {
    for (more, words) in [
        (json!({"count": 1234, "offset": 0, "limit": 10}), "`count` is 1234"),
        (json!({"meta": {"total": 1234, "page": 1}}), "`meta.total` is 1234"),
        (json!({"has_more": true}), "`has_more` is true"),
        (json!({"pagination": {"nextToken": null, "continuation": "abc"}}), "`pagination.continuation`"),
    ] {
        let stub = stub(move |_| {
            let mut body = json!({"events": records(0..10)});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Response::json(&body)
        });
        ended(
            &Mine::json(&manifest(&stub, &json!({"endpoint": {}}))).reading("events"),
            4,
            &[words, "check `paginator`"],
        );
    }
}

#[test]
fn a_total_that_counts_the_page_ends_nothing() {
    let stub = stub(|request| {
        let left = 95_usize.saturating_sub(request.number("offset"));
        slice(request, &records(0..95), &json!({"total": left.min(10)}))
    });
    let mine = Mine::json(&by_offset(&stub, &json!({"limit": 10})));
    let report = mine.reading("events").complete();
    assert_eq!((mine.ids("events").len(), &report["proof"]["proven"]["queries"]), (95, &json!(0)), "{report}");
}

#[test]
fn a_total_at_which_an_api_stops_counting_ends_nothing() {
    let stub = stub(|request| slice(request, &records(0..1250), &json!({"total": 1000})));
    let mine = Mine::json(&by_offset(&stub, &json!({"limit": 100})));
    let report = mine.reading("events").complete();
    assert_eq!((mine.ids("events").len(), &report["proof"]["proven"]["queries"]), (1250, &json!(0)), "{report}");
}

#[test]
fn a_number_of_records_is_not_taken_for_one_of_pages() {
    let stub = stub(|request| {
        let from = (request.number("page") * 5).min(100);
        Response::json(&json!({"events": records(from..(from + 5).min(100)), "total": 100}))
    });
    let endpoint = json!({"data_selector": "events", "paginator": {"type": "page_number"}});
    let mine = Mine::json(&manifest(&stub, &json!({"endpoint": endpoint})));
    let report = mine.reading("events").complete();
    // The number proves nothing, since the manifest does not say what it counts.
    let unproven = &report["proof"]["reasons"]["the API gives no total"]["records"];
    assert_eq!((mine.ids("events").len(), unproven), (100, &json!(100)), "{report}");
    assert!(stub.take().len() < 30);
}

#[test]
fn pages_in_circles_end_with_a_verdict() {
    let counting = AtomicUsize::new(0);
    let cursor = stub(move |_| {
        let number = counting.fetch_add(1, Ordering::Relaxed);
        Response::json(&json!({"events": records(number % 2 * 3..number % 2 * 3 + 3), "next": format!("c{number}")}))
    });
    let offset = stub(|request| {
        let from = request.number("offset");
        let all: Vec<Value> = (from..from + 10).flat_map(|number| records(number % 30..number % 30 + 1)).collect();
        Response::json(&json!({"events": all}))
    });
    let endpoint = json!({"data_selector": "events", "paginator": {"type": "cursor", "cursor_path": "next"}});
    for mine in [
        Mine::json(&manifest(&cursor, &json!({"endpoint": endpoint}))),
        Mine::json(&by_offset(&offset, &json!({"limit": 10, "total_path": null}))),
    ] {
        ended(&mine.reading("events"), 4, &["pages in a row brought no new record"]);
    }
    assert!(cursor.take().len() < 20 && offset.take().len() < 20);
}

#[test]
fn one_key_with_two_contents_is_a_conflict() {
    let tickets: Vec<Value> = (0..30).map(|number| json!({"id": number % 3, "seat": number})).collect();
    let stub = stub(move |request| slice(request, &tickets, &json!({"total": 30})));
    let mine = Mine::json(&by_offset(&stub, &json!({"limit": 10})));
    ended(&mine.reading("events"), 4, &["27 records have a key that another record has", "check `primary_key`"]);
}

#[test]
fn a_record_that_changes_while_it_is_read_is_no_conflict() {
    // The first record comes again on the second page with another content, once.
    let asked = AtomicUsize::new(0);
    let stub = stub(move |request| {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        let mut all = records(0..20);
        if number == 1 {
            all[10] = json!({"id": 0, "name": "changed"});
        }
        slice(request, &all, &json!({"total": 20}))
    });
    let mine = Mine::json(&by_offset(&stub, &json!({"limit": 10})));
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), 20);
}

#[test]
fn too_many_rejected_records_are_not_complete() {
    let serve = |bad: Range<usize>| {
        stub(move |request| {
            let mut all = records(0..200);
            bad.clone().for_each(|number| all[number] = json!({"name": format!("no id {number}")}));
            slice(request, &all, &json!({"total": 200}))
        })
    };
    let (one, five, all) = (serve(0..1), serve(0..5), serve(0..200));
    let of = |stub: &Stub| by_offset(stub, &json!({"limit": 100}));
    assert_eq!(Mine::json(&of(&one)).reading("events").complete()["records"]["rejected"], 1);
    let words = ["5 of 200 records cannot become rows, more than `expect.rejected_max: 0.01` allows"];
    ended(&Mine::json(&of(&five)).reading("events"), 4, &words);
    let mut tolerant = of(&five);
    tolerant["resources"][0]["expect"] = json!({"rejected_max": 0.1});
    Mine::json(&tolerant).reading("events").complete();
    let mut tolerant = of(&all);
    tolerant["resources"][0]["expect"] = json!({"rejected_max": 1});
    // Nothing that an earlier run rejected counts as read, once the manifest is put right.
    let mine = Mine::json(&tolerant);
    ended(&mine.reading("events"), 4, &["200 of 200 records cannot become rows"]);
    tolerant["resources"][0]["primary_key"] = "name".into();
    mine.now(&tolerant);
    assert_eq!(mine.reading("events").run().report["records"]["received"], 200);
}

#[test]
fn a_key_of_two_parents_is_found_over_two_runs() {
    let stub = stub(|request| match request.path.as_str() {
        "/events" => Response::json(&json!([{"id": 1}, {"id": 2}])),
        path => {
            let guests = |number: usize| json!({"id": number, "name": format!("guest {number} of {path}")});
            Response::json(&(0..10).map(guests).collect())
        }
    });
    let manifest = json!({
        "client": {"base_url": stub.base_url},
        "resource_defaults": {
            "primary_key": "id", "write_disposition": "merge",
            "endpoint": {"data_selector": "$", "paginator": "single_page"},
        },
        "resources": ["events", {"name": "guests", "endpoint": "events/{resources.events.id}/guests"}],
    });
    let words = ["belongs to another record of another parent too"];
    ended(&Mine::json(&manifest).reading("guests"), 1, &words);
    let mine = Mine::json(&manifest);
    ended(&mine.reading("guests").with(&["--max-requests", "2"]), 3, &[]);
    ended(&mine.reading("guests"), 1, &words);
}

#[test]
fn a_corrected_manifest_is_not_resumed() {
    let stub = stub(|request| {
        let kind = request.param("kind").to_owned();
        let all: Vec<Value> = records(0..100)
            .into_iter()
            .enumerate()
            .filter(|(n, _)| kind.is_empty() || n % 2 == 0)
            .map(|(_, r)| r)
            .collect();
        slice(request, &all, &json!({}))
    });
    let mut filtered = by_offset(&stub, &json!({"limit": 10, "total_path": null}));
    filtered["resources"][0]["endpoint"]["params"] = json!({"kind": "a"});
    let mine = Mine::json(&filtered);
    ended(&mine.reading("events").with(&["--max-requests", "4"]), 3, &[]);
    mine.now(&by_offset(&stub, &json!({"limit": 10, "total_path": null})));
    mine.reading("events").complete();
    assert_eq!(mine.ids("events").len(), 100);
}

#[test]
fn a_link_is_resumed_and_holds_no_key() {
    let stub = stub(|request| {
        let page = request.number("page");
        let key = request.param("apikey");
        let next = (page < 9).then(|| format!("/events?page={}&apikey={key}", page + 1));
        Response::json(&json!({"events": records(page * 10..page * 10 + 10), "next": next}))
    });
    let endpoint = json!({"data_selector": "events", "paginator": {"type": "json_link", "next_url_path": "next"}});
    let mut manifest = manifest(&stub, &json!({"endpoint": endpoint}));
    manifest["client"]["auth"] =
        json!({"type": "api_key", "name": "apikey", "api_key": {"$secret": "api_key"}, "location": "query"});
    let mine = Mine::json(&manifest);
    let mut invocations = 1;
    while ended_partial(&mine) {
        invocations += 1;
        assert!(invocations < 6, "it never ends");
    }
    assert_eq!(mine.ids("events").len(), 100);
    assert!(stub.take().len() <= 10 + invocations);
}

fn ended_partial(mine: &Mine) -> bool {
    mine.reading("events").with(&["--max-requests", "4"]).run().code == 3
}

/// An API with times: `ends` says whether it includes the ends of a window, in milliseconds.
fn dated(times: Vec<Option<i64>>, includes_end: bool) -> Stub {
    stub(move |request| {
        let millis = |name: &str| {
            let text = request.param(name);
            (!text.is_empty()).then(|| manifest::time::parse_instant(text).unwrap().timestamp_millis())
        };
        let (from, to) = (millis("from"), millis("to"));
        let is_within = |time: &Option<i64>| match (time, from, to) {
            (_, None, None) => true,
            (None, ..) => false,
            (Some(time), from, to) => {
                from.is_none_or(|from| *time >= from)
                    && to.is_none_or(|to| if includes_end { *time <= to } else { *time < to })
            }
        };
        let found: Vec<Value> = (0..)
            .zip(&times)
            .filter(|(_, time)| is_within(time))
            .map(|(id, time): (usize, _)| {
                let instant = time.and_then(chrono::DateTime::from_timestamp_millis);
                json!({"id": id, "at": instant.map(|instant| instant.to_rfc3339())})
            })
            .collect();
        let from = (request.number("page") * 10).min(found.len());
        let page = &found[from..(from + 10).min(found.len())];
        Response::json(&json!({"events": page, "total": found.len(), "pages": found.len().div_ceil(10)}))
    })
}

fn split_by_time(stub: &Stub) -> Value {
    let slices = json!({"time": {"start_param": "from", "end_param": "to", "path": "at"}});
    let endpoint = json!({
        "data_selector": "events", "total_path": "total", "depth_limit": 40,
        "page_size": {"param": "size", "maximum": 10}, "paginator": {"type": "page_number", "total_path": "pages"},
    });
    manifest(stub, &json!({"endpoint": endpoint, "slices": slices}))
}

/// 2026-10-01 in milliseconds.
const BEGIN: i64 = 1_790_812_800_000;

#[test]
fn no_record_lies_between_two_windows() {
    // Seven records in each second, at any millisecond; then one each minute, at its very beginning.
    let dense: Vec<Option<i64>> = (0..200).map(|number| Some(BEGIN + number * 137)).collect();
    let sparse: Vec<Option<i64>> = (0..200).map(|number| Some(BEGIN + number * 60_000)).collect();
    for times in [dense, sparse] {
        for includes_end in [true, false] {
            let stub = dated(times.clone(), includes_end);
            let mine = Mine::json(&split_by_time(&stub));
            let report = mine.reading("events").complete();
            assert_eq!(mine.ids("events").len(), 200, "{includes_end}");
            assert_eq!(report["proof"]["proven"], json!({"queries": 1, "records": 200}), "{includes_end}");
        }
    }
}

#[test]
fn records_without_a_time_are_missed_by_windows_and_that_is_said() {
    let mut times: Vec<Option<i64>> = (0..200).map(|number| Some(BEGIN + number * 60_000)).collect();
    times.extend([None; 5]);
    let stub = dated(times, true);
    let mine = Mine::json(&split_by_time(&stub));
    for _ in 0..2 {
        let words = ["no part of the query has the other records", "200 of 205"];
        ended(&mine.reading("events"), 4, &words);
    }
}

#[test]
fn a_split_query_is_proven_over_several_runs() {
    let stub = dated((0..200).map(|number| Some(BEGIN + number * 60_000)).collect(), false);
    let mine = Mine::json(&split_by_time(&stub));
    let mut runs = 0;
    let report = loop {
        runs += 1;
        let run = mine.reading("events").with(&["--max-requests", "15"]).run();
        match run.code {
            0 => break run.report,
            code => assert!(code == 3 && runs < 40, "{}", run.report),
        }
    };
    assert_eq!(report["proof"]["proven"], json!({"queries": 1, "records": 200}));
    assert_eq!(mine.ids("events").len(), 200);
}

/// Ten records of each of two kinds, and one without a kind. One of those that the first run read is removed before the second.
#[test]
fn a_removed_record_does_not_stand_for_one_that_no_subquery_has() {
    let removed = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&removed);
    let stub = stub(move |request| {
        let kind = |id: usize| ["a", "b"].get(id / 10).map_or(Value::Null, |kind| json!(kind));
        let all: Vec<Value> = (now.load(Ordering::Relaxed)..21)
            .map(|id| json!({"id": id, "kind": kind(id)}))
            .filter(|record| request.param("kind").is_empty() || record["kind"] == *request.param("kind"))
            .collect();
        slice(request, &all, &json!({"total": all.len()}))
    });
    let endpoint = json!({
        "data_selector": "events", "total_path": "total", "depth_limit": 10, "paginator": {"type": "offset", "limit": 5},
    });
    let slices = json!({"then": [{"param": "kind", "path": "kind", "values": ["a", "b"]}]});
    let mine = Mine::json(&manifest(&stub, &json!({"endpoint": endpoint, "slices": slices})));
    ended(&mine.reading("events").with(&["--max-requests", "4"]), 3, &[]);
    removed.store(1, Ordering::Relaxed);
    let report = mine.reading("events").complete();
    assert_eq!(report["slices"]["earlier"], 1, "{report}");
    let reason = &report["proof"]["reasons"]["the total changed while the query was read in parts"];
    assert_eq!((&report["proof"]["proven"]["queries"], &reason["records"]), (&json!(0), &json!(20)), "{report}");
    // The next read sees the same total before and after.
    ended(&mine.reading("events"), 4, &["received 19 of 20"]);
}

#[test]
fn a_declared_limit_of_totals_ends_nothing() {
    let by_number = json!({"type": "page_number", "total_path": "pages"});
    for paginator in [json!({"type": "offset", "limit": 10}), by_number] {
        let stub = stub(|request| {
            let from = request.number("offset").max(request.number("page") * 10).min(43);
            Response::json(&json!({"events": records(from..(from + 10).min(43)), "total": 14, "pages": 2}))
        });
        let endpoint =
            json!({"data_selector": "events", "total_path": "total", "total_limit": 14, "paginator": paginator});
        let mine = Mine::json(&manifest(&stub, &json!({"endpoint": endpoint})));
        let report = mine.reading("events").complete();
        assert_eq!((mine.ids("events").len(), &report["proof"]["proven"]["queries"]), (43, &json!(0)), "{report}");
    }
}

#[test]
fn a_harvested_key_of_several_records_is_a_conflict() {
    let serve = |key: fn(usize, usize) -> usize| {
        stub(move |_| {
            let tickets =
                |event: usize| (0..3).map(|n| json!({"id": key(event, n), "seat": event * 3 + n})).collect::<Value>();
            Response::json(&(0..10).map(|event| json!({"id": event, "tickets": tickets(event)})).collect())
        })
    };
    let unique = serve(|event, n| event * 3 + n);
    assert_eq!(
        Mine::json(&events_with_tickets(&unique)).reading("events").complete()["harvested"]["tickets"]["new"],
        30
    );
    let within_the_event = serve(|_, n| n);
    let words = ["harvested records of `tickets`", "27 of 30 records have a key that another record has"];
    ended(&Mine::json(&events_with_tickets(&within_the_event)).reading("events"), 4, &words);
    let within_nothing = serve(|_, _| 7);
    ended(&Mine::json(&events_with_tickets(&within_nothing)).reading("events"), 4, &["29 of 30 records have a key"]);
}

#[test]
fn without_a_total_two_reads_decide_what_is_removed() {
    // The second run receives a page that is cut short once.
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&asked);
    let stub = stub(move |request| {
        let number = seen.fetch_add(1, Ordering::Relaxed);
        let end = if number == 5 { 15 } else { 20 };
        let from = request.number("page") * 10;
        let next = (from + 10 < end).then(|| format!("?page={}", request.number("page") + 1));
        Response::json(&json!({"events": records(from..(from + 10).min(end)), "next": next}))
    });
    let endpoint = json!({"data_selector": "events", "paginator": {"type": "json_link", "next_url_path": "next"}});
    let mine = Mine::json(&manifest(&stub, &json!({"endpoint": endpoint, "write_disposition": "replace"})));
    mine.reading("events").complete();
    assert_eq!(stub.take().len(), 2);
    asked.store(4, Ordering::Relaxed);
    let report = mine.reading("events").complete();
    assert_eq!((mine.ids("events").len(), stub.take().len()), (20, 4), "{report}");
    // Nothing is missing, so one read is enough.
    mine.reading("events").complete();
    assert_eq!(stub.take().len(), 2);
}

#[test]
fn an_ignored_response_removes_no_rows() {
    let is_gone = Arc::new(AtomicUsize::new(0));
    let gone = Arc::clone(&is_gone);
    let stub = stub(move |request| match request.path.as_str() {
        "/events" => Response::json(&json!([{"id": 1}, {"id": 2}])),
        "/events/2/guests" if gone.load(Ordering::Relaxed) == 1 => Response::status(404, "not found"),
        path => Response::json(&(0..3).map(|number| json!({"id": format!("{path}-{number}")})).collect()),
    });
    let ignored = json!([{"status_code": 404, "action": "ignore"}]);
    let mine = Mine::json(&json!({
        "client": {"base_url": stub.base_url},
        "resource_defaults": {"primary_key": "id", "endpoint": {"data_selector": "$", "paginator": "single_page"}},
        "resources": ["events", {
            "name": "guests", "write_disposition": "replace",
            "endpoint": {"path": "events/{resources.events.id}/guests", "response_actions": ignored},
        }],
    }));
    mine.reading("guests").complete();
    is_gone.store(1, Ordering::Relaxed);
    let report = mine.reading("guests").complete();
    assert_eq!(mine.ids("guests").len(), 6, "{report}");
    assert!(report["warnings"].to_string().contains("no rows were removed"), "{report}");
}

#[test]
fn nothing_where_there_used_to_be_much_is_a_warning() {
    let is_empty = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&is_empty);
    let stub = stub(move |request| {
        let left = if now.load(Ordering::Relaxed) == 1 { 0 } else { 25 };
        slice(request, &records(0..left), &json!({"total": left}))
    });
    let mine = Mine::json(&by_offset(&stub, &json!({"limit": 10})));
    mine.reading("events").complete();
    is_empty.store(1, Ordering::Relaxed);
    let report = mine.reading("events").complete();
    let warning = report["warnings"][0].as_str().unwrap();
    assert!(warning.contains("received 0 records") && warning.contains("received 25"), "{warning}");
    assert_eq!(mine.ids("events").len(), 25, "what was stored stays");
}
