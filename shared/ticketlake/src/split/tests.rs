//! Splitting against an API in memory.

mod fake;
mod params;
mod time;

use std::sync::{Arc, LazyLock};

use lake::Memory;
use manifest::query::QueryScope;
use manifest::{Manifest, Query, Resource, built_in};
use table::Format;

use self::fake::{FakeSource, Item};
use super::SplitSource;
use super::params::{ParamSplitter, SplitResult, StoredValues};
use crate::error::Stop;

/// 2026-11-21T00:00:00Z, about which the records start.
const NOW: i64 = 1_795_219_200;

/// Throws of a die, the same ones for the same seed.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    /// One of the first `most` of `values`, and none of them once in `rarely` times.
    fn value(&mut self, values: &[&str], most: u64, rarely: u64) -> Option<String> {
        (!self.one_in(rarely)).then(|| values[self.below(most) as usize].to_owned())
    }
}

fn ticketmaster() -> &'static Manifest {
    static MANIFEST: LazyLock<Manifest> = LazyLock::new(|| built_in::find("ticketmaster").unwrap().unwrap());
    &MANIFEST
}

/// A manifest whose resource `shops` has these `slices`.
fn manifest(slices: &str) -> Manifest {
    let text = format!(
        "client: {{base_url: 'https://x', paginator: {{type: page_number, page_param: page, total_path: pages}}}}
resources:
  - name: shops
    primary_key: id
    endpoint: {{path: shops, page_size: {{param: size, maximum: 5}}, depth_limit: 10, total_path: total}}
    columns: {{id: {{data_type: text}}, country: {{path: country.countryCode, data_type: text}}}}
    slices: {slices}\n"
    );
    Manifest::parse("test.yaml", &text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// All records of a resource.
fn all(resource: &Resource) -> Query {
    let mut query = Query::new(QueryScope::default(), "all");
    let sort = if resource.name == "events" { "id,asc" } else { "name,asc" };
    query.params.extend([("sort".into(), sort.into()), ("locale".into(), "*".into())]);
    query
}

/// One run that reads all records of the resource `name` in parts by its parameters.
async fn read(manifest: &Manifest, name: &str, fake: &FakeSource) -> Result<SplitResult, Stop> {
    let store = Memory::default();
    read_with(manifest, name, fake, &store).await
}

/// The same with values from the tables in `store`.
async fn read_with(manifest: &Manifest, name: &str, fake: &FakeSource, store: &Memory) -> Result<SplitResult, Stop> {
    let mut resource = manifest.resource(name).unwrap().clone();
    resource.endpoint.total_limit = fake.total_limit;
    let stored = StoredValues::new(store, manifest, Format::Json);
    let earlier = fake.checkpoint.borrow().clone();
    let (limit, page_size) = (fake.limit, fake.page_size);
    let splitter =
        ParamSplitter { source: fake, resource: &resource, stored: &stored, earlier: &earlier, limit, page_size };
    let query = Arc::new(all(&resource));
    let first = fake.first_page(&query).await?.unwrap();
    splitter.read(&query, first).await
}

/// Records with random fields; `seed` decides how many, and how much they differ.
fn world(seed: u64) -> Vec<Item> {
    let mut dice = Dice(seed);
    let count = dice.below(150);
    let kinds = 1 + dice.below(6);
    let rarely = 2 + dice.below(30);
    let names = [1, 7, 10_000][dice.below(3) as usize];
    let values = ["a", "b", "c", "d", "e", "f"];
    let mut item = |number| Item {
        name: format!("{:05}", dice.below(names)),
        time: (!dice.one_in(rarely)).then(|| NOW + [60, 86_400 * 9][dice.below(2) as usize] * dice.below(8) as i64),
        announced: NOW - 3_600 * dice.below(900) as i64,
        country: dice.value(&["IE", "GB", "DE", "US", "XX", "YY"], kinds, rarely),
        state: dice.value(&values, kinds, rarely),
        classes: std::array::from_fn(|_| dice.value(&values, kinds, rarely)),
        second_segment: dice.one_in(9).then(|| "b".to_owned()),
        point: (!dice.one_in(rarely)).then(|| (dice.below(140) as f64 - 70.0, dice.below(kinds * 50) as f64 - 150.0)),
        source: dice.value(&["ticketmaster", "tmr", "universe", "unlisted"], 4, rarely),
        ..Item::new(number)
    };
    (0..count as usize).map(&mut item).collect()
}
