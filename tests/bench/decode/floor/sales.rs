//! The floor of See Tickets' sales, with all 33 columns of the manifest.

use arrow_array::RecordBatch;
use serde::Deserialize;

use super::{Text, batch, doubles, flags, integers, texts};

#[derive(Deserialize)]
struct Page<'p> {
    #[serde(borrow)]
    data: Vec<Sale<'p>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sale<'p> {
    #[serde(borrow)]
    affiliate: Option<Text<'p>>,
    #[serde(borrow)]
    currency: Option<Text<'p>>,
    #[serde(borrow)]
    date: Option<Text<'p>>,
    #[serde(borrow)]
    delivery_method: Option<Text<'p>>,
    #[serde(borrow)]
    device_model: Option<Text<'p>>,
    #[serde(borrow)]
    device_type: Option<Text<'p>>,
    #[serde(borrow)]
    event_date: Option<Text<'p>>,
    #[serde(borrow)]
    event_id: Option<Text<'p>>,
    #[serde(borrow)]
    event_name: Option<Text<'p>>,
    face_value: Option<f64>,
    gross_cost: Option<f64>,
    gross_face: Option<f64>,
    gross_sales: Option<f64>,
    is_internet_order: Option<bool>,
    is_pending: Option<bool>,
    #[serde(borrow)]
    offer_code: Option<Text<'p>>,
    #[serde(borrow)]
    partner_site: Option<Text<'p>>,
    #[serde(borrow)]
    payment_method: Option<Text<'p>>,
    #[serde(borrow)]
    price_id: Option<Text<'p>>,
    #[serde(borrow)]
    price_name: Option<Text<'p>>,
    #[serde(borrow)]
    sales_channel: Option<Text<'p>>,
    sold: Option<i64>,
    #[serde(borrow)]
    source: Option<Text<'p>>,
    tax_total: Option<f64>,
    ticket_price: Option<f64>,
    #[serde(borrow)]
    unique_code: Option<Text<'p>>,
    #[serde(borrow, default)]
    location: Location<'p>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Location<'p> {
    #[serde(borrow)]
    country: Option<Text<'p>>,
    #[serde(borrow)]
    country_iso: Option<Text<'p>>,
    #[serde(borrow)]
    post_code: Option<Text<'p>>,
    #[serde(borrow)]
    region1: Option<Text<'p>>,
    #[serde(borrow)]
    region2: Option<Text<'p>>,
    #[serde(borrow)]
    region3: Option<Text<'p>>,
    #[serde(borrow)]
    region4: Option<Text<'p>>,
}

fn page(body: &[u8]) -> Page<'_> {
    serde_json::from_slice(body).expect("a page of sales")
}

/// Decodes a page; gives how many sales it has.
pub(super) fn count(body: &[u8]) -> usize {
    page(body).data.len()
}

/// Decodes a page into columns.
pub(super) fn columns(body: &[u8]) -> RecordBatch {
    let sales = &page(body).data[..];
    batch([
        ("affiliate", texts(sales, |sale| &sale.affiliate)),
        ("currency", texts(sales, |sale| &sale.currency)),
        ("date", texts(sales, |sale| &sale.date)),
        ("deliveryMethod", texts(sales, |sale| &sale.delivery_method)),
        ("deviceModel", texts(sales, |sale| &sale.device_model)),
        ("deviceType", texts(sales, |sale| &sale.device_type)),
        ("eventDate", texts(sales, |sale| &sale.event_date)),
        ("eventId", texts(sales, |sale| &sale.event_id)),
        ("eventName", texts(sales, |sale| &sale.event_name)),
        ("faceValue", doubles(sales, |sale| sale.face_value)),
        ("grossCost", doubles(sales, |sale| sale.gross_cost)),
        ("grossFace", doubles(sales, |sale| sale.gross_face)),
        ("grossSales", doubles(sales, |sale| sale.gross_sales)),
        ("isInternetOrder", flags(sales, |sale| sale.is_internet_order)),
        ("isPending", flags(sales, |sale| sale.is_pending)),
        ("offerCode", texts(sales, |sale| &sale.offer_code)),
        ("partnerSite", texts(sales, |sale| &sale.partner_site)),
        ("paymentMethod", texts(sales, |sale| &sale.payment_method)),
        ("priceId", texts(sales, |sale| &sale.price_id)),
        ("priceName", texts(sales, |sale| &sale.price_name)),
        ("salesChannel", texts(sales, |sale| &sale.sales_channel)),
        ("sold", integers(sales, |sale| sale.sold)),
        ("source", texts(sales, |sale| &sale.source)),
        ("taxTotal", doubles(sales, |sale| sale.tax_total)),
        ("ticketPrice", doubles(sales, |sale| sale.ticket_price)),
        ("uniqueCode", texts(sales, |sale| &sale.unique_code)),
        ("country", texts(sales, |sale| &sale.location.country)),
        ("countryIso", texts(sales, |sale| &sale.location.country_iso)),
        ("postCode", texts(sales, |sale| &sale.location.post_code)),
        ("region1", texts(sales, |sale| &sale.location.region1)),
        ("region2", texts(sales, |sale| &sale.location.region2)),
        ("region3", texts(sales, |sale| &sale.location.region3)),
        ("region4", texts(sales, |sale| &sale.location.region4)),
    ])
}
