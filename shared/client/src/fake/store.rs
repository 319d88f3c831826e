//! A secret store in memory.

use std::sync::Mutex;

use async_trait::async_trait;

use crate::secret::SecretStore;

/// A secret store with one text, which a test can replace.
#[derive(Debug)]
pub(crate) struct FakeStore {
    text: Mutex<Result<String, String>>,
}

impl FakeStore {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: Mutex::new(Ok(text.into())) }
    }

    pub(crate) fn set(&self, text: Result<&str, &str>) {
        *self.text.lock().unwrap() = text.map(str::to_owned).map_err(str::to_owned);
    }
}

#[async_trait]
impl SecretStore for FakeStore {
    fn origin(&self) -> String {
        "Secrets Manager mine".into()
    }

    async fn text(&self) -> Result<String, String> {
        self.text.lock().unwrap().clone()
    }
}
