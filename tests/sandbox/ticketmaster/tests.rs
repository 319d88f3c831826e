use std::{
    collections::{BTreeSet, HashSet},
    fs,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Moment, Options, TreeSize, start_blocking};
use crate::{
    Fault, Faults, Rate, Server,
    client::{Received, send},
};

fn get(server: &Server, path: &str) -> Received {
    let joint = if path.contains('?') { '&' } else { '?' };
    send("GET", &format!("{}/{path}{joint}apikey=sandbox-key", server.base_url), &[], "").unwrap()
}

fn ids(page: &Value, kind: &str) -> Vec<String> {
    let items = page["_embedded"][kind].as_array().into_iter().flatten();
    items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Every page that the API serves of a query.
fn all(server: &Server, kind: &str, query: &str) -> Vec<String> {
    let mut found = Vec::new();
    for number in 0.. {
        let page = get(server, &format!("{kind}?{query}&size=200&page={number}")).json();
        found.extend(ids(&page, kind));
        if number + 1 >= page["page"]["totalPages"].as_u64().unwrap() {
            break;
        }
    }
    found
}

fn total(server: &Server, query: &str) -> u64 {
    get(server, &format!("events?size=1&{query}")).json()["page"]["totalElements"].as_u64().unwrap()
}

fn code(received: &Received) -> String {
    received.json()["errors"][0]["code"].as_str().unwrap().to_owned()
}

#[test]
fn dated_windows_and_the_two_undated_sweeps_make_the_whole() {
    let options = Options { events: 1_100, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let mut found = all(&server, "events", "locale=*&sort=id,asc&startDateTime=2026-11-01T00:00:00Z");
    assert!(found.is_sorted());
    let dated: BTreeSet<String> = found.iter().cloned().collect();
    assert!(dated.is_disjoint(&truth.undated_event_ids(0)));
    found.extend(all(&server, "events", "locale=*&sort=id,asc&includeTBA=only"));
    found.extend(all(&server, "events", "locale=*&sort=id,asc&includeTBD=only"));
    assert_eq!(found.len(), truth.event_ids(0).len());
    assert_eq!(found.into_iter().collect::<BTreeSet<String>>(), truth.event_ids(0));
}

#[test]
fn what_includes_undated_events_and_what_does_not() {
    let options = Options { events: 2_000, undated: 0.2, ..Options::default() };
    let truth = options.truth().unwrap();
    let undated = truth.undated_event_ids(0).len() as u64;
    let every = truth.event_ids(0).len() as u64;
    let server = start_blocking(options).unwrap();
    let (tba, tbd) = (total(&server, "locale=*&includeTBA=only"), total(&server, "locale=*&includeTBD=only"));
    assert!(tba > 0 && tbd > 0 && tba + tbd == undated);
    assert_eq!(total(&server, "locale=*"), every - undated);
    assert_eq!(total(&server, "locale=*&includeTBA=yes&includeTBD=yes"), every);
    assert_eq!(total(&server, "locale=*&includeTBA=only&includeTBD=only"), 0);
    let window = "locale=*&startDateTime=2000-01-01T00:00:00Z";
    assert_eq!(total(&server, &format!("{window}&includeTBA=yes&includeTBD=yes")), every - undated);
    assert_eq!(total(&server, &format!("{window}&includeTBA=only")), 0);
}

#[test]
fn a_window_holds_both_of_its_edges() {
    let at = "2026-12-31T20:00:00Z";
    let moment = Moment { count: 40, at: at.into(), country: "DE".into() };
    let options = Options { events: 500, moment: Some(moment), revised: 0.0, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let then = truth.event_ids_between(0, at, at).len() as u64;
    assert!(then >= 40);
    let base = "locale=*&startDateTime";
    assert_eq!(total(&server, &format!("{base}={at}&endDateTime={at}")), then);
    let before = total(&server, &format!("{base}=2026-01-01T00:00:00Z&endDateTime={at}"));
    let after = total(&server, &format!("{base}={at}&endDateTime=2036-01-01T00:00:00Z"));
    let dated = truth.event_ids(0).len() - truth.undated_event_ids(0).len();
    assert_eq!(before + after, dated as u64 + then);
    assert!(total(&server, &format!("{base}={at}&endDateTime={at}&countryCode=DE")) >= 40);
}

#[test]
fn depth_ends_at_a_thousand_and_the_total_at_ten_thousand() {
    let server = start_blocking(Options { events: 13_000, images: 1, ..Options::default() }).unwrap();
    let page = get(&server, "events.json?locale=*&sort=id,asc&size=200&page=5").json();
    assert_eq!(page["page"], json!({"size": 200, "totalElements": 10_000, "totalPages": 50, "number": 5}));
    assert_eq!(ids(&page, "events").len(), 200);
    let next = page["_links"]["next"]["href"].as_str().unwrap();
    assert_eq!(next, "/discovery/v2/events.json?locale=*&page=6&size=200&sort=id,asc");
    let deep = get(&server, "events.json?locale=*&sort=id,asc&size=200&page=6");
    assert_eq!((deep.status, code(&deep).as_str()), (400, "DIS1035"));
    assert_eq!(code(&get(&server, "events?size=20&page=499")), "DIS1024");
    assert_eq!(code(&get(&server, "events?size=201")), "DIS1036");
    assert_eq!(code(&get(&server, "events?startDateTime=2026-11-21")), "DIS1015");
    assert_eq!(code(&get(&server, "venues?sort=id,asc")), "DIS1005");
    assert_eq!(deep.header("rate-limit"), None);
}

#[test]
fn the_default_order_moves_and_the_order_by_id_does_not() {
    let server = start_blocking(Options { events: 900, images: 1, ..Options::default() }).unwrap();
    let query = "locale=*&includeTBA=yes&includeTBD=yes";
    let moving = all(&server, "events", query);
    let steady = all(&server, "events", &format!("{query}&sort=id,asc"));
    assert_eq!(moving.len(), steady.len());
    assert_eq!(steady.iter().collect::<HashSet<_>>().len(), steady.len());
    assert!(moving.iter().collect::<HashSet<_>>().len() < steady.len());
    let by_name = all(&server, "venues", "locale=*&sort=name,asc");
    assert_eq!(by_name.len(), 75);
}

#[test]
fn the_default_locale_hides_what_is_published_in_others() {
    let server = start_blocking(Options { events: 800, images: 1, ..Options::default() }).unwrap();
    let (default, every) = (total(&server, ""), total(&server, "locale=*"));
    assert!(default < every);
    assert_eq!(total(&server, "locale=en"), default);
    let others: u64 = ["fr", "de", "nl", "sv", "cs", "es"].map(|l| total(&server, &format!("locale={l}"))).iter().sum();
    assert_eq!(default + others, every);
}

#[test]
fn an_empty_result_has_no_embedded_and_unknown_parameters_are_told() {
    let server = start_blocking(Options::default()).unwrap();
    let nothing = get(&server, "events?countryCode=ZZ&genre=Jazz&format=json");
    assert_eq!(nothing.header("x-unknown-params"), Some("genre,format"));
    let nothing = nothing.json();
    assert_eq!(nothing["page"], json!({"size": 20, "totalElements": 0, "totalPages": 0, "number": 0}));
    assert!(nothing.get("_embedded").is_none());
    assert_eq!(
        nothing["_links"],
        json!({"self": {"href": "/discovery/v2/events?countryCode=ZZ&genre=Jazz&format=json"}})
    );
}

#[test]
fn classes_cut_a_result_without_overlap() {
    let options = Options { events: 700, images: 1, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let segments = truth.classifications().iter().filter_map(|item| item["segment"]["id"].as_str());
    let segments: Vec<&str> = segments.collect();
    assert_eq!(segments.len(), 6);
    let parts: Vec<u64> = segments.iter().map(|id| total(&server, &format!("locale=*&segmentId={id}"))).collect();
    let without = segments.iter().map(|id| format!("-{id}")).collect::<Vec<String>>().join(",");
    let rest = total(&server, &format!("locale=*&segmentId={without}"));
    assert_eq!(parts.iter().sum::<u64>() + rest, total(&server, "locale=*"));
    assert!(rest > 0 && total(&server, "locale=*&classificationName=jazz") > 0);
    let page = get(&server, "classifications").json();
    assert_eq!(page["page"]["totalElements"], 11);
    assert_eq!(page["_embedded"]["classifications"].as_array().unwrap(), truth.classifications());
}

#[test]
fn the_faults_of_the_gateway_are_the_recorded_ones() {
    let faults = Faults { at: vec![(3, Fault::QuotaViolation), (4, Fault::SpikeArrest)], ..Faults::default() };
    let server = start_blocking(Options { faults, ..Options::default() }).unwrap();
    let fault = |received: Received| {
        let body = received.json();
        let text = body["fault"]["faultstring"].as_str().unwrap().to_owned();
        (received.status, body["fault"]["detail"]["errorcode"].as_str().unwrap().to_owned(), text)
    };
    let missing = send("GET", &format!("{}/events", server.base_url), &[], "").unwrap();
    assert_eq!(fault(missing).1, "steps.oauth.v2.FailedToResolveAPIKey");
    let wrong = send("GET", &format!("{}/events?apikey=other", server.base_url), &[], "").unwrap();
    assert_eq!(fault(wrong).1, "oauth.v2.InvalidApiKey");
    let (status, code, text) = fault(get(&server, "events"));
    assert_eq!((status, &*code), (429, "policies.ratelimit.QuotaViolation"));
    assert!(text.ends_with("sandbox-key"), "the real one echoes the key too");
    assert_eq!(fault(get(&server, "events")).1, "policies.ratelimit.SpikeArrestViolation");
    let good = get(&server, "events?size=1");
    assert!(good.header("rate-limit-available").is_some() && good.header("rate-limit-reset").is_some());
    assert!(server.requests().iter().all(|seen| !seen.query.contains("sandbox-key")));
}

#[test]
fn the_rate_is_enforced_by_arrival() {
    let rate = Rate { per_second: 3, per_day: 5, ..Rate::default() };
    let server = start_blocking(Options { enforce_rate: Some(rate), ..Options::default() }).unwrap();
    let statuses: Vec<u16> = (0..5).map(|_| get(&server, "events?size=1").status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    std::thread::sleep(Duration::from_secs(1));
    let codes: Vec<u16> = (0..3).map(|_| get(&server, "events?size=1").status).collect();
    assert_eq!(codes, [200, 200, 429]);
    assert!(get(&server, "events").text().contains("QuotaViolation"));
}

#[test]
fn a_record_is_the_same_in_a_page_by_its_id_and_in_the_truth() {
    let options = Options { events: 300, classes: TreeSize::REAL, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let page = get(&server, "events?locale=*&sort=id,asc&size=200").json();
    for event in page["_embedded"]["events"].as_array().unwrap() {
        let id = event["id"].as_str().unwrap();
        assert_eq!(truth.event(id, 0).as_ref(), Some(event));
    }
    let event = &page["_embedded"]["events"][0];
    let id = event["id"].as_str().unwrap();
    assert_eq!(get(&server, &format!("events/{id}.json")).json(), *event);
    let venue =
        &page["_embedded"]["events"].as_array().unwrap().iter().find_map(|event| event["_embedded"]["venues"].get(0));
    let venue = venue.unwrap();
    assert_eq!(get(&server, &format!("venues/{}", venue["id"].as_str().unwrap())).json(), *venue);
    let missing = get(&server, "attractions/nobody");
    assert_eq!((missing.status, code(&missing).as_str()), (404, "DIS1004"));
}

#[test]
fn the_catalogue_moves_with_the_requests_and_changes_with_revisions() {
    // One page each time: a record that goes while pages are turned takes others with it across their edge.
    let options = Options { events: 190, images: 1, moving: 0.2, moving_over: 5, revised: 0.2, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let query = "locale=*&includeTBA=yes&includeTBD=yes&sort=id,asc";
    let before: BTreeSet<String> = all(&server, "events", query).into_iter().collect();
    for _ in 0..5 {
        all(&server, "events", query);
    }
    let after: BTreeSet<String> = all(&server, "events", query).into_iter().collect();
    assert_ne!(before, after);
    let steady = truth.steady_event_ids(0);
    assert!(steady.is_subset(&before) && steady.is_subset(&after));
    let moving = truth.moving_event_ids();
    assert!(after.difference(&steady).all(|id| moving.contains(id)));

    server.set_revision(3);
    let revised: BTreeSet<String> = all(&server, "events", query).into_iter().collect();
    assert!(truth.steady_event_ids(3).is_subset(&revised));
    let announced = all(&server, "events", &format!("{query}&publicVisibilityStartDateTime=2026-11-21T00:00:00Z,*"));
    let new: BTreeSet<String> = truth.event_ids(3).difference(&truth.event_ids(0)).cloned().collect();
    assert!(!new.is_empty());
    assert_eq!(announced.into_iter().collect::<BTreeSet<String>>(), new);
    let vanished = truth.event_ids(0).difference(&truth.event_ids(3)).count();
    assert!(vanished > 0 && !truth.changed_event_ids(0, 3).is_empty());
}

#[test]
fn venues_are_found_by_country_and_around_a_point() {
    let options = Options { events: 6_000, images: 1, ..Options::default() };
    let server = start_blocking(options).unwrap();
    let find = |query: &str| get(&server, &format!("venues?locale=*&size=200&{query}")).json();
    let german = find("countryCode=DE");
    let items = german["_embedded"]["venues"].as_array().unwrap();
    assert!(!items.is_empty() && items.iter().all(|venue| venue["country"]["countryCode"] == "DE"));
    let around = find("geoPoint=52.52,13.40&radius=100&unit=km&sort=distance,asc");
    let items = around["_embedded"]["venues"].as_array().unwrap();
    let distances: Vec<f64> = items.iter().map(|venue| venue["distance"].as_f64().unwrap()).collect();
    assert!(!distances.is_empty() && distances.is_sorted() && distances.iter().all(|distance| *distance <= 100.0));
    assert_eq!(get(&server, "venues?geoPoint=52.52,13.40&radius=1.5").status, 400);
}

#[test]
fn recorded_records_are_served_word_for_word() {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, value: Value| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value.to_string()).unwrap();
    };
    let event = |id: &str, name: &str, start: Value| json!({"id": id, "name": name, "locale": "en-us", "dates": {"start": start}, "kept": {"as": ["it", "is"]}});
    let dated = json!({"localDate": "2026-12-01", "dateTime": "2026-12-01T20:00:00Z", "dateTBA": false});
    write("events/1-page.json", json!({"_embedded": {"events": [event("b", "old", dated.clone())]}, "page": {}}));
    write(
        "events/2-list.json",
        json!([
            event("b", "new", dated),
            event("a", "day", json!({"localDate": "2026-12-02"})),
            event("c", "tba", json!({"dateTBA": true}))
        ]),
    );
    let full = json!({"segment": {"id": "S", "name": "Music", "_embedded": {"genres": []}}});
    write("classifications/1.json", json!({"_embedded": {"classifications": [full]}}));
    write("classifications/2.json", json!({"_embedded": {"classifications": [{"segment": {"id": "S"}}]}}));
    let options = Options { recordings: Some(folder.path().into()), ..Options::default() };
    let truth = options.truth().unwrap();
    assert_eq!(truth.event_ids(0), ["a", "b", "c"].map(String::from).into());
    let server = start_blocking(options).unwrap();
    let page = get(&server, "events?sort=id,asc&startDateTime=2026-12-01T20:00:00Z").json();
    assert_eq!(ids(&page, "events"), ["a", "b"]);
    assert_eq!(page["_embedded"]["events"][1]["name"], "new");
    assert_eq!(page["_embedded"]["events"][1]["kept"], json!({"as": ["it", "is"]}));
    assert_eq!(get(&server, "classifications").json()["_embedded"]["classifications"], json!([full]));
}

/// The calendar is uneven, but only the `moment` is too much for one instant.
#[test]
fn no_moment_but_the_asked_one_is_deeper_than_the_api_serves() {
    let options = Options { events: 250_000, ..Options::default() };
    let catalogue = options.catalogue().unwrap();
    let mut starts: Vec<i64> = catalogue.events.iter().filter_map(|event| event.start).collect();
    starts.sort_unstable();
    let most = starts.chunk_by(|a, b| a == b).map(<[i64]>::len).max().unwrap();
    assert!((200..1_000).contains(&most), "{most}");
}
