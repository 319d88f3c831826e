//! The places in a record that have a meaning, as one tree of the steps of their paths. A record is read once, along the tree.

use manifest::JsonPath;
use manifest::name::is_same_name;
use manifest::path::Step;

/// What the values at the end of a path are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The column at this position takes them.
    Column(usize),
    /// The first of them is the cursor.
    Cursor,
    /// They are records of another resource: that at this position in `harvest`.
    Inner(usize),
    /// They are a column's, which takes them in another way.
    Named,
}

/// A place in a record.
#[derive(Clone, Debug, Default)]
pub(super) struct PathNode {
    /// The number of the node in its tree.
    pub(super) number: usize,
    /// The positions of the columns that take the value at this place.
    pub(super) columns: Vec<usize>,
    /// Whether the value is the cursor.
    pub(super) is_cursor: bool,
    /// The positions in `harvest` whose records lie here.
    pub(super) inner: Vec<usize>,
    /// Whether a column has the whole value at this place.
    pub(super) is_named: bool,
    /// Whether a column has the value at this place, or one inside it. If so, what the columns leave of the value is looked for inside it.
    pub(super) leads_to_column: bool,
    /// Whether a column also takes the member whose name differs from its own in the case of letters alone.
    pub(super) ignores_case: bool,
    /// The members, sorted as [`member_order`] says.
    fields: Vec<(String, Self)>,
    /// For each length of a name, the position of the first member whose name is not shorter.
    field_starts: Vec<usize>,
    indexes: Vec<(usize, Self)>,
    all_elements: Option<Box<Self>>,
}

impl PathNode {
    /// Adds the place that `path` names. Returns false for a path that matches at any depth, which is no place: its values are not found by
    /// the tree, and stay in `_extra` as well.
    pub(super) fn add(&mut self, path: &JsonPath, purpose: Purpose) -> bool {
        let is_column = matches!(purpose, Purpose::Column(_) | Purpose::Named);
        let mut node = self;
        node.leads_to_column |= is_column;
        for step in path.steps() {
            node = match step {
                Step::Field(name) => node.field_or_default(name),
                Step::Index(index) => node.index_or_default(*index),
                Step::All => node.all_elements.get_or_insert_default(),
                Step::Deep => return false,
            };
            node.leads_to_column |= is_column;
        }
        match purpose {
            Purpose::Column(position) => node.columns.push(position),
            Purpose::Cursor => node.is_cursor = true,
            Purpose::Inner(position) => node.inner.push(position),
            Purpose::Named => {}
        }
        node.is_named |= is_column;
        true
    }

    /// Prepares the tree for [`PathNode::field`], after the last place was added. Returns the number of its nodes.
    pub(super) fn finish(&mut self) -> usize {
        self.share_elements();
        let mut count = 0;
        self.count_nodes(&mut count);
        count
    }

    fn field_or_default(&mut self, name: &str) -> &mut Self {
        let position = match self.fields.binary_search_by(|(known, _)| member_order(known, name)) {
            Ok(position) => position,
            Err(position) => {
                self.fields.insert(position, (name.to_owned(), Self::default()));
                position
            }
        };
        &mut self.fields[position].1
    }

    fn index_or_default(&mut self, index: usize) -> &mut Self {
        let position = match self.indexes.binary_search_by_key(&index, |(known, _)| *known) {
            Ok(position) => position,
            Err(position) => {
                self.indexes.insert(position, (index, Self::default()));
                position
            }
        };
        &mut self.indexes[position].1
    }

    /// Adds what all elements of a list have to each element that has a node of its own.
    fn share_elements(&mut self) {
        if let Some(all) = &mut self.all_elements {
            for (_, element) in &mut self.indexes {
                element.add_node(all);
            }
            all.share_elements();
        }
        self.indexes.iter_mut().for_each(|(_, node)| node.share_elements());
        self.fields.iter_mut().for_each(|(_, node)| node.share_elements());
    }

    /// Adds the places of `other`, as if their paths had been added to this node.
    fn add_node(&mut self, other: &Self) {
        self.columns.extend(&other.columns);
        self.inner.extend(&other.inner);
        self.is_cursor |= other.is_cursor;
        self.is_named |= other.is_named;
        self.leads_to_column |= other.leads_to_column;
        other.fields.iter().for_each(|(name, node)| self.field_or_default(name).add_node(node));
        other.indexes.iter().for_each(|(index, node)| self.index_or_default(*index).add_node(node));
        if let Some(all) = &other.all_elements {
            self.all_elements.get_or_insert_default().add_node(all);
        }
    }

    fn count_nodes(&mut self, count: &mut usize) {
        self.number = *count;
        *count += 1;
        let longest = self.fields.last().map_or(0, |(name, _)| name.len());
        let start = |length: usize| self.fields.partition_point(|(name, _)| name.len() < length);
        self.field_starts = (0..=longest + 1).map(start).collect();
        self.fields.iter_mut().for_each(|(_, node)| node.count_nodes(count));
        self.indexes.iter_mut().for_each(|(_, node)| node.count_nodes(count));
        self.all_elements.iter_mut().for_each(|node| node.count_nodes(count));
    }

    /// Returns whether something inside the value has a meaning.
    pub(super) fn looks_inside(&self) -> bool {
        !(self.fields.is_empty() && self.indexes.is_empty() && self.all_elements.is_none())
    }

    /// Returns the place of the member `name`.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        let &[start, end] = self.field_starts.get(name.len()..name.len() + 2)? else { return None };
        self.fields[start..end].iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }

    /// Returns the place of the member that a column names in another case, if the case does not count.
    pub(super) fn field_in_other_case(&self, name: &str) -> Option<&Self> {
        let mut fields = self.fields.iter().filter(|_| self.ignores_case);
        fields.find(|(known, node)| !node.columns.is_empty() && is_same_name(known, name)).map(|(_, node)| node)
    }

    /// Returns the place of the element `index`.
    pub(super) fn element(&self, index: usize) -> Option<&Self> {
        match self.indexes.binary_search_by_key(&index, |(known, _)| *known) {
            Ok(position) => Some(&self.indexes[position].1),
            Err(_) => self.all_elements.as_deref(),
        }
    }
}

/// The order of the members of a node: by their lengths, then by their names. Few names have one length.
fn member_order(name: &str, other: &str) -> std::cmp::Ordering {
    name.len().cmp(&other.len()).then_with(|| name.cmp(other))
}
