//! What a run asks of its store follows what is new, not what the lake holds.

use std::path::Path;
use std::sync::Arc;

use ::lake::Local;
use sandbox::filled;
use sandbox::see_tickets::Options;
use sandbox::store::{Cost, Faulty};
use ticketlake::options::Draft;

use crate::sales::Sales;

/// The day that gets 1,000 sales by noon and about as many after it; the lake's other sales lie before it.
const DAY: &str = "2026-11-20";

/// What the two runs of [`DAY`] cost in a lake of `others` sales of other months.
async fn cost_beside(others: usize) -> [Cost; 2] {
    let root = tempfile::tempdir().unwrap();
    filled::with_sales(&Local::new(root.path().to_owned()), others, others / 1_000, "2026-10-31").await;
    let options = Options { seed: 7, sales: 2_000, days: 1, until: DAY.into(), page_cap: 500, ..Options::default() };
    let sales = Sales::start(options).await;
    let mut costs = [Cost::default(); 2];
    for (cost, (from, to, least)) in
        costs.iter_mut().zip([("00:00:00Z", "11:29:59Z", 900), ("11:30:00Z", "23:59:59Z", 900)])
    {
        *cost = run(&sales, root.path(), &format!("{DAY}T{from}"), &format!("{DAY}T{to}"), least).await;
    }
    costs
}

async fn run(sales: &Sales, root: &Path, from: &str, to: &str, least: u64) -> Cost {
    let store = Arc::new(Faulty::new(Arc::new(Local::new(root.to_owned()))));
    let request = sales.request(&Draft::new([("from", from), ("to", to)]));
    let (report, error) = sales.run(Arc::<Faulty>::clone(&store), &request).await;
    assert!(error.is_none() && report.records.new >= least, "{report:?}");
    store.cost()
}

fn alike(one: u64, other: u64) -> bool {
    one.abs_diff(other) * 10 <= one.max(other)
}

#[tokio::test]
async fn a_thousand_new_sales_cost_the_same_beside_ten_thousand_and_three_hundred_thousand() {
    let (small, large) = (cost_beside(10_000).await, cost_beside(300_000).await);
    for (small, large) in small.iter().zip(&large) {
        assert!(alike(small.requests(), large.requests()), "{small:?} {large:?}");
        assert!(alike(small.bytes(), large.bytes()), "{small:?} {large:?}");
        assert!(alike(small.listed, large.listed), "{small:?} {large:?}");
    }
    // Layout and progress read, layout claimed, month listed, part written, watermark. Then of the part: footer, keys, fingerprints, all of it.
    assert!(small[0].requests() <= 6 && small[1].requests() <= 8, "{small:?}");
}
