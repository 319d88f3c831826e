//! The words that sales and their events are made of.

/// What a show's name begins with.
pub(super) const SHOW_FIRST: &[&str] =
    &["Amber", "Copper", "Electric", "Hollow", "Ivory", "Lunar", "Midnight", "Paper", "Silver", "Velvet", "Wild"];

/// What a show's name ends with.
pub(super) const SHOW_LAST: &[&str] =
    &["Arcade", "Carnival", "Echoes", "Fields", "Harbour", "Lanterns", "Orchard", "Parade", "Theatre", "Tides"];

/// Promoters of events.
pub(super) const PROMOTERS: &[&str] = &["Northwind Live", "Quayside Events", "Redbrick Promotions", "Tall Oak"];

/// Venues of events.
pub(super) const VENUES: &[&str] =
    &["Cable Hall", "Foundry Yard", "Mill Street Rooms", "Old Observatory", "Riverside Dome", "The Glasshouse"];

/// A place that buyers live in: country, ISO code, regions from large to small, how its post codes begin.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) country: &'static str,
    pub(super) iso: &'static str,
    pub(super) regions: [&'static str; 4],
    pub(super) post_code: &'static str,
}

/// Where buyers live.
pub(super) const PLACES: &[(Place, u32)] = &[
    (
        Place {
            country: "United Kingdom",
            iso: "GB",
            regions: ["England", "Greater London", "Camden", ""],
            post_code: "NW1",
        },
        30,
    ),
    (
        Place {
            country: "United Kingdom",
            iso: "GB",
            regions: ["England", "West Midlands", "Birmingham", "Aston"],
            post_code: "B6",
        },
        16,
    ),
    (
        Place {
            country: "United Kingdom",
            iso: "GB",
            regions: ["Scotland", "Glasgow City", "Glasgow", ""],
            post_code: "G1",
        },
        12,
    ),
    (Place { country: "Ireland", iso: "IE", regions: ["Leinster", "Dublin", "", ""], post_code: "D02" }, 6),
    (Place { country: "France", iso: "FR", regions: ["Île-de-France", "Paris", "", ""], post_code: "750" }, 4),
    (Place { country: "United States", iso: "US", regions: ["California", "", "", ""], post_code: "900" }, 3),
];

/// Kinds of tickets with their face value.
pub(super) const PRICES: &[((&str, f64), u32)] = &[
    (("General Admission", 27.5), 50),
    (("Early Bird", 22.0), 20),
    (("Standing", 35.0), 15),
    (("Seated, Stalls", 48.75), 10),
    (("Under 18", 15.0), 4),
    (("VIP & Café", 120.0), 2),
    (("Guest", 0.0), 1),
];

/// What sales were made with: device type, models.
pub(super) const DEVICES: &[((&str, &[&str]), u32)] = &[
    (("Smartphone", &["iPhone", "Galaxy S24", "Pixel 9"]), 60),
    (("Desktop", &["Windows", "Macintosh"]), 32),
    (("Tablet", &["iPad", "Galaxy Tab"]), 8),
];

/// How sales are paid for.
pub(super) const PAYMENTS: &[(&str, u32)] =
    &[("VISA", 45), ("MASTERCARD", 28), ("APPLE PAY", 15), ("PAYPAL", 10), ("CASH", 2)];

/// How tickets reach their buyers.
pub(super) const DELIVERIES: &[(&str, u32)] = &[("E-TICKET", 75), ("MOBILE", 18), ("ROYAL MAIL", 5), ("COBO", 2)];

/// Where sales come from.
pub(super) const AFFILIATES: &[&str] = &["Direct", "GigList", "Newsletter", "Social"];
