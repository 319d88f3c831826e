//! The parameters of a collection.

use axum::{extract::Query, http::Uri};

use super::{Resource, cursor::Cursor, filter::Filter};

/// How many records a page has when nothing is asked for, and at most.
pub(super) const PER_PAGE: (usize, usize) = (25, 100);

/// What a request asks of a collection.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) filters: Vec<Filter>,
    pub(super) sort: Vec<Sort>,
    /// None selects the default ones.
    pub(super) fields: Option<Vec<&'static str>>,
    pub(super) per_page: usize,
    pub(super) position: Position,
}

/// One field of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) field: &'static str,
    pub(super) descending: bool,
}

/// Where in the order a page begins or ends.
#[derive(Debug)]
pub(super) enum Position {
    Start,
    After(Cursor),
    Before(Cursor),
}

/// The names and values of a query or of a form.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    let uri: Uri = format!("/?{query}").parse().unwrap_or_default();
    Query::<Vec<(String, String)>>::try_from_uri(&uri).map_or_else(|_| Vec::new(), |Query(pairs)| pairs)
}

impl Listing {
    /// What a query asks for, or what is wrong with it.
    ///
    /// A parameter that comes twice has its last value. `page` is ignored: whoever counts pages reads the first one for
    /// ever. A parameter that is neither a filter of the collection nor one of these is refused.
    pub(super) fn read(resource: Resource, query: &str) -> Result<Self, String> {
        let mut listing = Self {
            filters: Vec::new(),
            sort: order(resource, resource.default_sort())?,
            fields: None,
            per_page: PER_PAGE.0,
            position: Position::Start,
        };
        let (mut after, mut before) = (None, None);
        for (name, value) in pairs(query) {
            match name.as_str() {
                "page" => {}
                "per_page" => {
                    let asked = value.parse().ok().filter(|asked: &usize| *asked > 0);
                    let asked = asked.ok_or_else(|| format!("per_page has to be a number above 0: {value}"))?;
                    listing.per_page = asked.min(PER_PAGE.1);
                }
                "sort" => listing.sort = order(resource, &value)?,
                "fields" => {
                    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
                    let fields: Result<Vec<_>, String> =
                        names.map(|name| known(resource.fields(), name, "fields")).collect();
                    listing.fields = Some(fields?);
                }
                "search_after" => after = Some(value),
                "search_before" => before = Some(value),
                _ => {
                    let field = known(resource.filters(), &name, "filters")?;
                    listing.filters.retain(|filter| filter.field != field);
                    listing.filters.push(Filter::parse(field, &value)?);
                }
            }
        }
        let cursor = |text: String| Cursor::parse(&text, &listing.sort).ok_or("The cursor is not valid here.");
        listing.position = match (after, before) {
            (None, None) => Position::Start,
            (Some(text), None) => Position::After(cursor(text)?),
            (None, Some(text)) => Position::Before(cursor(text)?),
            (Some(_), Some(_)) => return Err("search_after and search_before exclude each other.".into()),
        };
        Ok(listing)
    }
}

fn order(resource: Resource, text: &str) -> Result<Vec<Sort>, String> {
    let fields = text.split(',').map(str::trim);
    let sort = |text: &str| {
        let (field, descending) = text.strip_prefix('-').map_or((text, false), |field| (field, true));
        Ok(Sort { field: known(resource.sorts(), field, "sort")?, descending })
    };
    fields.map(sort).collect()
}

fn known(names: &[&'static str], name: &str, what: &str) -> Result<&'static str, String> {
    names.iter().find(|known| **known == name).copied().ok_or_else(|| format!("'{name}' is not valid for {what}."))
}
