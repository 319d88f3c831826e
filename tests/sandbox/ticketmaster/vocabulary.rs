//! Places and words that events, venues and attractions are made of.

/// A city with what an address, a market and a clock need to know about it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) city: &'static str,
    /// Name and code; `None` where addresses have no state.
    pub(super) state: Option<(&'static str, &'static str)>,
    /// Name and code.
    pub(super) country: (&'static str, &'static str),
    pub(super) timezone: &'static str,
    /// Standard time all year: local and UTC agree with each other, which is what a reader can check.
    pub(super) offset_minutes: i32,
    pub(super) latitude: f64,
    pub(super) longitude: f64,
    pub(super) dma: u16,
    pub(super) market: u16,
    pub(super) locale: &'static str,
    pub(super) currency: &'static str,
}

type Row =
    (&'static str, &'static str, &'static str, &'static str, &'static str, i32, f64, f64, u16, u16, &'static str, u32);

/// How likely a venue lies in each place.
pub(super) fn places() -> Vec<(Place, u32)> {
    let place = |row: &Row| {
        let (city, state, code, country, timezone, offset, latitude, longitude, dma, market, locale, weight) = *row;
        let (country_name, currency) = match country {
            "US" => ("United States Of America", "USD"),
            "CA" => ("Canada", "CAD"),
            "GB" => ("Great Britain", "GBP"),
            "MX" => ("Mexico", "MXN"),
            "AU" => ("Australia", "AUD"),
            "NZ" => ("New Zealand", "NZD"),
            "CZ" => ("Czech Republic", "CZK"),
            "SE" => ("Sweden", "SEK"),
            "DE" => ("Germany", "EUR"),
            "FR" => ("France", "EUR"),
            "ES" => ("Spain", "EUR"),
            "NL" => ("Netherlands", "EUR"),
            _ => ("Ireland", "EUR"),
        };
        let place = Place {
            city,
            state: (!state.is_empty()).then_some((state, code)),
            country: (country_name, country),
            timezone,
            offset_minutes: offset,
            latitude,
            longitude,
            dma,
            market,
            locale,
            currency,
        };
        (place, weight)
    };
    ROWS.iter().map(place).collect()
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("Los Angeles", "California", "CA", "US", "America/Los_Angeles", -480, 34.05, -118.24, 324, 27, "en-us", 60),
    ("San Francisco", "California", "CA", "US", "America/Los_Angeles", -480, 37.77, -122.42, 382, 41, "en-us", 30),
    ("San Diego", "California", "CA", "US", "America/Los_Angeles", -480, 32.72, -117.16, 381, 30, "en-us", 16),
    ("New York", "New York", "NY", "US", "America/New_York", -300, 40.71, -74.01, 345, 35, "en-us", 70),
    ("Buffalo", "New York", "NY", "US", "America/New_York", -300, 42.89, -78.88, 232, 38, "en-us", 8),
    ("Newark", "New Jersey", "NJ", "US", "America/New_York", -300, 40.74, -74.17, 345, 35, "en-us", 14),
    ("Boston", "Massachusetts", "MA", "US", "America/New_York", -300, 42.36, -71.06, 235, 11, "en-us", 26),
    ("Philadelphia", "Pennsylvania", "PA", "US", "America/New_York", -300, 39.95, -75.17, 358, 18, "en-us", 24),
    ("Pittsburgh", "Pennsylvania", "PA", "US", "America/New_York", -300, 40.44, -80.00, 362, 20, "en-us", 12),
    ("Washington", "District of Columbia", "DC", "US", "America/New_York", -300, 38.91, -77.04, 409, 47, "en-us", 20),
    ("Baltimore", "Maryland", "MD", "US", "America/New_York", -300, 39.29, -76.61, 224, 47, "en-us", 10),
    ("Richmond", "Virginia", "VA", "US", "America/New_York", -300, 37.54, -77.44, 371, 47, "en-us", 8),
    ("Charlotte", "North Carolina", "NC", "US", "America/New_York", -300, 35.23, -80.84, 245, 17, "en-us", 14),
    ("Atlanta", "Georgia", "GA", "US", "America/New_York", -300, 33.75, -84.39, 220, 10, "en-us", 26),
    ("Miami", "Florida", "FL", "US", "America/New_York", -300, 25.76, -80.19, 334, 15, "en-us", 22),
    ("Tampa", "Florida", "FL", "US", "America/New_York", -300, 27.95, -82.46, 397, 44, "en-us", 14),
    ("Detroit", "Michigan", "MI", "US", "America/Detroit", -300, 42.33, -83.05, 266, 7, "en-us", 18),
    ("Cleveland", "Ohio", "OH", "US", "America/New_York", -300, 41.50, -81.69, 253, 14, "en-us", 18),
    ("Indianapolis", "Indiana", "IN", "US", "America/Indiana/Indianapolis", -300, 39.77, -86.16, 303, 8, "en-us", 12),
    ("Chicago", "Illinois", "IL", "US", "America/Chicago", -360, 41.88, -87.63, 249, 3, "en-us", 44),
    ("Milwaukee", "Wisconsin", "WI", "US", "America/Chicago", -360, 43.04, -87.91, 336, 12, "en-us", 10),
    ("Minneapolis", "Minnesota", "MN", "US", "America/Chicago", -360, 44.98, -93.27, 337, 13, "en-us", 16),
    ("St. Louis", "Missouri", "MO", "US", "America/Chicago", -360, 38.63, -90.20, 390, 24, "en-us", 12),
    ("Nashville", "Tennessee", "TN", "US", "America/Chicago", -360, 36.16, -86.78, 343, 21, "en-us", 20),
    ("New Orleans", "Louisiana", "LA", "US", "America/Chicago", -360, 29.95, -90.07, 344, 34, "en-us", 10),
    ("Dallas", "Texas", "TX", "US", "America/Chicago", -360, 32.78, -96.80, 261, 5, "en-us", 26),
    ("Houston", "Texas", "TX", "US", "America/Chicago", -360, 29.76, -95.37, 300, 22, "en-us", 22),
    ("Austin", "Texas", "TX", "US", "America/Chicago", -360, 30.27, -97.74, 222, 42, "en-us", 16),
    ("Denver", "Colorado", "CO", "US", "America/Denver", -420, 39.74, -104.99, 264, 6, "en-us", 22),
    ("Salt Lake City", "Utah", "UT", "US", "America/Denver", -420, 40.76, -111.89, 379, 36, "en-us", 10),
    ("Phoenix", "Arizona", "AZ", "US", "America/Phoenix", -420, 33.45, -112.07, 359, 26, "en-us", 18),
    ("Las Vegas", "Nevada", "NV", "US", "America/Los_Angeles", -480, 36.17, -115.14, 319, 28, "en-us", 34),
    ("Portland", "Oregon", "OR", "US", "America/Los_Angeles", -480, 45.52, -122.68, 366, 31, "en-us", 12),
    ("Seattle", "Washington", "WA", "US", "America/Los_Angeles", -480, 47.61, -122.33, 385, 42, "en-us", 20),
    ("Toronto", "Ontario", "ON", "CA", "America/Toronto", -300, 43.65, -79.38, 527, 102, "en-us", 34),
    ("Ottawa", "Ontario", "ON", "CA", "America/Toronto", -300, 45.42, -75.70, 519, 103, "en-us", 8),
    ("Montréal", "Quebec", "QC", "CA", "America/Montreal", -300, 45.50, -73.57, 522, 108, "fr-ca", 16),
    ("Vancouver", "British Columbia", "BC", "CA", "America/Vancouver", -480, 49.28, -123.12, 528, 105, "en-us", 14),
    ("Calgary", "Alberta", "AB", "CA", "America/Edmonton", -420, 51.05, -114.07, 505, 106, "en-us", 10),
    ("London", "", "", "GB", "Europe/London", 0, 51.51, -0.13, 602, 202, "en-gb", 60),
    ("Manchester", "", "", "GB", "Europe/London", 0, 53.48, -2.24, 603, 203, "en-gb", 22),
    ("Glasgow", "", "", "GB", "Europe/London", 0, 55.86, -4.25, 608, 208, "en-gb", 14),
    ("Birmingham", "", "", "GB", "Europe/London", 0, 52.49, -1.89, 601, 201, "en-gb", 14),
    ("Dublin", "", "", "IE", "Europe/Dublin", 0, 53.35, -6.26, 609, 209, "en-gb", 16),
    ("Berlin", "", "", "DE", "Europe/Berlin", 60, 52.52, 13.40, 610, 210, "de-de", 22),
    ("München", "", "", "DE", "Europe/Berlin", 60, 48.14, 11.58, 610, 210, "de-de", 18),
    ("Hamburg", "", "", "DE", "Europe/Berlin", 60, 53.55, 9.99, 610, 210, "de-de", 14),
    ("Paris", "", "", "FR", "Europe/Paris", 60, 48.86, 2.35, 0, 0, "fr-fr", 30),
    ("Lyon", "", "", "FR", "Europe/Paris", 60, 45.76, 4.84, 0, 0, "fr-fr", 12),
    ("Amsterdam", "", "", "NL", "Europe/Amsterdam", 60, 52.37, 4.90, 611, 211, "nl-nl", 16),
    ("Stockholm", "", "", "SE", "Europe/Stockholm", 60, 59.33, 18.07, 612, 212, "sv-se", 12),
    ("Praha 1", "", "", "CZ", "Europe/Prague", 60, 50.08, 14.44, 0, 0, "cs-cz", 10),
    ("Madrid", "", "", "ES", "Europe/Madrid", 60, 40.42, -3.70, 903, 501, "es-es", 16),
    ("Barcelona", "", "", "ES", "Europe/Madrid", 60, 41.39, 2.17, 901, 501, "es-es", 14),
    ("Ciudad de México", "", "", "MX", "America/Mexico_City", -360, 19.43, -99.13, 801, 402, "es-mx", 22),
    ("Monterrey", "", "", "MX", "America/Monterrey", -360, 25.69, -100.32, 803, 403, "es-mx", 10),
    ("Sydney", "New South Wales", "NSW", "AU", "Australia/Sydney", 600, -33.87, 151.21, 702, 302, "en-au", 22),
    ("Melbourne", "Victoria", "VIC", "AU", "Australia/Melbourne", 600, -37.81, 144.96, 703, 303, "en-au", 20),
    ("Auckland", "", "", "NZ", "Pacific/Auckland", 720, -36.85, 174.76, 751, 351, "en-nz", 12),
];

/// Segments in the order of the real page: name, weight among events, share of the genres, share of the sub-genres.
pub(super) const SEGMENTS: &[(&str, u32, usize, usize)] = &[
    ("Miscellaneous", 8, 16, 1),
    ("Sports", 16, 50, 7),
    ("Music", 46, 24, 90),
    ("Arts & Theatre", 25, 20, 2),
    ("Undefined", 2, 0, 0),
    ("Film", 3, 13, 1),
];

/// Genres by segment, in the order of [`SEGMENTS`].
pub(super) const GENRES: &[&[&str]] = &[
    &["Family", "Fairs & Festivals", "Lecture/Seminar", "Food & Drink", "Hobby/Special Interest Expos"],
    &["Baseball", "Basketball", "Football", "Hockey", "Motorsports/Racing", "Soccer", "Tennis", "Wrestling"],
    &["Rock", "Pop", "Jazz", "Alternative", "Country", "Classical", "Hip-Hop/Rap", "Folk", "Metal", "R&B", "Latin"],
    &["Theatre", "Comedy", "Dance", "Opera", "Magic & Illusion", "Children's Theatre", "Fashion"],
    &["Undefined"],
    &["Documentary", "Animation", "Drama", "Foreign"],
];

/// What a sub-genre's name begins with.
pub(super) const STYLES: &[&str] =
    &["Acoustic", "Classic", "Experimental", "Indie", "Modern", "Progressive", "Regional", "Soft", "Traditional"];

/// Types with words for their sub-types; the first is what nearly all events have.
pub(super) const TYPES: &[(&str, &[&str])] = &[
    ("Undefined", &["Undefined"]),
    ("Venue Based", &["Aquarium", "Club", "Museum", "Park", "Zoo"]),
    ("Upsell", &["Audio Tour", "Meal Package", "Photo", "Poster", "VIP"]),
    ("Group", &["Band", "Choir", "Orchestra", "Team"]),
    ("Individual", &["Actor", "Artist", "Performer", "Speaker"]),
    ("Event Style", &["Award Show", "Concert", "Convention", "Festival"]),
    ("Merchandise", &["Clothing", "Vouchers"]),
    ("Transportation", &["Park & Ride", "Shuttle"]),
    ("Nonticket", &["Demo", "Membership"]),
    ("Parking", &["Premier", "Regular"]),
    ("Donation", &["Donation"]),
];

/// What a performer's name begins with.
pub(super) const PERFORMER_FIRST: &[&str] = &[
    "Amber", "Atlantic", "Black", "Blue", "Broken", "Cardinal", "Crystal", "Desert", "Distant", "Eastern", "Electric",
    "Emerald", "First", "Flying", "Golden", "Hidden", "Hollow", "Iron", "Ivory", "Little", "Lonely", "Lunar", "Neon",
    "Northern", "Old", "Painted", "Paper", "Quiet", "Rolling", "Royal", "Sacred", "Scarlet", "Second", "Silent",
    "Silver", "Southern", "Stone", "Velvet", "Western", "Wild",
];

/// What a performer's name ends with.
pub(super) const PERFORMER_LAST: &[&str] = &[
    "Arrows",
    "Bears",
    "Birds",
    "Brothers",
    "Canyon",
    "Choir",
    "Comets",
    "Company",
    "Cousins",
    "Dogs",
    "Empire",
    "Engines",
    "Falcons",
    "Fires",
    "Foxes",
    "Giants",
    "Harbor",
    "Horses",
    "Kings",
    "Lanterns",
    "Letters",
    "Lions",
    "Machines",
    "Mirrors",
    "Nights",
    "Orchestra",
    "Pilots",
    "Pines",
    "Players",
    "Queens",
    "Quartet",
    "Riders",
    "Rivers",
    "Roses",
    "Sisters",
    "Sparrows",
    "Theatre",
    "Tigers",
    "Wolves",
    "Youth",
];

/// What a venue's name begins with.
pub(super) const VENUE_FIRST: &[&str] = &[
    "Beacon",
    "Bridge",
    "Canal",
    "Capitol",
    "Central",
    "Civic",
    "Crown",
    "Dockside",
    "Eagle",
    "Empire",
    "Federal",
    "Foundry",
    "Garden",
    "Grand",
    "Harbor",
    "Highland",
    "Lakeside",
    "Liberty",
    "Majestic",
    "Market",
    "Memorial",
    "Meridian",
    "Metro",
    "Mission",
    "Orpheum",
    "Palace",
    "Paramount",
    "Pioneer",
    "Plaza",
    "Regent",
    "Republic",
    "Riverside",
    "Roxbury",
    "Sherwood",
    "State",
    "Summit",
    "Union",
    "Valley",
    "Vista",
    "Warehouse",
];

/// What a venue is.
pub(super) const VENUE_LAST: &[&str] = &[
    "Amphitheater",
    "Arena",
    "Ballroom",
    "Center",
    "Club",
    "Coliseum",
    "Hall",
    "House",
    "Lounge",
    "Music Hall",
    "Opera House",
    "Park",
    "Pavilion",
    "Playhouse",
    "Stadium",
    "Theatre",
];

/// What comes after a performer's name in an event's.
pub(super) const TOURS: &[&str] =
    &["", "", "", " - World Tour", " Live", ": The Anniversary Tour", " with Special Guests", " (Rescheduled Date)"];

/// Who promotes.
pub(super) const PROMOTERS: &[(&str, &str)] = &[
    ("494", "PROMOTED BY VENUE"),
    ("653", "NORTHWIND LIVE MUSIC"),
    ("695", "REGULAR SEASON"),
    ("850", "REDBRICK PROMOTIONS"),
    ("4218", "QUAYSIDE EVENTS"),
];

/// Sentences for the free texts; some have a line break in them, as the real ones do.
pub(super) const SENTENCES: &[&str] = &[
    "All ages are welcome; children under three years of age are admitted free on a parent's lap.",
    "Bags larger than A4 are not permitted inside the venue.\nA cloakroom is available for a fee.",
    "Doors open one hour before the show.",
    "Everybody needs a ticket of their own regardless of age.",
    "No re-entry. No refunds, no exchanges.",
    "Photography without flash is permitted; professional cameras are not.",
    "Please arrive early to allow for security checks.\n\nThe running order is subject to change.",
    "Ticket price includes a facility fee of 3.00 per ticket.",
    "This is a cashless venue: cards and mobile payments only.",
    "Wheelchair spaces can be booked by telephone, Monday to Friday from 9am to 5pm.",
];

/// Where an attraction is found elsewhere; new names appear in the real data, so one of these is nobody's.
pub(super) const LINKS: &[&str] = &[
    "bandcamp",
    "facebook",
    "homepage",
    "instagram",
    "itunes",
    "lastfm",
    "musicbrainz",
    "soundcloud",
    "spotify",
    "tiktok",
    "twitter",
    "wiki",
    "youtube",
    "zzz-new-network",
];

/// Names of the counters in `upcomingEvents`.
pub(super) const COUNTERS: &[&str] =
    &["archtics", "frontgate", "mfx-cz", "mfx-de", "moshtix", "ticketmaster", "ticketweb", "tmr", "universe"];

/// Ratio, width, height and name of an event's or attraction's images.
pub(super) const IMAGES: &[(&str, u32, u32, &str)] = &[
    ("16_9", 640, 360, "RETINA_PORTRAIT_16_9"),
    ("3_2", 1024, 683, "TABLET_LANDSCAPE_3_2"),
    ("16_9", 2048, 1152, "TABLET_LANDSCAPE_LARGE_16_9"),
    ("4_3", 305, 225, "CUSTOM"),
    ("3_2", 305, 203, "ARTIST_PAGE_3_2"),
    ("16_9", 205, 115, "EVENT_DETAIL_PAGE_16_9"),
    ("16_9", 1024, 576, "TABLET_LANDSCAPE_16_9"),
    ("3_2", 640, 427, "RETINA_PORTRAIT_3_2"),
    ("16_9", 1136, 639, "RETINA_LANDSCAPE_16_9"),
    ("16_9", 100, 56, "RECOMENDATION_16_9"),
];
