//! How the values of a filter must be written. They are checked before a request is sent, because many APIs ignore a value that
//! they do not understand, or refuse the whole query for it.

use chrono::{NaiveDate, NaiveDateTime};

use crate::fault::nearest;

/// How the values of a filter must be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueCheck {
    /// The values allowed. If it is empty, every value is. Of a value with commas, each part must be one of these.
    pub one_of: Vec<String>,
    /// The form that a value must have.
    pub form: Option<Form>,
}

/// A form of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A whole number: `25`.
    Integer,
    /// Whole numbers with commas: `25,30`.
    Integers,
    /// A day: `2026-11-21`.
    Date,
    /// An instant in UTC, to the second: `2026-11-21T00:00:00Z`.
    Instant,
    /// Two instants in UTC, with `*` for an open end: `2026-11-21T00:00:00Z,*`.
    InstantRange,
    /// Two local times, with `*` for an open end: `2026-11-21T00:00:00,*`.
    LocalRange,
    /// A geohash: `9q5ct`.
    Geohash,
    /// Languages with commas, each with or without a country, or `*` for all: `en-us,fr`.
    Locales,
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 8] = [
        Self::Integer,
        Self::Integers,
        Self::Date,
        Self::Instant,
        Self::InstantRange,
        Self::LocalRange,
        Self::Geohash,
        Self::Locales,
    ];

    /// The name of the form in a manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Integers => "integers",
            Self::Date => "date",
            Self::Instant => "instant",
            Self::InstantRange => "instant_range",
            Self::LocalRange => "local_range",
            Self::Geohash => "geohash",
            Self::Locales => "locales",
        }
    }

    /// Describes the form with an example, for a fault's message.
    fn description(self) -> &'static str {
        match self {
            Self::Integer => "a whole number: 25",
            Self::Integers => "whole numbers with commas: 25,30",
            Self::Date => "a day: 2026-11-21",
            Self::Instant => "an instant in UTC without parts of a second: 2026-11-21T00:00:00Z",
            Self::InstantRange => "two instants in UTC, `*` for an open end: 2026-11-21T00:00:00Z,*",
            Self::LocalRange => "two local times without a zone, `*` for an open end: 2026-11-21T00:00:00,*",
            Self::Geohash => "a geohash, 1 to 12 of the letters 0 to 9 and b to z without i, l and o: 9q5ct",
            Self::Locales => "languages with or without a country, or `*` for all: en-us,fr",
        }
    }

    /// Returns whether `text` has the form.
    fn accepts(self, text: &str) -> bool {
        let is_range = |is_end: fn(&str) -> bool| {
            text.split_once(',').is_some_and(|(from, to)| [from, to].iter().all(|end| *end == "*" || is_end(end)))
        };
        match self {
            Self::Integer => is_integer(text),
            Self::Integers => text.split(',').all(is_integer),
            Self::Date => NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok_and(|day| day.to_string() == text),
            Self::Instant => is_instant(text),
            Self::InstantRange => is_range(is_instant),
            Self::LocalRange => is_range(is_local_time),
            Self::Geohash => (1..=12).contains(&text.len()) && geohash::decode(text).is_ok(),
            Self::Locales => text.split(',').all(is_locale),
        }
    }
}

impl ValueCheck {
    /// Returns a message that says what is wrong with the value `text`; `None` if nothing is.
    pub fn fault(&self, text: &str) -> Option<String> {
        if let Some(form) = self.form.filter(|form| !form.accepts(text)) {
            return Some(format!("`{text}` is not {}", form.description()));
        }
        if self.one_of.is_empty() {
            return None;
        }
        let is_unknown = |part: &&str| !self.one_of.iter().any(|allowed| allowed == part);
        let unknown_part = text.split(',').map(str::trim).find(is_unknown)?;
        let (allowed, hint) = (self.one_of.join(", "), nearest(unknown_part, &self.one_of));
        Some(format!("`{unknown_part}` is not one of {allowed}{hint}"))
    }
}

fn is_integer(text: &str) -> bool {
    !text.is_empty() && text.len() <= 18 && text.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_instant(text: &str) -> bool {
    text.strip_suffix('Z').is_some_and(is_local_time)
}

fn is_local_time(text: &str) -> bool {
    const FORMAT: &str = "%Y-%m-%dT%H:%M:%S";
    // The time is written back and compared, because the parser accepts `2026-1-1T0:0:0` too.
    NaiveDateTime::parse_from_str(text, FORMAT).is_ok_and(|time| time.format(FORMAT).to_string() == text)
}

fn is_locale(text: &str) -> bool {
    let has_letters = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|letter| letter.is_ascii_alphanumeric())
    };
    let (language, country) = text.split_once('-').unwrap_or((text, "us"));
    text == "*" || (has_letters(language, 2..=3) && has_letters(country, 2..=4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_accepts_its_values_and_no_others() {
        let cases: [(Form, &[&str], &[&str]); 8] = [
            (Form::Integer, &["0", "25"], &["", "2.5", "-1", "1,2", "km"]),
            (Form::Integers, &["1", "1,22"], &["1,", "1, 2", "x"]),
            (Form::Date, &["2026-11-21"], &["2026-2-1", "2026-02-30", "21.11.2026"]),
            (
                Form::Instant,
                &["2026-11-21T00:00:00Z"],
                &["2026-11-21", "2026-11-21T00:00:00.000Z", "2026-11-21T00:00:00"],
            ),
            (Form::InstantRange, &["2026-11-21T00:00:00Z,*", "*,*"], &["2026-11-21T00:00:00Z", "2026-11-21,*"]),
            (Form::LocalRange, &["2026-11-21T00:00:00,*"], &["2026-11-21T00:00:00Z,*"]),
            (Form::Geohash, &["9", "9q5ct"], &["", "9i", "9q5ct9q5ct9q5"]),
            (Form::Locales, &["*", "en", "en-us,fr"], &["english", "", "en_us"]),
        ];
        for (form, right, wrong) in cases {
            let check = ValueCheck { form: Some(form), ..ValueCheck::default() };
            for text in right {
                assert_eq!(check.fault(text), None, "{form:?}");
            }
            for text in wrong {
                assert!(check.fault(text).is_some_and(|fault| fault.contains(form.description())), "{form:?} {text}");
            }
        }
    }

    #[test]
    fn each_part_of_a_value_with_commas_must_be_allowed() {
        let check = ValueCheck { one_of: vec!["miles".into(), "km".into()], form: None };
        assert_eq!(check.fault("km,miles"), None);
        assert_eq!(check.fault("mile").as_deref(), Some("`mile` is not one of miles, km. Did you mean `miles`?"));
    }
}
