//! Placeholders: what each may be, and what the path's short ones stand for.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::template::{Renamed, plain};
use crate::yaml::Node;
use crate::{JsonPath, Setting, Template, nearest};

/// The values of `{incremental.*}`: dlt's names. `last_value` is what `start_value` is: it does not move during a run.
const INCREMENTAL: [&str; 4] = ["start_value", "initial_value", "last_value", "end_value"];

/// What the placeholders of one resource's endpoint may be.
pub(super) struct Binding<'b> {
    pub(super) resource: &'b str,
    /// Every resource of the manifest.
    pub(super) resources: &'b [String],
    pub(super) settings: &'b BTreeMap<String, Setting>,
    pub(super) has_incremental: bool,
    /// The parent that placeholders name, and its fields that they take.
    pub(super) parent: RefCell<Option<(String, Vec<String>)>>,
    pub(super) notes: RefCell<Vec<String>>,
}

impl Binding<'_> {
    /// What is wrong with the placeholder `name`, if anything is.
    pub(super) fn check(&self, name: &str) -> Result<(), String> {
        if let Some(value) = name.strip_prefix("incremental.") {
            if !self.has_incremental {
                return Err(format!("`{{{name}}}` needs `incremental` in this endpoint"));
            }
            if !INCREMENTAL.contains(&value) {
                let known = INCREMENTAL.join(", ");
                return Err(format!("`{{{name}}}`: `incremental` has {known}{}", nearest(value, &INCREMENTAL)));
            }
            return Ok(());
        }
        if let Some(setting) = name.strip_prefix("settings.") {
            if !self.settings.contains_key(setting) {
                let known: Vec<&String> = self.settings.keys().collect();
                return Err(format!("no setting `{setting}` is declared under `settings`{}", nearest(setting, &known)));
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

    /// Takes note that the endpoint needs `field` of `parent`.
    fn depend_on(&self, parent: &str, field: &str) -> Result<(), String> {
        if !self.resources.iter().any(|resource| resource == parent) {
            return Err(format!("no resource `{parent}` is declared{}", nearest(parent, self.resources)));
        }
        if parent == self.resource {
            return Err(format!("`{parent}` cannot depend on itself"));
        }
        JsonPath::parse(field)?;
        let mut known = self.parent.borrow_mut();
        match known.as_mut() {
            Some((other, _)) if other != parent => {
                Err(format!("depends on `{other}` and `{parent}`: a resource has one parent"))
            }
            Some((_, fields)) => {
                if !fields.iter().any(|known| known == field) {
                    fields.push(field.to_owned());
                }
                Ok(())
            }
            None => {
                *known = Some((parent.to_owned(), vec![field.to_owned()]));
                Ok(())
            }
        }
    }

    /// The path with every placeholder bound: `{event_id}` to the parameter of that name (dlt's `resolve` among them), which is
    /// taken out of `params`; else, by convention, to the `id` of the resource `events`.
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

    /// What a path's placeholder is by the parameter of its name.
    fn bound_param(&self, name: &str, param: &Node<'_>) -> Result<Renamed, String> {
        if !param.is_mapping() {
            return match param.json() {
                Some(value) if !value.is_null() && !value.is_array() => Ok(Renamed::Value(plain(&value))),
                _ => Err(format!("`{{{name}}}` is bound to a parameter without a value")),
            };
        }
        let (resource, field) =
            resolve(param).ok_or_else(|| format!("`{{{name}}}` is bound to no `resolve` parameter"))?;
        Ok(Renamed::Placeholder(format!("resources.{resource}.{field}")))
    }

    /// `event_id` → `events`, `category_id` → `categories`.
    fn by_convention(&self, name: &str) -> Option<&String> {
        let one = name.strip_suffix("_id")?;
        let many = one.strip_suffix('y').map(|stem| format!("{stem}ies"));
        let names = [Some(format!("{one}s")), many, Some(format!("{one}es")), Some(one.to_owned())];
        let mut found =
            names.iter().flatten().filter_map(|name| self.resources.iter().find(|resource| *resource == name));
        found.find(|resource| *resource != self.resource)
    }
}

/// The parent and field of dlt's `{"type": "resolve", "resource": …, "field": …}`.
pub(super) fn resolve(param: &Node<'_>) -> Option<(String, String)> {
    let fields = param.fields()?;
    fields.required("type")?.one_of(&[("resolve", ()), ("incremental", ())])?;
    fields.only(&["type", "resource", "field"]);
    Some((fields.required("resource")?.text()?, fields.required("field")?.text()?))
}
