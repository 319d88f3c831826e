//! `client` and `settings`: the address, the authentication, the limits.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rate::rate;
use super::values::{scalar_texts, texts_of_scalars};
use crate::client::{Auth, Client, ClientCredentials, Credential, KeyPlacement, Setting};
use crate::fault::nearest;
use crate::keys::client::{AUTH, SECRET};
use crate::keys::source::SETTING;
use crate::yaml::{Fields, Node};

/// The beginning of a placeholder that stands for a setting, in an address or a header.
const SETTING_PLACEHOLDER: &str = "{settings.";

/// Reads the member `settings` of the manifest.
pub(super) fn settings(root: &Fields<'_>) -> BTreeMap<String, Setting> {
    let mut settings = BTreeMap::new();
    for (name, node) in root.named_values("settings").iter().flat_map(Fields::members) {
        let Some(fields) = node.fields(&SETTING) else { continue };
        let one_of = fields.list("one_of");
        let setting = Setting {
            default: fields.text("default"),
            one_of: one_of.iter().filter_map(Node::text).collect(),
            secret: fields.boolean("secret").unwrap_or_else(|| names_a_secret(&name)),
            description: fields.text("description"),
        };
        if let Some(default) =
            setting.default.as_ref().filter(|default| !setting.one_of.is_empty() && !setting.one_of.contains(default))
        {
            node.fault(format!("the default `{default}` is not one of {}", setting.one_of.join(", ")));
        }
        settings.insert(name, setting);
    }
    settings
}

/// Whether a setting with this name is taken for a secret.
fn names_a_secret(name: &str) -> bool {
    let is_secret = |word: &str| ["key", "token", "secret", "password"].iter().any(|end| word.ends_with(end));
    name.to_lowercase().split(['_', '-']).any(is_secret)
}

/// Reads the members of `client`, but for the paginator, which is read for each resource.
pub(super) fn client(fields: &Fields<'_>, settings: &BTreeMap<String, Setting>) -> Option<Client> {
    let base_url = fields.required("base_url").and_then(|node| {
        let text = address(&node, settings)?;
        Some(text.trim_end_matches('/').to_owned())
    });
    let headers = scalar_texts(fields, "headers");
    for (name, node) in fields.named_values("headers").iter().flat_map(Fields::members) {
        if let Some(text) = headers.get(&name) {
            check_settings(&node, text, settings);
        }
    }
    let auth = fields.get("auth").map(|node| auths(&node, settings)).unwrap_or_default();
    Some(Client { base_url: base_url?, headers, auth, rate: rate(fields) })
}

/// Reads an `https://` or `http://` address.
fn address(node: &Node<'_>, settings: &BTreeMap<String, Setting>) -> Option<String> {
    let text = node.text()?;
    if !text.starts_with("https://") && !text.starts_with("http://") {
        node.fault(format!("`{text}` must begin with https:// or http://"));
        return None;
    }
    check_settings(node, &text, settings);
    Some(text)
}

/// Adds a fault for each setting in `text` that is not declared.
fn check_settings(node: &Node<'_>, text: &str, settings: &BTreeMap<String, Setting>) {
    for rest in text.split(SETTING_PLACEHOLDER).skip(1) {
        let name = rest.split('}').next().unwrap_or_default();
        if !settings.contains_key(name) {
            let declared: Vec<&String> = settings.keys().collect();
            node.fault(format!("no setting `{name}` is declared under `settings`{}", nearest(name, &declared)));
        }
    }
}

/// Reads one way to send the key, or a list of them.
pub(super) fn auths(node: &Node<'_>, settings: &BTreeMap<String, Setting>) -> Vec<Auth> {
    if !node.is_list() {
        return auth(node, settings).into_iter().collect();
    }
    node.list().unwrap_or_default().iter().filter_map(|node| auth(node, settings)).collect()
}

#[derive(Clone, Copy)]
enum Kind {
    Bearer,
    ApiKey,
    HttpBasic,
    ClientCredentials,
}

const KINDS: [(&str, Kind); 4] = [
    ("bearer", Kind::Bearer),
    ("api_key", Kind::ApiKey),
    ("http_basic", Kind::HttpBasic),
    ("oauth2_client_credentials", Kind::ClientCredentials),
];

fn auth(node: &Node<'_>, settings: &BTreeMap<String, Setting>) -> Option<Auth> {
    let (fields, kind) = node.variant(&AUTH, &KINDS)?;
    match kind {
        Kind::Bearer => Some(Auth::Bearer { token: secret(&fields, "token")? }),
        Kind::ApiKey => {
            let api_key = secret(&fields, "api_key");
            let name = fields.text("name")?;
            let is_query = fields.one_of("location", &[("header", false), ("query", true), ("param", true)])?;
            let placement = if is_query { KeyPlacement::Query(name) } else { KeyPlacement::Header(name) };
            Some(Auth::ApiKey { api_key: api_key?, placement })
        }
        Kind::HttpBasic => {
            let (username, password) = (credential(&fields, "username"), credential(&fields, "password"));
            Some(Auth::HttpBasic { username: username?, password: password? })
        }
        Kind::ClientCredentials => {
            let url = fields.required("access_token_url").and_then(|node| address(&node, settings));
            let data = fields.named_values("access_token_request_data").as_ref().map(texts_of_scalars);
            let expiration = fields.integer("default_token_expiration");
            Some(Auth::ClientCredentials(ClientCredentials {
                access_token_url: url?,
                client_id: credential(&fields, "client_id")?,
                client_secret: secret(&fields, "client_secret")?,
                access_token: fields.get("access_token").and_then(|node| secret_name(&node)),
                request_data: data.unwrap_or_default(),
                default_expiration: Duration::from_secs(expiration?),
            }))
        }
    }
}

/// Reads the secret that the field `name` names. If the field is absent, the secret has the name of the field, as in dlt's
/// `secrets.toml`.
fn secret(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.get(name).map_or_else(|| Some(name.to_owned()), |node| secret_name(&node))
}

/// Reads a text as it is, or the secret that the field `name` names. If the field is absent, the secret has the name of the field.
fn credential(fields: &Fields<'_>, name: &str) -> Option<Credential> {
    match fields.get(name) {
        Some(node) if node.is_null() || node.is_empty_text() => Some(Credential::Literal(String::new())),
        Some(node) if node.is_text() && name != "password" => node.text().map(Credential::Literal),
        Some(node) => secret_name(&node).map(Credential::Secret),
        None => Some(Credential::Secret(name.to_owned())),
    }
}

/// Reads the name of a secret. A secret that is written into the manifest is a fault, which does not repeat it.
fn secret_name(node: &Node<'_>) -> Option<String> {
    if node.is_text() {
        node.fault("a secret is named, never written: use {$secret: api_key}");
        return None;
    }
    node.fields(&SECRET)?.required("$secret")?.name()
}
