//! The laws of a store, as functions over any [`Store`].
//!
//! A test of another package includes this file by its path and runs the same laws over its own store, such as a bucket of an S3
//! emulator: `#[macro_use] #[path = "…/shared/lake/tests/behaviour/mod.rs"] mod behaviour;`. Each law uses keys of its own, so that one
//! empty store can serve all of them.

use bytes::Bytes;
use futures::future::join_all;
use lake::{ErrorKind, ListedObject, Precondition, Store, Version, WriteOutcome};

/// Declares a module `$module` with one test for each law. `$store` is an expression that is evaluated in an async function and returns
/// an empty store together with a value that must live as long as it.
macro_rules! store_behaviour {
    ($module:ident, $store:expr) => {
        store_behaviour! {
            $module, $store,
            an_object_is_created_once,
            an_object_is_replaced_only_in_the_version_that_was_read,
            a_replacement_needs_an_object,
            one_of_concurrent_creates_succeeds,
            one_of_concurrent_replacements_succeeds,
            a_listing_has_the_keys_with_the_prefix_in_order,
            a_listing_shows_size_and_version,
            an_unused_key_has_no_object,
            an_open_object_keeps_its_version_or_says_that_it_changed,
            a_read_returns_the_bytes_of_its_range,
        }
    };
    ($module:ident, $store:expr, $($law:ident),+ $(,)?) => {
        mod $module {
            use super::*;

            $(
                #[tokio::test]
                async fn $law() {
                    let (store, _guard) = $store;
                    behaviour::$law(&store).await;
                }
            )+
        }
    };
}

/// Writes `text` and returns its version. The precondition must hold.
async fn write(store: &impl Store, key: &str, text: &'static str, precondition: Precondition) -> Version {
    match store.put(key, Bytes::from(text), precondition).await.unwrap() {
        WriteOutcome::Written(version) => version,
        WriteOutcome::Conflict => panic!("{key}: the write of {text:?} had a conflict"),
    }
}

/// Returns the bytes and the version of an object that must exist.
async fn read(store: &impl Store, key: &str) -> (Bytes, Version) {
    store.get(key).await.unwrap().unwrap_or_else(|| panic!("{key} does not exist"))
}

pub(crate) async fn an_object_is_created_once(store: &impl Store) {
    let key = "create/a=1/part-00000.parquet";
    let version = write(store, key, "first", Precondition::Absent).await;
    assert_eq!(read(store, key).await, (Bytes::from("first"), version.clone()));
    let again = store.put(key, Bytes::from("second"), Precondition::Absent).await.unwrap();
    assert_eq!(again, WriteOutcome::Conflict);
    assert_eq!(read(store, key).await, (Bytes::from("first"), version));
}

pub(crate) async fn an_object_is_replaced_only_in_the_version_that_was_read(store: &impl Store) {
    let key = "replace/object";
    let first = write(store, key, "first", Precondition::Absent).await;
    let second = write(store, key, "second", Precondition::Is(first.clone())).await;
    assert_ne!(first, second);
    assert_eq!(read(store, key).await, (Bytes::from("second"), second.clone()));
    let outdated = store.put(key, Bytes::from("third"), Precondition::Is(first)).await.unwrap();
    assert_eq!(outdated, WriteOutcome::Conflict);
    assert_eq!(read(store, key).await, (Bytes::from("second"), second.clone()));
    let third = write(store, key, "third", Precondition::Is(second)).await;
    assert_eq!(read(store, key).await, (Bytes::from("third"), third));
}

pub(crate) async fn a_replacement_needs_an_object(store: &impl Store) {
    let version = write(store, "none/object", "bytes", Precondition::Absent).await;
    let outcome = store.put("none/other", Bytes::from("other"), Precondition::Is(version)).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Conflict);
    assert_eq!(store.get("none/other").await.unwrap(), None);
}

pub(crate) async fn one_of_concurrent_creates_succeeds(store: &impl Store) {
    check_that_one_succeeds(store, "creates/object", &Precondition::Absent).await;
}

pub(crate) async fn one_of_concurrent_replacements_succeeds(store: &impl Store) {
    let version = write(store, "replacements/object", "first", Precondition::Absent).await;
    check_that_one_succeeds(store, "replacements/object", &Precondition::Is(version)).await;
}

/// Writes different bytes to `key` under the same precondition, all at the same time.
async fn check_that_one_succeeds(store: &impl Store, key: &str, precondition: &Precondition) {
    let writes = (0..8).map(|writer| async move {
        let bytes = Bytes::from(format!("writer {writer}"));
        (bytes.clone(), store.put(key, bytes, precondition.clone()).await.unwrap())
    });
    let outcomes = join_all(writes).await;
    let mut written = Vec::new();
    for (bytes, outcome) in outcomes {
        if let WriteOutcome::Written(version) = outcome {
            written.push((bytes, version));
        }
    }
    assert_eq!(written, [read(store, key).await]);
}

pub(crate) async fn a_listing_has_the_keys_with_the_prefix_in_order(store: &impl Store) {
    // These keys are in byte order: `/` is before the digits, and capitals are before `_` and small letters.
    let keys = [
        "list/things/b=1/part-00000.parquet",
        "list/things/b=1/part-00001.parquet",
        "list/things/b=10/part-00000.parquet",
        "list/things/b=B/part-00000.parquet",
        "list/things/b=a%20b/part-00000.parquet",
        "list/things/part-00000.parquet",
        "list/things_history/part-00000.parquet",
    ];
    for key in keys.iter().rev() {
        write(store, key, "bytes", Precondition::Absent).await;
    }
    for (prefix, expected) in [
        ("list/", &keys[..]),
        ("list/things/", &keys[..6]),
        ("list/things", &keys[..]),
        ("list/things/b=1", &keys[..3]),
        ("list/things/b=1/", &keys[..2]),
        ("list/things/b=1/part-", &keys[..2]),
        ("list/things/part-00000.parquet", &keys[5..6]),
        ("list/thing/", &[]),
        ("list/things/b=2/part-", &[]),
    ] {
        let listed: Vec<String> = store.list(prefix).await.unwrap().into_iter().map(|listed| listed.key).collect();
        assert_eq!(listed, expected, "{prefix}");
    }
    let all = store.list("").await.unwrap();
    assert!(all.is_sorted_by(|left, right| left.key < right.key));
    assert_eq!(all.iter().filter(|listed| listed.key.starts_with("list/")).count(), keys.len());
}

pub(crate) async fn a_listing_shows_size_and_version(store: &impl Store) {
    let key = "listed/object";
    let first = write(store, key, "four", Precondition::Absent).await;
    let listed = |size, version: &Version| [ListedObject { key: key.into(), size, version: version.clone() }];
    assert_eq!(store.list("listed/").await.unwrap(), listed(4, &first));
    let second = write(store, key, "eleven long", Precondition::Is(first)).await;
    assert_eq!(store.list("listed/").await.unwrap(), listed(11, &second));
}

pub(crate) async fn an_unused_key_has_no_object(store: &impl Store) {
    assert_eq!(store.get("unused/object").await.unwrap(), None);
    assert_eq!(store.list("unused/").await.unwrap(), []);
    let listed = ListedObject { key: "unused/object".into(), size: 1, version: Version("1".into()) };
    if let Some(object) = store.open(&listed).await.unwrap() {
        assert!(object.read(0..1).await.is_err());
    }
}

pub(crate) async fn an_open_object_keeps_its_version_or_says_that_it_changed(store: &impl Store) {
    let key = "open/object";
    let first = write(store, key, "first bytes", Precondition::Absent).await;
    let listed = store.list("open/").await.unwrap().remove(0);
    let object = store.open(&listed).await.unwrap().unwrap();
    assert_eq!((object.version(), object.size()), (&first, 11));
    let second = write(store, key, "other bytes", Precondition::Is(first.clone())).await;
    match object.read(6..11).await {
        Ok(bytes) => assert_eq!(bytes, "bytes"),
        Err(error) => assert_eq!(error.kind, ErrorKind::Changed, "{error}"),
    }
    match object.read(0..5).await {
        Ok(bytes) => assert_eq!(bytes, "first"),
        Err(error) => assert_eq!(error.kind, ErrorKind::Changed, "{error}"),
    }
    assert_eq!(object.version(), &first);

    // A listing that is outdated when the object is opened.
    let object = store.open(&listed).await.unwrap().unwrap();
    match object.read(0..5).await {
        Ok(bytes) => assert_eq!((object.version(), bytes), (&second, Bytes::from("other"))),
        Err(error) => assert_eq!(error.kind, ErrorKind::Changed, "{error}"),
    }
}

pub(crate) async fn a_read_returns_the_bytes_of_its_range(store: &impl Store) {
    write(store, "range/object", "0123456789", Precondition::Absent).await;
    let listed = store.list("range/").await.unwrap().remove(0);
    let object = store.open(&listed).await.unwrap().unwrap();
    for (range, expected) in [(0..10, "0123456789"), (0..1, "0"), (3..7, "3456"), (9..10, "9")] {
        assert_eq!(object.read(range).await.unwrap(), expected);
    }
}
