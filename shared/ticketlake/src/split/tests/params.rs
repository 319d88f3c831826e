//! Splitting by parameters: what is called complete is.

use std::collections::BTreeSet;

use serde_json::json;
use table::map::Mapper;
use table::merge::{Merged, Table};

use super::super::params::SplitProof;
use super::fake::Change;
use super::*;
use crate::error::Error;
use crate::evidence::MAX_READS;

const BY_COUNTRY: &str = "{then: [{param: countryCode, path: country.countryCode}]}";
const BY_SOURCE_TOO: &str =
    "{then: [{param: countryCode, path: country.countryCode}, {param: source, values: [tmr, universe]}]}";
const BY_SEGMENT_THEN_COUNTRY: &str = "{then: [{param: segmentId, path: 'classifications[0].segment.id', several: true, exclude: '-'}, {param: countryCode, path: country.countryCode}]}";
const BY_CELLS: &str = "{sample: {sort: random}, then: [{param: geoPoint, geohash: {latitude: location.latitude, longitude: location.longitude, radius_param: radius, unit: km, params: {unit: km}}}]}";
const REVERSE: &str = "{reverse: {sort: 'name,desc'}}";

/// Records of the countries and numbers in `counts`; an empty country is none.
fn shops(counts: &[(&str, usize)]) -> Vec<Item> {
    let countries = counts.iter().flat_map(|(country, count)| std::iter::repeat_n(country, *count));
    let country = |country: &str| Some(country.to_owned()).filter(|country| !country.is_empty());
    countries.enumerate().map(|(number, name)| Item { country: country(name), ..Item::new(number) }).collect()
}

fn reason(result: &SplitResult) -> &str {
    match &result.proof {
        SplitProof::Short(reason) => reason,
        proof => panic!("{proof:?}"),
    }
}

fn is_complete(result: &SplitResult) -> bool {
    matches!(result.proof, SplitProof::Complete | SplitProof::ByValues)
}

#[tokio::test]
async fn twice_as_many_records_as_the_api_serves_come_from_both_ends() {
    let manifest = manifest(REVERSE);
    for count in 0..=25 {
        let fake = FakeSource::new(shops(&[("IE", count)]));
        let result = read(&manifest, "shops", &fake).await.unwrap();
        assert_eq!(result.total, count as u64);
        assert_eq!(is_complete(&result), count <= 20, "{count}");
        assert_eq!(fake.lost(|_| true).len(), count.saturating_sub(20), "{count}");
    }
    // Four pages, and one more record at the middle.
    let fake = FakeSource::new(shops(&[("IE", 19)]));
    read(&manifest, "shops", &fake).await.unwrap();
    assert_eq!(fake.requests.get(), 4);
}

/// In a wide tie the two ends need not meet; it is read again, or reported.
#[tokio::test]
async fn equal_names_that_change_places_lose_nothing_silently() {
    let (manifest, mut complete) = (ticketmaster(), 0);
    for seed in 0..60 {
        let mut items = shops(&[("IE", 5 + seed as usize % 15)]);
        let mut dice = Dice(seed);
        items.iter_mut().for_each(|item| item.name = format!("n{}", dice.below(1 + seed % 9)));
        let fake = FakeSource { shaky: true, ..FakeSource::new(items) };
        let result = read(manifest, "venues", &fake).await.unwrap();
        complete += u32::from(is_complete(&result));
        assert_eq!(is_complete(&result), fake.lost(|_| true).is_empty(), "seed {seed}");
    }
    assert!(complete >= 50, "{complete}");
}

#[tokio::test]
async fn a_deeper_query_is_split_by_one_parameter_after_another() {
    let mut items = shops(&[("IE", 12), ("GB", 45), ("DE", 3)]);
    items.iter_mut().enumerate().for_each(|(number, item)| item.state = Some(["a", "b", "c"][number % 3].into()));
    let fake = FakeSource::new(items);
    let result = read(ticketmaster(), "venues", &fake).await.unwrap();
    assert!(is_complete(&result), "{result:?}");
    assert_eq!((result.total, result.received, fake.lost(|_| true)), (60, 60, vec![]));
    let asked = fake.asked.borrow();
    assert!(asked.iter().any(|query| query.label == "all countryCode=GB stateCode=a"));
}

#[tokio::test]
async fn records_that_no_value_brings_are_a_shortfall_with_its_numbers() {
    // The records without a country are neither on the first page nor in a part.
    let everywhere: Vec<(&str, usize)> =
        [("IE", 1), ("GB", 1)].repeat(5).into_iter().chain([("IE", 4), ("", 2), ("GB", 4)]).collect();
    let fake = FakeSource::new(shops(&everywhere));
    let result = read(&manifest(BY_COUNTRY), "shops", &fake).await.unwrap();
    assert!(reason(&result).contains("received 18 of 20 records by countryCode"), "{result:?}");
    assert_eq!(fake.lost(|_| true), ["i0014", "i0015"]);
    assert_eq!((result.total, result.received), (20, 18));
}

#[tokio::test]
async fn a_later_parameter_brings_what_the_first_one_left_out() {
    let everywhere: Vec<(&str, usize)> =
        [("IE", 1), ("GB", 1)].repeat(5).into_iter().chain([("IE", 4), ("", 2), ("GB", 4)]).collect();
    let mut items = shops(&everywhere);
    items[14].source = Some("tmr".into());
    items[15].source = Some("universe".into());
    let fake = FakeSource::new(items);
    let result = read(&manifest(BY_SOURCE_TOO), "shops", &fake).await.unwrap();
    assert!(is_complete(&result), "{result:?}");
    assert_eq!(fake.lost(|_| true), Vec::<String>::new());
}

#[tokio::test]
async fn a_shortfall_names_the_parts_that_are_incomplete() {
    let fake = FakeSource::new(shops(&[("IE", 1), ("GB", 25), ("DE", 1), ("IE", 3)]));
    let result = read(&manifest(BY_COUNTRY), "shops", &fake).await.unwrap();
    assert!(reason(&result).contains("(incomplete: 1 subqueries, 10 of 25 of `all countryCode=GB`)"), "{result:?}");
    let parts = fake.checkpoint.borrow().subqueries(all(&manifest(BY_COUNTRY).resources[0]).id()).to_vec();
    assert!(parts.iter().all(|part| part.values != ["GB"]), "an incomplete part is not finished");
}

#[tokio::test]
async fn a_total_that_is_capped_is_never_a_proof() {
    let manifest = manifest(BY_COUNTRY);
    for (counts, uncounted) in [
        (vec![("IE", 1), ("GB", 1), ("DE", 1), ("IE", 8), ("GB", 8), ("DE", 8)], true),
        // Two have no country; the API counts 20 of 26.
        (vec![("IE", 1), ("GB", 1), ("DE", 1), ("IE", 8), ("GB", 8), ("DE", 5), ("", 2)], true),
        // What is below the cap is known to be missing.
        (vec![("IE", 1), ("GB", 1), ("DE", 1), ("IE", 8), ("", 20)], false),
    ] {
        let fake = FakeSource { total_limit: Some(20), ..FakeSource::new(shops(&counts)) };
        let result = read(&manifest, "shops", &fake).await.unwrap();
        assert_eq!(matches!(result.proof, SplitProof::NoExactTotal), uncounted, "{result:?}");
        assert_eq!(matches!(result.proof, SplitProof::Short(_)), !uncounted, "{result:?}");
    }
}

/// The API of Elasticsearch counts as far as it serves.
#[tokio::test]
async fn a_cap_at_the_depth_hides_what_is_deeper() {
    let fake = FakeSource { total_limit: Some(10), ..FakeSource::new(shops(&[("IE", 15)])) };
    let result = read(&manifest(BY_COUNTRY), "shops", &fake).await.unwrap();
    assert!(!is_complete(&result), "{result:?}");
    let result = read(&manifest(REVERSE), "shops", &fake).await.unwrap();
    assert!(matches!(result.proof, SplitProof::Short(_)), "{result:?}");
}

#[tokio::test]
async fn values_and_what_has_none_of_them_are_all() {
    let mut items = shops(&[("", 28)]);
    // The first page shows two of the segments; the rest has another one, or none.
    for (number, item) in items.iter_mut().enumerate() {
        item.classes[0] = ["a", "b", "c", ""]
            .get(if number < 18 { number % 2 } else { 2 + number % 2 })
            .map(|value| (*value).to_owned())
            .filter(|value| !value.is_empty());
    }
    let fake = FakeSource { total_limit: Some(20), ..FakeSource::new(items) };
    let result = read(&manifest(BY_SEGMENT_THEN_COUNTRY), "shops", &fake).await.unwrap();
    assert!(
        fake.asked.borrow().iter().any(|query| query.params.get("segmentId").is_some_and(|text| text.starts_with('-')))
    );
    assert!(is_complete(&result), "{result:?}");
    assert_eq!((result.received, fake.lost(|_| true)), (28, vec![]));
}

/// The values and the rest are all records only if each of them came.
#[tokio::test]
async fn a_refused_value_is_not_made_up_for_by_the_rest() {
    let mut items = shops(&[("", 24)]);
    items.iter_mut().enumerate().for_each(|(number, item)| item.classes[0] = Some(["a", "b", "c"][number % 3].into()));
    for refused in ["a", "-a"] {
        let fake = FakeSource { refused: vec![refused.into()], page_size: 3, ..FakeSource::new(items.clone()) };
        let result = read(&manifest(BY_SEGMENT_THEN_COUNTRY), "shops", &fake).await.unwrap();
        assert_eq!(is_complete(&result), fake.lost(|_| true).is_empty(), "{refused}: {result:?}");
    }
}

/// The most important law.
#[tokio::test]
async fn nothing_is_complete_while_a_record_is_not_stored() {
    let ticketmaster = ticketmaster();
    let written = [BY_COUNTRY, BY_SOURCE_TOO, BY_SEGMENT_THEN_COUNTRY, BY_CELLS, REVERSE].map(manifest);
    let (mut complete, mut uncounted, mut short) = (0, 0, 0);
    for seed in 0..260 {
        let mut dice = Dice(seed + 9_000);
        let (manifest, name) = match seed % 8 {
            0 => (ticketmaster, "events"),
            1 => (ticketmaster, "venues"),
            2 => (ticketmaster, "attractions"),
            other => (&written[other as usize - 3], "shops"),
        };
        let mut fake = FakeSource::new(world(seed));
        fake.items.borrow_mut().truncate(90);
        if name == "events" {
            // Without a flag, the API hides them.
            fake.items.borrow_mut().retain(|item| item.time.is_some());
        }
        fake.shaky = dice.one_in(3);
        fake.total_limit = dice.one_in(3).then(|| [10, 20, 30, 60][dice.below(4) as usize]);
        fake.refused =
            if dice.one_in(3) { vec![["a", "-a", "IE", "tmr"][dice.below(4) as usize].into()] } else { vec![] };
        let result = read(manifest, name, &fake).await.unwrap();
        let lost = fake.lost(|_| true);
        match &result.proof {
            SplitProof::Complete | SplitProof::ByValues => {
                assert_eq!(lost, Vec::<String>::new(), "seed {seed}, {name}: {result:?}");
                complete += 1;
            }
            SplitProof::NoExactTotal => {
                let cap = fake.total_limit.unwrap();
                assert!(fake.ids().len() as u64 >= cap && result.received >= cap, "seed {seed}, {name}: {result:?}");
                uncounted += 1;
            }
            SplitProof::TotalChanged | SplitProof::Short(_) => short += 1,
        }
        assert!(result.received <= fake.ids().len() as u64, "seed {seed}, {name}: {result:?}");
    }
    println!("{complete} complete, {uncounted} uncounted, {short} short");
    assert!(complete > 50 && uncounted > 8 && short > 50, "{complete} complete, {uncounted} uncounted, {short} short");
}

#[tokio::test]
async fn a_sample_that_counts_is_stored() {
    // The sample shows a record that neither end reaches, and nothing splits the query.
    let slices = "{reverse: {sort: 'name,desc'}, sample: {sort: random}}";
    for begin in 0..40 {
        let fake = FakeSource::new((begin * 21..(begin + 1) * 21).map(Item::new).collect());
        let result = read(&manifest(slices), "shops", &fake).await.unwrap();
        assert_eq!(is_complete(&result), fake.lost(|_| true).is_empty(), "from {begin}: {result:?}");
    }
}

#[tokio::test]
async fn stored_values_are_asked_for() {
    let slices =
        "{then: [{param: countryCode, path: country.countryCode, values_from: {resource: shops, column: country}}]}";
    let manifest = manifest(slices);
    let items = shops(&[("IE", 5), ("GB", 8), ("DE", 8), ("FR", 2)]);
    let fake = FakeSource::new(items.clone());
    let result = read(&manifest, "shops", &fake).await.unwrap();
    assert!(reason(&result).contains("of 23 records"), "the first page shows one country: {result:?}");
    let store = Memory::default();
    let (table, mapper) =
        (Table::new(&store, &manifest.name, &manifest.resources[0], Format::Json), Mapper::new(&manifest.resources[0]));
    let mut buffer = table.buffer();
    for (id, country) in ["GB", "DE", "FR"].iter().enumerate() {
        let row = mapper.map(json!({"id": id.to_string(), "country": {"countryCode": country}})).remove(0);
        buffer.push(row.unwrap(), manifest::time::Instant::default());
    }
    table.merge(&mut buffer, &mut Merged::default()).await.unwrap();
    let fake = FakeSource::new(items);
    let result = read_with(&manifest, "shops", &fake, &store).await.unwrap();
    assert!(is_complete(&result), "{result:?}");
    assert_eq!(fake.lost(|_| true), Vec::<String>::new());
}

#[tokio::test]
async fn circles_find_all_records_that_have_a_place() {
    let manifest = manifest(BY_CELLS);
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let mut items = shops(&[("", 30 + dice.below(90) as usize)]);
        let width = [1, 1_000, 100_000][seed as usize % 3];
        // All over the globe, in one city, and in a few blocks, beside the antimeridian as well.
        for item in &mut items {
            let mut turn =
                |most: u64| (dice.below(most * 1_000 / width) as f64 - (most * 500 / width) as f64) / 1_000.0;
            item.point = Some((turn(170), turn(359) + if seed % 2 == 0 { 0.0 } else { 0.3 }));
        }
        let fake = FakeSource::new(items);
        let result = read(&manifest, "shops", &fake).await.unwrap();
        let lost = fake.lost(|_| true);
        assert_eq!(is_complete(&result), lost.is_empty(), "seed {seed}: {result:?}");
        assert!(lost.is_empty() || width > 1, "seed {seed}: {lost:?} {result:?}");
    }
    // More in one place than the API serves.
    let mut items = shops(&[("", 26)]);
    items.iter_mut().for_each(|item| item.point = Some((53.35, -6.26)));
    items[7].point = Some((10.0, 10.0));
    let fake = FakeSource::new(items);
    assert!(reason(&read(&manifest, "shops", &fake).await.unwrap()).contains("of 26 records"));
}

#[tokio::test]
async fn an_error_ends_the_split_and_finishes_nothing_that_was_not_read() {
    let manifest = ticketmaster();
    let whole = FakeSource::new(world(5));
    assert!(whole.items.borrow().len() > 60);
    let expected = read(manifest, "venues", &whole).await.unwrap();
    for fails_at in 1..=whole.requests.get() {
        let fake = FakeSource { fails_at: Some(fails_at), ..FakeSource::new(world(5)) };
        let stopped = read(manifest, "venues", &fake).await;
        assert!(
            matches!(&stopped, Err(Stop::Error(Error::Client(error))) if error.to_string().contains("down")),
            "{stopped:?}"
        );
        finished_parts_are_stored(manifest, &fake, "venues");
        // The next run goes on there.
        let again = fake.again();
        let before = again.checkpoint.borrow().clone();
        let result = read(manifest, "venues", &again).await.unwrap();
        assert_eq!(is_complete(&result), is_complete(&expected), "{fails_at}");
        assert_eq!((again.ids(), result.received), (whole.ids(), expected.received), "{fails_at}");
        let resource = manifest.resource("venues").unwrap();
        for part in before.subqueries(all(resource).id()) {
            let query = all(resource).with_values(&part.param, &part.values);
            let asked = again.asked.borrow().iter().any(|asked| asked.params == query.params);
            assert!(!asked || part.values[0].is_empty(), "{fails_at}: {} is read again", query.label);
        }
    }
}

/// Every record of a part that is noted as finished is stored, by the fake's own judgement and by the keys of the part.
fn finished_parts_are_stored(manifest: &Manifest, fake: &FakeSource, name: &str) {
    let resource = manifest.resource(name).unwrap();
    let queries: BTreeSet<_> = fake.asked.borrow().iter().map(|query| query.id()).collect();
    let (items, stored) = (fake.items.borrow(), fake.ids());
    let stored_keys: BTreeSet<u64> = items.iter().filter(|item| stored.contains(&item.id)).map(Item::key).collect();
    for parent in fake.asked.borrow().iter().filter(|query| queries.contains(&query.id())) {
        for part in fake.checkpoint.borrow().subqueries(parent.id()) {
            assert!(part.keys.iter().all(|key| stored_keys.contains(key)), "{part:?}");
            if resource.slices.then.iter().any(|split| split.param == part.param) && part.param != "geoPoint" {
                let query = parent.with_values(&part.param, &part.values);
                assert_eq!(fake.lost(|item| item.matches(&query.params)), Vec::<String>::new(), "{}", query.label);
            }
        }
    }
}

#[tokio::test]
async fn a_query_that_shrinks_or_grows_while_it_is_read_is_read_again() {
    let manifest = manifest(BY_COUNTRY);
    // The ninth record moves onto the page that was read; a new one moves the fifth onto the next page.
    let new = || Change::Insert(Box::new(Item { name: "ni0000a".into(), ..Item::new(99) }));
    for (change, passes) in [(Change::Remove("i0001"), 2), (new(), 2)] {
        let mut fake = FakeSource::new(shops(&[("IE", 9)]));
        fake.changes.insert(2, vec![change]);
        let result = read(&manifest, "shops", &fake).await.unwrap();
        assert!(is_complete(&result), "{result:?}");
        assert_eq!(fake.lost(|_| true), Vec::<String>::new());
        let reads = fake.asked.borrow().len();
        assert_eq!(reads, passes);
    }
}

/// The fifth and the sixth record change places after the first page.
#[tokio::test]
async fn records_that_change_places_are_read_again_in_one_page() {
    let mut fake = FakeSource::new(shops(&[("IE", 10)]));
    fake.changes.insert(2, vec![Change::Rename("i0004", "ni0005a")]);
    let result = read(&manifest(BY_COUNTRY), "shops", &fake).await.unwrap();
    assert!(is_complete(&result), "{result:?}");
    assert_eq!((fake.lost(|_| true), fake.requests.get()), (vec![], 3));
}

#[tokio::test]
async fn a_query_that_never_keeps_still_is_read_so_often_and_then_reported() {
    let manifest = manifest(BY_COUNTRY);
    let mut fake = FakeSource::new(shops(&[("IE", 10)]));
    // One record goes between the two pages, each time.
    fake.changes =
        [(2, "i0000"), (4, "i0001"), (6, "i0002")].map(|(request, id)| (request, vec![Change::Remove(id)])).into();
    let result = read(&manifest, "shops", &fake).await.unwrap();
    assert!(reason(&result).contains("received fewer records than the total in every read"), "{result:?}");
    // The last first page is asked for to split it, which it is too small for.
    assert_eq!(fake.asked.borrow().len() as u32, MAX_READS + 1);
}

#[tokio::test]
async fn a_record_that_goes_between_two_readings_stands_for_no_other() {
    let manifest = manifest(BY_COUNTRY);
    let mut fake = FakeSource::new(shops(&[("IE", 9)]));
    let (new, first, last) = ("i0099", "ni0000a", "z");
    fake.changes = [
        (2, vec![Change::Insert(Box::new(Item { name: first.into(), ..Item::new(99) }))]),
        // The page around the seam is the third request.
        (4, vec![Change::Remove("i0008"), Change::Rename(new, last)]),
        (5, vec![Change::Rename(new, first)]),
    ]
    .into();
    let result = read(&manifest, "shops", &fake).await.unwrap();
    assert_eq!(is_complete(&result), fake.lost(|_| true).is_empty(), "{result:?} {:?}", fake.lost(|_| true));
}
