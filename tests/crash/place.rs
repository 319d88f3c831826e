//! Where a lake lies: a directory, or a bucket of `moto_server` behind a [`Proxy`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::lake::{S3, Store};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use bytes::Bytes;
use sandbox::Server;
use sandbox::function::Function;
use tempfile::TempDir;

use crate::aws::Aws;
use crate::lake::{self, TABLE};
use crate::proxy::{Fate, Proxy};
use crate::sales::KEY;

/// A kind of store, in which every lake is a new one.
pub(crate) enum Place {
    Directory,
    Bucket(Box<Bucket>),
}

/// An S3 server, and the proxy that stands before it.
pub(crate) struct Bucket {
    aws: Aws,
    pub(crate) proxy: Proxy,
    config: SdkConfig,
    lakes: AtomicUsize,
}

/// One lake.
pub(crate) enum Lake<'p> {
    Directory(TempDir),
    Bucket { bucket: &'p Bucket, prefix: String },
}

impl Place {
    /// A bucket whose PUTs meet the fate that `script` says; see [`Proxy::start`].
    pub(crate) fn bucket(script: impl Fn(&str, usize) -> Fate + Send + Sync + 'static) -> Self {
        let aws = Aws::start();
        let environment: BTreeMap<&str, String> = aws.environment().into_iter().collect();
        let proxy = Proxy::start(&environment["AWS_ENDPOINT_URL"], script);
        let credentials = Credentials::new(
            &environment["AWS_ACCESS_KEY_ID"],
            &environment["AWS_SECRET_ACCESS_KEY"],
            None,
            None,
            "test",
        );
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(environment["AWS_REGION"].clone()))
            .endpoint_url(proxy.endpoint())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        Self::Bucket(Box::new(Bucket { aws, proxy, config, lakes: AtomicUsize::new(0) }))
    }

    /// A bucket that behaves.
    pub(crate) fn good_bucket() -> Self {
        Self::bucket(|_, _| Fate::Passed)
    }

    /// A new lake.
    pub(crate) fn lake(&self) -> Lake<'_> {
        match self {
            Self::Directory => Lake::Directory(tempfile::tempdir().unwrap()),
            Self::Bucket(bucket) => {
                let number = bucket.lakes.fetch_add(1, Ordering::Relaxed);
                Lake::Bucket { bucket, prefix: format!("lake-{number}") }
            }
        }
    }
}

impl Lake<'_> {
    /// The function `sales`, reading `server` into this lake.
    pub(crate) fn function(&self, server: &Server) -> Function {
        let function = match self {
            Self::Directory(root) => Function::reading("sales", "see_tickets", root.path()),
            Self::Bucket { bucket, prefix } => {
                let function = Function::reading("sales", "see_tickets", format!("s3://lake/{prefix}"));
                bucket.aws.grant(function).env("AWS_ENDPOINT_URL", bucket.proxy.endpoint())
            }
        };
        function.against("see_tickets", &server.base_url, KEY)
    }

    /// The table's parts, by their keys.
    pub(crate) fn parts(&self) -> BTreeMap<String, Bytes> {
        self.objects(TABLE)
    }

    /// Every object below `folder`, by its key.
    pub(crate) fn objects(&self, folder: &str) -> BTreeMap<String, Bytes> {
        match self {
            Self::Directory(root) => lake::objects(root.path(), folder),
            Self::Bucket { bucket, prefix } => {
                let store: Arc<dyn Store> = Arc::new(S3::new(&bucket.config, "lake", prefix));
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut found = BTreeMap::new();
                    for listed in store.list(&format!("{folder}/")).await.unwrap() {
                        let (bytes, _) = store.get(&listed.key).await.unwrap().unwrap();
                        found.insert(listed.key, bytes);
                    }
                    found
                })
            }
        }
    }
}
