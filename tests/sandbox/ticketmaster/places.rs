//! A venue and an attraction in the shapes that the API shows them in.

use serde_json::{Value, json};

use super::{
    events::{classification, images},
    synthetic::{Synthetic, VenueFacts},
    vocabulary::{COUNTERS, LINKS, SENTENCES},
};
use crate::dice::{Dice, Purpose};

impl VenueFacts<'_> {
    /// The markets that the venue is counted to: its own and now and then a neighbour's.
    pub(super) fn markets(&self) -> Vec<u16> {
        self.areas(self.place.market)
    }

    /// As [`VenueFacts::markets`].
    pub(super) fn dmas(&self) -> Vec<u16> {
        self.areas(self.place.dma)
    }

    fn areas(&self, own: u16) -> Vec<u16> {
        match own {
            0 => Vec::new(),
            _ if self.archtics => Vec::new(),
            _ if self.id.ends_with(['a', 'e', 'i', 'o', 'u']) => vec![own, own + 1],
            _ => vec![own],
        }
    }
}

impl Synthetic {
    pub(super) fn render_venue(&self, index: u32) -> Value {
        let facts = self.venue_facts(index);
        let place = facts.place;
        let mut dice = Dice::new(self.seed, Purpose::VenueDetails, index.into());
        let mut venue = json!({
            "id": facts.id,
            "type": "venue",
            "test": false,
            "locale": facts.locale,
            "city": {"name": place.city},
            "address": {"line1": format!("{} Station Road", 1 + dice.below(900))},
            "_links": {"self": {"href": format!("/discovery/v2/venues/{}?locale={}", facts.id, facts.locale)}},
        });
        if let Some(code) = facts.country_code {
            venue["country"] = if code == "CAN" {
                json!({ "countryCode": code })
            } else {
                json!({"name": place.country.0, "countryCode": code})
            };
        }
        if dice.chance(0.997) {
            venue["name"] = facts.name.as_str().into();
        }
        venue["upcomingEvents"] = counters(&mut dice);
        if facts.archtics {
            return venue;
        }
        venue["timezone"] = place.timezone.into();
        venue["postalCode"] = facts.postal_code.as_str().into();
        venue["location"] = json!({"longitude": facts.longitude.to_string(), "latitude": facts.latitude.to_string()});
        if let Some((name, code)) = place.state {
            venue["state"] = json!({"name": name, "stateCode": code});
        }
        if dice.chance(0.1) {
            venue["address"]["line2"] = format!("{}, {}", place.city, facts.postal_code).into();
        }
        if dice.chance(0.88) {
            venue["url"] = format!("https://www.ticketmaster.example/venue/{}", 200_000 + index).into();
        }
        let dmas = facts.dmas();
        if !dmas.is_empty() {
            venue["dmas"] = dmas.iter().map(|id| json!({ "id": id })).collect();
            let market = |id: &u16| match id % 5 {
                // The real names come mangled now and then, or not at all.
                0 => json!({"id": id.to_string(), "name": format!(" {} & Area\"", place.city)}),
                1 => json!({"id": id.to_string()}),
                _ => json!({"id": id.to_string(), "name": format!("{} Area", place.city)}),
            };
            venue["markets"] = facts.markets().iter().map(market).collect();
        }
        if dice.chance(0.5) {
            venue["generalInfo"] = json!({"generalRule": dice.pick(SENTENCES), "childRule": dice.pick(SENTENCES)});
            venue["boxOfficeInfo"] = json!({
                "phoneNumberDetail": format!("Box office: 555-01{:02}", dice.below(100)),
                "openHoursDetail": "Monday to Friday 10am-5pm.\nOn days of events until half an hour after the start.",
                "acceptedPaymentDetail": "Cash, cards",
                "willCallDetail": dice.pick(SENTENCES),
            });
            venue["parkingDetail"] = (*dice.pick(SENTENCES)).into();
        }
        if dice.chance(0.45) {
            venue["images"] = images(1, &facts.id, &mut dice);
            if dice.chance(0.1) {
                venue["images"] = json!([{"url": "https://images.ticketmaster.example/map.gif", "fallback": false}]);
            }
        }
        if dice.chance(0.41) {
            venue["accessibleSeatingDetail"] = (*dice.pick(SENTENCES)).into();
        }
        if dice.chance(0.24) {
            venue["ada"] = json!({
                "adaPhones": "555-0100", "adaCustomCopy": dice.pick(SENTENCES), "adaHours": "Daily\n10am-5pm",
            });
        }
        if dice.chance(0.16) {
            venue["social"] = json!({"twitter": {"handle": format!("@venue{index}")}});
        }
        if dice.chance(0.06) {
            venue["aliases"] = json!([format!("The {}", facts.name), facts.name.to_lowercase()]);
        }
        venue
    }

    pub(super) fn render_attraction(&self, index: u32) -> Value {
        let facts = self.attraction_facts(index);
        let mut dice = Dice::new(self.seed, Purpose::AttractionDetails, index.into());
        let mut attraction = json!({
            "id": facts.id,
            "name": facts.name,
            "type": "attraction",
            "test": false,
            "locale": facts.locale,
            "_links": {"self": {"href": format!("/discovery/v2/attractions/{}?locale={}", facts.id, facts.locale)}},
        });
        // Not inside `json!`, which would copy them.
        attraction["images"] = images(self.images, &facts.id, &mut dice);
        attraction["classifications"] = Value::Array(vec![classification(&self.classes[facts.class as usize])]);
        if dice.chance(0.99) {
            attraction["url"] = format!("https://www.ticketmaster.example/artist/{}", 700_000 + index).into();
        }
        if dice.chance(0.95) {
            attraction["upcomingEvents"] = counters(&mut dice);
        }
        if dice.chance(0.62) {
            for link in LINKS {
                if dice.chance(0.4) {
                    attraction["externalLinks"][*link] = match *link {
                        "musicbrainz" => json!([{"id": format!("{:032x}", u128::from(dice.next()))}]),
                        _ => json!([{"url": format!("https://{link}.example/{}", facts.id)}]),
                    };
                }
            }
        }
        if dice.chance(0.12) {
            attraction["aliases"] = json!([facts.name.to_uppercase()]);
        }
        if dice.chance(0.015) {
            attraction["draftStatus"] = "published".into();
        }
        attraction
    }
}

/// `_total`, `_filtered` and a few of the sources.
fn counters(dice: &mut Dice) -> Value {
    let mut value = json!({"_filtered": 0});
    let mut total = 0;
    for _ in 0..1 + dice.below(3) {
        let count = dice.below(60) + 1;
        let name = dice.pick(COUNTERS);
        if value.get(*name).is_none() {
            value[*name] = count.into();
            total += count;
        }
    }
    value["_total"] = total.into();
    value
}
