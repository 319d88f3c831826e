//! The protocol of the merge as a small model, checked over every interleaving of its writers' steps, with crashes at any of
//! them and writes that get no answer or arrive late.
//!
//! [`partition`] is what a writer does, under the names of `merge::partition`; [`store`] what a directory and S3 promise
//! it; [`laws`] what must come of it. Each safeguard is then left out, and the checker must find what goes wrong without.
//! [`readings`] is the protocol by which a reading removes rows beside others.

mod laws;
mod partition;
mod readings;
mod store;

use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use partition::{Batch, Flaw, Partition, WriteDisposition};
use readings::Readings;
use store::{Content, Fingerprint, Key, Kind, Row};

/// Rows by key and fingerprint. The same fingerprint in two batches is the same version, read twice.
fn rows<const N: usize>(rows: [(Key, Fingerprint); N]) -> Vec<Row> {
    rows.into_iter().map(|(key, fingerprint)| Row { key, fingerprint, synced_at: 0 }).collect()
}

/// The protocol as it is, on an empty partition, with nothing going wrong.
fn model(kind: Kind, disposition: WriteDisposition, batches: Vec<Batch>) -> Partition {
    Partition { kind, disposition, flaw: None, before: Vec::new(), batches, crashes: 0, delays: 0 }
}

/// They share keys, and differ in when a part is full.
fn two_writers() -> Vec<Batch> {
    vec![
        Batch { rows: rows([('a', 1), ('b', 8), ('c', 1)]), target: 2 },
        Batch { rows: rows([('c', 2), ('b', 8), ('a', 2), ('d', 2)]), target: 3 },
    ]
}

/// Smaller batches, so that there are not more states than a test has time for.
fn three_writers() -> Vec<Batch> {
    vec![
        Batch { rows: rows([('a', 1), ('c', 1)]), target: 2 },
        Batch { rows: rows([('c', 2), ('b', 8), ('a', 2)]), target: 3 },
        Batch { rows: rows([('b', 8), ('c', 3)]), target: 1 },
    ]
}

/// A sealed part and an open one.
fn two_parts() -> Vec<Content> {
    vec![
        Content { sealed: true, rows: rows([('a', 9)]), replaces: None },
        Content { sealed: false, rows: rows([('b', 9)]), replaces: None },
    ]
}

/// Checks `batches` against all laws, on an empty partition and on one with parts.
fn check(kind: Kind, batches: &[Batch], crashes: u8, delays: u8) {
    for disposition in [WriteDisposition::Merge, WriteDisposition::Append] {
        for before in [Vec::new(), two_parts()] {
            let lie = before.len();
            let start = Instant::now();
            let model = Partition { before, crashes, delays, ..model(kind, disposition, batches.to_vec()) };
            let checker = model.checker().spawn_bfs().join();
            let (states, depth) = (checker.unique_state_count(), checker.max_depth());
            println!("{kind:?}, {disposition:?}, {lie} parts: {states} states, {depth} deep, {:?}", start.elapsed());
            checker.assert_properties();
        }
    }
}

#[test]
fn two_writers_in_a_directory() {
    check(Kind::Directory, &two_writers(), 2, 2);
}

#[test]
fn two_writers_on_s3() {
    check(Kind::S3, &two_writers(), 2, 2);
}

#[test]
fn three_writers_in_a_directory() {
    check(Kind::Directory, &three_writers(), 1, 1);
}

#[test]
fn three_writers_on_s3() {
    check(Kind::S3, &three_writers(), 1, 1);
}

/// The shortest way in which `law` is broken when `flaw` is in the protocol.
fn counterexample(model: &Partition, flaw: Flaw, law: &'static str) {
    let model = Partition { flaw: Some(flaw), ..model.clone() };
    for depth in 1.. {
        // The checker stops some time after it has found what it looks for, and gives the last that it found.
        let look_for = HasDiscoveries::AllOf(BTreeSet::from([law]));
        let checker = model.clone().checker().finish_when(look_for).target_max_depth(depth).spawn_bfs().join();
        if let Some(path) = checker.discovery(law) {
            println!("{:?}, {flaw:?}: not \"{law}\": {:?}", model.kind, path.into_actions());
            return;
        }
        assert!(checker.max_depth() + 1 >= depth, "{:?}, {flaw:?}: still \"{law}\"", model.kind);
    }
}

#[test]
fn without_the_seal_a_key_is_stored_twice() {
    for kind in [Kind::Directory, Kind::S3] {
        let model = model(kind, WriteDisposition::Merge, two_writers());
        counterexample(&model, Flaw::NoSeal, laws::ONCE);
        counterexample(&model, Flaw::NoSeal, laws::FOLLOWED);
    }
}

#[test]
fn without_if_none_match_a_row_is_lost() {
    for kind in [Kind::Directory, Kind::S3] {
        counterexample(&model(kind, WriteDisposition::Merge, two_writers()), Flaw::NoIfNoneMatch, laws::KEPT);
    }
}

#[test]
fn without_if_match_a_row_and_a_seal_are_lost() {
    for kind in [Kind::Directory, Kind::S3] {
        let mut batches = two_writers();
        batches[1].target = 9;
        let model = Partition { before: two_parts(), ..model(kind, WriteDisposition::Merge, batches) };
        for law in [laws::KEPT, laws::LANDED, laws::SEALED] {
            counterexample(&model, Flaw::NoIfMatch, law);
        }
        let append = Partition { disposition: WriteDisposition::Append, ..model };
        counterexample(&append, Flaw::NoIfMatch, laws::APPENDED);
    }
}

#[test]
fn written_in_place_a_row_is_half_there() {
    for kind in [Kind::Directory, Kind::S3] {
        counterexample(&model(kind, WriteDisposition::Merge, two_writers()), Flaw::InPlace, laws::WHOLE);
    }
}

/// Why a directory is listed under its lock.
#[test]
fn with_a_listing_that_passes_over_a_part_a_key_is_stored_twice() {
    let model = Partition { before: two_parts(), ..model(Kind::Directory, WriteDisposition::Merge, two_writers()) };
    counterexample(&model, Flaw::LooseListing, laws::ONCE);
}

/// The reason why a part names the version that it replaced. The versions in a directory differ without it.
#[test]
fn with_the_same_version_again_an_older_row_comes_back() {
    let batches = [1, 2].map(|fingerprint| Batch { rows: rows([('a', fingerprint)]), target: 2 });
    let on = |kind| Partition { crashes: 1, delays: 2, ..model(kind, WriteDisposition::Merge, batches.to_vec()) };
    counterexample(&on(Kind::S3), Flaw::NoReplaces, laws::LEGAL);
    let directory = Partition { flaw: Some(Flaw::NoReplaces), ..on(Kind::Directory) };
    directory.checker().spawn_bfs().join().assert_no_discovery(laws::LEGAL);
}

#[test]
fn a_removal_takes_out_no_row_that_another_reading_received() {
    for (count, changes, crashes) in [(2, 4, 1), (3, 3, 1)] {
        let model = Readings { count, changes, crashes, flaw: None };
        let checker = model.checker().spawn_bfs().join();
        println!("{count} readings: {} states, {} deep", checker.unique_state_count(), checker.max_depth());
        checker.assert_properties();
    }
}

#[test]
fn without_any_rule_of_the_readings_a_row_is_lost() {
    use readings::Flaw::{LateBegin, NoClaim, NoConfirmation, NoDisturbance, NoVersion};
    for flaw in [NoDisturbance, NoConfirmation, NoClaim, NoVersion, LateBegin] {
        let model = Readings { count: 2, changes: 3, crashes: 0, flaw: Some(flaw) };
        let checker = model.checker().spawn_bfs().join();
        assert!(checker.discovery(readings::KEPT).is_some(), "{flaw:?} breaks nothing");
    }
}
