//! Fills in the settings of a manifest, such as an account or a region.

use crate::client::Auth;
use crate::fault::{Fault, Faults};
use crate::settings::Settings;
use crate::source::Manifest;

impl Manifest {
    /// Returns the manifest with the values of its settings from `settings`. `base_url` replaces the address of the API, and the
    /// variable `<SOURCE>_TOKEN_URL` that of tokens.
    ///
    /// # Errors
    ///
    /// A fault for each variable that is missing or has a value that is not allowed.
    pub fn configure(mut self, base_url: Option<&str>, settings: &Settings) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        for (name, setting) in &self.settings {
            let variable = Settings::variable(&self.name, name);
            let Some(value) = settings.get(&variable).map(str::to_owned).or_else(|| setting.default.clone()) else {
                let description = setting.description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
                faults.push(Fault::new(variable, format!("is not set; {} needs it{description}", self.name)));
                continue;
            };
            if !setting.one_of.is_empty() && !setting.one_of.contains(&value) {
                faults.push(Fault::new(variable, format!("`{value}` is not one of {}", setting.one_of.join(", "))));
            }
            self.values.insert(name.clone(), value);
        }
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        let fill = |text: &mut String| {
            for (name, value) in &self.values {
                *text = text.replace(&format!("{{settings.{name}}}"), value);
            }
        };
        fill(&mut self.client.base_url);
        self.client.headers.values_mut().for_each(fill);
        let endpoint_auths = self.resources.iter_mut().filter_map(|resource| resource.endpoint.auth.as_mut()).flatten();
        let token_url = settings.get(&Settings::variable(&self.name, "token_url"));
        for auth in self.client.auth.iter_mut().chain(endpoint_auths) {
            if let Auth::ClientCredentials(grant) = auth {
                fill(&mut grant.access_token_url);
                if let Some(url) = token_url {
                    url.clone_into(&mut grant.access_token_url);
                }
            }
        }
        if let Some(base_url) = base_url {
            base_url.clone_into(&mut self.client.base_url);
        }
        Ok(self)
    }
}
