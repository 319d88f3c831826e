//! The API's key: where it is read, how long it is kept, and how every trace of it is cleaned away.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use memchr::memmem;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::error::Error;
use manifest::{Auth, Settings};

/// Stands where a secret stood.
const REDACTED: &str = "***";
/// Shorter secrets are cleaned from errors and logs, but not from records: a key of three letters is in half of all words.
const SHORTEST_IN_RECORDS: usize = 8;

/// A key. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    /// Where it came from, for messages: `TICKETMASTER_API_KEY` or `Secrets Manager prod/ticketmaster`.
    pub origin: String,
}

impl Secret {
    /// The key itself, for the request that needs it.
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Replaces a key wherever it stands: plain, percent-encoded or JSON-escaped.
#[derive(Clone, Default)]
pub struct Redactor {
    forms: Vec<String>,
}

impl Redactor {
    /// Cleans `key` too.
    pub fn add(&mut self, key: &str) {
        let encoded = utf8_percent_encode(key, NON_ALPHANUMERIC).to_string();
        let escaped = Value::from(key).to_string();
        for form in [key.to_owned(), encoded, escaped.trim_matches('"').to_owned()] {
            if !form.is_empty() && !self.forms.contains(&form) {
                self.forms.push(form);
            }
        }
    }

    /// `text` without the key.
    pub fn clean<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for form in &self.forms {
            if text.contains(form) {
                text = Cow::Owned(text.replace(form, REDACTED));
            }
        }
        text
    }

    /// An answer's body without the key; the same bytes when it is not in there.
    pub fn clean_body(&self, body: Bytes) -> Bytes {
        let found = |form: &String| form.len() >= SHORTEST_IN_RECORDS && memmem::find(&body, form.as_bytes()).is_some();
        if !self.forms.iter().any(found) {
            return body;
        }
        Bytes::from(self.clean(&String::from_utf8_lossy(&body)).into_owned())
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

/// A service that keeps a source's secrets as one text: AWS Secrets Manager.
#[async_trait]
pub trait SecretStore: Send + Sync + std::fmt::Debug {
    /// Where the text is kept, for messages: `Secrets Manager prod/ticketmaster`.
    fn origin(&self) -> String;

    /// The text as it is now.
    ///
    /// # Errors
    ///
    /// A message that says what happened and what to do.
    async fn text(&self) -> Result<String, String>;
}

/// Reads keys: from a secret store where there is one, from the environment otherwise. Each is kept while the process lives.
#[derive(Debug)]
pub struct Secrets {
    settings: Settings,
    store: Option<Arc<dyn SecretStore>>,
    kept: Mutex<HashMap<String, Secret>>,
}

impl Secrets {
    /// Reads keys from `store`; without one, from the variables of `settings`.
    pub fn new(settings: Settings, store: Option<Arc<dyn SecretStore>>) -> Self {
        Self { settings, store, kept: Mutex::default() }
    }

    /// The first of `ways` whose secrets there are; a single one in any case: what it lacks, it says itself. Where none has
    /// them all, the error names them all.
    pub async fn first_held<'w>(&self, source: &str, ways: &'w [Auth]) -> Result<Option<&'w Auth>, Error> {
        if ways.len() < 2 {
            return Ok(ways.first());
        }
        for way in ways {
            if self.holds_all(source, &way.secrets()).await? {
                return Ok(Some(way));
            }
        }
        Err(self.none_held(source, ways))
    }

    /// Whether `source` has all keys called `names`. A secret's plain text is a key where there is only one.
    async fn holds_all(&self, source: &str, names: &[&str]) -> Result<bool, Error> {
        if let ([name], Some(store)) = (names, &self.store)
            && !matches!(serde_json::from_str(&text(store.as_ref(), name).await?), Ok(Value::Object(_)))
        {
            return Ok(true);
        }
        for name in names {
            if !self.holds(source, name).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn none_held(&self, source: &str, ways: &[Auth]) -> Error {
        let list = |called: &dyn Fn(&str) -> String| {
            let ways = ways.iter().map(|way| way.secrets().into_iter().map(called).collect::<Vec<_>>().join(" and "));
            ways.collect::<Vec<_>>().join(", or ")
        };
        let name = ways.first().and_then(|way| way.secrets().first().copied()).unwrap_or_default().to_owned();
        match &self.store {
            Some(store) => {
                let reason = format!("it needs the fields {}", list(&|name| format!("`{name}`")));
                Error::Secret { name, origin: store.origin(), reason }
            }
            None => {
                let variables = list(&|name| Settings::variable(source, name));
                let reason = format!("set {variables}; or SECRET_ID to the key's name in Secrets Manager");
                Error::Secret { name, origin: "the environment".into(), reason }
            }
        }
    }

    /// Whether `source` has a key called `name` of its own: a variable, or a field of the secret where that is a JSON object.
    pub async fn holds(&self, source: &str, name: &str) -> Result<bool, Error> {
        let Some(store) = &self.store else {
            return Ok(self.settings.get(&Settings::variable(source, name)).is_some());
        };
        let text = text(store.as_ref(), name).await?;
        Ok(matches!(serde_json::from_str::<Value>(&text), Ok(Value::Object(members)) if members.contains_key(name)))
    }

    /// The key `name` of `source`. With `stale`, one that the API refused, the kept key is given only if it is another one.
    pub async fn get(&self, source: &str, name: &str, stale: Option<&Secret>) -> Result<Secret, Error> {
        let variable = Settings::variable(source, name);
        let mut kept = self.kept.lock().await;
        if let Some(secret) = kept.get(&variable)
            && stale.is_none_or(|stale| stale != secret)
        {
            return Ok(secret.clone());
        }
        let secret = match &self.store {
            Some(store) => {
                let value = pick(&text(store.as_ref(), name).await?, name);
                let failed = |reason| Error::Secret { name: name.into(), origin: store.origin(), reason };
                Secret { value: value.map_err(failed)?, origin: store.origin() }
            }
            None => {
                let value = self.settings.get(&variable).ok_or_else(|| Error::Secret {
                    name: name.into(),
                    origin: variable.clone(),
                    reason: "the variable is not set; set it, or SECRET_ID to the key's name in Secrets Manager".into(),
                })?;
                Secret { value: value.trim().to_owned(), origin: variable.clone() }
            }
        };
        kept.insert(variable, secret.clone());
        Ok(secret)
    }
}

/// The text that `store` keeps, for the key `name`.
async fn text(store: &dyn SecretStore, name: &str) -> Result<String, Error> {
    let failed = |reason| Error::Secret { name: name.into(), origin: store.origin(), reason };
    store.text().await.map_err(failed)
}

/// The key in a secret's text: the text itself, or the field `name` of a JSON object.
fn pick(text: &str, name: &str) -> Result<String, String> {
    let text = text.trim();
    let key = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(members)) => match members.get(name) {
            Some(Value::String(key)) => key.trim().to_owned(),
            Some(_) => return Err(format!("its field `{name}` is no text")),
            None => {
                let names: Vec<&str> = members.keys().map(String::as_str).collect();
                return Err(format!(
                    "it is a JSON object without the field `{name}`; its fields: {}",
                    names.join(", ")
                ));
            }
        },
        Ok(Value::String(key)) => key.trim().to_owned(),
        _ => text.to_owned(),
    };
    if key.is_empty() { Err("it is empty".into()) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_key_or_an_object_with_it() {
        for text in ["k3y", " k3y\n", "\"k3y\"", r#"{"api_key": "k3y", "other": "x"}"#] {
            assert_eq!(pick(text, "api_key").as_deref(), Ok("k3y"), "{text}");
        }
        let fault = pick(r#"{"other": "value"}"#, "api_key").unwrap_err();
        assert!(fault.contains("other") && !fault.contains("value"), "{fault}");
    }

    #[test]
    fn every_form_of_a_key_is_cleaned() {
        let secret = Secret { value: "a+b/\"c\"=long".into(), origin: String::new() };
        let mut redactor = Redactor::default();
        redactor.add(secret.expose());
        for text in ["x a+b/\"c\"=long y", "?apikey=a%2Bb%2F%22c%22%3Dlong&b", r#"{"id": "a+b/\"c\"=long"}"#] {
            let cleaned = redactor.clean(text);
            assert!(cleaned.contains(REDACTED) && !cleaned.contains("long"), "{cleaned}");
            assert_eq!(redactor.clean_body(Bytes::from(text)), cleaned.as_bytes());
        }
        assert!(!format!("{secret:?}{redactor:?}").contains("long"));
    }
}
