//! One page of a collection, and the links from it.

use serde_json::{Map, Value};

use super::{
    Resource,
    cursor::{Cursor, Key},
    population::{Population, Tick},
    query::{Listing, Position, Sort},
};

/// What a request found.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    /// How many records the filters accept.
    pub(super) total: usize,
    pub(super) per_page: usize,
    /// Its number from 1, as far as it has one.
    pub(super) current: usize,
    /// The cursors of the pages beside it.
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

#[derive(Debug)]
struct Row {
    place: Cursor,
    index: usize,
}

impl Page {
    pub(super) fn find(population: &Population, resource: Resource, tick: Tick, listing: &Listing) -> Self {
        let reader = Reader { population, resource, tick };
        let sort = &listing.sort;
        let indices = (0..population.count(resource, tick.revision)).filter(|index| reader.accepts(*index, listing));
        let mut rows: Vec<Row> = indices.map(|index| reader.row(index, sort)).collect();
        let total = rows.len();
        let backward = matches!(listing.position, Position::Before(_));
        match &listing.position {
            Position::Start => {}
            Position::After(cursor) => rows.retain(|row| row.place.compare(cursor, sort).is_gt()),
            Position::Before(cursor) => rows.retain(|row| row.place.compare(cursor, sort).is_lt()),
        }
        let beyond_cursor = total - rows.len();
        // The page is what is nearest to the cursor: the first of what comes after it, the last of what comes before.
        let nearest = |one: &Row, other: &Row| {
            let order = one.place.compare(&other.place, sort);
            if backward { order.reverse() } else { order }
        };
        let left = rows.len().saturating_sub(listing.per_page);
        if left > 0 {
            rows.select_nth_unstable_by(listing.per_page, nearest);
            rows.truncate(listing.per_page);
        }
        rows.sort_unstable_by(|one, other| one.place.compare(&other.place, sort));
        let (preceding, following) = if backward { (left, beyond_cursor) } else { (beyond_cursor, left) };
        let link = |row: Option<&Row>, count: usize| row.filter(|_| count > 0).map(|row| row.place.text(sort));
        Self {
            before: link(rows.first(), preceding),
            after: link(rows.last(), following),
            items: rows.iter().map(|row| reader.selected(row.index, listing)).collect(),
            total,
            per_page: listing.per_page,
            current: preceding / listing.per_page + 1,
        }
    }
}

struct Reader<'p> {
    population: &'p Population,
    resource: Resource,
    tick: Tick,
}

impl Reader<'_> {
    /// A record, with times alone where no more is asked for: those are cheap, and a million records are read by them.
    fn looked_at<'f>(&self, index: usize, mut fields: impl Iterator<Item = &'f str>) -> Map<String, Value> {
        if fields.all(|field| matches!(field, "id" | "created_at" | "updated_at")) {
            let times = self.population.times(self.resource, index, self.tick);
            let at = |seconds: i64| Value::from(seconds * 1_000);
            return Map::from_iter([
                ("id".to_owned(), Population::id(self.resource, index).into()),
                ("created_at".to_owned(), at(times.created)),
                ("updated_at".to_owned(), at(times.updated)),
            ]);
        }
        self.population.record(self.resource, index, self.tick)
    }

    fn accepts(&self, index: usize, listing: &Listing) -> bool {
        if listing.filters.is_empty() {
            return true;
        }
        let record = self.looked_at(index, listing.filters.iter().map(|filter| filter.field));
        listing.filters.iter().all(|filter| filter.accepts(record.get(filter.field).unwrap_or(&Value::Null)))
    }

    fn row(&self, index: usize, sort: &[Sort]) -> Row {
        let record = self.looked_at(index, sort.iter().map(|sort| sort.field));
        let keys = sort.iter().map(|sort| Key::of(sort.field, record.get(sort.field).unwrap_or(&Value::Null)));
        Row { place: Cursor { keys: keys.collect(), id: Population::id(self.resource, index) }, index }
    }

    /// The fields asked for. Both ids are always there, and so is `disabled` where it is true.
    fn selected(&self, index: usize, listing: &Listing) -> Value {
        let mut record = self.population.record(self.resource, index, self.tick);
        let fields = listing.fields.as_deref().unwrap_or(self.resource.default_fields());
        record.retain(|name, value| {
            let implicit = matches!(name.as_str(), "id" | "nodeID") || (name == "disabled" && *value == true);
            implicit || fields.contains(&name.as_str())
        });
        Value::Object(record)
    }
}
