//! Lakes that hold much already, filled without an API.

use chrono::Utc;
use lake::Store;
use manifest::{Transform, built_in};
use table::Format;
use table::map::Mapper;
use table::merge::{Merged, Table};

use crate::see_tickets::Options;

/// Sales that are merged at once.
const BATCH: usize = 100_000;

/// Stores `sales` sales of `days` days, of which `until` is the last; of another seed than the sandbox's usual one, so that none of
/// them is one of its sales.
pub async fn with_sales(store: &dyn Store, sales: usize, days: usize, until: &str) {
    let days = u32::try_from(days.max(1)).expect("not so many days");
    let options = Options { seed: 1_000, sales, days, until: until.into(), ..Options::default() };
    add_sales(store, &options, BATCH).await;
}

/// Stores the sales of `options`, `batch` of them at a time.
pub async fn add_sales(store: &dyn Store, options: &Options, batch: usize) {
    add_sales_by(store, options, batch, Transform::Month).await;
}

/// Stores the sales of `options`, `batch` of them at a time, in partitions by this transform of their dates.
pub async fn add_sales_by(store: &dyn Store, options: &Options, batch: usize, transform: Transform) {
    let mut manifest = built_in::find("see_tickets").expect("it is built in").expect("it is built in");
    let resource = manifest.resources.iter_mut().find(|resource| resource.name == "sales").expect("it has sales");
    resource.partition[0].transform = transform;
    let resource = &*resource;
    let table = Table::new(store, "see_tickets", resource, Format::Parquet);
    let mapper = Mapper::new(resource);
    let mut buffer = table.buffer();
    let read_at = Utc::now();
    let mut merged = Merged::default();
    for (index, sale) in options.truth().sales(0).enumerate() {
        mapper.map(sale).into_iter().for_each(|row| buffer.push(row.expect("a whole sale"), read_at));
        if (index + 1) % batch == 0 {
            table.merge(&mut buffer, &mut merged).await.expect("a store that works");
        }
    }
    table.merge(&mut buffer, &mut merged).await.expect("a store that works");
}
