//! The AWS SDK's configuration, loaded when it is first needed and kept.

use aws_config::{BehaviorVersion, SdkConfig};
use tokio::sync::OnceCell;

/// Loads region, credentials and endpoints from the environment once: 10 ms that a run into a directory never spends.
#[derive(Debug, Default)]
pub struct Aws(OnceCell<SdkConfig>);

impl Aws {
    /// The configuration, shared by every client.
    pub async fn config(&self) -> &SdkConfig {
        self.0.get_or_init(async || aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await).await
    }
}
