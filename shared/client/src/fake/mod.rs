//! What tests need instead of an API, a clock and a secret store.

mod api;
mod clock;
mod log;
mod setup;
mod store;

pub(crate) use self::api::{FakeApi, Fault, LinkForm, Paging, Spec};
pub(crate) use self::clock::TestClock;
pub(crate) use self::log::CapturedLog;
pub(crate) use self::setup::Setup;
pub(crate) use self::store::FakeStore;
