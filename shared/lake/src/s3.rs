//! A store in an S3 bucket: conditional writes by `If-Match` and `If-None-Match`.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use crate::aws::error_text;
use crate::conflict::wait_after_conflict;
use crate::date::DateObserver;
use crate::error::{ErrorKind, StoreError};
use crate::store::{ListedObject, Object, Precondition, Store, Version, WriteOutcome};

/// How often a write is sent again after a response with status 409, before it counts as a write conflict.
const MAX_BUSY_RETRIES: u32 = 5;

/// How often the SDK sends a request in all.
const MAX_REQUEST_ATTEMPTS: u32 = 5;

/// A prefix of a bucket as a store.
#[derive(Clone, Debug)]
pub struct S3 {
    client: Client,
    bucket: String,
    prefix: String,
    dates: DateObserver,
}

impl S3 {
    /// Creates a store for the lake below `prefix` of `bucket`, with the region, credentials and endpoint of `config`.
    pub fn new(config: &aws_config::SdkConfig, bucket: &str, prefix: &str) -> Self {
        let retry = RetryConfig::standard().with_max_attempts(MAX_REQUEST_ATTEMPTS);
        let dates = DateObserver::default();
        let config = aws_sdk_s3::config::Builder::from(config).retry_config(retry).interceptor(dates.clone()).build();
        Self { client: Client::from_conf(config), bucket: bucket.into(), prefix: prefix.into(), dates }
    }

    /// Returns the key within the bucket of a key within the lake.
    fn bucket_key(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) }
    }

    /// Returns the key within the lake of a key within the bucket, or `None` if the object is outside of the lake.
    fn lake_key<'k>(&self, bucket_key: &'k str) -> Option<&'k str> {
        if self.prefix.is_empty() { Some(bucket_key) } else { bucket_key.strip_prefix(&self.prefix)?.strip_prefix('/') }
    }

    /// Returns the key with the address of the bucket before it, for messages.
    fn place(&self, key: &str) -> String {
        format!("s3://{}/{}", self.bucket, self.bucket_key(key))
    }

    /// Returns the error for a request that failed.
    fn request_error<E>(&self, operation: &'static str, key: &str, error: &SdkError<E, HttpResponse>) -> StoreError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let kind = match (status(error), error.code()) {
            (_, Some("NoSuchBucket")) | (Some(301), _) => ErrorKind::Missing,
            (Some(412), _) => ErrorKind::Changed,
            (Some(401 | 403), _) => ErrorKind::Denied,
            _ => ErrorKind::Other,
        };
        StoreError { kind, operation, place: self.place(key), detail: error_text(error) }
    }

    /// Returns the error for a response that S3 does not send, or that broke off.
    fn response_error(&self, operation: &'static str, key: &str, detail: String) -> StoreError {
        StoreError { kind: ErrorKind::Other, operation, place: self.place(key), detail }
    }

    /// Returns the version of the stored object if its bytes are those that were `sent`. A write can succeed and its response get lost.
    /// The SDK then sends it again, and its precondition fails because of what the first request wrote.
    async fn find_own_write(&self, key: &str, sent: &Bytes) -> Result<Option<Version>, StoreError> {
        let head = match self.client.head_object().bucket(&self.bucket).key(self.bucket_key(key)).send().await {
            Ok(head) => head,
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => return Ok(None),
            Err(error) => return Err(self.request_error("read", key, &error)),
        };
        if head.content_length().and_then(|size| usize::try_from(size).ok()) != Some(sent.len()) {
            return Ok(None);
        }
        Ok(self.get(key).await?.filter(|(stored, _)| stored == sent).map(|(_, version)| version))
    }
}

/// Returns the status of the response, if there was one.
fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

#[async_trait]
impl Store for S3 {
    fn clock_offset(&self) -> Option<i64> {
        self.dates.clock_offset()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, StoreError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(self.bucket_key(prefix));
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            for object in page.map_err(|error| self.request_error("list", prefix, &error))?.contents() {
                let (Some(key), Some(tag), Some(size)) = (object.key(), object.e_tag(), object.size()) else {
                    let detail = "the listing has an object without key, size or ETag";
                    return Err(self.response_error("list", prefix, detail.into()));
                };
                if let Some(key) = self.lake_key(key) {
                    let size = u64::try_from(size).unwrap_or_default();
                    found.push(ListedObject { key: key.to_owned(), size, version: Version(tag.to_owned()) });
                }
            }
        }
        found.sort_by(|left, right| left.key.cmp(&right.key));
        Ok(found)
    }

    /// Opens the object without a request: the listing has its size and version, and each read asks for that version.
    async fn open(&self, listed: &ListedObject) -> Result<Option<Arc<dyn Object>>, StoreError> {
        Ok(Some(Arc::new(S3Object { store: self.clone(), listed: listed.clone() })))
    }

    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        let response = match self.client.get_object().bucket(&self.bucket).key(self.bucket_key(key)).send().await {
            Ok(response) => response,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => return Ok(None),
            Err(error) => return Err(self.request_error("read", key, &error)),
        };
        let version = Version(response.e_tag().unwrap_or_default().to_owned());
        let body =
            response.body.collect().await.map_err(|error| self.response_error("read", key, error.to_string()))?;
        Ok(Some((body.into_bytes(), version)))
    }

    async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError> {
        let mut busy_responses = 0;
        loop {
            let body = ByteStream::from(bytes.clone());
            let request = self.client.put_object().bucket(&self.bucket).key(self.bucket_key(key)).body(body);
            let request = match &precondition {
                Precondition::Absent => request.if_none_match("*"),
                Precondition::Is(Version(tag)) => request.if_match(tag),
            };
            let error = match request.send().await {
                Ok(response) => {
                    return Ok(WriteOutcome::Written(Version(response.e_tag().unwrap_or_default().to_owned())));
                }
                Err(error) => error,
            };
            match status(&error) {
                // Another write to the key is in progress and may fail: the precondition may still hold.
                Some(409) if busy_responses < MAX_BUSY_RETRIES => {
                    wait_after_conflict(busy_responses).await;
                    busy_responses += 1;
                }
                // 412: another version is stored. 404 to If-Match: no object is stored. The precondition does not hold.
                Some(404 | 409 | 412) if error.code() != Some("NoSuchBucket") => {
                    let own_write = self.find_own_write(key, &bytes).await?;
                    return Ok(own_write.map_or(WriteOutcome::Conflict, WriteOutcome::Written));
                }
                _ => return Err(self.request_error("write", key, &error)),
            }
        }
    }
}

/// A listed object. Each read asks for the version that was listed.
#[derive(Debug)]
struct S3Object {
    store: S3,
    listed: ListedObject,
}

#[async_trait]
impl Object for S3Object {
    fn version(&self) -> &Version {
        &self.listed.version
    }

    fn size(&self) -> u64 {
        self.listed.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let ListedObject { key, version, .. } = &self.listed;
        let request = self.store.client.get_object().bucket(&self.store.bucket).key(self.store.bucket_key(key));
        let request = request.if_match(&version.0).range(format!("bytes={}-{}", range.start, range.end - 1));
        let response = request.send().await.map_err(|error| self.store.request_error("read", key, &error))?;
        let body = response.body.collect().await;
        Ok(body.map_err(|error| self.store.response_error("read", key, error.to_string()))?.into_bytes())
    }
}
