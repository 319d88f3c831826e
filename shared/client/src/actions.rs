//! `response_actions`: what the manifest says about certain responses of an endpoint.

use manifest::{Action, ResponseAction};

/// Returns the action of the first of `actions` that fits a response.
pub(crate) fn action_for(actions: &[ResponseAction], status: u16, body: &[u8]) -> Option<Action> {
    let fits = |action: &&ResponseAction| {
        action.status_code.is_none_or(|code| code == status)
            && action.content.as_ref().is_none_or(|content| memchr::memmem::find(body, content.as_bytes()).is_some())
    };
    actions.iter().find(fits).map(|action| action.action)
}
