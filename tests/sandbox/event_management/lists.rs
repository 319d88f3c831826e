//! Lists over GET: which one a path names, and which part of it the query asks for.

use std::borrow::Cow;

use axum::extract::Query;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

/// The segments of a path below `root`, each decoded after the path was split: a `/` within an id is not one between
/// segments. `None` for a path elsewhere, or one that is not UTF-8.
pub(crate) fn segments<'a>(path: &'a str, root: &str) -> Option<Vec<Cow<'a, str>>> {
    let below = path.strip_prefix(root)?.strip_prefix('/')?;
    below.split('/').map(|segment| percent_decode_str(segment).decode_utf8().ok()).collect()
}

/// The query's values, or what is wrong with them. Names that `T` has not are ignored.
pub(crate) fn values<T: DeserializeOwned>(query: &str) -> Result<T, String> {
    let uri = format!("/?{query}").parse().map_err(|_| "Invalid query".to_owned())?;
    let Query(values) = Query::<T>::try_from_uri(&uri).map_err(|error| error.body_text())?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn an_encoded_slash_separates_nothing() {
        let names = segments("/v1/events/a%2F..%2Fb%3Fx=1%23%25/tickets", "/v1").unwrap();
        assert_eq!(names, ["events", "a/../b?x=1#%", "tickets"]);
        assert_eq!(segments("/v1/events/a/../b", "/v1").unwrap(), ["events", "a", "..", "b"]);
        assert_eq!(segments("/v10/events", "/v1"), None);
        assert_eq!(segments("/v1/%FF", "/v1"), None);
    }
}
