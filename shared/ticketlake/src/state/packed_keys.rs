//! Writes hashes of keys as the Base64 of their bytes, which has about a third of their decimal digits.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<'k, S: Serializer>(
    keys: impl IntoIterator<Item = &'k u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let bytes: Vec<u8> = keys.into_iter().flat_map(|key| key.to_le_bytes()).collect();
    serializer.serialize_str(&STANDARD.encode(bytes))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, K: FromIterator<u64>>(deserializer: D) -> Result<K, D::Error> {
    let bytes = STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
    let (keys, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(D::Error::custom("the hashes of the keys are cut off"));
    }
    Ok(keys.iter().map(|key| u64::from_le_bytes(*key)).collect())
}
