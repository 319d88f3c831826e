//! Placeholders: the names that are allowed, and what the short names in a path stand for.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::client::Setting;
use crate::fault::nearest;
use crate::keys::endpoint::PARAM;
use crate::path::JsonPath;
use crate::template::{Renamed, Template, param_text};
use crate::yaml::Node;

/// The names after `incremental.`, as in dlt. `last_value` means the same as `start_value`: it does not change during a run.
const INCREMENTAL_VALUES: [&str; 4] = ["start_value", "initial_value", "last_value", "end_value"];

/// Checks the placeholders of one resource's endpoint, and collects what they refer to.
pub(super) struct Binding<'b> {
    /// The name of the resource.
    pub(super) resource: &'b str,
    /// The names of all resources of the manifest.
    pub(super) resources: &'b [String],
    /// The declared settings, by name.
    pub(super) settings: &'b BTreeMap<String, Setting>,
    /// Whether the endpoint has a cursor.
    pub(super) has_incremental: bool,
    /// The parent that the placeholders refer to, and the fields of its records that they take.
    pub(super) parent: RefCell<Option<(String, Vec<String>)>>,
    /// How placeholders were understood that the manifest leaves open, for the log.
    pub(super) notes: RefCell<Vec<String>>,
}

impl Binding<'_> {
    /// Checks the placeholder `name`, and collects the parent that it refers to.
    ///
    /// # Errors
    ///
    /// A message if the placeholder is not allowed here.
    pub(super) fn check(&self, name: &str) -> Result<(), String> {
        if let Some(value) = name.strip_prefix("incremental.") {
            if !self.has_incremental {
                return Err(format!("`{{{name}}}` needs `incremental` in this endpoint"));
            }
            if !INCREMENTAL_VALUES.contains(&value) {
                let (values, hint) = (INCREMENTAL_VALUES.join(", "), nearest(value, &INCREMENTAL_VALUES));
                return Err(format!("`{{{name}}}`: `incremental` has {values}{hint}"));
            }
            return Ok(());
        }
        if let Some(setting) = name.strip_prefix("settings.") {
            if !self.settings.contains_key(setting) {
                let declared: Vec<&String> = self.settings.keys().collect();
                let hint = nearest(setting, &declared);
                return Err(format!("no setting `{setting}` is declared under `settings`{hint}"));
            }
            return Ok(());
        }
        if let Some(rest) = name.strip_prefix("resources.") {
            let (parent, field) = rest
                .split_once('.')
                .ok_or_else(|| format!("`{{{name}}}` names no field: use resources.PARENT.FIELD"))?;
            return self.depend_on(parent, field);
        }
        Err(format!(
            "`{{{name}}}` is not known here; known: resources.PARENT.FIELD, incremental.start_value, incremental.end_value, settings.NAME. Write `{{{{` for a brace"
        ))
    }

    /// Makes `parent` the parent of the resource, and collects its field `field`.
    fn depend_on(&self, parent: &str, field: &str) -> Result<(), String> {
        if !self.resources.iter().any(|resource| resource == parent) {
            return Err(format!("no resource `{parent}` is declared{}", nearest(parent, self.resources)));
        }
        if parent == self.resource {
            return Err(format!("`{parent}` cannot depend on itself"));
        }
        JsonPath::parse(field)?;
        let mut binding = self.parent.borrow_mut();
        match binding.as_mut() {
            Some((first_parent, _)) if first_parent != parent => {
                Err(format!("depends on `{first_parent}` and `{parent}`: a resource has one parent"))
            }
            Some((_, fields)) => {
                if !fields.iter().any(|bound_field| bound_field == field) {
                    fields.push(field.to_owned());
                }
                Ok(())
            }
            None => {
                *binding = Some((parent.to_owned(), vec![field.to_owned()]));
                Ok(())
            }
        }
    }

    /// Reads the path `text` with every short placeholder replaced. `{event_id}` stands for the parameter of that name, which is
    /// removed from `params`, or else, by convention, for the `id` of the resource `events`.
    pub(super) fn path(
        &self,
        node: &Node<'_>,
        text: &str,
        params: &mut BTreeMap<String, Node<'_>>,
    ) -> Option<Template> {
        let renamed = Template::rename(text, &mut |name| {
            if name.contains('.') {
                return Ok(Renamed::Placeholder(name.to_owned()));
            }
            if let Some(param) = params.remove(name) {
                return self.bound_param(name, &param);
            }
            let resource = self.by_convention(name).ok_or_else(|| {
                format!("`{{{name}}}` is bound to nothing: give it in `params`, or write {{resources.PARENT.FIELD}}")
            })?;
            self.notes.borrow_mut().push(format!(
                "`{{{name}}}` in the path of `{}` is taken for the `id` of `{resource}`, by its name; write {{resources.{resource}.id}} to say so",
                self.resource
            ));
            Ok(Renamed::Placeholder(format!("resources.{resource}.id")))
        });
        let checked = renamed.and_then(|text| Template::parse(text.into(), &|name| self.check(name)));
        checked.map_err(|message| node.fault(message)).ok()
    }

    /// Returns what a short placeholder in the path stands for, by the parameter of its name.
    fn bound_param(&self, name: &str, param: &Node<'_>) -> Result<Renamed, String> {
        if !param.is_mapping() {
            return match param.json() {
                Some(value) if !value.is_null() && !value.is_array() => Ok(Renamed::Value(param_text(&value))),
                _ => Err(format!("`{{{name}}}` is bound to a parameter without a value")),
            };
        }
        let (resource, field) =
            resolve(param).ok_or_else(|| format!("`{{{name}}}` is bound to no `resolve` parameter"))?;
        Ok(Renamed::Placeholder(format!("resources.{resource}.{field}")))
    }

    /// Finds the resource that the placeholder `name` refers to by convention: `event_id` to `events`, `category_id` to
    /// `categories`.
    fn by_convention(&self, name: &str) -> Option<&String> {
        let singular = name.strip_suffix("_id")?;
        let plural_of_y = singular.strip_suffix('y').map(|stem| format!("{stem}ies"));
        let names =
            [Some(format!("{singular}s")), plural_of_y, Some(format!("{singular}es")), Some(singular.to_owned())];
        let mut resources =
            names.iter().flatten().filter_map(|name| self.resources.iter().find(|resource| *resource == name));
        resources.find(|resource| *resource != self.resource)
    }
}

/// Reads dlt's `{"type": "resolve", "resource": …, "field": …}`: the parent and the field of its records.
pub(super) fn resolve(param: &Node<'_>) -> Option<(String, String)> {
    let (fields, is_resolve) = param.variant(&PARAM, &[("resolve", true), ("incremental", false)])?;
    if !is_resolve {
        return None;
    }
    Some((fields.text("resource")?, fields.text("field")?))
}
