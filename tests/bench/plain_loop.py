"""What a user would write to keep an API as one Parquet file: every page, the same columns, no more.

plain_loop.py sales|events BASE_URL KEY PAGE_SIZE FILE, which prints the number of rows.

It leaves out what makes a run repeatable and complete: no key is compared, so that a record that comes twice is stored twice; nothing is
retried; no total proves that every record came; an error keeps nothing; a second run reads and writes everything again. Values that do
not fit a column end the program, and fields without a column are lost. Of events, it has none without a date, since no window of dates
returns them, and neither their history nor the venues and attractions inside them as tables.
"""

import json
import sys
from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import requests

# The sandbox's catalogue begins here, and has two years.
BEGIN = datetime(2026, 11, 21, tzinfo=timezone.utc)
END = BEGIN + timedelta(days=740)
# The API serves no deeper page than this of one query.
DEPTH_LIMIT = 1000

SALES = pa.schema(
    [
        *((name, pa.string()) for name in "affiliate currency date deliveryMethod deviceModel deviceType".split()),
        *((name, pa.string()) for name in "eventDate eventId eventName offerCode partnerSite paymentMethod".split()),
        *((name, pa.string()) for name in "priceId priceName salesChannel source uniqueCode".split()),
        *((name, pa.float64()) for name in "faceValue grossCost grossFace grossSales taxTotal ticketPrice".split()),
        ("isInternetOrder", pa.bool_()),
        ("isPending", pa.bool_()),
        ("sold", pa.int64()),
        *((name, pa.string()) for name in "country countryIso postCode region1 region2 region3 region4".split()),
    ]
)

TIME, DAY, TEXTS = pa.timestamp("us", "UTC"), pa.date32(), pa.list_(pa.string())
# Column, path and type; `json` keeps what lies at the path as text.
EVENTS = [
    *((name, name, pa.string()) for name in "id name type url locale description info code".split()),
    ("test", "test", pa.bool_()),
    ("please_note", "pleaseNote", pa.string()),
    ("name_origin", "nameOrigin", pa.string()),
    ("images", "images", json),
    ("links", "_links", json),
    ("start_date_time", "dates.start.dateTime", TIME),
    ("start_local_date", "dates.start.localDate", DAY),
    ("start_local_time", "dates.start.localTime", pa.string()),
    ("start_date_tbd", "dates.start.dateTBD", pa.bool_()),
    ("start_date_tba", "dates.start.dateTBA", pa.bool_()),
    ("start_time_tba", "dates.start.timeTBA", pa.bool_()),
    ("start_no_specific_time", "dates.start.noSpecificTime", pa.bool_()),
    ("timezone", "dates.timezone", pa.string()),
    ("status_code", "dates.status.code", pa.string()),
    ("span_multiple_days", "dates.spanMultipleDays", pa.bool_()),
    ("initial_start_date_time", "dates.initialStartDate.dateTime", TIME),
    ("initial_start_local_date", "dates.initialStartDate.localDate", DAY),
    ("initial_start_local_time", "dates.initialStartDate.localTime", pa.string()),
    ("end_date_time", "dates.end.dateTime", TIME),
    ("end_local_date", "dates.end.localDate", DAY),
    ("end_local_time", "dates.end.localTime", pa.string()),
    ("end_approximate", "dates.end.approximate", pa.bool_()),
    ("end_no_specific_time", "dates.end.noSpecificTime", pa.bool_()),
    ("access_start_date_time", "dates.access.startDateTime", TIME),
    ("access_start_approximate", "dates.access.startApproximate", pa.bool_()),
    ("access_end_date_time", "dates.access.endDateTime", TIME),
    ("access_end_approximate", "dates.access.endApproximate", pa.bool_()),
    ("doors_date_time", "doorsTimes.dateTime", TIME),
    ("doors_local_date", "doorsTimes.localDate", DAY),
    ("doors_local_time", "doorsTimes.localTime", pa.string()),
    ("public_sales_start", "sales.public.startDateTime", TIME),
    ("public_sales_end", "sales.public.endDateTime", TIME),
    ("public_sales_start_tbd", "sales.public.startTBD", pa.bool_()),
    ("public_sales_start_tba", "sales.public.startTBA", pa.bool_()),
    ("presales", "sales.presales", json),
    ("price_type", "priceRanges.0.type", pa.string()),
    ("min_price", "priceRanges.0.min", pa.float64()),
    ("max_price", "priceRanges.0.max", pa.float64()),
    ("currency", "priceRanges.0.currency", pa.string()),
    ("price_ranges", "priceRanges", json),
    ("outlets", "outlets", json),
    ("products", "products", json),
    ("promoter_id", "promoter.id", pa.string()),
    ("promoter_name", "promoter.name", pa.string()),
    ("promoter_description", "promoter.description", pa.string()),
    ("promoters", "promoters", json),
    ("ticket_limit_info", "ticketLimit.info", pa.string()),
    ("safe_tix_enabled", "ticketing.safeTix.enabled", pa.bool_()),
    ("safe_tix_in_app_only_enabled", "ticketing.safeTix.inAppOnlyEnabled", pa.bool_()),
    ("all_inclusive_pricing_enabled", "ticketing.allInclusivePricing.enabled", pa.bool_()),
    ("health_check_summary", "ticketing.healthCheck.summary", pa.string()),
    ("health_check_description", "ticketing.healthCheck.description", pa.string()),
    ("health_check_learn_more_url", "ticketing.healthCheck.learnMoreUrl", pa.string()),
    ("seatmap_url", "seatmap.staticUrl", pa.string()),
    ("accessibility_info", "accessibility.info", pa.string()),
    ("accessibility_ticket_limit", "accessibility.ticketLimit", pa.int64()),
    ("accessibility_url", "accessibility.url", pa.string()),
    ("accessibility_url_text", "accessibility.urlText", pa.string()),
    ("legal_age_enforced", "ageRestrictions.legalAgeEnforced", pa.bool_()),
    ("age_rule_description", "ageRestrictions.ageRuleDescription", pa.string()),
    ("classifications", "classifications", json),
    *(
        (f"{column}_{part}", f"classifications.0.{name}.{part}", pa.string())
        for column, name in {
            "segment": "segment",
            "genre": "genre",
            "sub_genre": "subGenre",
            "type": "type",
            "sub_type": "subType",
        }.items()
        for part in ("id", "name")
    ),
    ("family", "classifications.0.family", pa.bool_()),
    ("classification_primary", "classifications.0.primary", pa.bool_()),
    ("place_name", "place.name", pa.string()),
    ("place_city", "place.city.name", pa.string()),
    ("place_state_code", "place.state.stateCode", pa.string()),
    ("place_country_code", "place.country.countryCode", pa.string()),
    ("place_latitude", "place.location.latitude", pa.float64()),
    ("place_longitude", "place.location.longitude", pa.float64()),
    ("place", "place", json),
    ("venue_id", "_embedded.venues.0.id", pa.string()),
    ("venue_name", "_embedded.venues.0.name", pa.string()),
    ("venue_city", "_embedded.venues.0.city.name", pa.string()),
    ("venue_state", "_embedded.venues.0.state.name", pa.string()),
    ("venue_state_code", "_embedded.venues.0.state.stateCode", pa.string()),
    ("venue_country", "_embedded.venues.0.country.name", pa.string()),
    ("venue_country_code", "_embedded.venues.0.country.countryCode", pa.string()),
    ("venue_timezone", "_embedded.venues.0.timezone", pa.string()),
    ("venue_latitude", "_embedded.venues.0.location.latitude", pa.float64()),
    ("venue_longitude", "_embedded.venues.0.location.longitude", pa.float64()),
    ("venues", "_embedded.venues", json),
    ("attraction_id", "_embedded.attractions.0.id", pa.string()),
    ("attraction_name", "_embedded.attractions.0.name", pa.string()),
    ("attractions", "_embedded.attractions", json),
]
# Lists of one field of all venues, and of all attractions.
LISTS = [
    ("venue_ids", "venues", "id"),
    ("attraction_ids", "attractions", "id"),
    ("attraction_names", "attractions", "name"),
]


def sales(session, base_url, key, page_size):
    """Every sale of the client's events, as rows."""
    session.headers["Authorization"] = f"Bearer {key}"
    listed = session.get(f"{base_url}/events/search", params={"offset": 0, "limit": 100})
    listed.raise_for_status()
    codes = [event["id"] for event in listed.json()["data"]]
    search = {"forSearchItemType": "EVENT", "searchItemCodes": codes}
    offset = 0
    while True:
        query = {"limit": page_size, "offset": offset, "filteredBy": {}, "search": search}
        response = session.post(f"{base_url}/reports/sales", json=query)
        response.raise_for_status()
        page = response.json()["data"]
        if not page:
            return
        for sale in page:
            yield {**sale, **(sale.get("location") or {})}
        offset += len(page)


def events(session, base_url, key, page_size):
    """Every event with a date, as rows: in windows of dates, since the API serves no more than its depth limit of one query."""
    columns = [(column, steps(path), kind) for column, path, kind in EVENTS]
    begin, days = BEGIN, 7
    while begin < END:
        until = begin + timedelta(days=days)
        window = {"startDateTime": format(begin, "%Y-%m-%dT%H:%M:%SZ")}
        window["endDateTime"] = format(until - timedelta(seconds=1), "%Y-%m-%dT%H:%M:%SZ")
        number, pages = 0, 1
        while number < pages:
            params = {"apikey": key, "locale": "*", "sort": "id,asc", "size": page_size, "page": number, **window}
            response = session.get(f"{base_url}/events.json", params=params)
            response.raise_for_status()
            page = response.json()
            if page["page"]["totalElements"] > DEPTH_LIMIT:
                break
            for event in page.get("_embedded", {}).get("events", []):
                yield row(event, columns)
            number, pages = number + 1, page["page"]["totalPages"]
        else:
            begin = until
            continue
        if days == 1:
            raise RuntimeError(f"more than {DEPTH_LIMIT} events on {begin}")
        days = max(1, days // 2)


def steps(path):
    """The names and positions that a path goes along."""
    return [int(step) if step.isdigit() else step for step in path.split(".")]


def row(event, columns):
    """The columns of one event."""
    values = {}
    for column, path, kind in columns:
        value = event
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list):
                value = value[step] if len(value) > step else None
            if value is None:
                break
        if value is not None:
            values[column] = convert(value, kind)
    for column, inside, field in LISTS:
        values[column] = [each.get(field) for each in event.get("_embedded", {}).get(inside, [])]
    return values


def convert(value, kind):
    """A value of JSON as the type of its column wants it."""
    if kind is json:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if kind == TIME:
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    if kind == DAY:
        return datetime.fromisoformat(value).date()
    return float(value) if kind == pa.float64() else value


def main():
    """Reads all rows, then writes them as one file."""
    resource, base_url, key, page_size, file = sys.argv[1:]
    typed = [(column, pa.string() if kind is json else kind) for column, _, kind in EVENTS]
    schema = SALES if resource == "sales" else pa.schema([*typed, *((column, TEXTS) for column, _, _ in LISTS)])
    read = {"sales": sales, "events": events}[resource]
    with requests.Session() as session:
        rows = list(read(session, base_url, key, int(page_size)))
    pq.write_table(pa.Table.from_pylist(rows, schema), file, compression="zstd")
    print(len(rows))


if __name__ == "__main__":
    main()
