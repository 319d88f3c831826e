//! The API's keys: where they are read, and how long they are kept.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use manifest::{Auth, Settings};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::error::Error;
pub use crate::redact::Redactor;

/// A secret. Its `Debug` shows where it was read, and nothing of its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    value: String,
    origin: String,
}

impl Secret {
    /// The secret's value, for the request that needs it.
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Where the secret was read, for messages: `TICKETMASTER_API_KEY` or `Secrets Manager prod/ticketmaster`.
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// A service that keeps the secrets of one source as one text, for example AWS Secrets Manager. The text is a secret itself, or a JSON object
/// with one member for each secret.
#[async_trait]
pub trait SecretStore: Send + Sync + std::fmt::Debug {
    /// Where the text is kept, for messages: `Secrets Manager prod/ticketmaster`.
    fn origin(&self) -> String;

    /// Returns the text as it is now.
    ///
    /// # Errors
    ///
    /// A message that says what happened and what to do.
    async fn text(&self) -> Result<String, String>;
}

/// Reads secrets: from a store if there is one, otherwise from the environment. Each secret is kept while the process lives.
#[derive(Debug)]
pub struct Secrets {
    settings: Settings,
    store: Option<Arc<dyn SecretStore>>,
    /// The secrets that were read, by the name of their variable.
    cached: Mutex<HashMap<String, Secret>>,
}

impl Secrets {
    /// Creates a reader of the secrets in `store`, or without one, in the variables of `settings`.
    pub fn new(settings: Settings, store: Option<Arc<dyn SecretStore>>) -> Self {
        Self { settings, store, cached: Mutex::default() }
    }

    /// Returns the first of `methods` whose secrets are all there; `None` if there are no methods. A single method is returned in any case:
    /// reading its secrets says which one is missing.
    ///
    /// # Errors
    ///
    /// [`Error::Secret`] if no method has all of its secrets, with the names of all of them, or if the store cannot be read.
    pub(crate) async fn first_available<'m>(
        &self,
        source: &str,
        methods: &'m [Auth],
    ) -> Result<Option<&'m Auth>, Error> {
        if methods.len() < 2 {
            return Ok(methods.first());
        }
        for method in methods {
            if self.contains_all(source, &method.secrets()).await? {
                return Ok(Some(method));
            }
        }
        Err(self.none_available(source, methods))
    }

    /// Whether `source` has all secrets called `names`. A store's plain text is a secret if only one is wanted.
    async fn contains_all(&self, source: &str, names: &[&str]) -> Result<bool, Error> {
        if let ([name], Some(store)) = (names, &self.store)
            && parse_object(&read_store(store.as_ref(), name).await?).is_none()
        {
            return Ok(true);
        }
        for name in names {
            if !self.contains(source, name).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn none_available(&self, source: &str, methods: &[Auth]) -> Error {
        let list = |show: &dyn Fn(&str) -> String| {
            let methods = methods.iter().map(|method| method.secrets().into_iter().map(show).collect::<Vec<_>>());
            methods.map(|secrets| secrets.join(" and ")).collect::<Vec<_>>().join(", or ")
        };
        let name = methods.first().and_then(|method| method.secrets().first().copied()).unwrap_or_default().to_owned();
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

    /// Whether `source` has a secret called `name` of its own: a variable, or a member of the store's JSON object.
    ///
    /// # Errors
    ///
    /// [`Error::Secret`] if the store cannot be read.
    pub(crate) async fn contains(&self, source: &str, name: &str) -> Result<bool, Error> {
        let Some(store) = &self.store else {
            return Ok(self.settings.get(&Settings::variable(source, name)).is_some());
        };
        let members = parse_object(&read_store(store.as_ref(), name).await?);
        Ok(members.is_some_and(|members| members.contains_key(name)))
    }

    /// Returns the secret `name` of `source`. It is read again if the one that was read before is `refused`, a secret that the API refused.
    ///
    /// # Errors
    ///
    /// [`Error::Secret`] if there is no such secret, or the store cannot be read.
    pub(crate) async fn get(&self, source: &str, name: &str, refused: Option<&Secret>) -> Result<Secret, Error> {
        let variable = Settings::variable(source, name);
        let mut cached = self.cached.lock().await;
        if let Some(secret) = cached.get(&variable)
            && refused != Some(secret)
        {
            return Ok(secret.clone());
        }
        let secret = match &self.store {
            Some(store) => {
                let value = pick(&read_store(store.as_ref(), name).await?, name);
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
        cached.insert(variable, secret.clone());
        Ok(secret)
    }
}

/// Reads the text that `store` keeps, for the secret `name`.
async fn read_store(store: &dyn SecretStore, name: &str) -> Result<String, Error> {
    let failed = |reason| Error::Secret { name: name.into(), origin: store.origin(), reason };
    store.text().await.map_err(failed)
}

/// Returns the members of a store's text; `None` if it is no JSON object.
fn parse_object(text: &str) -> Option<serde_json::Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// Returns the secret in a store's text: the text itself, or the member `name` of a JSON object.
fn pick(text: &str, name: &str) -> Result<String, String> {
    let text = text.trim();
    let secret = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(members)) => match members.get(name) {
            Some(Value::String(secret)) => secret.trim().to_owned(),
            Some(_) => return Err(format!("its field `{name}` is not text")),
            None => {
                let names: Vec<&str> = members.keys().map(String::as_str).collect();
                return Err(format!(
                    "it is a JSON object without the field `{name}`; its fields: {}",
                    names.join(", ")
                ));
            }
        },
        Ok(Value::String(secret)) => secret.trim().to_owned(),
        _ => text.to_owned(),
    };
    if secret.is_empty() { Err("it is empty".into()) } else { Ok(secret) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_s_text_is_the_secret_or_an_object_with_it() {
        for text in ["k3y", " k3y\n", "\"k3y\"", r#"{"api_key": "k3y", "other": "x"}"#] {
            assert_eq!(pick(text, "api_key").as_deref(), Ok("k3y"), "{text}");
        }
        let fault = pick(r#"{"other": "value"}"#, "api_key").unwrap_err();
        assert!(fault.contains("other") && !fault.contains("value"), "{fault}");
        assert_eq!(pick(r#"{"api_key": 5}"#, "api_key").unwrap_err(), "its field `api_key` is not text");
    }

    #[test]
    fn a_secret_s_debug_shows_its_origin_alone() {
        let secret = Secret { value: "k3y".into(), origin: "MINE_API_KEY".into() };
        assert_eq!(format!("{secret:?}"), "Secret { origin: \"MINE_API_KEY\", .. }");
    }
}
