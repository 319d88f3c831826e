//! The address of a lake.

use std::path::PathBuf;
use std::{fs, io};

/// The address of a lake: a directory, or a prefix of an S3 bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A directory. It is created by the first write.
    Directory(PathBuf),
    /// A prefix of an S3 bucket, written as `s3://bucket/prefix`.
    S3 {
        /// The name of the bucket.
        bucket: String,
        /// The beginning of every key, without a slash at either end. It may be empty.
        prefix: String,
    },
}

impl Location {
    /// Reads `s3://bucket/prefix` or a directory's path.
    ///
    /// # Errors
    ///
    /// A message that says what is wrong with `text` and what is allowed instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("is empty: use a directory or s3://bucket/prefix".into());
        }
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

    /// Checks that a lake can be here, as far as that is known without a request. A directory need not exist.
    ///
    /// # Errors
    ///
    /// A message that says what is there instead.
    pub fn check(&self) -> Result<(), String> {
        let Self::Directory(path) = self else { return Ok(()) };
        let shown = path.display();
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => Err(format!("`{shown}` is a file: use a directory or s3://bucket/prefix")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::symlink_metadata(path) {
                Ok(_) => Err(format!("`{shown}` is a link to a place that does not exist: use a directory")),
                Err(_) => Ok(()),
            },
            Err(error) => Err(format!("`{shown}` cannot be opened: {error}")),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_and_written() {
        let s3 = |bucket: &str, prefix: &str| Location::S3 { bucket: bucket.into(), prefix: prefix.into() };
        for (text, expected, written) in [
            ("s3://bucket", s3("bucket", ""), "s3://bucket"),
            ("s3://bucket/", s3("bucket", ""), "s3://bucket"),
            ("s3://bucket/a/b/", s3("bucket", "a/b"), "s3://bucket/a/b"),
            ("target/lake", Location::Directory("target/lake".into()), "target/lake"),
        ] {
            let location = Location::parse(text).unwrap();
            assert_eq!((location.to_string().as_str(), location), (written, expected), "{text}");
        }
        for (text, expected) in [
            ("s3://", "no bucket"),
            ("s3://ab/c", "no bucket"),
            ("", "is empty"),
            (" ", "is empty"),
            ("gs://bucket", "`gs://`"),
        ] {
            let message = Location::parse(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_lake_is_a_directory_or_can_become_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Location::Directory(folder.path().join(name)).check();
        fs::write(folder.path().join("file"), "x").unwrap();
        std::os::unix::fs::symlink("/nowhere/x", folder.path().join("link")).unwrap();
        assert_eq!((at(""), at("new/lake")), (Ok(()), Ok(())));
        assert!(at("file").unwrap_err().contains("is a file"));
        assert!(at("link").unwrap_err().contains("is a link to a place that does not exist"));
        assert!(at("file/lake").unwrap_err().contains("cannot be opened"));
    }
}
