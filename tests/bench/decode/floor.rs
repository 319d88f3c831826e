//! The least that rows can cost with `serde_json`: structs with a field for each column, and Parquet of their columns.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Deserialize;

use super::pages::Pages;

#[derive(Deserialize)]
struct Page<'p> {
    #[serde(borrow)]
    data: Vec<Sale<'p>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sale<'p> {
    #[serde(borrow)]
    affiliate: Option<Cow<'p, str>>,
    #[serde(borrow)]
    currency: Option<Cow<'p, str>>,
    #[serde(borrow)]
    date: Option<Cow<'p, str>>,
    #[serde(borrow)]
    delivery_method: Option<Cow<'p, str>>,
    #[serde(borrow)]
    device_model: Option<Cow<'p, str>>,
    #[serde(borrow)]
    device_type: Option<Cow<'p, str>>,
    #[serde(borrow)]
    event_date: Option<Cow<'p, str>>,
    #[serde(borrow)]
    event_id: Option<Cow<'p, str>>,
    #[serde(borrow)]
    event_name: Option<Cow<'p, str>>,
    face_value: Option<f64>,
    gross_cost: Option<f64>,
    gross_face: Option<f64>,
    gross_sales: Option<f64>,
    is_internet_order: Option<bool>,
    is_pending: Option<bool>,
    #[serde(borrow)]
    offer_code: Option<Cow<'p, str>>,
    #[serde(borrow)]
    partner_site: Option<Cow<'p, str>>,
    #[serde(borrow)]
    payment_method: Option<Cow<'p, str>>,
    #[serde(borrow)]
    price_id: Option<Cow<'p, str>>,
    #[serde(borrow)]
    price_name: Option<Cow<'p, str>>,
    #[serde(borrow)]
    sales_channel: Option<Cow<'p, str>>,
    sold: Option<i64>,
    #[serde(borrow)]
    source: Option<Cow<'p, str>>,
    tax_total: Option<f64>,
    ticket_price: Option<f64>,
    #[serde(borrow)]
    unique_code: Option<Cow<'p, str>>,
    #[serde(borrow)]
    location: Option<Place<'p>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place<'p> {
    #[serde(borrow)]
    country: Option<Cow<'p, str>>,
    #[serde(borrow)]
    country_iso: Option<Cow<'p, str>>,
    #[serde(borrow)]
    post_code: Option<Cow<'p, str>>,
    #[serde(borrow)]
    region1: Option<Cow<'p, str>>,
    #[serde(borrow)]
    region2: Option<Cow<'p, str>>,
    #[serde(borrow)]
    region3: Option<Cow<'p, str>>,
    #[serde(borrow)]
    region4: Option<Cow<'p, str>>,
}

/// Decodes all pages; gives how many sales they have.
pub(crate) fn decode(pages: &Pages) -> usize {
    pages.bodies.iter().map(|body| page(body).data.len()).sum()
}

fn page(body: &[u8]) -> Page<'_> {
    serde_json::from_slice(body).expect("a page of sales")
}

/// Writes the sales of all pages as one Parquet file; gives its size.
pub(crate) fn write(pages: &Pages) -> usize {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer: Option<ArrowWriter<Vec<u8>>> = None;
    for body in &pages.bodies {
        let batch = columns(&page(body).data);
        let writer = writer.get_or_insert_with(|| {
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.clone())).expect("a writer in memory")
        });
        writer.write(&batch).expect("memory takes all");
    }
    writer.map_or(0, |writer| writer.into_inner().expect("memory takes all").len())
}

fn columns<'s>(sales: &'s [Sale<'s>]) -> RecordBatch {
    let all = || sales.iter();
    let columns = [
        ("affiliate", array(all().map(|sale| sale.affiliate.as_deref()).collect::<StringArray>())),
        ("currency", array(all().map(|sale| sale.currency.as_deref()).collect::<StringArray>())),
        ("date", array(all().map(|sale| sale.date.as_deref()).collect::<StringArray>())),
        ("deliveryMethod", array(all().map(|sale| sale.delivery_method.as_deref()).collect::<StringArray>())),
        ("deviceModel", array(all().map(|sale| sale.device_model.as_deref()).collect::<StringArray>())),
        ("deviceType", array(all().map(|sale| sale.device_type.as_deref()).collect::<StringArray>())),
        ("eventDate", array(all().map(|sale| sale.event_date.as_deref()).collect::<StringArray>())),
        ("eventId", array(all().map(|sale| sale.event_id.as_deref()).collect::<StringArray>())),
        ("eventName", array(all().map(|sale| sale.event_name.as_deref()).collect::<StringArray>())),
        ("faceValue", array(all().map(|sale| sale.face_value).collect::<Float64Array>())),
        ("grossCost", array(all().map(|sale| sale.gross_cost).collect::<Float64Array>())),
        ("grossFace", array(all().map(|sale| sale.gross_face).collect::<Float64Array>())),
        ("grossSales", array(all().map(|sale| sale.gross_sales).collect::<Float64Array>())),
        ("isInternetOrder", array(all().map(|sale| sale.is_internet_order).collect::<BooleanArray>())),
        ("isPending", array(all().map(|sale| sale.is_pending).collect::<BooleanArray>())),
        ("offerCode", array(all().map(|sale| sale.offer_code.as_deref()).collect::<StringArray>())),
        ("partnerSite", array(all().map(|sale| sale.partner_site.as_deref()).collect::<StringArray>())),
        ("paymentMethod", array(all().map(|sale| sale.payment_method.as_deref()).collect::<StringArray>())),
        ("priceId", array(all().map(|sale| sale.price_id.as_deref()).collect::<StringArray>())),
        ("priceName", array(all().map(|sale| sale.price_name.as_deref()).collect::<StringArray>())),
        ("salesChannel", array(all().map(|sale| sale.sales_channel.as_deref()).collect::<StringArray>())),
        ("sold", array(all().map(|sale| sale.sold).collect::<Int64Array>())),
        ("source", array(all().map(|sale| sale.source.as_deref()).collect::<StringArray>())),
        ("taxTotal", array(all().map(|sale| sale.tax_total).collect::<Float64Array>())),
        ("ticketPrice", array(all().map(|sale| sale.ticket_price).collect::<Float64Array>())),
        ("uniqueCode", array(all().map(|sale| sale.unique_code.as_deref()).collect::<StringArray>())),
        ("country", array(all().map(|sale| sale.location.as_ref()?.country.as_deref()).collect::<StringArray>())),
        (
            "countryIso",
            array(all().map(|sale| sale.location.as_ref()?.country_iso.as_deref()).collect::<StringArray>()),
        ),
        ("postCode", array(all().map(|sale| sale.location.as_ref()?.post_code.as_deref()).collect::<StringArray>())),
        ("region1", array(all().map(|sale| sale.location.as_ref()?.region1.as_deref()).collect::<StringArray>())),
        ("region2", array(all().map(|sale| sale.location.as_ref()?.region2.as_deref()).collect::<StringArray>())),
        ("region3", array(all().map(|sale| sale.location.as_ref()?.region3.as_deref()).collect::<StringArray>())),
        ("region4", array(all().map(|sale| sale.location.as_ref()?.region4.as_deref()).collect::<StringArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("equal lengths")
}

fn array(array: impl Array + 'static) -> ArrayRef {
    Arc::new(array)
}
