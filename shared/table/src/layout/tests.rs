//! The laws of the layout.

use lake::{ErrorKind, Memory, Precondition, StoreError};
use manifest::{Manifest, Vanished};
use serde_json::{Value, json};

use super::*;

const KEY: &str = "_state/test/things/layout.json";
const COLUMNS: &str = "id: {data_type: bigint}, at: {data_type: timestamp}, note: {data_type: text}";

/// A resource with these columns. Its key is `id`, and its partitions are days of `at`.
fn resource(columns: &str) -> Resource {
    resource_by("id", "[{name: day, from: at, transform: day}]", columns)
}

fn resource_by(primary_key: &str, partition: &str, columns: &str) -> Resource {
    let text = format!(
        "client: {{base_url: 'https://x'}}
resources:
  - name: things
    primary_key: {primary_key}
    write_disposition: merge
    endpoint: {{data_selector: data, paginator: single_page}}
    partition: {partition}
    columns: {{{columns}}}"
    );
    let manifest = Manifest::parse("test.yaml", &text).unwrap_or_else(|faults| panic!("{faults}"));
    manifest.resources[0].clone()
}

/// Reads the layout, claims the table and returns the retired columns.
async fn claim(store: &Memory, resource: &Resource) -> Result<Vec<Field>, Error> {
    claim_as(store, resource, Format::Parquet).await
}

async fn claim_as(store: &Memory, resource: &Resource, format: Format) -> Result<Vec<Field>, Error> {
    Layout::load(store, "test", "things").await?.claim(resource, format).await
}

/// The document as it is stored, without the member that is random.
fn stored(store: &Memory) -> Value {
    let objects = store.objects();
    let (key, bytes) = objects.first().unwrap();
    assert_eq!((key.as_str(), objects.len()), (KEY, 1));
    let mut layout: Value = serde_json::from_slice(bytes).unwrap();
    layout.as_object_mut().unwrap().remove("write");
    layout
}

/// Claims the table with a manifest that does not fit: the check and the claim name the same faults, and nothing is written.
async fn assert_refused(store: &Memory, resource: &Resource, format: Format, expected: &[(&str, &str)]) {
    let before = store.objects();
    let mut layout = Layout::load(store, "test", "things").await.unwrap();
    let faults = layout.check(resource, format).unwrap_err();
    let Error::Configuration(claimed) = layout.claim(resource, format).await.unwrap_err() else {
        panic!("not a configuration error");
    };
    assert_eq!(faults, claimed);
    assert_eq!(faults.0.len(), expected.len(), "{faults}");
    for (fault, (place, message)) in faults.0.iter().zip(expected) {
        assert_eq!(fault.place, *place);
        assert!(fault.message.contains(message), "{fault}");
    }
    assert_eq!(store.objects(), before);
}

#[tokio::test]
async fn the_first_claim_writes_the_layout() {
    let store = Memory::default();
    let mut resource = resource(&format!("{COLUMNS}, tags: {{path: 'tags[*]', data_type: text, list: true}}"));
    resource.vanished = Some(Vanished { column: "gone_at".into(), confirm: None });
    let mut layout = Layout::load(&store, "test", "things").await.unwrap();
    assert!(layout.columns().is_empty());
    assert_eq!(layout.check(&resource, Format::Parquet), Ok(()));
    assert_eq!(store.objects(), []);

    assert_eq!(layout.claim(&resource, Format::Parquet).await.unwrap(), []);
    let expected = json!({
        "version": 1,
        "format": "parquet",
        "primary_key": ["id"],
        "partition": ["day=day(at)"],
        "columns": {"id": "bigint", "at": "timestamp", "note": "text", "tags": "list of text", "gone_at": "timestamp"},
        "has_rows": true,
    });
    assert_eq!(stored(&store), expected);
    assert_eq!(layout.columns()["tags"], "list of text");
}

#[tokio::test]
async fn a_second_claim_of_the_same_writes_nothing() {
    let store = Memory::default();
    claim(&store, &resource(COLUMNS)).await.unwrap();
    let before = store.list("").await.unwrap();
    assert_eq!(claim(&store, &resource(COLUMNS)).await.unwrap(), []);
    assert_eq!(store.list("").await.unwrap(), before);
}

#[tokio::test]
async fn columns_are_added_and_widened() {
    let store = Memory::default();
    let types = |types: &[&str]| {
        let columns = types.iter().enumerate().map(|(column, name)| format!("c{column}: {{data_type: {name}}}"));
        resource(&format!("{COLUMNS}, {}", columns.collect::<Vec<_>>().join(", ")))
    };
    claim(&store, &types(&["text", "bigint", "bigint", "json", "double", "bool", "date", "decimal"])).await.unwrap();
    let wider = ["json", "double", "decimal", "text", "text", "text", "text", "text", "bool"];
    assert_eq!(claim(&store, &types(&wider)).await.unwrap(), []);
    let columns = Layout::load(&store, "test", "things").await.unwrap().columns();
    for (column, name) in wider.iter().enumerate() {
        assert_eq!(columns[&format!("c{column}")], *name);
    }
}

#[tokio::test]
async fn a_column_is_not_narrowed() {
    let store = Memory::default();
    let with_n = |data_type: &str| resource(&format!("{COLUMNS}, n: {data_type}"));
    claim(&store, &with_n("{data_type: double}")).await.unwrap();
    for narrower in ["{data_type: bigint}", "{data_type: timestamp}", "{path: 'n[*]', data_type: double, list: true}"] {
        let expected = [("things.columns.n", "is stored as double")];
        assert_refused(&store, &with_n(narrower), Format::Parquet, &expected).await;
    }
    let with_day =
        |data_type: &str| resource(&format!("{COLUMNS}, n: {{data_type: double}}, d: {{data_type: {data_type}}}"));
    claim(&store, &with_day("date")).await.unwrap();
    assert_refused(&store, &with_day("timestamp"), Format::Parquet, &[("things.columns.d", "is stored as date")]).await;
}

#[tokio::test]
async fn every_changed_setting_is_refused() {
    let store = Memory::default();
    let with_n = |data_type: &str| format!("{COLUMNS}, n: {{data_type: {data_type}}}");
    claim(&store, &resource(&with_n("text"))).await.unwrap();
    let other_key = resource_by("[id, note]", "[{name: day, from: at, transform: day}]", &with_n("text"));
    let key_fault = ("things.primary_key", "stored by [id], the manifest now says [id, note]");
    assert_refused(&store, &other_key, Format::Parquet, &[key_fault]).await;
    let other = resource_by("[id, note]", "[{name: month, from: at, transform: month}]", &with_n("bool"));
    let expected = [
        ("format", "stored as parquet"),
        key_fault,
        ("things.partition", "stored by [day=day(at)], the manifest now says [month=month(at)]"),
        ("things.columns.n", "is stored as text"),
    ];
    assert_refused(&store, &other, Format::Json, &expected).await;
}

#[tokio::test]
async fn retired_columns_are_returned_and_kept() {
    let store = Memory::default();
    let mut before = resource(&format!("{COLUMNS}, tags: {{path: 'tags[*]', data_type: date, list: true}}"));
    before.vanished = Some(Vanished { column: "gone_at".into(), confirm: None });
    claim(&store, &before).await.unwrap();
    let columns = Layout::load(&store, "test", "things").await.unwrap().columns();

    let mut after = resource("id: {data_type: bigint}, at: {data_type: timestamp}");
    let retired = claim(&store, &after).await.unwrap();
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let gone_at = field("gone_at", map::arrow_type(DataType::Timestamp));
    let others = [field("note", ArrowType::Utf8), field("tags", map::list_of(ArrowType::Date32))];
    assert_eq!(retired, [&[gone_at][..], &others].concat());
    // The column of vanished rows is not retired while the manifest has it.
    after.vanished = before.vanished;
    assert_eq!(claim(&store, &after).await.unwrap(), others);
    assert_eq!(Layout::load(&store, "test", "things").await.unwrap().columns(), columns);
}

/// A column of a type that only a later build knows is kept in the layout, and is not among the retired columns.
#[tokio::test]
async fn a_column_of_an_unknown_type_stays() {
    let store = Memory::default();
    claim(&store, &resource(COLUMNS)).await.unwrap();
    let mut document = stored(&store);
    document["columns"]["place"] = json!("geometry");
    let listed = store.list(KEY).await.unwrap().remove(0);
    store.put(KEY, document.to_string().into(), Precondition::Is(listed.version)).await.unwrap();
    assert_eq!(claim(&store, &resource(COLUMNS)).await.unwrap(), []);
    assert_eq!(stored(&store)["columns"]["place"], "geometry");
}

/// Several first runs have different manifests. The first claim counts, and the others have to fit it.
#[tokio::test]
async fn a_claim_is_checked_again_after_a_write_conflict() {
    let store = Memory::default();
    let mut first = Layout::load(&store, "test", "things").await.unwrap();
    let mut second = Layout::load(&store, "test", "things").await.unwrap();
    let mut third = Layout::load(&store, "test", "things").await.unwrap();
    first.claim(&resource(COLUMNS), Format::Parquet).await.unwrap();
    let refused = second.claim(&resource(&COLUMNS.replace("text", "bool")), Format::Parquet).await.unwrap_err();
    assert!(refused.to_string().contains("things.columns.note"), "{refused}");
    third.claim(&resource(&format!("{COLUMNS}, more: {{data_type: bool}}")), Format::Parquet).await.unwrap();
    assert_eq!(third.columns().len(), 4);
}

#[tokio::test]
async fn a_layout_with_another_version_is_refused() {
    for (version, expected) in [
        (json!(2), "its version is 2, this build of ticketlake reads version 1"),
        (json!(0), "its version is 0"),
        (Value::Null, "its version is not a number"),
    ] {
        let store = Memory::default();
        claim(&store, &resource(COLUMNS)).await.unwrap();
        let mut document = stored(&store);
        document["version"] = version;
        let listed = store.list(KEY).await.unwrap().remove(0);
        store.put(KEY, document.to_string().into(), Precondition::Is(listed.version)).await.unwrap();
        let before = store.objects();
        let error = claim(&store, &resource(COLUMNS)).await.unwrap_err();
        assert!(matches!(&error, Error::Store(StoreError { kind: ErrorKind::Unreadable, .. })), "{error:?}");
        let message = error.to_string();
        assert!(message.contains(KEY) && message.contains("layout") && message.contains(expected), "{message}");
        assert_eq!(store.objects(), before);
    }
}

/// A column that moves from the table into its history is retired in the table, and keeps its type.
#[tokio::test]
async fn a_column_that_moves_into_the_history_is_retired_in_the_table() {
    let store = Memory::default();
    let of = |columns: &str| {
        let mut resource = resource(&format!("{COLUMNS}, copy: {{{columns}}}"));
        resource.history = true;
        resource
    };
    let history_only = |data_type: DataType| {
        let mut resource = of("data_type: json");
        for column in resource.columns.iter_mut().filter(|column| column.name == "copy") {
            (column.history_only, column.data_type) = (true, data_type);
        }
        resource
    };
    assert!(claim(&store, &of("data_type: json")).await.unwrap().is_empty());
    let retired = claim(&store, &history_only(DataType::Json)).await.unwrap();
    assert_eq!(retired.iter().map(Field::name).collect::<Vec<_>>(), ["copy"]);
    assert_eq!(stored(&store)["history_columns"], json!({"copy": "json"}));
    let expected = [("things.columns.copy", "is stored as json, and bool cannot hold")];
    assert_refused(&store, &history_only(DataType::Bool), Format::Parquet, &expected).await;
    // And back again.
    assert!(claim(&store, &of("data_type: json")).await.unwrap().is_empty());
    assert_refused(&store, &of("data_type: bool"), Format::Parquet, &expected).await;
}

/// A resource whose columns are found in its records.
fn without_columns(primary_key: &str) -> Resource {
    let mut resource = resource_by(primary_key, "[]", "");
    resource.infer_columns = true;
    resource
}

/// What a record has that has no column yet.
fn found(layout: &Layout<'_>, resource: &Resource, record: Value) -> FoundFields {
    let mut resource = resource.clone();
    resource.columns = infer::columns(&resource, &layout.columns());
    let mut found = FoundFields::default();
    map::Mapper::new(&resource).map(record).iter().for_each(|row| found.add(row.as_ref().unwrap()));
    found
}

#[tokio::test]
async fn runs_that_find_different_columns_have_one_layout() {
    let (store, resource) = (Memory::default(), without_columns("id"));
    let mut first = Layout::load(&store, "test", "things").await.unwrap();
    let mut second = Layout::load(&store, "test", "things").await.unwrap();
    let of_first = found(&first, &resource, json!({"id": "a", "price": 1, "Venue": "x", "only": [1]}));
    let of_second = found(&second, &resource, json!({"id": "b", "price": 1.5, "VENUE": 1, "other": true}));
    first.add_columns(&resource, Format::Parquet, &of_first).await.unwrap();
    second.add_columns(&resource, Format::Parquet, &of_second).await.unwrap();
    let expected = json!({"id": "text", "price": "bigint", "Venue": "text", "only": "json", "other": "bool"});
    assert_eq!(json!(second.columns()), expected);
    // The second run sees which value does not fit, and the first one which column was added.
    let misfit = found(&second, &resource, json!({"id": "b", "price": 1.5}));
    assert!(second.needs_columns(&resource, &misfit));
    second.add_columns(&resource, Format::Parquet, &misfit).await.unwrap();
    assert!(!second.needs_columns(&resource, &misfit));
    first.refresh().await.unwrap();
    assert_eq!(first.columns(), second.columns());
    assert_eq!(first.columns()["price__v_double"], "double");
    let before = store.objects();
    first.add_columns(&resource, Format::Parquet, &misfit).await.unwrap();
    assert_eq!(store.objects(), before, "there is nothing to add");
}

#[tokio::test]
async fn a_layout_without_rows_binds_nothing_but_its_columns() {
    let (store, resource) = (Memory::default(), without_columns("id"));
    let mut layout = Layout::load(&store, "test", "things").await.unwrap();
    let of_record = found(&layout, &resource, json!({"id": "a", "price": 1}));
    layout.add_columns(&resource, Format::Parquet, &of_record).await.unwrap();
    assert_eq!(stored(&store)["has_rows"], false);
    // Another key and another format take the table, with the columns that other runs may have in hand.
    let mut other = without_columns("[id, at]");
    assert_eq!(layout.check(&other, Format::Json), Ok(()));
    other.columns = infer::columns(&other, &layout.columns());
    claim_as(&store, &other, Format::Json).await.unwrap();
    let claimed = stored(&store);
    assert_eq!((&claimed["has_rows"], &claimed["format"]), (&json!(true), &json!("json")));
    assert_eq!((&claimed["primary_key"], &claimed["columns"]["price"]), (&json!(["id", "at"]), &json!("bigint")));
    // The run with the first key is late.
    let error = layout.claim(&resource, Format::Parquet).await.unwrap_err();
    assert!(error.to_string().contains("things.primary_key"), "{error}");
    let error = layout.add_columns(&resource, Format::Parquet, &FoundFields::default()).await.unwrap_err();
    assert!(error.to_string().contains("things.primary_key"), "{error}");
}

#[tokio::test]
async fn a_layout_of_an_earlier_build_has_rows() {
    let store = Memory::default();
    claim(&store, &resource(COLUMNS)).await.unwrap();
    let mut document = stored(&store);
    document.as_object_mut().unwrap().remove("has_rows");
    let listed = store.list(KEY).await.unwrap().remove(0);
    store.put(KEY, document.to_string().into(), Precondition::Is(listed.version)).await.unwrap();
    let other_key = resource_by("note", "[{name: day, from: at, transform: day}]", COLUMNS);
    assert_refused(&store, &other_key, Format::Parquet, &[("things.primary_key", "stored by [id]")]).await;
}

#[tokio::test]
async fn a_column_that_was_found_in_records_is_not_widened() {
    let (store, mut resource) = (Memory::default(), without_columns("id"));
    resource.columns.push(Column { data_type: DataType::Bigint, ..column("price") });
    claim(&store, &resource).await.unwrap();
    resource.columns[1].data_type = DataType::Double;
    assert_refused(&store, &resource, Format::Parquet, &[("things.columns.price", "is stored as bigint")]).await;
    resource.columns[1] = column("Price");
    assert_refused(&store, &resource, Format::Parquet, &[("things.columns.Price", "name it `price`")]).await;
}

fn column(name: &str) -> Column {
    let path = manifest::JsonPath::of_field(name);
    Column {
        name: name.into(),
        path,
        data_type: DataType::Text,
        list: false,
        volatile: false,
        history_only: false,
        description: None,
    }
}
