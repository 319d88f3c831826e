//! Where a lake lies.

use std::path::PathBuf;

/// Where a lake lies: a directory, or a prefix of an S3 bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory.
    Directory(PathBuf),
    /// `s3://bucket/prefix`.
    S3 {
        /// The bucket.
        bucket: String,
        /// The beginning of every key, without slashes at its ends; may be empty.
        prefix: String,
    },
}

impl Location {
    /// Reads `s3://bucket/prefix` or a directory's path.
    ///
    /// # Errors
    ///
    /// A message that says what is wrong with `text` and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.len() < 3 {
                return Err(format!("`{text}` names no bucket: use s3://bucket/prefix"));
            }
            return Ok(Self::S3 { bucket: bucket.into(), prefix: prefix.trim_matches('/').into() });
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(format!("`{scheme}://` is not supported: use a directory or s3://bucket/prefix"));
        }
        Ok(Self::Directory(PathBuf::from(text)))
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}
