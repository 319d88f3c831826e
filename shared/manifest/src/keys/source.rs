//! The keys of the whole manifest: the source's name, its settings, its client and its resources.

use super::client::CLIENT;
use super::key::DefaultValue::Described;
use super::key::Type::{AnyOf, Boolean, DefaultsOf, MapOf, Mapping as Is, Name, NonEmptyList, Text};
use super::key::{Key, Mapping};
use super::resource::RESOURCE;

/// The whole manifest.
pub static MANIFEST: Mapping = Mapping {
    name: "manifest",
    title: "The manifest",
    description: "A manifest describes one source: an API, and the lists of records that are read from it.",
    keys: &[
        Key::ours("name", Name, "The name of the source: the value of `--source`, and the first folder in the lake.")
            .or(Described("the file's name without its extension")),
        Key::ours(
            "settings",
            MapOf(&Is(&SETTING)),
            "Values that each user of the source chooses, by name. The variable `<SOURCE>_<NAME>` gives the \
             value, and `{settings.name}` stands for it in addresses, headers, parameters and bodies.",
        ),
        Key::dlt("client", Is(&CLIENT), "How the API is reached.").required(),
        Key::dlt(
            "resource_defaults",
            DefaultsOf(&RESOURCE),
            "Keys that every resource has unless it has them itself. The resource's keys are laid over these: within `endpoint`, \
             `page_size`, `slices` and `slices.time` key by key, within `params` and `json` name by name. `columns` are joined. Any \
             other value is replaced as a whole.",
        ),
        Key::dlt(
            "resources",
            NonEmptyList(&AnyOf(&[Name, Is(&RESOURCE)])),
            "The lists that can be read from the API. A text stands for a resource of that name with the path of that name.",
        )
        .required(),
    ],
};

/// A value that each user of a source chooses.
pub static SETTING: Mapping = Mapping {
    name: "setting",
    title: "`settings.<name>`",
    description: "A value that each user of the source chooses. The API's key is named under `auth` instead.",
    keys: &[
        Key::ours(
            "default",
            Text,
            "The value if the variable is not set. Without a default, the variable must be set.",
        ),
        Key::ours(
            "one_of",
            super::key::Type::List(&Text),
            "The values allowed. Without this key, every value is allowed.",
        ),
        Key::ours(
            "secret",
            Boolean,
            "Whether the value is removed from all texts and records, as a key is. A second key is sent in a header this way.",
        )
        .or(Described("whether a word of the name ends with `key`, `token`, `secret` or `password`")),
        Key::ours(
            "description",
            Text,
            "A text that says what the setting means. It is shown when the variable is missing.",
        ),
    ],
};
