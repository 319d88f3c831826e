//! S3's answers to conditional writes: conflicts, errors after the write, connections that end before the answer.

use std::collections::BTreeMap;

use sandbox::Server;
use sandbox::see_tickets::{Truth, start_blocking};
use serde_json::{Value, json};

use crate::lake::{self, REJECTED};
use crate::place::{Lake, Place};
use crate::proxy::{Fate, Written};
use crate::sales;

/// Fills a lake at two revisions through a bucket that follows `script`; the counts must be those of a bucket that behaves.
/// Gives every PUT.
fn filled_through(script: impl Fn(&str, usize) -> Fate + Send + Sync + 'static) -> Vec<Written> {
    let server = start_blocking(sales::few()).unwrap();
    let truth = sales::few().truth();
    let (good, bad) = (Place::good_bucket(), Place::bucket(script));
    let (good_lake, bad_lake) = (good.lake(), bad.lake());
    for revision in [0, 1] {
        server.set_revision(revision);
        assert_eq!(counted(&bad_lake, &server, &truth, revision), counted(&good_lake, &server, &truth, revision));
    }
    let Place::Bucket(bucket) = bad else { unreachable!("it was made as one") };
    bucket.proxy.written()
}

fn counted(lake: &Lake<'_>, server: &Server, truth: &Truth, revision: u32) -> Value {
    let report = lake.function(server).complete();
    lake::assert_is(&lake.parts(), truth, revision, &report.to_string());
    assert_eq!(lake::rejected(&lake.objects(REJECTED)), lake::placeless(truth, revision), "{report}");
    if revision == 0 {
        assert_eq!(report["records"]["new"], json!(truth.unique_codes(0).count()), "{report}");
    }
    json!([report["records"], report["objects"]])
}

/// How many PUTs moto answered with `status`.
fn answered(written: &[Written], status: u16) -> usize {
    written.iter().filter(|put| put.status == Some(status)).count()
}

#[test]
fn a_write_that_meets_a_conflict_is_made_again() {
    let written = filled_through(|_, before| if before % 3 == 2 { Fate::Passed } else { Fate::Conflict });
    assert!(answered(&written, 200) > 8, "{written:?}");
    assert_eq!(answered(&written, 412), 0, "what was never written is in nobody's way: {written:?}");
}

#[test]
fn a_write_that_is_answered_500_but_happened_counts_as_ours() {
    let written = filled_through(|_, before| if before % 2 == 0 { Fate::AnsweredWrongly } else { Fate::Passed });
    // Each first attempt lands, and the SDK's own retry finds it there.
    let (landed, met) = (answered(&written, 200), answered(&written, 412));
    assert!(met > 8, "{written:?}");
    assert_eq!(landed, met, "{written:?}");
}

#[test]
fn a_write_whose_answer_is_lost_counts_as_ours() {
    let written = filled_through(|_, before| if before % 2 == 0 { Fate::AnswerLost } else { Fate::Passed });
    let (landed, met) = (answered(&written, 200), answered(&written, 412));
    assert!(met > 8, "{written:?}");
    assert_eq!(landed, met, "{written:?}");
}

#[test]
fn writes_that_go_wrong_in_every_way_leave_what_good_ones_would() {
    let fates = [Fate::AnswerLost, Fate::Conflict, Fate::Failed, Fate::AnsweredWrongly, Fate::Conflict, Fate::Passed];
    let written = filled_through(move |path, before| {
        fates[(path.len() + before + path.as_bytes()[path.len() - 9] as usize) % fates.len()]
    });
    let mut met: BTreeMap<Fate, usize> = BTreeMap::new();
    for put in &written {
        *met.entry(put.fate).or_default() += 1;
    }
    assert_eq!(met.len(), 5, "every way is met: {met:?}");
}
