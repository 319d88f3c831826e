//! `client` and `settings`: the address, the key, the limits.

use std::collections::BTreeMap;
use std::time::Duration;

use super::values::{identifier, texts, texts_of};
use crate::yaml::{Fields, Node};
use crate::{Auth, Client, ClientCredentials, Credential, KeyPlacement, Setting, nearest};

/// The placeholder that a setting's value replaces, in an address or a header.
const SETTING: &str = "{settings.";

pub(super) fn settings(root: &Fields<'_>) -> BTreeMap<String, Setting> {
    let mut settings = BTreeMap::new();
    for (name, node) in root.fields("settings").iter().flat_map(Fields::members) {
        let Some(fields) = node.fields() else { continue };
        fields.only(&["default", "one_of", "description"]);
        let one_of = fields.get("one_of").and_then(|node| node.list()).unwrap_or_default();
        let setting = Setting {
            default: fields.get("default").and_then(|node| node.text()),
            one_of: one_of.iter().filter_map(Node::text).collect(),
            description: fields.get("description").and_then(|node| node.text()),
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

pub(super) fn client(fields: &Fields<'_>, settings: &BTreeMap<String, Setting>) -> Option<Client> {
    fields.only(&["base_url", "headers", "auth", "paginator", "rate"]);
    let base_url = fields.required("base_url").and_then(|node| {
        let text = address(&node, settings)?;
        Some(text.trim_end_matches('/').to_owned())
    });
    let headers = texts(fields, "headers");
    for (name, node) in fields.fields("headers").iter().flat_map(Fields::members) {
        if let Some(text) = headers.get(&name) {
            check_settings(&node, text, settings);
        }
    }
    let auth = fields.get("auth").map(|node| auths(&node, settings)).unwrap_or_default();
    Some(Client { base_url: base_url?, headers, auth, rate: super::rate::rate(fields) })
}

/// An `https://` or `http://` address.
fn address(node: &Node<'_>, settings: &BTreeMap<String, Setting>) -> Option<String> {
    let text = node.text()?;
    if !text.starts_with("https://") && !text.starts_with("http://") {
        node.fault(format!("`{text}` must begin with https:// or http://"));
        return None;
    }
    check_settings(node, &text, settings);
    Some(text)
}

/// Faults every setting in `text` that is not declared.
fn check_settings(node: &Node<'_>, text: &str, settings: &BTreeMap<String, Setting>) {
    for rest in text.split(SETTING).skip(1) {
        let name = rest.split('}').next().unwrap_or_default();
        if !settings.contains_key(name) {
            let known: Vec<&String> = settings.keys().collect();
            node.fault(format!("no setting `{name}` is declared under `settings`{}", nearest(name, &known)));
        }
    }
}

/// One way to send the key, or a list of them: the first whose secrets there are is taken.
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

fn auth(node: &Node<'_>, settings: &BTreeMap<String, Setting>) -> Option<Auth> {
    let kinds = [
        ("bearer", Kind::Bearer),
        ("api_key", Kind::ApiKey),
        ("http_basic", Kind::HttpBasic),
        ("oauth2_client_credentials", Kind::ClientCredentials),
    ];
    // A type alone: its secrets have the names of its fields, as in dlt's secrets.toml.
    let (fields, kind) = if node.is_text() {
        (node.no_fields(), node.one_of(&kinds)?)
    } else {
        let fields = node.fields()?;
        let kind = fields.get("type").map_or(Some(Kind::Bearer), |kind| kind.one_of(&kinds))?;
        (fields, kind)
    };
    match kind {
        Kind::Bearer => {
            fields.only(&["type", "token"]);
            Some(Auth::Bearer { token: secret(&fields, "token")? })
        }
        Kind::ApiKey => {
            fields.only(&["type", "name", "api_key", "location"]);
            let api_key = secret(&fields, "api_key");
            let name = fields.get("name").map_or(Some("Authorization".to_owned()), |node| node.text())?;
            let places = [("header", false), ("query", true), ("param", true)];
            let query = fields.get("location").map_or(Some(false), |node| node.one_of(&places))?;
            let placement = if query { KeyPlacement::Query(name) } else { KeyPlacement::Header(name) };
            Some(Auth::ApiKey { api_key: api_key?, placement })
        }
        Kind::HttpBasic => {
            fields.only(&["type", "username", "password"]);
            let (username, password) = (credential(&fields, "username"), credential(&fields, "password"));
            Some(Auth::HttpBasic { username: username?, password: password? })
        }
        Kind::ClientCredentials => {
            fields.only(&[
                "type",
                "access_token",
                "access_token_url",
                "client_id",
                "client_secret",
                "access_token_request_data",
                "default_token_expiration",
            ]);
            let url = fields.required("access_token_url").and_then(|node| address(&node, settings));
            let data = fields.fields("access_token_request_data").as_ref().map(texts_of).unwrap_or_default();
            let expiration =
                fields.get("default_token_expiration").map_or(Some(3600), |node| node.integer(1..=31_536_000));
            Some(Auth::ClientCredentials(ClientCredentials {
                access_token_url: url?,
                client_id: credential(&fields, "client_id")?,
                client_secret: secret(&fields, "client_secret")?,
                access_token: fields.get("access_token").and_then(|node| named(&node)),
                request_data: data,
                default_expiration: Duration::from_secs(expiration?),
            }))
        }
    }
}

/// The secret that the field `name` names; where the field is absent, the secret of that name.
fn secret(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.get(name).map_or_else(|| Some(name.to_owned()), |node| named(&node))
}

/// A text as it is, or the secret that is named; where the field is absent, the secret of that name.
fn credential(fields: &Fields<'_>, name: &str) -> Option<Credential> {
    match fields.get(name) {
        Some(node) if node.is_null() || node.is_empty_text() => Some(Credential::Literal(String::new())),
        Some(node) if node.is_text() && name != "password" => node.text().map(Credential::Literal),
        Some(node) => named(&node).map(Credential::Secret),
        None => Some(Credential::Secret(name.to_owned())),
    }
}

/// A named secret: a key written into a manifest is refused, and not repeated in the fault.
fn named(node: &Node<'_>) -> Option<String> {
    if node.is_text() {
        node.fault("a secret is named, never written: use {$secret: api_key}");
        return None;
    }
    let fields = node.fields()?;
    fields.only(&["$secret"]);
    identifier(&fields.required("$secret")?)
}
