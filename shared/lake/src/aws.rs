//! The configuration of the AWS SDK, which is loaded when it is first needed.

use aws_config::{BehaviorVersion, SdkConfig};
use tokio::sync::OnceCell;

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
