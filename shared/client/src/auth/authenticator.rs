//! Obtains and renews the key of one API.

use std::sync::Arc;
use std::time::Duration;

use manifest::{Auth, ClientCredentials, KeyPlacement, Manifest};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::credential::{Credential, NamedSecrets, PlacedKey};
use super::token::{AccessToken, TokenRequest};
use crate::error::{Error, Stop};
use crate::secret::Secrets;
use crate::sender::Sender;

/// A token is renewed so long before its end, or a tenth of its lifetime if that is shorter. A request that leaves in time must also arrive
/// in time.
const MAX_RENEWAL_LEAD: Duration = Duration::from_secs(120);

/// Obtains and renews the key of one API, or of one endpoint of it.
#[derive(Debug)]
pub(crate) struct Authenticator {
    source: String,
    /// The ways to send the key; the first one whose secrets are there is used.
    methods: Vec<Auth>,
    /// The settings of the source that are secret, to be removed from texts.
    secret_settings: Vec<String>,
    state: Mutex<State>,
}

/// What keys are obtained with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySource<'k> {
    /// Where secrets are read.
    pub(crate) secrets: &'k Secrets,
    /// Sends the requests for tokens.
    pub(crate) sender: &'k Sender<'k>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Credential>>,
    /// How often a key was refused since one was accepted.
    refusals: u32,
    /// The key with which a request was let in last.
    accepted: Option<Arc<Credential>>,
}

/// A response with status 401 or 403.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// The beginning of the response's body, without the key.
    pub(crate) detail: String,
}

/// Where an access token may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenOrigin {
    /// A run starts with the stored token if there is one; otherwise a new one is requested.
    StoredOrNew,
    /// A new token is requested.
    New,
}

impl Authenticator {
    /// Creates an authenticator for the first of `methods` whose secrets are there.
    pub(crate) fn new(manifest: &Manifest, methods: &[Auth]) -> Self {
        Self {
            source: manifest.name.clone(),
            methods: methods.to_vec(),
            secret_settings: manifest.secret_settings(),
            state: Mutex::default(),
        }
    }

    /// The ways to send the key.
    pub(crate) fn methods(&self) -> &[Auth] {
        &self.methods
    }

    /// Returns the key to send, and obtains one first if there is none or the token expires soon.
    ///
    /// # Errors
    ///
    /// [`Error::Secret`] if a secret cannot be read, and the errors of the request for a token.
    pub(crate) async fn credential(&self, keys: KeySource<'_>) -> Result<Arc<Credential>, Stop> {
        let mut state = self.state.lock().await;
        let token_origin = match &state.current {
            Some(current) if !current.expires_soon() => return Ok(Arc::clone(current)),
            Some(_) => TokenOrigin::New,
            None => TokenOrigin::StoredOrNew,
        };
        let credential = Arc::new(self.obtain(keys, token_origin).await?);
        state.current = Some(Arc::clone(&credential));
        Ok(credential)
    }

    /// Records that a request with this key was let in.
    pub(crate) async fn record_acceptance(&self, credential: &Arc<Credential>) {
        let mut state = self.state.lock().await;
        state.refusals = 0;
        state.accepted = Some(Arc::clone(credential));
    }

    /// Returns whether a request with this key was let in. Status 403 is no word on the key then, but on what was asked for.
    pub(crate) async fn has_accepted(&self, credential: &Arc<Credential>) -> bool {
        self.state.lock().await.accepted.as_ref().is_some_and(|accepted| Arc::ptr_eq(accepted, credential))
    }

    /// Replaces a key that was refused: by another token first, then by the secrets read again.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`] if there is no key that was not refused yet, and the errors of obtaining one.
    pub(crate) async fn renew(
        &self,
        keys: KeySource<'_>,
        refused: &Arc<Credential>,
        refusal: &Refusal,
    ) -> Result<(), Stop> {
        let mut state = self.state.lock().await;
        // Of several requests on their way with the old key, the first renews it for all.
        if state.current.as_ref().is_some_and(|current| !Arc::ptr_eq(current, refused)) {
            return Ok(());
        }
        state.refusals += 1;
        if refused.is_none() {
            return Err(self.unauthorized(refusal, "the manifest names none; give it `client.auth`").into());
        }
        let renewed = match (state.refusals, refused.is_token()) {
            (1, true) => Some(self.obtain(keys, TokenOrigin::New).await?),
            (1, false) | (2, true) => self.read_again(keys, refused.secrets()).await?,
            _ => None,
        };
        let renewed = renewed.ok_or_else(|| self.unauthorized(refusal, refused.origin()))?;
        tracing::warn!(origin = renewed.origin(), "the key was refused and is replaced by a new one");
        state.current = Some(Arc::new(renewed));
        Ok(())
    }

    /// Obtains a credential from the secrets as they are cached. If no token is given for them, they are read again, since a process that
    /// lives on has cached them before they were changed.
    async fn obtain(&self, keys: KeySource<'_>, token_origin: TokenOrigin) -> Result<Credential, Stop> {
        let Some(method) = keys.secrets.first_available(&self.source, &self.methods).await? else {
            return Ok(Credential::none(&self.secret_settings));
        };
        let secrets = self.read_secrets(keys.secrets, method, &NamedSecrets::beside(&self.secret_settings)).await?;
        match self.credential_of(keys, method, secrets.clone(), token_origin).await {
            Err(refused @ Stop::Error(Error::Unauthorized { .. })) => {
                self.read_again(keys, &secrets).await?.ok_or(refused)
            }
            obtained => obtained,
        }
    }

    /// Obtains a credential from the secrets read again; `None` if they are still the `refused` ones.
    async fn read_again(&self, keys: KeySource<'_>, refused: &NamedSecrets) -> Result<Option<Credential>, Stop> {
        let Some(method) = keys.secrets.first_available(&self.source, &self.methods).await? else { return Ok(None) };
        let secrets = self.read_secrets(keys.secrets, method, refused).await?;
        if secrets == *refused {
            return Ok(None);
        }
        Ok(Some(self.credential_of(keys, method, secrets, TokenOrigin::New).await?))
    }

    /// Reads the secrets of `method`, the `refused` ones again.
    async fn read_secrets(
        &self,
        secrets: &Secrets,
        method: &Auth,
        refused: &NamedSecrets,
    ) -> Result<NamedSecrets, Error> {
        let mut named = NamedSecrets::beside(&self.secret_settings);
        for name in method.secrets() {
            named.push(name, secrets.get(&self.source, name, refused.get(name)).await?);
        }
        Ok(named)
    }

    /// Makes the credential of `secrets`, and requests a token if the API wants one.
    async fn credential_of(
        &self,
        keys: KeySource<'_>,
        method: &Auth,
        secrets: NamedSecrets,
        token_origin: TokenOrigin,
    ) -> Result<Credential, Stop> {
        let placed_key = match method {
            Auth::Bearer { token } => PlacedKey::Bearer(secrets.value(token)),
            Auth::ApiKey { api_key, placement: KeyPlacement::Header(name) } => {
                PlacedKey::Header { name: name.clone(), key: secrets.value(api_key) }
            }
            Auth::ApiKey { api_key, placement: KeyPlacement::Query(name) } => {
                PlacedKey::Query { name: name.clone(), key: secrets.value(api_key) }
            }
            Auth::HttpBasic { username, password } => {
                PlacedKey::Basic { username: secrets.resolve(username), password: secrets.resolve(password) }
            }
            Auth::ClientCredentials(grant) => {
                let AccessToken { token, lifetime } = match self.stored_token(keys.secrets, grant, token_origin).await?
                {
                    Some(stored) => stored,
                    None => TokenRequest { source: &self.source, grant, secrets: &secrets }.send(keys.sender).await?,
                };
                let renew_at = Instant::now() + lifetime.saturating_sub(MAX_RENEWAL_LEAD.min(lifetime / 10));
                return Ok(Credential::of_token(token, renew_at, secrets));
            }
        };
        Ok(Credential::of_secrets(placed_key, secrets))
    }

    /// Reads the token that is stored beside the secrets, if there is one and it may be used.
    async fn stored_token(
        &self,
        secrets: &Secrets,
        grant: &ClientCredentials,
        token_origin: TokenOrigin,
    ) -> Result<Option<AccessToken>, Error> {
        let Some(name) = &grant.access_token else { return Ok(None) };
        if token_origin == TokenOrigin::New || !secrets.contains(&self.source, name).await? {
            return Ok(None);
        }
        let token = secrets.get(&self.source, name, None).await?;
        Ok(Some(AccessToken { token: token.expose().to_owned(), lifetime: grant.default_expiration }))
    }

    /// Returns the error of a key from `origin` that was refused.
    pub(crate) fn unauthorized(&self, refusal: &Refusal, origin: &str) -> Error {
        Error::Unauthorized {
            source_name: self.source.clone(),
            status: refusal.status,
            detail: refusal.detail.clone(),
            origin: origin.to_owned(),
        }
    }
}
