//! The floor of Ticketmaster's events: every column of the manifest that the sandbox's events have a value for. Fields are named as in
//! the pages.

use std::marker::PhantomData;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Date32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, NaiveDate};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Column, Text, array, batch, doubles, flags, integers, texts};

/// Declares a struct for an object of a page: texts, then values, then objects, then parts that are kept as they are written.
macro_rules! object {
    ($name:ident { $($text:ident)* } { $($value:ident: $type:ty),* } { $($part:ident: $part_type:ident),* } { $($raw:ident)* }) => {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        #[allow(non_snake_case, reason = "the names are those of the API")]
        struct $name<'p> {
            $(#[serde(borrow)] $text: Option<Text<'p>>,)*
            $($value: Option<$type>,)*
            $(#[serde(borrow)] $part: $part_type<'p>,)*
            $(#[serde(borrow)] $raw: Option<&'p RawValue>,)*
            #[serde(skip)]
            _page: PhantomData<&'p ()>,
        }
    };
}

object!(Page {} {} {_embedded: Listed} {});
object!(Event
    {id name r#type url info pleaseNote locale description code nameOrigin}
    {test: bool}
    {
        dates: Dates, sales: Sales, ticketLimit: TicketLimit, ticketing: Ticketing, promoter: Named, seatmap: Seatmap,
        accessibility: Accessibility, ageRestrictions: Ages, doorsTimes: Moment, _embedded: Embedded
    }
    {images classifications priceRanges promoters outlets products place _links}
);
object!(Dates {timezone} {spanMultipleDays: bool} {
    start: Moment, end: Moment, access: Access, initialStartDate: Moment, status: Status
} {});
object!(Moment
    {localDate localTime dateTime id}
    {dateTBD: bool, dateTBA: bool, timeTBA: bool, noSpecificTime: bool, approximate: bool} {} {}
);
object!(Access {startDateTime endDateTime} {startApproximate: bool, endApproximate: bool} {} {});
object!(Status {code} {} {} {});
object!(Sales {} {} {public: PublicSale} {presales});
object!(PublicSale {startDateTime endDateTime} {startTBD: bool, startTBA: bool} {} {});
object!(TicketLimit {info id} {} {} {});
object!(Ticketing {id} {} {safeTix: SafeTix, allInclusivePricing: Enabled, healthCheck: HealthCheck} {});
object!(SafeTix {} {enabled: bool, inAppOnlyEnabled: bool} {} {});
object!(Enabled {} {enabled: bool} {} {});
object!(HealthCheck {summary description learnMoreUrl} {} {} {});
object!(Named {id name description} {} {} {});
object!(Seatmap {staticUrl id} {} {} {});
object!(Accessibility {info url urlText id} {ticketLimit: i64} {} {});
object!(Ages {ageRuleDescription id} {legalAgeEnforced: bool} {} {});
object!(Embedded {} {} {} {venues attractions});
object!(Class {} {family: bool, primary: bool} {segment: Named, genre: Named, subGenre: Named, r#type: Named, subType: Named} {});
object!(Price {r#type currency} {min: f64, max: f64} {} {});
object!(Place {id name timezone} {} {city: Named, state: State, country: Country, location: Point} {});
object!(State {name stateCode} {} {} {});
object!(Country {name countryCode} {} {} {});
object!(Point {latitude longitude} {} {} {});

#[derive(Default, Deserialize)]
struct Listed<'p> {
    #[serde(borrow)]
    events: Vec<Event<'p>>,
}

/// An event, and what its columns take from parts that are kept as they are written too.
struct Row<'p> {
    event: Event<'p>,
    class: Class<'p>,
    price: Price<'p>,
    place: Place<'p>,
    venues: Vec<Place<'p>>,
    attractions: Vec<Named<'p>>,
    no_venue: Place<'p>,
    no_attraction: Named<'p>,
}

impl<'p> Row<'p> {
    fn new(event: Event<'p>) -> Self {
        Self {
            class: first(event.classifications),
            price: first(event.priceRanges),
            place: part(event.place),
            venues: part(event._embedded.venues),
            attractions: part(event._embedded.attractions),
            no_venue: Place::default(),
            no_attraction: Named::default(),
            event,
        }
    }

    /// The venue that is listed first.
    fn venue(&self) -> &Place<'p> {
        self.venues.first().unwrap_or(&self.no_venue)
    }

    /// The attraction that is listed first.
    fn attraction(&self) -> &Named<'p> {
        self.attractions.first().unwrap_or(&self.no_attraction)
    }
}

fn part<'p, T: Default + Deserialize<'p>>(raw: Option<&'p RawValue>) -> T {
    raw.map(|raw| serde_json::from_str(raw.get()).expect("a part of an event")).unwrap_or_default()
}

fn first<'p, T: Default + Deserialize<'p>>(raw: Option<&'p RawValue>) -> T {
    let list: Vec<T> = part(raw);
    list.into_iter().next().unwrap_or_default()
}

fn rows(body: &[u8]) -> Vec<Row<'_>> {
    let page: Page<'_> = serde_json::from_slice(body).expect("a page of events");
    page._embedded.events.into_iter().map(Row::new).collect()
}

/// Decodes a page; gives how many events it has.
pub(super) fn count(body: &[u8]) -> usize {
    rows(body).len()
}

/// Decodes a page into columns.
pub(super) fn columns(body: &[u8]) -> RecordBatch {
    let rows = &rows(body)[..];
    let groups =
        [facts(rows), starts(rows), other_times(rows), commerce(rows), conditions(rows), classes(rows), places(rows)];
    batch(groups.into_iter().flatten())
}

fn facts(rows: &[Row<'_>]) -> Vec<Column> {
    vec![
        ("id", texts(rows, |row| &row.event.id)),
        ("name", texts(rows, |row| &row.event.name)),
        ("type", texts(rows, |row| &row.event.r#type)),
        ("url", texts(rows, |row| &row.event.url)),
        ("test", flags(rows, |row| row.event.test)),
        ("locale", texts(rows, |row| &row.event.locale)),
        ("description", texts(rows, |row| &row.event.description)),
        ("info", texts(rows, |row| &row.event.info)),
        ("please_note", texts(rows, |row| &row.event.pleaseNote)),
        ("code", texts(rows, |row| &row.event.code)),
        ("name_origin", texts(rows, |row| &row.event.nameOrigin)),
        ("images", raws(rows, |row| row.event.images)),
        ("links", raws(rows, |row| row.event._links)),
    ]
}

fn starts(rows: &[Row<'_>]) -> Vec<Column> {
    vec![
        ("start_date_time", instants(rows, |row| &row.event.dates.start.dateTime)),
        ("start_local_date", days(rows, |row| &row.event.dates.start.localDate)),
        ("start_local_time", texts(rows, |row| &row.event.dates.start.localTime)),
        ("start_date_tbd", flags(rows, |row| row.event.dates.start.dateTBD)),
        ("start_date_tba", flags(rows, |row| row.event.dates.start.dateTBA)),
        ("start_time_tba", flags(rows, |row| row.event.dates.start.timeTBA)),
        ("start_no_specific_time", flags(rows, |row| row.event.dates.start.noSpecificTime)),
        ("timezone", texts(rows, |row| &row.event.dates.timezone)),
        ("status_code", texts(rows, |row| &row.event.dates.status.code)),
        ("span_multiple_days", flags(rows, |row| row.event.dates.spanMultipleDays)),
        ("initial_start_date_time", instants(rows, |row| &row.event.dates.initialStartDate.dateTime)),
        ("initial_start_local_date", days(rows, |row| &row.event.dates.initialStartDate.localDate)),
        ("initial_start_local_time", texts(rows, |row| &row.event.dates.initialStartDate.localTime)),
    ]
}

fn other_times(rows: &[Row<'_>]) -> Vec<Column> {
    vec![
        ("end_date_time", instants(rows, |row| &row.event.dates.end.dateTime)),
        ("end_local_date", days(rows, |row| &row.event.dates.end.localDate)),
        ("end_local_time", texts(rows, |row| &row.event.dates.end.localTime)),
        ("end_approximate", flags(rows, |row| row.event.dates.end.approximate)),
        ("end_no_specific_time", flags(rows, |row| row.event.dates.end.noSpecificTime)),
        ("access_start_date_time", instants(rows, |row| &row.event.dates.access.startDateTime)),
        ("access_start_approximate", flags(rows, |row| row.event.dates.access.startApproximate)),
        ("access_end_date_time", instants(rows, |row| &row.event.dates.access.endDateTime)),
        ("access_end_approximate", flags(rows, |row| row.event.dates.access.endApproximate)),
        ("doors_date_time", instants(rows, |row| &row.event.doorsTimes.dateTime)),
        ("doors_local_date", days(rows, |row| &row.event.doorsTimes.localDate)),
        ("doors_local_time", texts(rows, |row| &row.event.doorsTimes.localTime)),
        ("doors_times_id", texts(rows, |row| &row.event.doorsTimes.id)),
    ]
}

fn commerce(rows: &[Row<'_>]) -> Vec<Column> {
    vec![
        ("public_sales_start", instants(rows, |row| &row.event.sales.public.startDateTime)),
        ("public_sales_end", instants(rows, |row| &row.event.sales.public.endDateTime)),
        ("public_sales_start_tbd", flags(rows, |row| row.event.sales.public.startTBD)),
        ("public_sales_start_tba", flags(rows, |row| row.event.sales.public.startTBA)),
        ("presales", raws(rows, |row| row.event.sales.presales)),
        ("price_type", texts(rows, |row| &row.price.r#type)),
        ("min_price", doubles(rows, |row| row.price.min)),
        ("max_price", doubles(rows, |row| row.price.max)),
        ("currency", texts(rows, |row| &row.price.currency)),
        ("price_ranges", raws(rows, |row| row.event.priceRanges)),
        ("outlets", raws(rows, |row| row.event.outlets)),
        ("products", raws(rows, |row| row.event.products)),
        ("promoter_id", texts(rows, |row| &row.event.promoter.id)),
        ("promoter_name", texts(rows, |row| &row.event.promoter.name)),
        ("promoter_description", texts(rows, |row| &row.event.promoter.description)),
        ("promoters", raws(rows, |row| row.event.promoters)),
    ]
}

fn conditions(rows: &[Row<'_>]) -> Vec<Column> {
    vec![
        ("ticket_limit_info", texts(rows, |row| &row.event.ticketLimit.info)),
        ("ticket_limit_id", texts(rows, |row| &row.event.ticketLimit.id)),
        ("safe_tix_enabled", flags(rows, |row| row.event.ticketing.safeTix.enabled)),
        ("safe_tix_in_app_only_enabled", flags(rows, |row| row.event.ticketing.safeTix.inAppOnlyEnabled)),
        ("all_inclusive_pricing_enabled", flags(rows, |row| row.event.ticketing.allInclusivePricing.enabled)),
        ("health_check_summary", texts(rows, |row| &row.event.ticketing.healthCheck.summary)),
        ("health_check_description", texts(rows, |row| &row.event.ticketing.healthCheck.description)),
        ("health_check_learn_more_url", texts(rows, |row| &row.event.ticketing.healthCheck.learnMoreUrl)),
        ("ticketing_id", texts(rows, |row| &row.event.ticketing.id)),
        ("seatmap_url", texts(rows, |row| &row.event.seatmap.staticUrl)),
        ("seatmap_id", texts(rows, |row| &row.event.seatmap.id)),
        ("accessibility_info", texts(rows, |row| &row.event.accessibility.info)),
        ("accessibility_ticket_limit", integers(rows, |row| row.event.accessibility.ticketLimit)),
        ("accessibility_url", texts(rows, |row| &row.event.accessibility.url)),
        ("accessibility_url_text", texts(rows, |row| &row.event.accessibility.urlText)),
        ("accessibility_id", texts(rows, |row| &row.event.accessibility.id)),
        ("legal_age_enforced", flags(rows, |row| row.event.ageRestrictions.legalAgeEnforced)),
        ("age_rule_description", texts(rows, |row| &row.event.ageRestrictions.ageRuleDescription)),
        ("age_restrictions_id", texts(rows, |row| &row.event.ageRestrictions.id)),
    ]
}

fn classes(rows: &[Row<'_>]) -> Vec<Column> {
    vec![
        ("classifications", raws(rows, |row| row.event.classifications)),
        ("segment_id", texts(rows, |row| &row.class.segment.id)),
        ("segment_name", texts(rows, |row| &row.class.segment.name)),
        ("genre_id", texts(rows, |row| &row.class.genre.id)),
        ("genre_name", texts(rows, |row| &row.class.genre.name)),
        ("sub_genre_id", texts(rows, |row| &row.class.subGenre.id)),
        ("sub_genre_name", texts(rows, |row| &row.class.subGenre.name)),
        ("type_id", texts(rows, |row| &row.class.r#type.id)),
        ("type_name", texts(rows, |row| &row.class.r#type.name)),
        ("sub_type_id", texts(rows, |row| &row.class.subType.id)),
        ("sub_type_name", texts(rows, |row| &row.class.subType.name)),
        ("family", flags(rows, |row| row.class.family)),
        ("classification_primary", flags(rows, |row| row.class.primary)),
    ]
}

fn places(rows: &[Row<'_>]) -> Vec<Column> {
    vec![
        ("place_name", texts(rows, |row| &row.place.name)),
        ("place_city", texts(rows, |row| &row.place.city.name)),
        ("place_state_code", texts(rows, |row| &row.place.state.stateCode)),
        ("place_country_code", texts(rows, |row| &row.place.country.countryCode)),
        ("place_latitude", doubles(rows, |row| number(&row.place.location.latitude))),
        ("place_longitude", doubles(rows, |row| number(&row.place.location.longitude))),
        ("place", raws(rows, |row| row.event.place)),
        ("venue_id", texts(rows, |row| &row.venue().id)),
        ("venue_name", texts(rows, |row| &row.venue().name)),
        ("venue_city", texts(rows, |row| &row.venue().city.name)),
        ("venue_state", texts(rows, |row| &row.venue().state.name)),
        ("venue_state_code", texts(rows, |row| &row.venue().state.stateCode)),
        ("venue_country", texts(rows, |row| &row.venue().country.name)),
        ("venue_country_code", texts(rows, |row| &row.venue().country.countryCode)),
        ("venue_timezone", texts(rows, |row| &row.venue().timezone)),
        ("venue_latitude", doubles(rows, |row| number(&row.venue().location.latitude))),
        ("venue_longitude", doubles(rows, |row| number(&row.venue().location.longitude))),
        ("venue_ids", lists(rows, |row| &row.venues, |venue| &venue.id)),
        ("venues", raws(rows, |row| row.event._embedded.venues)),
        ("attraction_id", texts(rows, |row| &row.attraction().id)),
        ("attraction_name", texts(rows, |row| &row.attraction().name)),
        ("attraction_ids", lists(rows, |row| &row.attractions, |attraction| &attraction.id)),
        ("attraction_names", lists(rows, |row| &row.attractions, |attraction| &attraction.name)),
        ("attractions", raws(rows, |row| row.event._embedded.attractions)),
    ]
}

fn number(text: &Option<Text<'_>>) -> Option<f64> {
    text.as_ref()?.as_str().parse().ok()
}

/// Parts of the page as they are written.
fn raws<'s>(rows: &'s [Row<'s>], raw: impl Fn(&'s Row<'s>) -> Option<&'s RawValue>) -> ArrayRef {
    array(rows.iter().map(|row| raw(row).map(RawValue::get)).collect::<StringArray>())
}

fn instants<'s>(rows: &'s [Row<'s>], text: impl Fn(&'s Row<'s>) -> &'s Option<Text<'s>>) -> ArrayRef {
    let instant = |text: &Text<'_>| Some(DateTime::parse_from_rfc3339(text.as_str()).ok()?.timestamp_micros());
    let instants: TimestampMicrosecondArray = rows.iter().map(|row| text(row).as_ref().and_then(instant)).collect();
    array(instants.with_timezone("UTC"))
}

fn days<'s>(rows: &'s [Row<'s>], text: impl Fn(&'s Row<'s>) -> &'s Option<Text<'s>>) -> ArrayRef {
    let day = |text: &Text<'_>| {
        let day: NaiveDate = text.as_str().parse().ok()?;
        i32::try_from(day.signed_duration_since(NaiveDate::default()).num_days()).ok()
    };
    array(rows.iter().map(|row| text(row).as_ref().and_then(day)).collect::<Date32Array>())
}

/// For each row the texts of the items that it lists.
fn lists<'s, I: 's>(
    rows: &'s [Row<'s>],
    items: impl Fn(&'s Row<'s>) -> &'s Vec<I>,
    text: impl Fn(&'s I) -> &'s Option<Text<'s>>,
) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        items(row).iter().for_each(|item| lists.values().append_option(text(item).as_ref().map(Text::as_str)));
        lists.append(true);
    }
    array(lists.finish())
}
