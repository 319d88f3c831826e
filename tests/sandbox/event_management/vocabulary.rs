//! The words that events and the people at them are made of.

/// The first day that an event begins on: `2026-12-01T00:00:00Z`.
pub(crate) const OPENING: i64 = 1_796_083_200;

/// What an event's title begins with.
pub(crate) const TITLE_FIRST: &[&str] =
    &["Alpine", "Coastal", "Data", "Harvest", "Northern", "Open Air", "Robotics", "Village", "Winter", "Zürich"];

/// What an event's title ends with.
pub(crate) const TITLE_LAST: &[&str] =
    &["Conference", "Fair", "Film Night", "Gala", "Hackathon", "Marathon", "Meetup", "Summit", "Workshop"];

/// Where events are held.
pub(crate) const VENUES: &[&str] =
    &["Brick Lane Hall", "Café Meridian", "Lakeside Pavilion", "Old Town Library", "Station Loft", "The Long Room"];

/// What events are about. More than these are numbered.
pub(crate) const CATEGORIES: &[&str] =
    &["Arts", "Business", "Charity", "Food & Drink", "Health", "Music", "Science", "Sports", "Technology", "Travel"];

/// First names.
pub(crate) const FIRST_NAMES: &[&str] =
    &["Amal", "Björn", "Chidi", "Dana", "Ewa", "Farid", "Grace", "Hiro", "Inés", "Jo", "Kofi", "Łucja"];

/// Last names.
pub(crate) const LAST_NAMES: &[&str] =
    &["Abara", "Bauer", "Costa", "Dubois", "Eriksen", "Fox", "García", "Haddad", "Ito", "Kowalska", "O'Neill"];

/// Companies that users work for.
pub(crate) const COMPANIES: &[&str] = &["Birchwood Ltd", "Ferris & Sons", "Lantern Events", "Quartz Studio"];

/// Kinds of tickets.
pub(crate) const TICKET_TITLES: &[&str] = &["General Admission", "Early Bird", "Student", "VIP & Backstage", "Group"];

/// How tickets are paid for.
pub(crate) const PAYMENTS: &[(&str, u32)] = &[("Credit Card", 60), ("PayPal", 30), ("Invoice", 7), ("Cash", 3)];

/// What attendees are asked.
pub(crate) const QUESTIONS: &[&str] = &["Diet", "How did you hear of us?"];

/// What a category is called.
pub(crate) fn category(index: usize) -> String {
    match CATEGORIES.get(index) {
        Some(name) => (*name).to_owned(),
        None => format!("Category {}", index + 1),
    }
}

/// Two different ones of `count` categories, or as many as there are.
pub(crate) fn two_categories(index: usize, count: usize) -> Vec<String> {
    match count {
        0 => Vec::new(),
        1 => vec![category(0)],
        _ => {
            let first = index % count;
            let apart = 1 + index / count % (count - 1);
            vec![category(first), category((first + apart) % count)]
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{OPENING, category, two_categories};
    use crate::clock;

    #[test]
    fn the_opening_is_a_midnight() {
        assert_eq!(clock::utc(OPENING), "2026-12-01T00:00:00Z");
    }

    #[test]
    fn no_two_categories_have_one_name() {
        let names: BTreeSet<String> = (0..30).map(category).collect();
        assert_eq!(names.len(), 30);
    }

    #[test]
    fn an_event_has_two_categories_where_there_are_two() {
        for count in [0, 1, 2, 7] {
            for index in 0..60 {
                let named: BTreeSet<String> = two_categories(index, count).into_iter().collect();
                assert_eq!(named.len(), count.min(2), "{index} of {count}");
                assert!(named.is_subset(&(0..count).map(category).collect()));
            }
        }
    }
}
