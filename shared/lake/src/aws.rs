//! The configuration of the AWS SDK, which is loaded when it is first needed, and the texts of its errors.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use tokio::sync::OnceCell;

use crate::error::causes;

/// Loads region, credentials and endpoints from the environment once, at the first use. That takes 10 ms, which a run into a directory
/// never spends.
#[derive(Debug, Default)]
pub struct Aws(OnceCell<SdkConfig>);

impl Aws {
    /// Returns the configuration that every client of AWS shares.
    pub async fn config(&self) -> &SdkConfig {
        self.0.get_or_init(async || aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await).await
    }
}

/// Returns what an AWS service answered, as in `403 AccessDenied: Access Denied`, or else why there was no answer.
pub fn error_text<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let SdkError::ServiceError(service) = error else { return causes(error) };
    let status = service.raw().status().as_u16().to_string();
    let code = service.err().code().map(|code| format!(" {code}")).unwrap_or_default();
    let message = service.err().message().map(|message| format!(": {message}")).unwrap_or_default();
    format!("{status}{code}{message}").split_whitespace().collect::<Vec<_>>().join(" ")
}
