//! The types that the table of keys is written in.

/// A mapping of a manifest: the keys that it may have, and what it is for.
#[derive(Debug)]
pub struct Mapping {
    /// The identifier of the mapping: its definition in the JSON Schema.
    pub name: &'static str,
    /// The heading of the mapping in the documentation, in Markdown.
    pub title: &'static str,
    /// One sentence or more on what the mapping is for.
    pub description: &'static str,
    /// The keys, in the order in which faults list them.
    pub keys: &'static [Key],
}

/// One key of a mapping.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The name as a manifest writes it.
    pub name: &'static str,
    /// The values that the key takes.
    pub value_type: Type,
    /// Whether a mapping must have the key.
    pub presence: Presence,
    /// The value of a key that is absent.
    pub default: DefaultValue,
    /// Whether the key may be null, which is the same as leaving it out.
    pub nullable: bool,
    /// Whether the key is accepted only because dlt has it: its value changes nothing here.
    pub ignored: bool,
    /// Whose vocabulary the key is from.
    pub origin: Origin,
    /// One sentence or more on what the key means.
    pub description: &'static str,
}

/// Whether a mapping must have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The key may be left out.
    Optional,
    /// The mapping must have the key.
    Required,
    /// The mapping must have the key unless it has the key of this name.
    RequiredWithout(&'static str),
}

/// The value of a key that is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// The key has no default value.
    None,
    /// A text.
    Text(&'static str),
    /// A whole number.
    Integer(u64),
    /// True or false.
    Boolean(bool),
    /// A value that depends on the manifest, described in Markdown.
    Described(&'static str),
}

/// Whose vocabulary a key is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// dlt's `rest_api` source has the key, with this meaning.
    Dlt,
    /// The key is ticketlake's.
    Ticketlake,
}

/// The values that a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// A text that is not empty.
    Text,
    /// A text of letters, digits, `_` and `-` that does not begin with `_`: it names a table, a folder, a column or a secret.
    Name,
    /// A text that begins with `https://` or `http://`.
    Address,
    /// A JSONPath: see [`crate::path`].
    Path,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer {
        /// The least value allowed.
        min: u64,
        /// The greatest value allowed.
        max: u64,
    },
    /// A whole number that is at least this one.
    IntegerFrom(u64),
    /// A number greater than 0, with or without a fraction.
    PositiveNumber,
    /// A number from 0 to 1.
    Share,
    /// A text, a number, true or false.
    Scalar,
    /// Any value that JSON has.
    Json,
    /// Null.
    Null,
    /// Null or the empty text.
    Nothing,
    /// One of these texts. In a text that ends with `[N]`, `N` stands for a whole number.
    OneOf(&'static [&'static str]),
    /// A list of such values.
    List(&'static Self),
    /// A list of such values that is not empty.
    NonEmptyList(&'static Self),
    /// A mapping from names that the manifest chooses to such values.
    MapOf(&'static Self),
    /// This mapping.
    Mapping(&'static Mapping),
    /// This mapping. The keys of a resource are laid over those of `resource_defaults`.
    Merged(&'static Mapping),
    /// This mapping without the need for any of its keys: what several mappings of that kind have in common.
    DefaultsOf(&'static Mapping),
    /// One of several mappings: the key `type` says which.
    Variants(&'static Variants),
    /// A value of any of these types.
    AnyOf(&'static [Self]),
}

/// Several mappings that a key `type` tells apart.
#[derive(Debug)]
pub struct Variants {
    /// The identifier: the definition in the JSON Schema.
    pub name: &'static str,
    /// The heading in the documentation, in Markdown.
    pub title: &'static str,
    /// One sentence or more on what the mappings are for.
    pub description: &'static str,
    /// The type of a mapping without the key `type`; `None` if the key is required.
    pub default: Option<&'static str>,
    /// Whether the text of a type stands for a mapping that has no other key.
    pub shorthand: bool,
    /// The mappings. Each has a key `type` with the texts that choose it.
    pub mappings: &'static [&'static Mapping],
}

/// The name of the key that tells [`Variants`] apart.
pub const TYPE: &str = "type";

impl Key {
    const fn new(origin: Origin, name: &'static str, value_type: Type, description: &'static str) -> Self {
        Self {
            name,
            value_type,
            presence: Presence::Optional,
            default: DefaultValue::None,
            nullable: false,
            ignored: false,
            origin,
            description,
        }
    }

    /// A key of dlt's `rest_api` source.
    pub(super) const fn dlt(name: &'static str, value_type: Type, description: &'static str) -> Self {
        Self::new(Origin::Dlt, name, value_type, description)
    }

    /// A key of ticketlake.
    pub(super) const fn ours(name: &'static str, value_type: Type, description: &'static str) -> Self {
        Self::new(Origin::Ticketlake, name, value_type, description)
    }

    /// The key `type` of a mapping that is chosen by any of `names`.
    pub(super) const fn type_of(names: &'static [&'static str]) -> Self {
        Self::dlt(TYPE, Type::OneOf(names), "The text that chooses this mapping.")
    }

    /// The same key, required.
    pub(super) const fn required(self) -> Self {
        Self { presence: Presence::Required, ..self }
    }

    /// The same key, required unless the mapping has the key `other`.
    pub(super) const fn required_without(self, other: &'static str) -> Self {
        Self { presence: Presence::RequiredWithout(other), ..self }
    }

    /// The same key with the value `default` where it is absent.
    pub(super) const fn or(self, default: DefaultValue) -> Self {
        Self { default, ..self }
    }

    /// The same key, for which null is the same as leaving it out.
    pub(super) const fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// The same key, accepted without an effect.
    pub(super) const fn ignored(self) -> Self {
        Self { ignored: true, ..self }
    }
}

impl Mapping {
    /// The key `name`; `None` if the mapping has no such key.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names of the keys, in the order of the table.
    pub fn key_names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }

    /// The texts of the key `type` that choose this mapping among [`Variants`].
    pub fn type_names(&self) -> &'static [&'static str] {
        self.key(TYPE).map_or(&[], |key| key.value_type.choices())
    }
}

impl Variants {
    /// The texts of the key `type`, in the order of the mappings.
    pub fn type_names(&self) -> impl Iterator<Item = &'static str> {
        self.mappings.iter().flat_map(|mapping| mapping.type_names()).copied()
    }

    /// The mapping that the text `type_name` chooses.
    pub fn mapping(&self, type_name: &str) -> Option<&'static Mapping> {
        self.mappings.iter().find(|mapping| mapping.type_names().contains(&type_name)).copied()
    }
}

impl Type {
    /// The texts of [`Type::OneOf`]; none if the type has none.
    pub fn choices(&self) -> &'static [&'static str] {
        match self {
            Self::OneOf(names) => names,
            Self::AnyOf(types) => types.iter().map(Self::choices).find(|names| !names.is_empty()).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Returns the least value of a whole number, and the greatest one if there is one. `None` if the type is another.
    pub fn integer_range(&self) -> Option<(u64, Option<u64>)> {
        match self {
            Self::Integer { min, max } => Some((*min, Some(*max))),
            Self::IntegerFrom(min) => Some((*min, None)),
            _ => None,
        }
    }

    /// The type of a list's elements; `None` if the type has no list.
    pub fn element(&self) -> Option<&'static Self> {
        match self {
            Self::List(element) | Self::NonEmptyList(element) => Some(element),
            Self::AnyOf(types) => types.iter().find_map(Self::element),
            _ => None,
        }
    }

    /// The type of the values of a mapping whose names the manifest chooses; `None` if the type has no such mapping.
    pub fn member(&self) -> Option<&'static Self> {
        match self {
            Self::MapOf(member) => Some(member),
            Self::AnyOf(types) => types.iter().find_map(Self::member),
            _ => None,
        }
    }
}
