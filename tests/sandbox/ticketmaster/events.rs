//! An event in the shape that the API shows it in, with the field groups in about their recorded shares.

use serde_json::{Map, Value, json};

use super::{
    catalogue::{Change, Event, Tick},
    classes::Class,
    synthetic::{EventFacts, Synthetic, Timing},
    vocabulary::{IMAGES, PROMOTERS, SENTENCES},
};
use crate::{
    clock::{self, DAY},
    dice::{Dice, Purpose, mix},
};

/// What the API says where it does not know when a sale began.
const UNKNOWN_SALE: &[&str] = &["1900-01-01T06:00:00Z", "1900-01-01T18:00:00Z"];

impl Synthetic {
    pub(super) fn render_event(&self, event: &Event, tick: Tick) -> Value {
        let facts = self.event_facts(event.index);
        // The name takes the first throws of these dice elsewhere; the details begin after it.
        let mut dice = Dice::new(self.seed, Purpose::EventDetails, u64::from(event.index) | 1 << 40);
        let mut value = Map::new();
        let mut put = |name: &str, part: Value| _ = value.insert(name.to_owned(), part);
        let name = super::catalogue::Records::event_name(self, event.index);
        put("name", name.into());
        put("type", "event".into());
        put("id", facts.id.as_str().into());
        put("test", false.into());
        put("locale", facts.locale.into());
        put("images", images(self.images, &facts.id, &mut dice));
        put("dates", dates(&facts, event, tick, self.place_of(&facts), &mut dice));

        let slug = mix(u64::from(event.index) ^ self.seed);
        if !facts.sparse {
            self.put_commerce(&facts, event, tick, slug, &mut dice, &mut put);
            self.put_texts(slug, &mut dice, &mut put);
        }
        let mut links = json!({"self": {"href": format!("/discovery/v2/events/{}?locale={}", facts.id, facts.locale)}});
        let mut embedded = Map::new();
        if let Some(venue) = facts.venue {
            let id = self.venue_facts(venue).id;
            links["venues"] = json!([{"href": format!("/discovery/v2/venues/{id}?locale=en-us")}]);
            embedded.insert("venues".into(), Value::Array(vec![self.render_venue(venue)]));
        } else if dice.chance(0.3) {
            put("place", self.place(event.index, &mut dice));
        }
        if !facts.attractions.is_empty() {
            let shown: Vec<Value> = facts.attractions.iter().map(|index| self.render_attraction(*index)).collect();
            let href = |shown: &Value| json!({"href": shown["_links"]["self"]["href"]});
            links["attractions"] = shown.iter().map(href).collect();
            embedded.insert("attractions".into(), shown.into());
        }
        put("_links", links);
        if !embedded.is_empty() {
            put("_embedded", embedded.into());
        }
        Value::Object(value)
    }

    fn put_commerce(
        &self,
        facts: &EventFacts,
        event: &Event,
        tick: Tick,
        slug: u64,
        dice: &mut Dice,
        put: &mut impl FnMut(&str, Value),
    ) {
        put("url", format!("https://www.ticketmaster.example/event/{slug:016X}").into());
        let begins = if dice.chance(0.06) { (*dice.pick(UNKNOWN_SALE)).into() } else { clock::utc(event.on_sale.0) };
        let mut public = json!({"startDateTime": begins, "startTBD": false, "startTBA": false});
        if let Some(ends) = facts.start() {
            public["endDateTime"] = clock::utc(ends).into();
        }
        let mut sales = json!({ "public": public });
        if dice.chance(0.48) {
            let presale = |number: usize| {
                let begins = event.on_sale.0 - (number as i64 + 1) * DAY / 2;
                let name = ["Artist Presale", "Venue Presale", "Resale Only", "VIP Packages"][number % 4];
                let mut presale = json!({
                    "name": name,
                    "startDateTime": clock::utc(begins), "endDateTime": clock::utc(event.on_sale.0 - 7_200),
                });
                if number % 3 == 1 {
                    presale["description"] = SENTENCES[number % SENTENCES.len()].into();
                    presale["url"] = format!("https://presale.example/{slug:x}").into();
                }
                presale
            };
            sales["presales"] = (0..1 + dice.below(7)).map(presale).collect();
        }
        put("sales", sales);
        if let Some(class) = facts.class {
            put("classifications", Value::Array(vec![classification(&self.classes[class as usize])]));
        }
        if dice.chance(0.7) {
            let (id, name) = *dice.pick(PROMOTERS);
            let mut promoter = json!({"id": id, "name": name});
            if dice.chance(0.85) {
                promoter["description"] = format!("{name} / NTL / {}", self.place_of(facts).country.1).into();
            }
            if dice.chance(0.93) {
                put("promoters", json!([promoter]));
            }
            put("promoter", promoter);
        }
        let repriced = matches!(event.change, Some((Change::Price, at)) if at.reached(tick));
        if dice.chance(0.43) || matches!(event.change, Some((Change::Price, _))) {
            let currency = self.place_of(facts).currency;
            let low = dice.money(12.0, 90.0) + if repriced { 5.0 } else { 0.0 };
            // Whole amounts come as integers.
            let amount = |amount: f64| if slug.is_multiple_of(3) { json!(amount as i64) } else { json!(amount) };
            let range = |kind: &str, low: f64| json!({"type": kind, "currency": currency, "min": amount(low), "max": amount(crate::dice::cents(low * 2.5))});
            let mut ranges = vec![range("standard", low)];
            if dice.chance(0.08) {
                ranges.push(range("standard including fees", crate::dice::cents(low * 1.2)));
            }
            put("priceRanges", ranges.into());
        }
        if dice.chance(0.24) {
            let mut product = json!({
                "id": dice.letters(13), "name": "Parking", "type": "Parking",
                "url": format!("https://www.ticketmaster.example/parking/{slug:x}"),
            });
            if let Some(class) = facts.class {
                product["classifications"] = json!([classification(&self.classes[class as usize])]);
            }
            put("products", json!([product]));
        }
        if dice.chance(0.08) {
            put("outlets", json!([{"url": format!("https://resale.example/{slug:x}"), "type": "tmMarketPlace"}]));
        }
        if facts.timing == Timing::Exact && dice.chance(0.02) {
            let doors = facts.local + event.moved(tick) - 3_600;
            put(
                "doorsTimes",
                json!({
                    "localDate": clock::day(doors), "localTime": clock::time(doors),
                    "dateTime": clock::utc(doors - facts.offset), "id": dice.letters(6),
                }),
            );
        }
    }

    fn put_texts(&self, slug: u64, dice: &mut Dice, put: &mut impl FnMut(&str, Value)) {
        if dice.chance(0.68) {
            let map = format!("https://maps.ticketmaster.example/event/{slug:016X}/staticImage?type=png");
            put("seatmap", json!({"staticUrl": map, "id": "seatmap"}));
        }
        if dice.chance(0.85) {
            let mut ticketing = json!({"safeTix": {"enabled": dice.chance(0.6)}, "id": "ticketing"});
            if dice.chance(0.5) {
                ticketing["safeTix"]["inAppOnlyEnabled"] = false.into();
            }
            if dice.chance(0.7) {
                ticketing["allInclusivePricing"] = json!({"enabled": dice.chance(0.5)});
            }
            if dice.chance(0.1) {
                ticketing["healthCheck"] =
                    json!({"summary": "None", "description": SENTENCES[0], "learnMoreUrl": "https://health.example"});
            }
            put("ticketing", ticketing);
        }
        match dice.unit() {
            throw if throw < 0.05 => put("accessibility", json!({})),
            throw if throw < 0.56 => put("accessibility", json!({"ticketLimit": 4, "id": "accessibility"})),
            throw if throw < 0.60 => {
                put(
                    "accessibility",
                    json!({"info": dice.pick(SENTENCES), "url": "https://access.example", "urlText": "More"}),
                );
            }
            _ => {}
        }
        if dice.chance(0.54) {
            let mut ages = json!({"legalAgeEnforced": dice.chance(0.1), "id": "ageRestrictions"});
            if dice.chance(0.1) {
                ages["ageRuleDescription"] = SENTENCES[3].into();
            }
            put("ageRestrictions", ages);
        }
        if dice.chance(0.5) {
            let limit = format!("There is an overall {} ticket limit for this event.", 2 + dice.below(9));
            put("ticketLimit", json!({"info": limit, "id": "ticketLimit"}));
        }
        for (name, share) in [("pleaseNote", 0.47), ("info", 0.32), ("description", 0.05)] {
            if dice.chance(share) {
                let text: Vec<&str> = (0..1 + dice.below(6)).map(|_| *dice.pick(SENTENCES)).collect();
                put(name, text.join(" ").into());
            }
        }
        if dice.chance(0.09) {
            put("nameOrigin", (*dice.pick(&["generated", "attraction", "custom"])).into());
        }
        if dice.chance(0.06) {
            put("code", format!("TW1:{}", dice.letters(9).to_uppercase()).into());
        }
    }

    pub(super) fn place_of(&self, facts: &EventFacts) -> &super::vocabulary::Place {
        facts.venue.map_or(&self.places[0].0, |venue| self.venue_facts(venue).place)
    }

    /// Where an event without a venue is.
    fn place(&self, index: u32, dice: &mut Dice) -> Value {
        let (place, _) = &self.places[index as usize % self.places.len()];
        let mut value = json!({
            "area": {},
            "address": {"line1": format!("{} Mill Street", 1 + dice.below(200))},
            "city": {"name": place.city},
            "country": {"name": place.country.0, "countryCode": place.country.1},
            "location": {"longitude": place.longitude.to_string(), "latitude": place.latitude.to_string()},
        });
        if let Some((name, code)) = place.state {
            value["state"] = json!({"name": name, "stateCode": code});
        }
        if dice.chance(0.3) {
            value["name"] = "Online".into();
        }
        value
    }
}

fn dates(facts: &EventFacts, event: &Event, tick: Tick, place: &super::vocabulary::Place, dice: &mut Dice) -> Value {
    let moved = event.moved(tick);
    let local = facts.local + moved;
    let mut start = Map::new();
    for name in ["dateTBD", "dateTBA", "timeTBA", "noSpecificTime"] {
        start.insert(name.into(), false.into());
    }
    let mut put = |name: &str, value: Value| _ = start.insert(name.to_owned(), value);
    match facts.timing {
        Timing::Exact => {
            put("localDate", clock::day(local).into());
            put("localTime", clock::time(local).into());
            put("dateTime", clock::utc(local - facts.offset).into());
        }
        Timing::TimeTba => {
            put("localDate", clock::day(local).into());
            put("timeTBA", true.into());
        }
        Timing::NoSpecificTime => {
            put("localDate", clock::day(local).into());
            put("noSpecificTime", true.into());
        }
        Timing::Tba(day) | Timing::Tbd(day) => {
            if let Some(day) = day {
                put("localDate", clock::day(day).into());
            }
            let flag = if matches!(facts.timing, Timing::Tba(_)) { "dateTBA" } else { "dateTBD" };
            put(flag, true.into());
        }
    }
    let cancelled = matches!(event.change, Some((Change::Cancel, at)) if at.reached(tick));
    let code = match dice.unit() {
        _ if cancelled => "cancelled",
        _ if moved > 0 => "rescheduled",
        throw if throw < 0.85 => "onsale",
        throw if throw < 0.95 => "offsale",
        throw if throw < 0.97 => "rescheduled",
        throw if throw < 0.985 => "postponed",
        _ => "cancelled",
    };
    let mut dates = json!({"start": start, "status": {"code": code}, "spanMultipleDays": dice.chance(0.03)});
    let exact = facts.timing == Timing::Exact;
    if !facts.sparse || dice.chance(0.7) {
        dates["timezone"] = place.timezone.into();
    }
    if exact && dice.chance(0.28) {
        let ends = local + 3 * 3_600;
        dates["end"] = json!({
            "localDate": clock::day(ends), "localTime": clock::time(ends), "dateTime": clock::utc(ends - facts.offset),
            "approximate": dice.chance(0.2), "noSpecificTime": false,
        });
    }
    if exact && dice.chance(0.075) {
        dates["access"] = json!({
            "startDateTime": clock::utc(facts.visible), "startApproximate": false,
            "endDateTime": clock::utc(local - facts.offset), "endApproximate": false,
        });
    }
    if exact && code == "rescheduled" {
        let first = if moved > 0 { facts.local } else { facts.local - 90 * DAY };
        dates["initialStartDate"] = json!({
            "localDate": clock::day(first), "localTime": clock::time(first),
            "dateTime": clock::utc(first - facts.offset),
        });
    }
    dates
}

/// As it stands in events and attractions.
pub(super) fn classification(class: &Class) -> Value {
    let mut value = json!({"primary": true, "family": class.family});
    for (name, level) in ["segment", "genre", "subGenre", "type", "subType"].iter().zip(&class.levels) {
        value[*name] = json!({"id": level.id, "name": level.name});
    }
    value
}

/// `count` images; a few without a ratio, some that are a class's and not the record's own.
pub(super) fn images(count: usize, id: &str, dice: &mut Dice) -> Value {
    let fallback = dice.chance(0.3);
    let image = |number: usize| {
        let (ratio, width, height, name) = IMAGES[number % IMAGES.len()];
        let mut image = json!({
            "url": format!("https://images.ticketmaster.example/dam/a/{id}_{name}.jpg"),
            "width": width, "height": height, "fallback": fallback,
        });
        if !id.ends_with('7') || number > 0 {
            image["ratio"] = ratio.into();
        }
        if id.ends_with('3') && number == 0 {
            image["attribution"] = "The photographer".into();
        }
        image
    };
    (0..count).map(image).collect()
}
