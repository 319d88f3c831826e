//! The queries of `infra/queries` over what the functions stored, each against what the sandboxes' own records say.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate};
use sandbox::function::{self, Function};
use sandbox::{see_tickets, ticketmaster};
use serde_json::{Map, Value, json};

use crate::lake::Lake;
use crate::tools::python;

type Row = Map<String, Value>;
type Groups = BTreeMap<Vec<String>, Vec<f64>>;

/// What DuckDB answers to the query `name`, over the views of `infra/duckdb`.
fn answer(lake: &Lake, name: &str) -> Vec<Row> {
    let script = r"
import duckdb, glob, json, os
root, lake = os.environ['ROOT'], os.environ['LAKE']
duckdb.sql('SET VARIABLE lake = ' + repr(lake))
for file in glob.glob(root + '/infra/duckdb/*.sql'):
    for statement in open(file).read().split(';'):
        try: duckdb.sql(statement)
        except duckdb.IOException: pass  # a table that was never read
answer = duckdb.sql(open(f'{root}/infra/queries/' + os.environ['NAME'] + '.sql').read())
print(json.dumps([dict(zip(answer.columns, row)) for row in answer.fetchall()], default=str))
";
    let (root, path) = (function::root().display().to_string(), lake.path().display().to_string());
    let rows = python(script, &[("ROOT", &root), ("LAKE", &path), ("NAME", name), ("TZ", "UTC")]);
    serde_json::from_value(rows).unwrap()
}

/// The rows of an answer by the columns `by`, with the numbers in the columns `of`.
fn groups(rows: &[Row], by: &[&str], of: &[&str]) -> Groups {
    let groups: Groups =
        rows.iter().map(|row| (texts(row, by), of.iter().map(|name| number(&row[*name])).collect())).collect();
    assert_eq!(groups.len(), rows.len(), "each group is one row");
    groups
}

fn texts(row: &Row, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| text(&row[*name])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Sums of integers are texts in JSON, since they are wider than a double.
fn number(value: &Value) -> f64 {
    value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(f64::NAN)
}

fn assert_same(answered: &Groups, expected: &Groups) {
    let keys = |groups: &Groups| groups.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(answered), keys(expected));
    for (key, numbers) in expected {
        let close = answered[key]
            .iter()
            .zip(numbers)
            .all(|(one, other)| (one - other).abs() <= 1e-6 * other.abs().max(1.0) || (one.is_nan() && other.is_nan()));
        assert!(close, "{key:?}: {:?} instead of {numbers:?}", answered[key]);
    }
}

/// Adds to the numbers of each record's group what `numbers` gives for it.
fn sums(records: &[Value], key: impl Fn(&Value) -> Vec<String>, numbers: impl Fn(&Value) -> Vec<f64>) -> Groups {
    let mut groups = Groups::new();
    for record in records {
        let add = numbers(record);
        let group = groups.entry(key(record)).or_insert_with(|| vec![0.0; add.len()]);
        group.iter_mut().zip(add).for_each(|(sum, number)| *sum += number);
    }
    groups
}

/// The day of a text that begins with one; with a zone, in UTC.
fn day(text: &str) -> Option<NaiveDate> {
    let instant = chrono::DateTime::parse_from_rfc3339(text).map(|instant| instant.to_utc().date_naive());
    instant.ok().or_else(|| NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok())
}

#[test]
fn what_sells_when_where_and_for_how_much() {
    let options = see_tickets::Options { sales: 4_000, ..see_tickets::Options::default() };
    let server = see_tickets::start_blocking(options.clone()).unwrap();
    let lake = Lake::new();
    Function::reading("sales", "see_tickets", lake.path())
        .against("see_tickets", &server.base_url, "sandbox-key")
        .complete();
    let sales: Vec<Value> = options.truth().sales(0).collect();
    let sold_on = |sale: &Value| day(sale["date"].as_str().unwrap()).unwrap();
    let count = |sale: &Value, name: &str| sale[name].as_f64().unwrap();
    let field = |sale: &Value, name: &str| text(&sale[name]);

    assert_same(
        &groups(&answer(&lake, "sales_per_day"), &["day", "currency"], &["sales", "tickets", "gross", "face"]),
        &sums(
            &sales,
            |sale| vec![sold_on(sale).to_string(), field(sale, "currency")],
            |sale| vec![1.0, count(sale, "sold"), count(sale, "grossSales"), count(sale, "grossFace")],
        ),
    );
    assert_same(
        &groups(
            &answer(&lake, "sales_by_channel_and_price"),
            &["event_id", "channel", "price", "currency"],
            &["tickets", "gross"],
        ),
        &sums(
            &sales,
            |sale| ["eventId", "salesChannel", "priceName", "currency"].map(|name| field(sale, name)).into(),
            |sale| vec![count(sale, "sold"), count(sale, "grossSales")],
        ),
    );

    let refunded = |sale: &Value, name: &str| if count(sale, "sold") < 0.0 { -count(sale, name) } else { 0.0 };
    let pending = |sale: &Value, name: &str| if sale["isPending"] == json!(true) { count(sale, name) } else { 0.0 };
    let columns = ["refunded_tickets", "refunded_gross", "pending_tickets", "pending_gross"];
    let open = groups(&answer(&lake, "refunds_and_pending"), &["event_id", "currency"], &columns);
    assert_same(
        &open,
        &sums(
            &sales,
            |sale| vec![field(sale, "eventId"), field(sale, "currency")],
            |sale| {
                let (tickets, gross) = ("sold", "grossSales");
                vec![refunded(sale, tickets), refunded(sale, gross), pending(sale, tickets), pending(sale, gross)]
            },
        ),
    );
    assert!(open.values().any(|numbers| numbers[0] > 0.0) && open.values().any(|numbers| numbers[2] > 0.0));

    let pace = answer(&lake, "pace_before_the_event");
    let before = |sale: &Value| Some((day(sale["eventDate"].as_str()?.get(..10)?)? - sold_on(sale)).num_days());
    let dated: Vec<Value> = sales.iter().filter(|sale| before(sale).is_some()).cloned().collect();
    assert_same(
        &groups(&pace, &["event_id", "days_before"], &["tickets"]),
        &sums(
            &dated,
            |sale| vec![field(sale, "eventId"), before(sale).unwrap().to_string()],
            |sale| vec![count(sale, "sold")],
        ),
    );
    // On an event's last row everything was sold by then.
    let mut by_then = BTreeMap::new();
    pace.iter().for_each(|row| _ = by_then.insert(text(&row["event_id"]), number(&row["tickets_by_then"])));
    let all = sums(&dated, |sale| vec![field(sale, "eventId")], |sale| vec![count(sale, "sold")]);
    assert_eq!(by_then, all.into_iter().map(|(mut key, sum)| (key.remove(0), sum[0])).collect());
}

#[test]
fn what_the_market_offers_where_and_how_its_prices_move() {
    let options = ticketmaster::Options { events: 900, images: 1, ..ticketmaster::Options::default() };
    let truth = options.truth().unwrap();
    let server = ticketmaster::start_blocking(options).unwrap();
    let lake = Lake::new();
    let events = Function::reading("events", "ticketmaster", lake.path())
        .against("ticketmaster", &server.base_url, "sandbox-key")
        .with(&["--full"]);
    events.complete();
    let of_revision = |revision| -> Vec<Value> {
        truth.event_ids(revision).iter().filter_map(|id| truth.event(id, revision)).collect()
    };
    let records = of_revision(0);
    let at = |event: &Value, pointer: &str| event.pointer(pointer).cloned().unwrap_or(Value::Null);
    let known = |event: &Value, pointer: &str| event.pointer(pointer).is_some();
    let one_if = |yes: bool| if yes { 1.0 } else { 0.0 };
    let (venue, price) = ("/_embedded/venues/0", "/priceRanges/0/min");

    assert_same(
        &groups(&answer(&lake, "market_by_category"), &["segment", "genre", "sub_genre"], &["events", "priced_events"]),
        &sums(
            &records,
            |event| {
                let name = |level: &str| {
                    let name = event.pointer(&format!("/classifications/0/{level}/name"));
                    name.map_or_else(|| "Undefined".to_owned(), text)
                };
                ["segment", "genre", "subGenre"].map(name).into()
            },
            |event| vec![1.0, one_if(known(event, price))],
        ),
    );
    let place = |event: &Value, of_venue: &str, of_place: &str| {
        let found =
            event.pointer(&format!("{venue}/{of_venue}")).or_else(|| event.pointer(&format!("/place/{of_place}")));
        text(found.unwrap_or(&Value::Null))
    };
    assert_same(
        &groups(&answer(&lake, "geography_of_events"), &["country", "state", "city"], &["events"]),
        &sums(
            &records,
            |event| {
                vec![
                    place(event, "country/countryCode", "country/countryCode"),
                    place(event, "state/stateCode", "state/stateCode"),
                    place(event, "city/name", "city/name"),
                ]
            },
            |_| vec![1.0],
        ),
    );

    let date = |event: &Value| day(event.pointer("/dates/start/localDate")?.as_str()?);
    let month = |event: &Value| date(event).unwrap().with_day(1).unwrap();
    let priced: Vec<Value> =
        records.iter().filter(|event| known(event, price) && date(event).is_some()).cloned().collect();
    let trends = answer(&lake, "price_trends_by_genre");
    let sum_of = |row: &Row, name: &str| number(&row[name]) * number(&row["events"]);
    let answered: Groups = trends
        .iter()
        .map(|row| {
            let mut key = texts(row, &["genre", "currency", "month"]);
            key[2].truncate(10);
            (key, vec![number(&row["events"]), sum_of(row, "average_lowest"), sum_of(row, "average_highest")])
        })
        .collect();
    assert_same(
        &answered,
        &sums(
            &priced,
            |event| {
                let genre = text(&at(event, "/classifications/0/genre/name"));
                vec![genre, text(&at(event, "/priceRanges/0/currency")), month(event).to_string()]
            },
            |event| vec![1.0, number(&at(event, price)), number(&at(event, "/priceRanges/0/max"))],
        ),
    );

    let mut days: BTreeMap<Vec<String>, (f64, BTreeSet<NaiveDate>)> = BTreeMap::new();
    let held =
        |event: &&Value| known(event, venue) && date(event).is_some() && at(event, "/dates/status/code") != "cancelled";
    for event in records.iter().filter(held).filter(|event| known(event, "/dates/status/code")) {
        let key = vec![text(&at(event, &format!("{venue}/id"))), month(event).to_string()];
        let (events, days) = days.entry(key).or_default();
        *events += 1.0;
        days.insert(date(event).unwrap());
    }
    let expected: Groups = days
        .into_iter()
        .map(|(key, (events, days))| {
            let month = day(&key[1]).unwrap();
            let length = (month + chrono::Months::new(1) - month).num_days() as f64;
            (key, vec![events, days.len() as f64, days.len() as f64 / length])
        })
        .collect();
    let mut utilisation = answer(&lake, "venue_utilisation");
    for row in &mut utilisation {
        let month = text(&row["month"])[..10].to_owned();
        row.insert("month".into(), month.into());
    }
    let columns = ["events", "days_with_events", "utilisation"];
    assert_same(&groups(&utilisation, &["venue_id", "month"], &columns), &expected);

    // Days later some prices are others.
    assert_eq!(answer(&lake, "price_changes_over_time").len(), 0);
    server.set_revision(1);
    events.complete();
    let before: BTreeMap<String, Value> = records.iter().map(|event| (text(&event["id"]), at(event, price))).collect();
    let moved: BTreeSet<(String, String, String)> = of_revision(1)
        .iter()
        .filter_map(|event| {
            let (id, now) = (text(&event["id"]), event.pointer(price)?.clone());
            let was = before.get(&id).filter(|was| !was.is_null() && number(was) != number(&now))?;
            Some((id, number(was).to_string(), number(&now).to_string()))
        })
        .collect();
    let changes = answer(&lake, "price_changes_over_time");
    let told =
        |row: &Row| (text(&row["id"]), number(&row["price_before"]).to_string(), number(&row["price"]).to_string());
    assert_eq!(changes.iter().map(told).collect::<BTreeSet<_>>(), moved);
    assert!(!moved.is_empty());
}

#[test]
fn every_query_is_one_that_athena_understands() {
    let script = r"
import glob, json, os, sqlglot, yaml
root = os.environ['ROOT']
class Loader(yaml.SafeLoader): pass
Loader.add_multi_constructor('!', lambda loader, tag, node: node.value)
template = yaml.load(open(root + '/infra/catalogue.yaml'), Loader)
tables, queries = {}, {}
for resource in template['Resources'].values():
    properties = resource['Properties']
    if resource['Type'] == 'AWS::Glue::Table':
        table = properties['TableInput']
        columns = table['StorageDescriptor']['Columns'] + table.get('PartitionKeys', [])
        tables[table['Name']] = {column['Name']: column['Type'] for column in columns}
    if resource['Type'] == 'AWS::Athena::NamedQuery':
        queries[properties['Name']] = properties['QueryString']
from sqlglot.optimizer.qualify import qualify
for name, text in queries.items():
    assert text.strip() == open(f'{root}/infra/queries/{name}.sql').read().strip(), name
    # Every column is one of a table's, by its name in the catalogue: an unknown one is an error.
    qualify(sqlglot.parse_one(text, dialect='athena'), schema=tables, dialect='athena')
print(json.dumps([len(tables), sorted(queries), len(glob.glob(root + '/infra/queries/*.sql'))]))
";
    let root = function::root().display().to_string();
    let found = python(script, &[("ROOT", &root)]);
    assert_eq!(json!(found[1].as_array().unwrap().len()), found[2]);
    assert!(found[0].as_u64().unwrap() > 15, "{found}");
}
