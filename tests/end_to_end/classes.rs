//! Ticketmaster's events by class, place and price, and the lookup of every class's id.

use std::collections::BTreeSet;

use sandbox::Server;
use sandbox::function::Function;
use sandbox::ticketmaster::{Options, TreeSize, Truth, start_blocking};
use serde_json::{Value, json};

use crate::deep::{reading, stored};
use crate::lake::Lake;

const LEVELS: &str = "ticketmaster/classification_levels";

fn events(server: &Server, lake: &Lake, params: &[&str]) -> Function {
    let arguments: Vec<&str> = params.iter().flat_map(|param| ["--param", *param]).collect();
    reading("events", server, lake).with(&arguments)
}

/// The ids of the events of which `holds` is true.
fn which(truth: &Truth, holds: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    truth.event_ids(0).into_iter().filter(|id| holds(&truth.event(id, 0).unwrap())).collect()
}

#[test]
fn every_id_of_every_event_is_in_the_lookup() {
    let options = Options { events: 900, classes: TreeSize::REAL, images: 1, ..Options::default() };
    let server = start_blocking(options).unwrap();
    let lake = Lake::new();
    let report = reading("classifications", &server, &lake).complete();
    assert_eq!(
        (&report["requests"]["sent"], &report["harvested"]["classification_levels"]["new"]),
        (&json!(1), &json!(1_355))
    );
    let counts = "SELECT level, count(*) FROM {table} GROUP BY level ORDER BY level";
    let rows = [("genre", 124), ("segment", 6), ("sub_genre", 1_086), ("sub_type", 128), ("type", 11)];
    assert_eq!(lake.query(LEVELS, counts), rows.map(|(level, count)| vec![json!(level), json!(count)]));
    let orphans = "SELECT count(*) FROM {table} child LEFT JOIN {table} parent ON parent.id = child.parent_id
                   WHERE (child.parent_id IS NULL) <> (child.level IN ('segment', 'type')) OR (child.parent_id IS NOT NULL AND parent.id IS NULL)";
    assert_eq!(lake.value(LEVELS, orphans), 0);
    reading("events", &server, &lake).complete();
    for level in ["segment", "genre", "sub_genre", "type", "sub_type"] {
        let names =
            format!("SELECT DISTINCT {level}_id, {level}_name FROM {{table}} WHERE {level}_id IS NOT NULL ORDER BY 1");
        let used = lake.query("ticketmaster/events", &names);
        assert!(!used.is_empty(), "{level}");
        let known: BTreeSet<Vec<String>> = lake
            .query(LEVELS, &format!("SELECT id, name FROM {{table}} WHERE level = '{level}'"))
            .iter()
            .map(|row| texts(row))
            .collect();
        for row in &used {
            assert!(known.contains(&texts(row)), "{level} {row:?}");
        }
    }
    let again = reading("classifications", &server, &lake).complete();
    assert_eq!((&again["harvested"]["classification_levels"]["changed"], &again["objects"]), (&json!(0), &json!(0)));
}

fn texts(row: &[Value]) -> Vec<String> {
    row.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

#[test]
fn events_by_genre_by_place_and_by_price_are_those_of_the_api() {
    let options = Options { events: 1_500, images: 1, ..Options::default() };
    let truth = options.truth().unwrap();
    let server = start_blocking(options).unwrap();
    let classes = Lake::new();
    reading("classifications", &server, &classes).complete();
    let at = |event: &Value, path: &str| event.pointer(path).cloned().unwrap_or(Value::Null);
    let venue = |event: &Value, path: &str| at(event, &format!("/_embedded/venues/0/{path}"));
    let genre = |event: &Value| at(event, "/classifications/0/genre/name");
    let cases: [(&[&str], BTreeSet<String>); 5] = [
        (&["genre=Jazz,Pop"], which(&truth, |event| genre(event) == "Jazz" || genre(event) == "Pop")),
        (&["countryCode=GB"], which(&truth, |event| venue(event, "country/countryCode") == "GB")),
        (&["countryCode=US", "stateCode=CA"], which(&truth, |event| venue(event, "state/stateCode") == "CA")),
        (&["city=Chicago"], which(&truth, |event| venue(event, "city/name") == "Chicago")),
        (
            &["geoPoint=9q5ct", "radius=100", "unit=km"],
            which(&truth, |event| venue(event, "city/name") == "Los Angeles"),
        ),
    ];
    for (params, expected) in cases {
        assert!(expected.len() > 5, "{params:?}");
        let lake = Lake::new();
        // The names are looked up in the lake that the events go to.
        if params[0].starts_with("genre") {
            reading("classifications", &server, &lake).complete();
        }
        events(&server, &lake, params).complete();
        assert_eq!(stored(&lake, "ticketmaster/events"), expected, "{params:?}");
    }
    // The API has no filter by price: it is one of the lake's columns.
    reading("events", &server, &classes).complete();
    let priced =
        classes.query("ticketmaster/events", "SELECT id FROM {table} WHERE min_price >= 40 AND max_price <= 200");
    let priced: BTreeSet<String> = priced.iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    let expected = which(&truth, |event| {
        let price = |end: &str| at(event, &format!("/priceRanges/0/{end}")).as_f64();
        price("min").is_some_and(|min| min >= 40.0) && price("max").is_some_and(|max| max <= 200.0)
    });
    assert!(expected.len() > 5);
    assert_eq!(priced, expected);
}

#[test]
fn a_wrong_value_is_said_before_a_request() {
    let server = start_blocking(Options { events: 100, ..Options::default() }).unwrap();
    let lake = Lake::new();
    for (param, message) in [
        ("radius=2.5", "`2.5` is not a whole number"),
        ("unit=mile", "`mile` is not one of miles, km. Did you mean `miles`?"),
        ("locale=english", "`english` is not languages"),
        ("onsaleStartDateTime=2026-11-21", "`2026-11-21` is not an instant in UTC"),
        ("preSaleDateTime=2026-11-21T00:00:00Z", "is not two instants in UTC"),
        ("dmaId=LA", "`LA` is not whole numbers"),
        ("geoPoint=34.05,-118.24", "is not a geohash"),
        ("size=5", "use `page_size`"),
        ("startDateTime=2026-11-21T00:00:00Z", "use `from` and `to`"),
        ("includeTBA=only", "The manifest sets it"),
        ("genres=Jazz", "Did you mean `genre`?"),
        ("genre=Jazz", "resource --source ticketmaster --resource classifications"),
    ] {
        let ended = events(&server, &lake, &[param]).run();
        assert_eq!(ended.code, Some(2), "{param}");
        assert!(ended.errors.contains(message), "{param}: {}", ended.errors);
    }
    assert_eq!(server.count(), 0);
}
