//! The laws of the mapping, over the manifests that come with ticketlake.

use manifest::{Manifest, Resource, built_in};
use serde_json::{Value, json};

use super::*;

mod decoding;

fn sales() -> Manifest {
    built_in::find("see_tickets").unwrap().unwrap()
}

fn sale() -> Value {
    json!({
        "uniqueCode": "u1", "date": "2026-11-20 18:30:00", "faceValue": 12.5, "sold": 2, "isPending": true,
        "location": {"country": "United Kingdom", "postCode": "N1"}, "eventId": "DF-1"
    })
}

fn map_to_one_row(mapper: &Mapper, record: Value) -> Result<Row<'static>, Rejection> {
    let mut rows = mapper.map(record);
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

fn value<'r>(resource: &Resource, row: &'r Row<'_>, column: &str) -> &'r Cell<'r> {
    &row.cells[resource.columns.iter().position(|known| known.name == column).unwrap()]
}

#[test]
fn a_record_becomes_a_row() {
    let manifest = sales();
    let resource = manifest.resource("sales").unwrap();
    let row = map_to_one_row(&Mapper::new(resource), sale()).unwrap();
    assert_eq!(row.key, "u1");
    assert_eq!(row.partition, "sale_month=2026-11");
    assert_eq!(*value(resource, &row, "postCode"), Cell::Text("N1".into()));
    assert_eq!(*value(resource, &row, "sold"), Cell::Bigint(2));
    assert_eq!((row.extra, row.issues), (None, None));
    assert_eq!(row.cursor.map(|cursor| cursor.to_string()).as_deref(), Some("2026-11-20T18:30:00Z"));
}

#[test]
fn values_without_a_column_or_its_type_are_kept() {
    let manifest = sales();
    let resource = manifest.resource("sales").unwrap();
    let mut record = sale();
    record["faceValue"] = json!("n/a");
    record["location"]["what3words"] = json!("a.b.c");
    record["newField"] = json!([1, null]);
    let row = map_to_one_row(&Mapper::new(resource), record).unwrap();
    assert_eq!(*value(resource, &row, "faceValue"), Cell::Null);
    assert_eq!(row.issues.as_deref(), Some(r#"{"faceValue":"n/a"}"#));
    assert_eq!(row.extra.as_deref(), Some(r#"{"location":{"what3words":"a.b.c"},"newField":[1,null]}"#));
}

#[test]
fn a_record_without_key_or_partition_is_rejected() {
    let manifest = sales();
    let mapper = Mapper::new(manifest.resource("sales").unwrap());
    for (field, bad, reason) in [
        ("uniqueCode", json!(null), "`uniqueCode`"),
        ("uniqueCode", json!(""), "`uniqueCode`"),
        ("uniqueCode", json!({"a": 1}), "`uniqueCode`"),
        ("date", json!("soon"), "`date`"),
    ] {
        let mut record = sale();
        record[field] = bad;
        let rejection = map_to_one_row(&mapper, record.clone()).unwrap_err();
        assert!(rejection.reason.contains(reason), "{}", rejection.reason);
        assert_eq!(rejection.record, record.into());
    }
    assert!(map_to_one_row(&mapper, json!("garbage")).is_err());
}

#[test]
fn the_fingerprint_changes_with_every_column_but_volatile_ones() {
    let manifest = sales();
    let mapper = Mapper::new(manifest.resource("sales").unwrap());
    let fingerprint = |record: Value| map_to_one_row(&mapper, record).unwrap().fingerprint;
    let before = fingerprint(sale());
    assert_eq!(before, fingerprint(sale()));
    for (field, other) in [("isPending", json!(false)), ("faceValue", json!("12,5")), ("unknown", json!(1))] {
        let mut record = sale();
        record[field] = other;
        assert_ne!(before, fingerprint(record), "{field}");
    }
    let manifest = built_in::find("ticketmaster").unwrap().unwrap();
    let mapper = Mapper::new(manifest.resource("venues").unwrap());
    let venue = |count: u32| {
        map_to_one_row(&mapper, json!({"id": "v", "upcomingEvents": {"_total": count}})).unwrap().fingerprint
    };
    assert_eq!(venue(1), venue(2));
}

#[test]
fn a_tree_becomes_a_row_for_each_leaf() {
    let manifest = built_in::find("ticketmaster").unwrap().unwrap();
    let resource = manifest.resource("classifications").unwrap();
    let record = json!({
        "family": false,
        "segment": {"id": "S", "name": "Music", "_embedded": {"genres": [
            {"id": "G1", "name": "Rock", "_embedded": {"subgenres": [{"id": "A", "name": "Pop"}, {"id": "B", "name": "Punk"}]}},
            {"id": "G2", "name": "Jazz"}
        ]}}
    });
    let rows: Vec<Row> = Mapper::new(resource).map(record).into_iter().map(Result::unwrap).collect();
    let texts = |column: &str| -> Vec<Cell> { rows.iter().map(|row| value(resource, row, column).clone()).collect() };
    let text = |text: &'static str| Cell::Text(text.into());
    assert_eq!(texts("id"), [text("A"), text("B"), text("G2")]);
    assert_eq!(texts("genre_name"), [text("Rock"), text("Rock"), text("Jazz")]);
    assert_eq!(texts("segment_id"), [text("S"), text("S"), text("S")]);
    assert_eq!(texts("sub_genre_name"), [text("Pop"), text("Punk"), Cell::Null]);
    assert!(rows.iter().all(|row| row.extra.is_none()), "{rows:?}");
}
