mod access;
mod changes;
mod limits;
mod listing;

use serde_json::Value;

use crate::{
    Server,
    client::{Received, send},
};

/// What a caller with the personal token sends.
const HEADERS: [&str; 2] = ["Authorization: Bearer sandbox-key", "X-Xurrent-Account: wdc"];

fn get(server: &Server, path: &str) -> Received {
    send("GET", &format!("{}{path}", server.base_url), &HEADERS, "").unwrap()
}

fn records(received: &Received) -> Vec<Value> {
    assert_eq!(received.status, 200, "{}", received.text());
    received.json().as_array().unwrap().clone()
}

fn ids(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["id"].as_u64().unwrap()).collect()
}

/// The URL that `Link` names for a relation.
fn link(received: &Received, rel: &str) -> Option<String> {
    let wanted = format!("; rel=\"{rel}\"");
    let links = received.header("link")?.split(", ");
    links.filter_map(|link| link.strip_suffix(&wanted)).map(|url| url[1..url.len() - 1].to_owned()).next()
}

/// Every record by following `next` from a path, and how many pages it took.
fn read_all(server: &Server, path: &str) -> (Vec<Value>, usize) {
    let mut page = get(server, path);
    let (mut all, mut pages) = (records(&page), 1);
    while let Some(next) = link(&page, "next") {
        page = send("GET", &next, &HEADERS, "").unwrap();
        all.extend(records(&page));
        pages += 1;
    }
    (all, pages)
}
