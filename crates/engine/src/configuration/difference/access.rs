//! Connections and API keys: who may tell us something, and who may ask us.

use std::collections::BTreeMap;

use crypto::token::ApiKeyText;
use domain::id::ApiKeyId;
use providers::{Level, Settings, redeem::OauthClient};
use secrecy::{ExposeSecret, SecretString};
use store::rows;

use super::{
    super::{
        check,
        input::{AccountsInput, ApiKeyInput, ConnectionInput, Entry, Wanted},
        report::{Action, Step, What},
        state::{Current, CurrentConnection},
    },
    Draft,
    catalogue::changed,
};
use crate::{
    api_keys,
    connections::{ConnectionSecrets, Mode, OauthSecret, account_of},
    tenants::DEFAULT_TENANT,
};

impl Draft<'_> {
    pub(super) fn connection(&mut self, entry: &Entry<ConnectionInput>) {
        let input = &entry.item;
        let code = &input.code;
        if !self.is_sound(entry, What::Connection, code, check::connection(input)) {
            return;
        }
        let before = self.current.connections.get(code);
        if let Some(message) = before.and_then(|before| fixed(before, input)) {
            return self.wrong(entry, What::Connection, code, None, message);
        }
        let before_settings = before.and_then(|before| serde_json::from_str::<Settings>(&before.row.settings).ok());
        let settings = settings(before_settings.clone(), input);
        let accounts = self.wrong_with_accounts(code, input, &settings);
        if let Some((field, message)) = accounts.or_else(|| wrong_with_store(input, &settings)) {
            return self.wrong(entry, What::Connection, code, Some(field), message);
        }
        let Some(secrets) = secrets(before, input) else {
            let message = "its secrets in the database do not open, so all of them must be given: webhook_secrets, and \
                api_key or oauth_client";
            return self.wrong(entry, What::Connection, code, None, message);
        };
        // An account has no key of its own: its platform's is used.
        let api_key = secrets.api_key.filter(|_| settings.account.is_none());
        let secrets = ConnectionSecrets { api_key, ..secrets };
        if input.level != Level::None && secrets.api_key.is_none() && settings.account.is_none() {
            let message = "to look things up it needs the provider's API key; give one, or level = \"none\"";
            return self.wrong(entry, What::Connection, code, Some("api_key"), message);
        }
        if let Some(other) = self.shares_secret(input, &secrets) {
            let message = format!("connection `{other}` has the same secret: events could not be told apart");
            return self.wrong(entry, What::Connection, code, Some("webhook_secrets"), message);
        }
        let kept = before.and_then(|before| before.secrets.as_ref());
        let row = rows::Connection {
            id: before.map_or_else(|| self.making.id(), |before| before.row.id),
            tenant_id: self.current.tenant.id,
            provider: input.provider.clone(),
            code: code.clone(),
            mode: input.mode.as_str().to_owned(),
            account: settings.account.clone(),
            settings: serde_json::json!(settings).to_string(),
            api_base: input.api_base.clone(),
            secrets: before.and_then(|before| before.row.secrets.clone()),
            created_at: before.map_or_else(|| self.making.at(), |before| before.row.created_at),
        };
        let mut details = Vec::new();
        if let Some(CurrentConnection { row: before, .. }) = before {
            let apart_from_settings = [
                ("mode", before.mode != row.mode),
                ("api_base", before.api_base != row.api_base),
                ("webhook_secrets", kept.is_none_or(|kept| kept.webhook != secrets.webhook)),
                ("api_key", kept.is_none_or(|kept| kept.api_key != secrets.api_key)),
                ("oauth_client", kept.and_then(|kept| kept.oauth_client.as_ref()) != secrets.oauth_client.as_ref()),
            ];
            let in_settings = changed_settings(&before_settings.unwrap_or_default(), &settings);
            details = changed(&[&apart_from_settings[..], &in_settings].concat());
        }
        let is_same = kept.is_some_and(|kept| *kept == secrets);
        self.connections.insert(code.clone(), row.id);
        let step = Step::Connection(row, Some(secrets).filter(|_| before.is_none() || !is_same));
        self.compared(What::Connection, code, before.is_none(), details, step);
    }

    /// Why a connection cannot be about an account, or serve some.
    fn wrong_with_accounts(
        &self,
        code: &str,
        input: &ConnectionInput,
        settings: &Settings,
    ) -> Option<(&'static str, String)> {
        let current = self.current;
        if settings.platform && current.tenant.slug != DEFAULT_TENANT {
            return Some((
                "platform",
                format!("a platform belongs to the tenant `{DEFAULT_TENANT}`, which runs the server"),
            ));
        }
        if let Some(other) = settings.platform.then(|| self.other_platform(code, input)).flatten() {
            return Some((
                "platform",
                format!("connection `{other}` is the platform of {} mode already", input.mode.as_str()),
            ));
        }
        let account = settings.account.as_ref()?;
        if input.api_key.is_some() {
            return Some((
                "api_key",
                format!("the account {account} is reached with its platform's key; leave it out"),
            ));
        }
        let key = (input.provider.clone(), input.mode.as_str().to_owned(), account.clone());
        let is_here = |(other, connection): (&String, &CurrentConnection)| {
            other != code && account_of(&connection.row) == Some(key.clone())
        };
        let is_taken = current.accounts_of_others.contains(&key) || current.connections.iter().any(is_here);
        is_taken
            .then(|| ("account", format!("the account {account} has a connection already; its sales belong to one")))
    }

    /// Another platform of the same provider and mode: nobody could tell which one's key serves an account.
    fn other_platform(&self, code: &str, input: &ConnectionInput) -> Option<String> {
        let is_platform = |row: &rows::Connection| {
            row.provider == input.provider
                && row.mode == input.mode.as_str()
                && serde_json::from_str::<Settings>(&row.settings).is_ok_and(|settings| settings.platform)
        };
        let stored = self.current.connections.iter().find(|(other, kept)| *other != code && is_platform(&kept.row));
        let planned = self.changes.iter().find_map(|change| match &change.step {
            Some(Step::Connection(row, _)) if row.code != code && is_platform(row) => Some(row.code.clone()),
            _ => None,
        });
        stored.map(|(other, _)| other.clone()).or(planned)
    }

    /// Another connection of the provider whose webhooks are signed with the same secret.
    fn shares_secret(&mut self, input: &ConnectionInput, secrets: &ConnectionSecrets) -> Option<String> {
        let keys = || secrets.webhook.iter().map(|secret| (input.provider.clone(), secret.clone()));
        let taken = keys().find_map(|key| self.webhook_secrets.get(&key).cloned());
        self.webhook_secrets.extend(keys().map(|key| (key, input.code.clone())));
        taken
    }

    pub(super) fn api_key(&mut self, entry: &Entry<ApiKeyInput>) {
        let ApiKeyInput { name, scopes, key } = &entry.item;
        if !self.is_sound(entry, What::ApiKey, name, check::api_key(&entry.item)) {
            return;
        }
        let current = self.current;
        let by_id = current.api_keys.iter().find(|row| row.id == key.id().0);
        if let Some(message) = self.refused(key, by_id) {
            return self.wrong(entry, What::ApiKey, name, Some("key"), message);
        }
        let tenant = domain::id::TenantId(current.tenant.id);
        let mut row = api_keys::row(tenant, name, scopes, key, (self.making.actor, self.making.now));
        let of_name = current.api_keys.iter().find(|row| row.name == *name && row.id != key.id().0);
        if of_name.is_some_and(|row| self.wanted.api_keys.iter().any(|entry| entry.item.key.id().0 == row.id)) {
            let message = "the name is still that of another key in this file; apply the other one's new name first";
            return self.wrong(entry, What::ApiKey, name, Some("name"), message);
        }
        let mut details = Vec::new();
        if let Some(before) = by_id {
            let parts =
                [("name", before.name != row.name), ("scopes", api_keys::decode_scopes(&before.scopes) != *scopes)];
            details = changed(&parts);
            row = rows::ApiKey { name: row.name, scopes: row.scopes, ..before.clone() };
        }
        let step = match of_name {
            // The name goes to the new key; an old one that still opens is revoked.
            Some(old) => {
                if old.revoked_at.is_none() {
                    details.push(format!("takes the place of {}, which is revoked", ApiKeyId(old.id)));
                }
                let revoked_at = old.revoked_at.or_else(|| Some(self.making.at()));
                Step::ReplaceApiKey(rows::ApiKey { revoked_at, ..api_keys::without_its_name(old) }, row)
            }
            None => Step::ApiKey(row),
        };
        self.compared(What::ApiKey, name, by_id.is_none(), details, step);
    }

    /// Why a key's text cannot be taken.
    fn refused(&self, key: &ApiKeyText, before: Option<&rows::ApiKey>) -> Option<&'static str> {
        if self.current.keys_of_others.contains(&key.id()) {
            return Some("this key belongs to another tenant; make one of this tenant's own");
        }
        let before = before?;
        if before.revoked_at.is_some() {
            return Some("this key was revoked, and that is for good; make a new one with `keywright api-key create`");
        }
        let stored: Option<[u8; 32]> = before.hash.as_slice().try_into().ok();
        let matches = stored.is_some_and(|stored| key.matches(&stored));
        (!matches).then_some("its id is known with another secret: the key was mistyped, or made up")
    }

    pub(super) fn unnamed_api_keys(&mut self, is_pruned: bool) {
        let (current, wanted) = (self.current, self.wanted);
        let replaced = |row: &rows::ApiKey| {
            wanted.api_keys.iter().any(|entry| entry.item.key.id().0 == row.id || entry.item.name == row.name)
        };
        for row in current.api_keys.iter().filter(|row| row.revoked_at.is_none() && !replaced(row)) {
            match is_pruned {
                true => {
                    let step = Step::RevokeApiKey(rows::ApiKey { revoked_at: Some(self.making.at()), ..row.clone() });
                    self.change(
                        What::ApiKey,
                        &row.name,
                        Action::Revoked,
                        vec!["not in the file".to_owned()],
                        Some(step),
                    );
                }
                false => {
                    let why = vec!["stays as it is; --prune revokes it".to_owned()];
                    self.change(What::ApiKey, &row.name, Action::WouldDelete, why, None);
                }
            }
        }
    }
}

/// The webhook secrets of connections that are not asked for, by provider, with the connection's code.
pub(super) fn webhook_secrets(current: &Current, wanted: &Wanted) -> BTreeMap<(String, String), String> {
    let is_wanted = |code: &String| wanted.connections.iter().any(|entry| entry.item.code == *code);
    let others = current.connections.iter().filter(|(code, _)| !is_wanted(code));
    others
        .flat_map(|(code, CurrentConnection { row, secrets, .. })| {
            let secrets = secrets.iter().flat_map(|secrets| &secrets.webhook);
            secrets.map(move |secret| ((row.provider.clone(), secret.clone()), code.clone()))
        })
        .collect()
}

/// What of a connection never changes.
fn fixed(before: &CurrentConnection, input: &ConnectionInput) -> Option<String> {
    let CurrentConnection { row, is_used, .. } = before;
    if row.provider != input.provider {
        return Some(format!("it is a connection of the provider {}, for good; choose another code", row.provider));
    }
    (*is_used && row.mode != input.mode.as_str())
        .then(|| format!("events came in by it in {} mode, which it keeps; choose another code", row.mode))
}

/// The secrets as they are to be: what is not given stays. None: what would stay does not open.
fn secrets(before: Option<&CurrentConnection>, input: &ConnectionInput) -> Option<ConnectionSecrets> {
    let given = |secret: &SecretString| secret.expose_secret().to_owned();
    let webhook = input.webhook_secrets.as_ref().map(|secrets| secrets.iter().map(given).collect());
    let api_key = input.api_key.as_ref().map(given);
    let client = |client: &OauthClient| OauthSecret { id: client.id.clone(), secret: given(&client.secret) };
    let oauth_client = input.oauth_client.as_ref().map(client);
    let is_all_given = webhook.is_some() && (api_key.is_some() || oauth_client.is_some());
    let kept = match before {
        Some(CurrentConnection { secrets: None, .. }) if !is_all_given => return None,
        Some(before) => before.secrets.clone().unwrap_or_default(),
        None => ConnectionSecrets::default(),
    };
    Some(ConnectionSecrets {
        webhook: webhook.unwrap_or(kept.webhook),
        api_key: api_key.or(kept.api_key),
        oauth_client: oauth_client.or(kept.oauth_client),
    })
}

/// The settings as they are to be. What is not asked for stays.
fn settings(before: Option<Settings>, input: &ConnectionInput) -> Settings {
    let mut settings = before.unwrap_or_default();
    settings.level = input.level;
    settings.write_back = input.write_back.unwrap_or(settings.write_back);
    settings.tolerance_seconds = input.tolerance_seconds.or(settings.tolerance_seconds);
    let AccountsInput { account, is_connected, is_platform, fee_ten_thousandths } = &input.accounts;
    let is_another = account.is_some() && *account != settings.account;
    settings.disconnected = match is_connected {
        Some(is_connected) => !is_connected,
        None => settings.disconnected && !is_another,
    };
    settings.account = account.clone().or(settings.account);
    settings.account_awaited &= settings.account.is_none() && input.api_key.is_none();
    settings.platform |= *is_platform;
    settings.fee_ten_thousandths = fee_ten_thousandths.or(settings.fee_ten_thousandths);
    settings.license_keys = input.license_keys.unwrap_or(settings.license_keys);
    settings.store = input.store.clone().or(settings.store);
    settings.plan_from_custom_data = input.plan_from_custom_data.unwrap_or(settings.plan_from_custom_data);
    settings
}

/// Why the store is missing: a key reads all that are in its account, and each of their sales would count here as well as at
/// its own connection. A simulated account has one.
fn wrong_with_store(input: &ConnectionInput, settings: &Settings) -> Option<(&'static str, String)> {
    let provider = providers::by_slug(&input.provider).filter(|provider| provider.has_stores())?;
    let is_missing = settings.store.is_none() && settings.level != Level::None && input.mode != Mode::Simulated;
    is_missing.then(|| {
        let message = format!(
            "a key to the API of {} reads all stores of the account; say with store = \"12345\" which one's sales these are",
            provider.info().name
        );
        ("store", message)
    })
}

/// Which settings are others than before.
fn changed_settings(before: &Settings, after: &Settings) -> [(&'static str, bool); 8] {
    let of_accounts = |kept: &Settings| (kept.account.clone(), kept.platform, kept.fee_ten_thousandths);
    [
        ("level", before.level != after.level),
        ("write_back", before.write_back != after.write_back),
        ("tolerance_seconds", before.tolerance_seconds != after.tolerance_seconds),
        ("account", of_accounts(before) != of_accounts(after)),
        ("connected", before.disconnected != after.disconnected),
        ("license_keys", before.license_keys != after.license_keys),
        ("store", before.store != after.store),
        ("plan_from_custom_data", before.plan_from_custom_data != after.plan_from_custom_data),
    ]
}
