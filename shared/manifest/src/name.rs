//! The names of columns, where readers of a table do not tell small letters from capital ones.

/// The names of the columns that the engine adds to tables, and that of the partitions of a history.
pub const ENGINE_COLUMNS: [&str; 8] =
    ["synced_at", "first_seen_at", "observed_date", "_fingerprint", "_extra", "_issues", "_replaces", "_key"];

/// Whether two names are one for Glue, Athena and DuckDB: they differ in the case of letters at most.
pub fn is_same_name(name: &str, other: &str) -> bool {
    if name.is_ascii() && other.is_ascii() {
        return name.eq_ignore_ascii_case(other);
    }
    name.to_lowercase() == other.to_lowercase()
}

/// Returns the name of the engine's column that `name` is, whatever the case of its letters.
pub fn engine_column(name: &str) -> Option<&'static str> {
    ENGINE_COLUMNS.into_iter().find(|column| is_same_name(column, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_case_of_letters_makes_no_other_name() {
        for (name, other) in
            [("venue", "VENUE"), ("straße", "STRAßE"), ("été", "ÉTÉ"), ("a_1", "A_1"), ("k", "\u{212a}")]
        {
            assert!(is_same_name(name, other) && is_same_name(other, name), "{name} {other}");
        }
        for (name, other) in [("venue", "venues"), ("ete", "été"), ("a_1", "a-1"), ("", "a")] {
            assert!(!is_same_name(name, other), "{name} {other}");
        }
        assert_eq!(engine_column("Synced_At"), Some("synced_at"));
        assert_eq!(engine_column("synced"), None);
    }
}
