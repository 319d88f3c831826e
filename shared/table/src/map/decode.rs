//! Reads the text of one record along the tree of its paths, straight into cells.

use std::borrow::Cow;
use std::collections::BTreeMap;

use manifest::json::{Malformed, Reader, Token, write_object, write_text};
use manifest::{Column, Cursor, CursorKind, DataType, JsonPath, number};
use serde_json::Value;

use super::convert;
use super::field_value::FieldValue;
use super::infer;
use super::path_tree::{PathNode, Purpose};
use super::row::Cell;

/// The parts of a row that were read from its record.
#[derive(Debug)]
pub(super) struct DecodedRecord<'m, 'r> {
    /// The cells of the columns, in their order.
    pub(super) cells: Vec<Cell<'r>>,
    pub(super) cursor: Option<Cursor>,
    /// The canonical text of what no column names.
    pub(super) extra: Option<Cow<'r, str>>,
    /// The canonical texts of the values that do not fit the types of their columns, by the names of these.
    pub(super) issues: BTreeMap<&'m str, Vec<Cow<'r, str>>>,
    /// For each column, what is known of its first value.
    pub(super) first_values: Vec<FirstValue>,
    /// The texts of the records of other resources, each with the position of its path in `harvest`.
    pub(super) inner: Vec<(usize, Cow<'r, str>)>,
}

/// The first value that a column's path finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FirstValue {
    /// None was found so far.
    #[default]
    Absent,
    /// A number or a boolean.
    NumberOrBool,
    /// Any other value, or null.
    Other,
}

/// Reads records into cells.
#[derive(Debug)]
pub(super) struct Decoder<'m, 'r> {
    columns: &'m [Column],
    /// For each column, the positions of those that take the values which it cannot hold.
    variants: &'m [Vec<usize>],
    cursor_kind: CursorKind,
    decoded: DecodedRecord<'m, 'r>,
    has_cursor: bool,
    /// For each node of the tree, the number of the object in which it was met last: a second time is a repeated name.
    met_in: Vec<u32>,
    /// The number of objects so far.
    objects: u32,
}

impl<'m, 'r> Decoder<'m, 'r> {
    /// Creates a decoder into the cells of `columns`, which have these `variants`, along a tree of `node_count` nodes.
    pub(super) fn new(
        columns: &'m [Column],
        variants: &'m [Vec<usize>],
        cursor_kind: CursorKind,
        node_count: usize,
    ) -> Self {
        let decoded = DecodedRecord {
            cells: std::iter::repeat_with(|| Cell::Null).take(columns.len()).collect(),
            cursor: None,
            extra: None,
            issues: BTreeMap::new(),
            first_values: vec![FirstValue::Absent; columns.len()],
            inner: Vec::new(),
        };
        Self { columns, variants, cursor_kind, decoded, has_cursor: false, met_in: vec![0; node_count], objects: 0 }
    }

    /// Reads the record `text` along `tree`.
    ///
    /// # Errors
    ///
    /// The record cannot be decoded, or an object in it has two members of one name, of which the last one counts.
    pub(super) fn read(&mut self, tree: &PathNode, text: &'r str) -> Result<(), Malformed> {
        let mut reader = Reader::new(text);
        self.decoded.extra = self.read_value(tree, &mut reader)?;
        reader.end()
    }

    /// Returns what was read.
    pub(super) fn finish(self) -> DecodedRecord<'m, 'r> {
        self.decoded
    }

    /// Reads the next value, which is at the place of `node`. Returns the canonical text of what no column names of it.
    fn read_value(&mut self, node: &PathNode, reader: &mut Reader<'r>) -> Result<Option<Cow<'r, str>>, Malformed> {
        if node.inner.is_empty() {
            return self.read_unnamed(node, reader);
        }
        let start = reader.value_position()?;
        let unnamed = self.read_unnamed(node, reader)?;
        let text = reader.text_since(start);
        if text.starts_with('{') {
            self.decoded.inner.extend(node.inner.iter().map(|&position| (position, Cow::Borrowed(text))));
        }
        Ok(unnamed)
    }

    /// Reads the next value as [`Decoder::read_value`] does, of which no part is a record of another resource.
    fn read_unnamed(&mut self, node: &PathNode, reader: &mut Reader<'r>) -> Result<Option<Cow<'r, str>>, Malformed> {
        if node.looks_inside() || (node.leads_to_column && !node.is_named) {
            return self.read_inside(node, reader);
        }
        let value = FieldValue::read(reader)?;
        self.take(node, &value);
        Ok(if node.is_named { None } else { non_empty(value.json()) })
    }

    /// Reads the next value, of which the tree has parts.
    fn read_inside(&mut self, node: &PathNode, reader: &mut Reader<'r>) -> Result<Option<Cow<'r, str>>, Malformed> {
        let start = reader.value_position()?;
        let unnamed = match reader.next_value()? {
            Token::Object => self.read_members(node, reader)?,
            Token::List => self.read_elements(node, reader)?,
            Token::Null => None,
            // A column names a value within this one, which is a scalar. That column has no value and no issue.
            Token::Bool(value) => Some(FieldValue::Bool(value).json()),
            Token::Number(text) if !number::is_finite(text) => return Err(Malformed),
            Token::Number(text) => Some(number::canonical(text)),
            Token::Text(text) => Some(FieldValue::Text(text.unescape()?).json()),
        };
        if node.columns.is_empty() && !node.is_cursor && node.leads_to_column {
            return Ok(if node.is_named { None } else { unnamed });
        }
        // The whole value is wanted as well as parts of it, so it is read once more.
        let value = FieldValue::read(&mut Reader::new(reader.text_since(start)))?;
        self.take(node, &value);
        Ok(if node.is_named {
            None
        } else if node.leads_to_column {
            unnamed
        } else {
            non_empty(value.json())
        })
    }

    /// Reads the members of the object that was opened. Returns those that are not named. Nulls, empty objects and empty lists do not count.
    fn read_members(&mut self, node: &PathNode, reader: &mut Reader<'r>) -> Result<Option<Cow<'r, str>>, Malformed> {
        self.objects += 1;
        let object = self.objects;
        let mut unnamed: Vec<(Cow<'r, str>, Cow<'r, str>)> = Vec::new();
        let mut in_other_case: Vec<(Cow<'r, str>, &'r str)> = Vec::new();
        while let Some(name) = reader.next_member()? {
            let name = name.unescape()?;
            let Some(member) = node.field(&name) else {
                match node.field_in_other_case(&name) {
                    Some(_) => in_other_case.push((name, reader.skip_value()?)),
                    None => unnamed.push((name, reader.canonical_value()?)),
                }
                continue;
            };
            if std::mem::replace(&mut self.met_in[member.number], object) == object {
                return Err(Malformed);
            }
            if let Some(value) = self.read_value(member, reader)? {
                unnamed.push((name, value));
            }
        }
        if !in_other_case.is_empty() {
            self.read_in_other_case(node, object, in_other_case, &mut unnamed)?;
        }
        if unnamed.is_empty() {
            return Ok(None);
        }
        object_of(&mut unnamed)
    }

    /// Reads the `members` of the object number `object` whose names differ from those of columns in the case of letters. A column that has
    /// met a member takes no other one, and the other is added to `unnamed`.
    fn read_in_other_case(
        &mut self,
        node: &PathNode,
        object: u32,
        mut members: Vec<(Cow<'r, str>, &'r str)>,
        unnamed: &mut Vec<(Cow<'r, str>, Cow<'r, str>)>,
    ) -> Result<(), Malformed> {
        // The row must not depend on the order in which the API writes the members.
        members.sort_unstable_by(|(name, _), (other, _)| name.cmp(other));
        if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(Malformed);
        }
        for (name, text) in members {
            let mut reader = Reader::new(text);
            let free = node.field_in_other_case(&name).filter(|member| self.met_in[member.number] != object);
            let rest = match free {
                Some(member) => {
                    self.met_in[member.number] = object;
                    self.read_value(member, &mut reader)?
                }
                None => Some(reader.canonical_value()?),
            };
            unnamed.extend(rest.map(|rest| (name, rest)));
        }
        Ok(())
    }

    /// Reads the elements of the list that was opened. Returns them with null for each one that is named, so that the others keep their
    /// positions.
    fn read_elements(&mut self, node: &PathNode, reader: &mut Reader<'r>) -> Result<Option<Cow<'r, str>>, Malformed> {
        let mut unnamed: Vec<(usize, Cow<'r, str>)> = Vec::new();
        let mut count = 0;
        while reader.has_element()? {
            let value = match node.element(count) {
                Some(element) => self.read_value(element, reader)?,
                None => non_empty(reader.canonical_value()?),
            };
            unnamed.extend(value.map(|value| (count, value)));
            count += 1;
        }
        Ok(list_of(count, &unnamed))
    }

    /// Takes the values at `path`, which matches at any depth, from the decoded record.
    pub(super) fn read_deep(&mut self, record: &Value, path: &JsonPath, purpose: Purpose) {
        let found = path.all(record);
        match purpose {
            Purpose::Column(position) => {
                found.into_iter().for_each(|value| self.set_column(position, &FieldValue::of(value)));
            }
            Purpose::Cursor => found.into_iter().for_each(|value| self.set_cursor(&FieldValue::of(value))),
            Purpose::Inner(position) => {
                let objects = found.into_iter().filter(|value| value.is_object());
                self.decoded.inner.extend(objects.map(|value| (position, Cow::Owned(value.to_string()))));
            }
            Purpose::Named => {}
        }
    }

    /// Gives the value at the place of `node` to the columns and to the cursor.
    fn take(&mut self, node: &PathNode, value: &FieldValue<'r>) {
        node.columns.iter().for_each(|&position| self.set_column(position, value));
        if node.is_cursor {
            self.set_cursor(value);
        }
    }

    /// Gives the cursor this value, unless it has one.
    fn set_cursor(&mut self, value: &FieldValue<'r>) {
        if !std::mem::replace(&mut self.has_cursor, true) {
            self.decoded.cursor = value.cursor(self.cursor_kind);
        }
    }

    /// Gives the column at `position` a value: the only one, or one more of a list.
    fn set_column(&mut self, position: usize, value: &FieldValue<'r>) {
        let column = &self.columns[position];
        let first = &mut self.decoded.first_values[position];
        if *first == FirstValue::Absent {
            *first = match value {
                FieldValue::Number(_) | FieldValue::Bool(_) => FirstValue::NumberOrBool,
                _ => FirstValue::Other,
            };
        } else if !column.list {
            return;
        }
        if *value == FieldValue::Null {
            return;
        }
        let Some(cell) = convert::cell(column.data_type, value) else {
            match self.variant(position, value) {
                Some((variant, cell)) => self.decoded.cells[variant] = cell,
                None => self.decoded.issues.entry(&column.name).or_default().push(value.json()),
            }
            return;
        };
        let target = &mut self.decoded.cells[position];
        match target {
            Cell::List(cells) => cells.push(cell),
            _ if column.list => *target = Cell::List(vec![cell]),
            _ => *target = cell,
        }
    }

    /// Returns the cell of a value that the column at `position` cannot hold, and the position of the variant that takes it.
    fn variant(&self, position: usize, value: &FieldValue<'r>) -> Option<(usize, Cell<'r>)> {
        let data_type = infer::type_of(value)?;
        let mut variants = self.variants[position].iter().copied();
        let variant = variants.find(|&variant| self.columns[variant].data_type == data_type)?;
        convert::cell(data_type, value).map(|cell| (variant, cell))
    }
}

impl DecodedRecord<'_, '_> {
    /// Returns the values that did not fit their columns as a JSON object, and those of a column with lists as a list.
    pub(super) fn issues_text(&self, columns: &[Column]) -> Option<String> {
        if self.issues.is_empty() {
            return None;
        }
        let mut text = String::from("{");
        for (index, (name, values)) in self.issues.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            write_text(name, &mut text);
            text.push(':');
            let is_list = columns.iter().any(|column| column.name == *name && column.list);
            match values.as_slice() {
                [value] if !is_list => text.push_str(value),
                values => {
                    text.push('[');
                    text.push_str(&values.join(","));
                    text.push(']');
                }
            }
        }
        text.push('}');
        Some(text)
    }

    /// Returns whether `column`, which is at `position`, is a text whose first value was a number or a boolean.
    pub(super) fn is_retyped(&self, position: usize, column: &Column) -> bool {
        column.data_type == DataType::Text && self.first_values[position] == FirstValue::NumberOrBool
    }
}

/// Returns the object of these members without those that are empty; `None` if all are.
fn object_of<'r>(members: &mut Vec<(Cow<'r, str>, Cow<'r, str>)>) -> Result<Option<Cow<'r, str>>, Malformed> {
    members.sort_unstable_by(|(name, _), (other, _)| name.cmp(other));
    if members.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Malformed);
    }
    members.retain(|(_, value)| !is_empty(value));
    if members.is_empty() {
        return Ok(None);
    }
    let mut text = String::new();
    let members = members.iter().map(|(name, value)| (Cow::Borrowed(name.as_ref()), value.as_ref()));
    write_object(members.collect(), &mut text)?;
    Ok(Some(Cow::Owned(text)))
}

/// Returns the list of `count` elements with these values at their positions, and null at the others; `None` if there are no values.
fn list_of<'r>(count: usize, values: &[(usize, Cow<'r, str>)]) -> Option<Cow<'r, str>> {
    if values.is_empty() {
        return None;
    }
    let mut elements = vec!["null"; count];
    values.iter().for_each(|(position, value)| elements[*position] = value);
    Some(Cow::Owned(format!("[{}]", elements.join(","))))
}

/// Returns the value, unless it is null, an empty object or an empty list.
fn non_empty(canonical: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (!is_empty(&canonical)).then_some(canonical)
}

fn is_empty(canonical: &str) -> bool {
    matches!(canonical, "null" | "{}" | "[]")
}
