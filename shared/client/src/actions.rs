//! `response_actions`: what certain answers of an endpoint mean.

use manifest::{Action, ResponseAction};

/// What the first of `actions` that fits says about an answer.
pub(crate) fn of(actions: &[ResponseAction], status: u16, body: &[u8]) -> Option<Action> {
    let fits = |action: &&ResponseAction| {
        action.status_code.is_none_or(|code| code == status)
            && action.content.as_ref().is_none_or(|content| memchr::memmem::find(body, content.as_bytes()).is_some())
    };
    actions.iter().find(fits).map(|action| action.action)
}
