//! The words that organizations, products and projects are made of.

/// Companies, whose departments are the organizations.
pub(super) const COMPANIES: &[&str] =
    &["Brightwater Foods", "Cobalt Logistics", "Fernhill Energy", "Larkspur Retail", "Sable & Søn"];

/// Departments.
pub(super) const DEPARTMENTS: &[&str] = &[
    "Customer Care",
    "External IT",
    "Facilities",
    "Finance",
    "Human Resources",
    "Internal IT",
    "Legal",
    "Manufacturing",
    "Procurement",
];

/// Regions of business units.
pub(super) const REGIONS: &[&str] = &["APAC", "EMEA", "LATAM", "NA"];

/// Towns with state, post code and country.
pub(super) const TOWNS: &[(&str, Option<&str>, &str, &str)] = &[
    ("Aarhus", None, "8000", "DK"),
    ("Houston", Some("TX"), "77002", "US"),
    ("Leeds", None, "LS1 4AP", "GB"),
    ("Zürich", None, "8004", "CH"),
];

/// First names of people.
pub(super) const FIRST_NAMES: &[&str] =
    &["Amira", "Bjørn", "Carmen", "Dieter", "Ewa", "Femi", "Greta", "Hiro", "Ines", "Jonas"];

/// Last names of people.
pub(super) const LAST_NAMES: &[&str] = &["Adeyemi", "Brandt", "Costa", "Dalgaard", "Evans", "Fischer", "Grant", "Ito"];

/// Support teams.
pub(super) const TEAMS: &[&str] =
    &["Database Administration", "End-User Support", "Network Operations", "Unix Servers", "Windows Servers"];

/// Services.
pub(super) const SERVICES: &[&str] =
    &["Email", "Personal Computing", "Rack Space", "Service Management", "Warehouse Management"];

/// Brands with some of their models.
pub(super) const BRANDS: &[(&str, &[&str])] = &[
    ("Acorn", &["A3000 Desktop", "Phoebe 210", "Set-Top 700"]),
    ("Ferrule", &["LaserLine 40", "LaserLine 60n"]),
    ("Granite", &["Rack Server R4", "Rack Server R8", "NetShelter 48U"]),
    ("Osprey", &["Reader 11", "Office Suite 24"]),
];

/// Categories of products with their rule set; some have a slash in them.
pub(super) const PRODUCT_CATEGORIES: &[(&str, &str)] = &[
    ("desktop_pc", "physical_asset"),
    ("printer", "physical_asset"),
    ("rack_enclosure", "logical_asset_with_financial_data"),
    ("server/rack_mounted_server", "server"),
    ("software/browser_viewer_application", "software"),
    ("software/office_suite", "software_distribution_package"),
];

/// How products are depreciated; the last one is of old records and no longer among the documented values.
pub(super) const DEPRECIATION: &[&str] = &[
    "not_depreciated",
    "double_declining_balance",
    "reducing_balance",
    "straight_line",
    "sum_of_the_years_digits",
    "na_cost_is_zero",
];

/// What projects are about.
pub(super) const SUBJECTS: &[&str] = &[
    "Best in Customer Satisfaction",
    "Consolidate the Data Centres",
    "Introduce Single Sign-On",
    "Replace the Phone System",
    "Roll out Laptops",
    "Warehouse Ordering",
];

/// Programs that projects are part of.
pub(super) const PROGRAMS: &[&str] = &["Digital Workplace", "Manufacturing Improvements", "Security Roadmap"];

/// Why projects are considered.
pub(super) const JUSTIFICATIONS: &[&str] =
    &["compliance", "correction", "expansion", "improvement", "maintenance", "move", "removal", "replacement"];

/// Categories of projects by how many there are.
pub(super) const PROJECT_CATEGORIES: &[(&str, u32)] = &[("small", 50), ("medium", 35), ("large", 15)];

/// Statuses of projects by how many there are.
pub(super) const STATUSES: &[(&str, u32)] =
    &[("registered", 20), ("in_progress", 35), ("progress_halted", 10), ("completed", 35)];

/// Why projects are completed.
pub(super) const COMPLETION_REASONS: &[(&str, u32)] =
    &[("complete", 80), ("partial", 10), ("withdrawn", 4), ("rejected", 3), ("abandoned", 3)];

/// Time zones by the API's own names.
pub(super) const TIME_ZONES: &[&str] = &["Central Time (US & Canada)", "Copenhagen", "London", "Singapore"];

/// Remarks, from which a change takes another one.
pub(super) const REMARKS: &[&str] = &[
    "Asks for a quote before every purchase.",
    "Moved to the new office.\nThe old address is still used for deliveries.",
    "No license required.",
    "Review every “six” months — see the contract.",
    "To be merged next year.",
];
