//! A lake in an S3 bucket: conditional writes by `If-Match` and `If-None-Match`.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::ByteStream;

use bytes::Bytes;

use crate::conflict::wait_after_conflict;
use crate::{Kind, Listed, Object, Precondition, Store, StoreError, Version, WriteOutcome};

/// Answers 409 to one write after which the caller reads again.
const MOST_BUSY: u32 = 5;

/// A prefix of a bucket as a store.
#[derive(Clone, Debug)]
pub struct S3 {
    client: Client,
    bucket: String,
    prefix: String,
}

impl S3 {
    /// The lake below `prefix` of `bucket`, reached as `config` says.
    pub fn new(config: &aws_config::SdkConfig, bucket: &str, prefix: &str) -> Self {
        let config =
            aws_sdk_s3::config::Builder::from(config).retry_config(RetryConfig::standard().with_max_attempts(5));
        Self { client: Client::from_conf(config.build()), bucket: bucket.into(), prefix: prefix.into() }
    }

    fn full(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) }
    }

    fn relative<'k>(&self, full: &'k str) -> Option<&'k str> {
        if self.prefix.is_empty() { Some(full) } else { full.strip_prefix(&self.prefix)?.strip_prefix('/') }
    }

    fn error<E>(&self, operation: &'static str, key: &str, error: &SdkError<E, HttpResponse>) -> StoreError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let kind = match (status(error), error.code()) {
            (_, Some("NoSuchBucket")) | (Some(301), _) => Kind::Missing,
            (Some(412), _) => Kind::Changed,
            (Some(401 | 403), _) => Kind::Denied,
            _ => Kind::Other,
        };
        let place = format!("s3://{}/{}", self.bucket, self.full(key));
        StoreError { kind, operation, place, detail: DisplayErrorContext(error).to_string() }
    }

    /// The version of the object, if it is what was `sent`: a write can succeed and its answer be lost, and then the SDK's own
    /// retry meets what it wrote itself.
    async fn own_write(&self, key: &str, sent: &Bytes) -> Result<Option<Version>, StoreError> {
        let head = match self.client.head_object().bucket(&self.bucket).key(self.full(key)).send().await {
            Ok(head) => head,
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => return Ok(None),
            Err(error) => return Err(self.error("read", key, &error)),
        };
        if head.content_length().and_then(|size| usize::try_from(size).ok()) != Some(sent.len()) {
            return Ok(None);
        }
        Ok(self.get(key).await?.filter(|(stored, _)| stored == sent).map(|(_, version)| version))
    }

    fn unexpected(&self, operation: &'static str, key: &str, detail: String) -> StoreError {
        StoreError { kind: Kind::Other, operation, place: format!("s3://{}/{}", self.bucket, self.full(key)), detail }
    }
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

#[async_trait]
impl Store for S3 {
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(self.full(prefix));
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            for object in page.map_err(|error| self.error("list", prefix, &error))?.contents() {
                let (Some(key), Some(tag), Some(size)) = (object.key(), object.e_tag(), object.size()) else {
                    return Err(self.unexpected("list", prefix, "an object without key, size or ETag".into()));
                };
                if let Some(key) = self.relative(key) {
                    let size = u64::try_from(size).unwrap_or_default();
                    found.push(Listed { key: key.to_owned(), size, version: Version(tag.to_owned()) });
                }
            }
        }
        found.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(found)
    }

    /// Without a request: the listing said all; each read asks for that version.
    async fn open(&self, listed: &Listed) -> Result<Option<Arc<dyn Object>>, StoreError> {
        Ok(Some(Arc::new(ListedObject { store: self.clone(), listed: listed.clone() })))
    }

    async fn get(&self, key: &str) -> Result<Option<(Bytes, Version)>, StoreError> {
        let answer = match self.client.get_object().bucket(&self.bucket).key(self.full(key)).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => return Ok(None),
            Err(error) => return Err(self.error("read", key, &error)),
        };
        let version = Version(answer.e_tag().unwrap_or_default().to_owned());
        let body = answer.body.collect().await.map_err(|error| self.unexpected("read", key, error.to_string()))?;
        Ok(Some((body.into_bytes(), version)))
    }

    async fn put(&self, key: &str, bytes: Bytes, precondition: Precondition) -> Result<WriteOutcome, StoreError> {
        let mut busy = 0;
        loop {
            let body = ByteStream::from(bytes.clone());
            let request = self.client.put_object().bucket(&self.bucket).key(self.full(key)).body(body);
            let request = match &precondition {
                Precondition::Absent => request.if_none_match("*"),
                Precondition::Is(Version(tag)) => request.if_match(tag),
            };
            let error = match request.send().await {
                Ok(answer) => return Ok(WriteOutcome::Written(Version(answer.e_tag().unwrap_or_default().to_owned()))),
                Err(error) => error,
            };
            match status(&error) {
                // Another write to the key is under way, and may fail: what was read may still be what is there.
                Some(409) if busy < MOST_BUSY => {
                    wait_after_conflict(busy).await;
                    busy += 1;
                }
                // 412: another version is there. 404 to If-Match: there is none. What was read is not what is there.
                Some(404 | 409 | 412) if error.code() != Some("NoSuchBucket") => {
                    return Ok(self
                        .own_write(key, &bytes)
                        .await?
                        .map_or(WriteOutcome::Conflict, WriteOutcome::Written));
                }
                _ => return Err(self.error("write", key, &error)),
            }
        }
    }
}

/// A listed object; reads ask for the version that was listed.
#[derive(Debug)]
struct ListedObject {
    store: S3,
    listed: Listed,
}

#[async_trait]
impl Object for ListedObject {
    fn version(&self) -> &Version {
        &self.listed.version
    }

    fn size(&self) -> u64 {
        self.listed.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let Listed { key, version, .. } = &self.listed;
        let request = self.store.client.get_object().bucket(&self.store.bucket).key(self.store.full(key));
        let request = request.if_match(&version.0).range(format!("bytes={}-{}", range.start, range.end - 1));
        let answer = request.send().await.map_err(|error| self.store.error("read", key, &error))?;
        let body = answer.body.collect().await;
        Ok(body.map_err(|error| self.store.unexpected("read", key, error.to_string()))?.into_bytes())
    }
}
