use std::collections::HashSet;

use super::{HEADERS, get, ids, link, read_all, records};
use crate::{
    client::send,
    clock,
    xurrent::{Options, Resource, start_blocking},
};

#[test]
fn following_next_with_every_field_reads_the_truth() {
    let options = Options { organizations: 230, bulk: 0.9, ..Options::default() };
    let server = start_blocking(options.clone()).unwrap();
    for resource in Resource::ALL {
        let truth: Vec<_> = options.truth().records(resource, 0).collect();
        let path = format!("/{}?per_page=17&sort=updated_at&fields={}", resource.name(), resource.fields().join(","));
        let (mut read, pages) = read_all(&server, &path);
        assert_eq!(pages, truth.len().div_ceil(17));
        let updated: Vec<i64> =
            read.iter().map(|record| clock::instant_ms(record["updated_at"].as_str().unwrap()).unwrap()).collect();
        assert!(updated.is_sorted());
        // More records of one instant than a page has: a page that began after the instant would lose some.
        let most = updated.chunk_by(|one, other| one == other).map(<[i64]>::len).max();
        assert!(most > Some(17), "{most:?}");
        read.sort_by_key(|record| record["id"].as_u64());
        assert_eq!(read, truth);
    }
}

#[test]
fn pages_have_25_records_or_what_is_asked_for_up_to_100() {
    let server = start_blocking(Options::default()).unwrap();
    for (query, expected) in [("", 25), ("?per_page=7", 7), ("?per_page=100", 100), ("?per_page=1000", 100)] {
        let page = get(&server, &format!("/products{query}"));
        assert_eq!(records(&page).len(), expected, "{query}");
        assert_eq!(page.header("x-pagination-per-page"), Some(&*expected.to_string()));
        assert_eq!(page.header("x-pagination-total-entries"), Some("300"));
        assert_eq!(page.header("x-pagination-total-pages"), Some(&*300_usize.div_ceil(expected).to_string()));
        assert_eq!(page.header("x-pagination-current-page"), Some("1"));
    }
    for per_page in ["0", "-1", "all"] {
        assert_eq!(get(&server, &format!("/products?per_page={per_page}")).status, 400, "{per_page}");
    }
}

#[test]
fn links_lead_forth_and_back_and_page_numbers_nowhere() {
    let server = start_blocking(Options { products: 50, ..Options::default() }).unwrap();
    let first = get(&server, "/products?per_page=20");
    assert!(link(&first, "prev").is_none() && link(&first, "last").is_none());
    let next = link(&first, "next").unwrap();
    assert!(next.starts_with(&format!("{}/products?per_page=20&search_after=", server.base_url)), "{next}");
    let follow = |url: &str| send("GET", url, &HEADERS, "").unwrap();
    let second = follow(&next);
    assert_eq!(second.header("x-pagination-current-page"), Some("2"));
    let third = follow(&link(&second, "next").unwrap());
    assert_eq!((records(&third).len(), link(&third, "next")), (10, None));
    assert_eq!(follow(&link(&third, "prev").unwrap()).body, second.body);
    let back = follow(&link(&second, "prev").unwrap());
    assert_eq!((&back.body, link(&back, "prev")), (&first.body, None));
    assert_eq!(link(&back, "next"), Some(next));
    assert_eq!(follow(&link(&third, "first").unwrap()).body, first.body);
    assert_eq!(get(&server, "/products?per_page=20&page=2").body, first.body);
}

#[test]
fn a_cursor_is_of_one_order() {
    let server = start_blocking(Options::default()).unwrap();
    let next = link(&get(&server, "/projects?sort=updated_at"), "next").unwrap();
    let cursor = next.split_once("search_after=").unwrap().1;
    let status = |query: &str| get(&server, &format!("/projects?{query}")).status;
    assert_eq!(status(&format!("sort=updated_at&search_after={cursor}")), 200);
    assert_eq!(status(&format!("sort=-updated_at&search_after={cursor}")), 400);
    assert_eq!(status(&format!("search_after={cursor}")), 400);
    assert_eq!(status("sort=updated_at&search_after=2"), 400);
    assert_eq!(status(&format!("sort=updated_at&search_after={cursor}&search_before={cursor}")), 400);
}

#[test]
fn the_next_page_may_be_said_to_be_elsewhere() {
    let options = Options { link_host: Some("elsewhere.example:81".into()), ..Options::default() };
    let server = start_blocking(options).unwrap();
    let page = get(&server, "/projects");
    assert!(link(&page, "next").unwrap().starts_with("http://elsewhere.example:81/v1/projects?search_after="));
    assert_eq!(link(&page, "first"), Some(format!("{}/projects", server.base_url)));
}

#[test]
fn without_fields_there_are_the_default_ones_and_disabled_where_it_is_true() {
    let options = Options::default();
    let server = start_blocking(options.clone()).unwrap();
    for (resource, names) in [
        (Resource::Organizations, "created_at,id,manager,name,nodeID,parent,sourceID,updated_at"),
        (Resource::Products, "category,created_at,id,name,nodeID,service,sourceID,support_team,updated_at"),
        (
            Resource::Projects,
            "category,completed_at,completion_target_at,created_at,id,manager,nodeID,service,sourceID,status,subject,\
             updated_at",
        ),
    ] {
        let (read, _) = read_all(&server, &format!("/{}?per_page=100", resource.name()));
        let mut disabled = HashSet::new();
        for mut record in read {
            if record.as_object_mut().unwrap().remove("disabled").is_some_and(|value| value == true) {
                disabled.insert(record["id"].clone());
            }
            let mut given: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
            given.sort_unstable();
            assert_eq!(given.join(","), names);
        }
        let truth = options.truth();
        let expected = truth.records(resource, 0).filter(|record| record["disabled"] == true);
        assert_eq!(disabled, expected.map(|record| record["id"].clone()).collect());
        assert_eq!(disabled.is_empty(), resource == Resource::Projects);
    }
}

#[test]
fn fields_selects_and_refuses_what_it_does_not_know() {
    let server = start_blocking(Options::default()).unwrap();
    let (read, _) = read_all(&server, "/products?per_page=100&fields=brand,disabled");
    assert!(read.iter().all(|record| record["disabled"].is_boolean() && record["brand"].is_string()));
    assert!(read.iter().all(|record| record.as_object().unwrap().len() == 4));
    let (read, _) = read_all(&server, "/products?per_page=100&fields=brand");
    assert!(read.iter().any(|record| record.get("disabled").is_none()));
    let status = |query: &str| get(&server, query).status;
    assert_eq!(status("/products?fields=id,subject"), 400);
    assert_eq!(status("/projects?fields=id,note"), 400);
    assert_eq!(status("/projects?fields=nodeID"), 400);
    assert_eq!(status("/products?sorted=name"), 400);
    assert_eq!(status("/products?brand=Acorn"), 400);
}

#[test]
fn orders_are_the_documented_ones() {
    let server = start_blocking(Options::default()).unwrap();
    let (products, _) = read_all(&server, "/products?per_page=100");
    assert!(products.is_sorted_by_key(|record| (record["name"].as_str(), record["id"].as_u64())));
    let (organizations, _) = read_all(&server, "/organizations?per_page=100");
    assert!(organizations.is_sorted_by_key(|record| record["name"].as_str()));
    let projects = ids(&read_all(&server, "/projects?per_page=100").0);
    assert!(projects.len() == 180 && projects.is_sorted_by(|one, other| one > other));
    let (by_status, _) = read_all(&server, "/projects?per_page=100&sort=status,-id");
    assert!(by_status.is_sorted_by_key(|record| (record["status"].as_str(), -record["id"].as_i64().unwrap())));
    let (latest, _) = read_all(&server, "/projects?per_page=100&sort=-completed_at");
    let completed = latest.iter().map(|record| clock::instant_ms(record["completed_at"].as_str()?));
    let (none, some): (Vec<_>, Vec<_>) = completed.partition(Option::is_none);
    assert!(some.is_sorted_by(|one, other| one >= other) && !none.is_empty() && !some.is_empty());
    for query in ["/organizations?sort=manager", "/products?sort=subject", "/projects?sort=name", "/projects?sort="] {
        assert_eq!(get(&server, query).status, 400, "{query}");
    }
}

#[test]
fn windows_hold_both_edges_and_may_be_open() {
    let options = Options::default();
    let server = start_blocking(options.clone()).unwrap();
    let truth = options.truth();
    let total = |query: &str| -> usize {
        get(&server, &format!("/products?{query}")).header("x-pagination-total-entries").unwrap().parse().unwrap()
    };
    let updated = |index: usize| {
        let record = truth.records(Resource::Products, 0).nth(index).unwrap();
        clock::instant_ms(record["updated_at"].as_str().unwrap()).unwrap() / 1_000
    };
    let (from, to) = (updated(20).min(updated(200)), updated(20).max(updated(200)));
    let (from, to) = (clock::utc(from), clock::utc(to));
    let within = truth.updated_within(Resource::Products, 0, &from, &to);
    assert!((2..300).contains(&within));
    assert_eq!(total(&format!("updated_at=%3E%3D{from}%3C%3D{to}")), within);
    let since = truth.updated_within(Resource::Products, 0, &from, "2100-01-01T00:00:00Z");
    assert_eq!(total(&format!("updated_at=%3E%3D{from}")), since);
    assert!(total(&format!("updated_at=%3E{from}")) < since);
    assert_eq!(
        total(&format!("updated_at=%3E%3D{from}&updated_at=%3C%3D{from}")),
        300 - total(&format!("updated_at=%3E{from}"))
    );
    assert_eq!(total("disabled=true") + total("disabled=false"), 300);
    assert_eq!(total("created_at=!&sourceID=!") + total("sourceID="), 300);
    assert_eq!(get(&server, "/products?updated_at=%3E%3Dsoon").status, 400);
    // The filter holds on every page.
    let (read, _) =
        read_all(&server, &format!("/products?per_page=10&sort=-updated_at&updated_at=%3E%3D{from}%3C%3D{to}"));
    assert_eq!(read.len(), within);
}

#[test]
fn records_have_the_shapes_of_the_reference() {
    let truth = Options { organizations: 400, projects: 400, ..Options::default() }.truth();
    let all: Vec<_> = Resource::ALL.iter().flat_map(|resource| truth.records(*resource, 0)).collect();
    let some = |test: &dyn Fn(&serde_json::Value) -> bool| all.iter().any(test) && !all.iter().all(test);
    assert!(some(&|record| record["updated_at"].as_str().unwrap().ends_with('Z')));
    assert!(some(&|record| record["custom_fields"].is_null()));
    assert!(some(&|record| record["custom_fields"][0]["id"].is_string()));
    assert!(some(&|record| record["manager"]["account"]["id"].is_string()));
    assert!(some(&|record| record["salvage_value"].is_string() && record["useful_life"].is_u64()));
    assert!(some(&|record| record["completed_at"].is_string() && record["resolution_duration"].is_u64()));
    assert!(some(&|record| record["recurrence"].is_object()));
    for (resource, record) in Resource::ALL.iter().flat_map(|resource| {
        let records: Vec<_> = truth.records(*resource, 0).collect();
        records.into_iter().map(move |record| (resource, record))
    }) {
        let names: HashSet<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
        let mut known: HashSet<&str> = resource.fields().iter().copied().chain(["nodeID"]).collect();
        if !names.contains("recurrence") {
            known.remove("recurrence");
        }
        assert_eq!(names, known, "{}", resource.name());
        let at = |name: &str| clock::instant_ms(record[name].as_str().unwrap()).unwrap();
        assert!(at("created_at") <= at("updated_at"));
        assert!(record["completed_at"].is_null() || at("completed_at") <= at("updated_at"));
    }
}
