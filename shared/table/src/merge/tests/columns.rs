//! The laws of columns: a change of the manifest and a change of the format lose no value.

use arrow_array::Array;
use arrow_array::types::Decimal128Type;

use super::*;

#[tokio::test]
async fn a_column_that_the_manifest_drops_stays_in_its_part() {
    let before = manifest("merge", "[]", ", note: {data_type: text}");
    let root = tempfile::tempdir().unwrap();
    let mut noted = thing(1, 1);
    noted["note"] = json!("kept");
    merge(root.path(), &before, Format::Parquet, PART_BYTES, &[noted]).await;
    let after = manifest("merge", "[]", ", colour: {data_type: text}");
    merge(root.path(), &after, Format::Parquet, PART_BYTES, &[thing(2, 1)]).await;

    let store = Local::new(root.path().to_owned());
    let table = table(&store, &after, Format::Parquet);
    let batches = read_part(&table, &store.list("test/things/").await.unwrap()[0]).await;
    let notes: Vec<Option<String>> = batches[0]
        .column_by_name("note")
        .unwrap()
        .as_string::<i32>()
        .iter()
        .map(|note| note.map(str::to_owned))
        .collect();
    assert_eq!(notes, [Some("kept".into()), None]);
    assert!(batches[0].column_by_name("colour").is_some());
}

#[tokio::test]
async fn a_decimal_keeps_every_digit_in_both_formats() {
    let manifest = manifest(
        "merge",
        "[]",
        ", price: {data_type: decimal}, prices: {path: 'prices[*]', data_type: decimal, list: true}",
    );
    let price = "12345678901234567890123456789.123456789";
    let digits = 12_345_678_901_234_567_890_123_456_789_123_456_789_i128;
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let mut priced = thing(1, 1);
        (priced["price"], priced["prices"]) = (json!(price), json!([price, null, "0.1"]));
        merge(root.path(), &manifest, format, PART_BYTES, &[priced]).await;
        // The insert of another row reads and writes it again.
        merge(root.path(), &manifest, format, PART_BYTES, &[thing(2, 1)]).await;

        let store = Local::new(root.path().to_owned());
        let table = table(&store, &manifest, format);
        let listed = store.list("test/things/").await.unwrap();
        let batches = read_part(&table, &listed[0]).await;
        let column = |name: &str| batches[0].column_by_name(name).unwrap();
        let numbers = |column: &dyn Array| column.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>();
        assert_eq!(numbers(column("price")), [Some(digits), None], "{format:?}");
        assert_eq!(numbers(&column("prices").as_list::<i32>().value(0)), [Some(digits), Some(100_000_000)]);
        if format == Format::Json {
            let bytes = std::fs::read(root.path().join(&listed[0].key)).unwrap();
            let line: Value = serde_json::Deserializer::from_reader(flate2::read::GzDecoder::new(&bytes[..]))
                .into_iter()
                .next()
                .unwrap()
                .unwrap();
            assert_eq!(line["price"], price, "it is text, since readers take a number for a double");
        }
    }
}

/// A run with the older manifest is still active after another run widened the column. It must not narrow what that run wrote.
#[tokio::test]
async fn a_column_that_another_run_widened_is_not_narrowed() {
    let root = tempfile::tempdir().unwrap();
    let (older, newer) = (", n: {data_type: bigint}", ", n: {data_type: double}");
    let record = |id: i64, n: Value| {
        let mut record = thing(id, 1);
        record["n"] = n;
        record
    };
    let (older, newer) = (manifest("merge", "[]", older), manifest("merge", "[]", newer));
    merge(root.path(), &older, Format::Parquet, PART_BYTES, &[record(1, json!(1))]).await;
    merge(root.path(), &newer, Format::Parquet, PART_BYTES, &[record(2, json!(1.5))]).await;
    let store = Local::new(root.path().to_owned());
    let table = table(&store, &older, Format::Parquet);
    let mut buffer = table.buffer();
    buffer.push(Mapper::new(&older.resources[0]).map(record(3, json!(3))).remove(0).unwrap(), Utc::now());
    let error = table.merge(&mut buffer, &mut Merged::default()).await.unwrap_err();
    assert!(error.to_string().contains("columns.n"), "{error}");
    // The run with the newer manifest continues, and both values are as before.
    let merged =
        merge(root.path(), &newer, Format::Parquet, PART_BYTES, &[record(1, json!(1)), record(2, json!(1.5))]).await;
    assert_eq!(merged.new, 0);
    assert_eq!(stored(root.path(), &newer, Format::Parquet).await.0.len(), 2);
}

/// A run does not know the column that another run has added since it read the layout. A rewrite of JSON lines would lose the column.
#[tokio::test]
async fn json_lines_with_an_unknown_column_are_not_rewritten() {
    let root = tempfile::tempdir().unwrap();
    let (older, newer) = (manifest("merge", "[]", ""), manifest("merge", "[]", ", n: {data_type: bigint}"));
    let mut with_n = thing(1, 1);
    with_n["n"] = json!(1);
    merge(root.path(), &newer, Format::Json, PART_BYTES, &[with_n]).await;
    let store = Local::new(root.path().to_owned());
    let table = table(&store, &older, Format::Json);
    let mut buffer = table.buffer();
    buffer.push(Mapper::new(&older.resources[0]).map(thing(2, 1)).remove(0).unwrap(), Utc::now());
    let error = table.merge(&mut buffer, &mut Merged::default()).await.unwrap_err().to_string();
    assert!(error.contains("'n' missing from schema: another run has added the column"), "{error}");
    assert_eq!(stored(root.path(), &newer, Format::Json).await.0.len(), 1);
}

/// A run knows the columns that were found in records when it read the layout. It keeps those that another run has stored since.
#[tokio::test]
async fn columns_that_another_run_found_are_kept() {
    for format in FORMATS {
        let root = tempfile::tempdir().unwrap();
        let more = ", n: {data_type: bigint}, d: {data_type: double}, s: {data_type: text}, b: {data_type: bool}";
        let (mut older, mut newer) = (manifest("merge", "[]", ""), manifest("merge", "[]", more));
        older.resources[0].infer_columns = true;
        newer.resources[0].infer_columns = true;
        let with = |id: i64, d: Value| {
            let mut record = thing(id, 1);
            record
                .as_object_mut()
                .unwrap()
                .extend(json!({"n": id, "d": d, "s": "5", "b": id == 1}).as_object().unwrap().clone());
            record
        };
        merge(root.path(), &newer, format, PART_BYTES, &[with(1, json!(7)), with(2, json!(0.5))]).await;
        // It inserts a row, then it replaces one.
        merge(root.path(), &older, format, PART_BYTES, &[thing(3, 1)]).await;
        merge(root.path(), &older, format, PART_BYTES, &[thing(3, 2)]).await;
        let again = merge(root.path(), &newer, format, PART_BYTES, &[with(1, json!(7)), with(2, json!(0.5))]).await;
        assert_eq!((again.new, again.changed, again.unchanged), (0, 0, 2), "{format:?}");
        let store = Local::new(root.path().to_owned());
        let table = table(&store, &newer, format);
        let batches = read_part(&table, &store.list("test/things/").await.unwrap()[0]).await;
        let mut rows = arrow_json::ArrayWriter::new(Vec::new());
        let columns = ["id", "n", "d", "s", "b"].map(|name| batches[0].schema().index_of(name).unwrap());
        rows.write(&batches[0].project(&columns).unwrap()).unwrap();
        rows.finish().unwrap();
        let expected = json!([
            {"id": 1, "n": 1, "d": 7.0, "s": "5", "b": true}, {"id": 2, "n": 2, "d": 0.5, "s": "5", "b": false}, {"id": 3},
        ]);
        assert_eq!(serde_json::from_slice::<Value>(&rows.into_inner()).unwrap(), expected, "{format:?}");
    }
}
