use serde_json::json;

use super::*;
use client::Body;
use crate::request::Draft;
use manifest::Settings;

/// A plan's slices, and whether it moves the watermark.
#[derive(Debug)]
struct Planned {
    slices: Vec<Slice>,
    moves_watermark: bool,
}

impl Planned {
    fn body(&self) -> Option<&Body> {
        self.slices[0].body.as_ref()
    }
}

fn plan(source: &str, resource: &str, draft: Draft, watermark: Option<&str>, rows: &[&str]) -> Result<Planned, Faults> {
    let draft =
        Draft { source: Some(source.into()), resource: Some(resource.into()), lake: Some("lake".into()), ..draft };
    let request = draft.check(None, &Settings::default()).unwrap();
    let text = std::fs::read_to_string(format!("{}/sources/{source}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let manifest = Manifest::parse("test.yaml", &text).unwrap();
    let watermark = watermark.and_then(|text| Cursor::parse(text, CursorKind::Instant));
    let mut plan = Plan::new(&request, &manifest, manifest.resource(resource).unwrap(), watermark)?;
    if !rows.is_empty() {
        let row = |id: &&str| ParentRow { key: (*id).into(), fields: json!({"id": id}).as_object().unwrap().clone() };
        let known =
            watermark.into_iter().flat_map(|watermark| rows.iter().map(move |id| ((*id).to_owned(), watermark)));
        plan = plan.with_parents(rows.iter().map(row).collect(), &known.collect());
    }
    let slices = (0..plan.len()).map(|index| plan.slice(index).unwrap()).collect();
    Ok(Planned { slices, moves_watermark: plan.moves_watermark })
}

fn sales(from: Option<&str>, to: Option<&str>, watermark: Option<&str>) -> Planned {
    let draft = Draft { from: from.map(Into::into), to: to.map(Into::into), ..Draft::default() };
    plan("see_tickets", "sales", draft, watermark, &["DF-1", "DF-2"]).unwrap()
}

fn search(filtered_by: Option<serde_json::Value>) -> Body {
    let mut body = json!({"search": {"forSearchItemType": "EVENT", "searchItemCodes": ["DF-1", "DF-2"]}});
    if let Some(filtered_by) = filtered_by {
        body["filteredBy"] = filtered_by;
    }
    Body::Json(body)
}

#[test]
fn a_first_run_of_sales_asks_for_everything() {
    let plan = sales(None, None, None);
    assert_eq!(plan.slices.len(), 1);
    assert_eq!(plan.body(), Some(&search(None)));
    assert!(plan.moves_watermark);
}

#[test]
fn a_later_run_reads_back_a_week() {
    let plan = sales(None, None, Some("2026-11-20T10:00:00Z"));
    assert_eq!(plan.body(), Some(&search(Some(json!({"salesStartDate": "2026-11-13T10:00:00Z"})))));
    assert!(plan.moves_watermark);
}

#[test]
fn a_backfill_leaves_the_watermark_unless_it_joins_it() {
    let before = sales(Some("2026-01-01"), Some("2026-01-31"), Some("2026-11-20T10:00:00Z"));
    let filter = json!({"salesStartDate": "2026-01-01T00:00:00Z", "salesEndDate": "2026-01-31T23:59:59Z"});
    assert_eq!(before.body(), Some(&search(Some(filter))));
    assert!(before.moves_watermark);
    assert!(!sales(Some("2026-11-21"), None, Some("2026-11-20T10:00:00Z")).moves_watermark);
}

#[test]
fn new_parents_are_read_from_the_beginning_and_the_others_from_where_they_are() {
    let request = Draft {
        source: Some("see_tickets".into()),
        resource: Some("sales".into()),
        lake: Some("lake".into()),
        ..Draft::default()
    };
    let request = request.check(None, &Settings::default()).unwrap();
    let text = include_str!("../../sources/see_tickets.yaml");
    let manifest = Manifest::parse("test.yaml", text).unwrap();
    let cursor = |text: &str| Cursor::parse(text, CursorKind::Instant).unwrap();
    let known = [("a".to_owned(), cursor("2026-11-20")), ("c".to_owned(), cursor("2026-11-10"))];
    let rows =
        ["a", "b", "c"].map(|id| ParentRow { key: id.into(), fields: json!({"id": id}).as_object().unwrap().clone() });
    let plan = Plan::new(&request, &manifest, manifest.resource("sales").unwrap(), None).unwrap();
    let plan = plan.with_parents(rows.to_vec(), &known.into_iter().collect());
    let starts: Vec<_> = (0..plan.len()).map(|index| plan.slice(index).unwrap().start).collect();
    assert_eq!(
        starts,
        [None, Some(cursor("2026-11-03"))],
        "b alone, then a and c from a week before the earlier of the two"
    );
}

#[test]
fn ticketmaster_events_come_dated_and_undated() {
    let plan = plan("ticketmaster", "events", Draft { from: Some("2026-12-01".into()), ..Draft::default() }, None, &[])
        .unwrap();
    let names: Vec<&str> = plan.slices.iter().map(|slice| slice.name.as_str()).collect();
    assert_eq!(names, ["2026-12-01T00:00:00Z/..", "includeTBA=only", "includeTBD=only"]);
    assert_eq!(plan.slices[0].params["startDateTime"], "2026-12-01T00:00:00Z");
    assert_eq!(plan.slices[0].params["locale"], "*");
    assert!(!plan.slices[1].params.contains_key("startDateTime"));
}

#[test]
fn what_a_resource_does_not_take_is_refused_by_name() {
    let draft = Draft {
        from: Some("2026-01-01".into()),
        params: [("contryCode".into(), "DE".into())].into(),
        ..Draft::default()
    };
    let Faults(faults) = plan("ticketmaster", "venues", draft, None, &[]).unwrap_err();
    assert_eq!(faults.iter().map(|fault| fault.place.as_str()).collect::<Vec<_>>(), ["from", "params.contryCode"]);
    assert!(faults[1].message.contains("Did you mean `countryCode`?"), "{}", faults[1]);
}

/// In either order, for a cursor that goes up and for one that goes down.
#[test]
fn what_lies_beyond_the_end_of_a_range_in_order_is_told_apart() {
    for (func, start, end, order, beyond, within) in [
        ("max", 10, 20, "asc", 21, [5, 20]),
        ("max", 10, 20, "desc", 9, [10, 25]),
        ("min", 20, 10, "desc", 9, [10, 25]),
        ("min", 20, 10, "asc", 21, [5, 20]),
    ] {
        let manifest = json!({
            "client": {"base_url": "https://api.example"},
            "resources": [{
                "name": "things", "primary_key": "id", "columns": {"id": {"data_type": "bigint"}},
                "endpoint": {"incremental": {"cursor_path": "id", "last_value_func": func, "row_order": order}},
            }],
        });
        let manifest = Manifest::parse("test.yaml", &manifest.to_string()).unwrap();
        let incremental = manifest.resources[0].endpoint.incremental.as_ref().unwrap();
        let (start, end) = (Some(Cursor::Number(start)), Some(Cursor::Number(end)));
        let slice = Slice { start, end, ..Slice::default() };
        assert!(slice.ends_before(Cursor::Number(beyond), incremental), "{func} {order}");
        assert!(within.iter().all(|at| !slice.ends_before(Cursor::Number(*at), incremental)), "{func} {order}");
        assert!(!Slice::default().ends_before(Cursor::Number(beyond), incremental));
    }
}
