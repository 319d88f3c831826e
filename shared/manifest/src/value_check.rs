//! What a filter's values must look like: said before a request is sent, as many APIs ignore a value that they do not understand, or
//! refuse all of the query for it.

use chrono::{NaiveDate, NaiveDateTime};

/// What a filter's values must look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueCheck {
    /// The values that there are; empty: any. Each of several with commas must be one.
    pub one_of: Vec<String>,
    /// How it is written.
    pub form: Option<Form>,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `25`.
    Integer,
    /// `25,30`.
    Integers,
    /// `2026-11-21`.
    Date,
    /// `2026-11-21T00:00:00Z`.
    Instant,
    /// `2026-11-21T00:00:00Z,*`.
    InstantRange,
    /// `2026-11-21T00:00:00,*`: by the clock of the place.
    LocalRange,
    /// `9q5ct`.
    Geohash,
    /// `en-us,fr` or `*`.
    Locales,
}

impl Form {
    /// Every form.
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

    /// Its name in a manifest.
    pub fn name(self) -> &'static str {
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

    /// What it is, for a message.
    fn means(self) -> &'static str {
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

    fn fits(self, text: &str) -> bool {
        let range = |fits: fn(&str) -> bool| {
            text.split_once(',').is_some_and(|(from, to)| [from, to].iter().all(|end| *end == "*" || fits(end)))
        };
        match self {
            Self::Integer => is_integer(text),
            Self::Integers => text.split(',').all(is_integer),
            Self::Date => NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok_and(|day| day.to_string() == text),
            Self::Instant => is_instant(text),
            Self::InstantRange => range(is_instant),
            Self::LocalRange => range(is_local),
            Self::Geohash => (1..=12).contains(&text.len()) && geohash::decode(text).is_ok(),
            Self::Locales => text.split(',').all(is_locale),
        }
    }
}

impl ValueCheck {
    /// What is wrong with `text`, if anything is.
    pub fn fault(&self, text: &str) -> Option<String> {
        if let Some(form) = self.form.filter(|form| !form.fits(text)) {
            return Some(format!("`{text}` is not {}", form.means()));
        }
        if self.one_of.is_empty() {
            return None;
        }
        let is_unknown = |value: &&str| !self.one_of.iter().any(|known| known == value);
        let unknown = text.split(',').map(str::trim).find(is_unknown)?;
        let (known, hint) = (self.one_of.join(", "), crate::nearest(unknown, &self.one_of));
        Some(format!("`{unknown}` is not one of {known}{hint}"))
    }
}

fn is_integer(text: &str) -> bool {
    !text.is_empty() && text.len() <= 18 && text.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_instant(text: &str) -> bool {
    text.strip_suffix('Z').is_some_and(is_local)
}

fn is_local(text: &str) -> bool {
    const WRITTEN: &str = "%Y-%m-%dT%H:%M:%S";
    // Written back: the parser takes `2026-1-1T0:0:0` too.
    NaiveDateTime::parse_from_str(text, WRITTEN).is_ok_and(|time| time.format(WRITTEN).to_string() == text)
}

fn is_locale(text: &str) -> bool {
    let letters = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|letter| letter.is_ascii_alphanumeric())
    };
    let (language, country) = text.split_once('-').unwrap_or((text, "us"));
    text == "*" || (letters(language, 2..=3) && letters(country, 2..=4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_takes_what_it_means_and_nothing_else() {
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
                assert!(check.fault(text).is_some_and(|fault| fault.contains(form.means())), "{form:?} {text}");
            }
        }
    }

    #[test]
    fn one_of_holds_for_each_of_several() {
        let check = ValueCheck { one_of: vec!["miles".into(), "km".into()], form: None };
        assert_eq!(check.fault("km,miles"), None);
        assert_eq!(check.fault("mile").as_deref(), Some("`mile` is not one of miles, km. Did you mean `miles`?"));
    }
}
