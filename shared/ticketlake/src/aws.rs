//! Secrets Manager as a store of secrets.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use client::secret::SecretStore;
use lake::Aws;
use lake::aws::error_text;
use tokio::sync::OnceCell;

/// A secret in AWS Secrets Manager. The client is created when the secret is first read.
#[derive(Debug)]
pub struct SecretsManager {
    id: String,
    aws: Arc<Aws>,
    client: OnceCell<Client>,
}

impl SecretsManager {
    /// Creates the store of the secret with this name or ARN. Nothing is read yet.
    pub fn new(id: &str, aws: Arc<Aws>) -> Self {
        Self { id: id.to_owned(), aws, client: OnceCell::new() }
    }
}

#[async_trait]
impl SecretStore for SecretsManager {
    fn origin(&self) -> String {
        format!("Secrets Manager {}", self.id)
    }

    async fn text(&self) -> Result<String, String> {
        let client = self.client.get_or_init(async || Client::new(self.aws.config().await)).await;
        let answer = client.get_secret_value().secret_id(&self.id).send().await;
        let answer = answer.map_err(|error| error_text(&error))?;
        answer.secret_string().map(str::to_owned).ok_or_else(|| "it is binary; store the key as text".into())
    }
}
