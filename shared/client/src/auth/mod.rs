//! The key in use: obtained before the first request, renewed when it expires or is refused.

mod authenticator;
mod credential;
mod token;

pub(crate) use self::authenticator::{Authenticator, KeySource, Refusal};
pub(crate) use self::credential::Credential;
