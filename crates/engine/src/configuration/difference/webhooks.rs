//! Addresses to which events go, and how long deliveries are remembered.

use crypto::webhook::{EndpointSecrets, WebhookSecret};
use domain::{
    event::{EventStyle, WantedKinds},
    id::{TenantId, WebhookEndpointId},
    retry::Schedule,
    time::after,
};
use jiff::SignedDuration;
use secrecy::ExposeSecret;
use serde::Serialize;
use store::{rows, webhook_endpoints::status};

use super::{
    super::{
        Problem, check,
        input::{Entry, WebhookEndpointInput},
        report::{Action, Step, What},
        state::CurrentEndpoint,
    },
    Draft,
    catalogue::changed,
};
use crate::{
    retention::{KEPT_DAYS_MAX, kept_days},
    webhooks::OVERLAP_HOURS,
};

/// The most a tenant has: an event is written once for each.
const ENDPOINTS_MAX: usize = 50;

impl Draft<'_> {
    pub(super) fn deliveries_kept(&mut self, days: Option<u16>) {
        let tenant = &self.current.tenant;
        let Some(days) = days.filter(|days| *days != kept_days(tenant)) else { return };
        if !(1..=KEPT_DAYS_MAX).contains(&days) {
            self.problems.push(Problem {
                line: None,
                subject: "tenant".to_owned(),
                field: Some("deliveries_kept_days"),
                message: format!("deliveries are remembered for 1 to {KEPT_DAYS_MAX} days"),
            });
            return;
        }
        let step = Step::KeepDeliveries(TenantId(tenant.id), days);
        let details = vec![format!("deliveries_kept_days {days}")];
        self.change(What::Tenant, &tenant.slug, Action::Changed, details, Some(step));
    }

    pub(super) fn webhook_endpoint(&mut self, entry: &Entry<WebhookEndpointInput>) {
        let input = &entry.item;
        let code = &input.code;
        if !self.is_sound(entry, What::WebhookEndpoint, code, check::webhook_endpoint(input)) {
            return;
        }
        let before = self.current.webhook_endpoints.get(code);
        if let Some((field, message)) = self.refused_endpoint(before, input) {
            return self.wrong(entry, What::WebhookEndpoint, code, Some(field), message);
        }
        let (secrets, made) = self.endpoint_secrets(before, input);
        let Some(secrets) = secrets else {
            let message = "its secrets in the database do not open, so both must be given: secret and headers";
            return self.wrong(entry, What::WebhookEndpoint, code, None, message);
        };
        let row = self.endpoint_row(before, input);
        let is_same = before.is_some_and(|before| before.secrets.as_ref() == Some(&secrets));
        let details = before.map(|before| differences(before, &row, &secrets)).unwrap_or_default();
        let step = Step::WebhookEndpoint(row, Some(secrets).filter(|_| !is_same));
        self.compared(What::WebhookEndpoint, code, before.is_none(), details, step);
        if let Some(change) = self.changes.last_mut() {
            change.secret = made;
        }
    }

    /// Why an address cannot be, whatever else is right about it.
    fn refused_endpoint(
        &self,
        before: Option<&CurrentEndpoint>,
        input: &WebhookEndpointInput,
    ) -> Option<(&'static str, String)> {
        let is_new =
            |entry: &&Entry<WebhookEndpointInput>| !self.current.webhook_endpoints.contains_key(&entry.item.code);
        let count = self.current.webhook_endpoints.len() + self.wanted.webhook_endpoints.iter().filter(is_new).count();
        let mode = |is_live: bool| if is_live { "live" } else { "test" };
        match before {
            None if input.url.is_none() => Some(("url", "say where events are to go".to_owned())),
            None if count > ENDPOINTS_MAX => {
                Some(("code", format!("a tenant has {ENDPOINTS_MAX} webhook endpoints at most; remove one first")))
            }
            Some(CurrentEndpoint { row, .. }) if row.livemode != input.is_live => {
                let message = format!("it is told of {} mode, for good; choose another code", mode(row.livemode));
                Some(("mode", message))
            }
            _ => None,
        }
    }

    /// The secrets as they are to be, and one that was made for it. None: what would stay does not open.
    fn endpoint_secrets(
        &mut self,
        before: Option<&CurrentEndpoint>,
        input: &WebhookEndpointInput,
    ) -> (Option<EndpointSecrets>, Option<WebhookSecret>) {
        let is_all_given = input.secret.is_some() && input.headers.is_some();
        let mut secrets = match before {
            Some(CurrentEndpoint { secrets: Some(secrets), .. }) => secrets.clone(),
            Some(_) if !is_all_given => return (None, None),
            _ => EndpointSecrets::default(),
        };
        if let Some(headers) = &input.headers {
            let given =
                |(name, value): &(String, secrecy::SecretString)| (name.clone(), value.expose_secret().to_owned());
            secrets.headers = headers.iter().map(given).collect();
        }
        let is_current = |secret: &WebhookSecret| secrets.secrets.first().is_some_and(|first| first.secret == *secret);
        let mut made = None;
        let new = match &input.secret {
            Some(secret) => Some(secret.clone()).filter(|secret| !is_current(secret)),
            None if secrets.secrets.is_empty() => {
                made = Some(WebhookSecret::generate(self.making.entropy));
                made.clone()
            }
            None => None,
        };
        if let Some(secret) = new {
            let until = after(self.making.now, SignedDuration::from_hours(OVERLAP_HOURS.into()));
            secrets.replace(secret, self.making.at(), until.as_microsecond());
        }
        (Some(secrets), made)
    }

    fn endpoint_row(
        &mut self,
        before: Option<&CurrentEndpoint>,
        input: &WebhookEndpointInput,
    ) -> rows::WebhookEndpoint {
        let before = before.map_or_else(|| self.new_endpoint(input), |before| before.row.clone());
        let kinds = input.events.as_ref().map_or_else(|| before.kinds.clone(), written);
        let is_same = WantedKinds::stored(&kinds) == WantedKinds::stored(&before.kinds);
        let wants_since = if is_same { before.wants_since } else { self.making.at() };
        rows::WebhookEndpoint {
            url: input.url.clone().unwrap_or(before.url),
            kinds,
            wants_since,
            style: input.style.map_or(before.style, word),
            schedule: input.schedule.map_or(before.schedule, word),
            ordered: input.is_ordered.unwrap_or(before.ordered),
            ..before
        }
    }

    /// As it is to begin with.
    fn new_endpoint(&mut self, input: &WebhookEndpointInput) -> rows::WebhookEndpoint {
        rows::WebhookEndpoint {
            id: self.making.id(),
            tenant_id: self.current.tenant.id,
            livemode: input.is_live,
            code: input.code.clone(),
            url: String::new(),
            kinds: written(&WantedKinds::default()),
            style: word(EventStyle::default()),
            schedule: word(Schedule::default()),
            ordered: false,
            status: status::ENABLED.to_owned(),
            reason: None,
            sealed: Vec::new(),
            sealed_by: String::new(),
            wants_since: self.making.at(),
            failing_since: None,
            warned_at: None,
            lease_token: None,
            lease_until: None,
            created_at: self.making.at(),
        }
    }

    pub(super) fn remove_endpoint(&mut self, id: WebhookEndpointId) {
        let current = self.current;
        if let Some(found) = current.webhook_endpoints.values().find(|endpoint| endpoint.row.id == id.0) {
            let step = Step::RemoveWebhookEndpoint(found.row.clone());
            self.change(What::WebhookEndpoint, &found.row.code, Action::Deleted, Vec::new(), Some(step));
        }
    }

    pub(super) fn unnamed_endpoints(&mut self, is_pruned: bool) {
        let current = self.current;
        for (code, CurrentEndpoint { row, .. }) in &current.webhook_endpoints {
            if self.met.contains(&(What::WebhookEndpoint.as_str(), code.clone())) {
                continue;
            }
            let (action, why, step) = match is_pruned {
                true => (Action::Deleted, "not in the file", Some(Step::RemoveWebhookEndpoint(row.clone()))),
                false => (Action::WouldDelete, "stays as it is; --prune deletes it", None),
            };
            self.change(What::WebhookEndpoint, code, action, vec![why.to_owned()], step);
        }
    }
}

fn differences(before: &CurrentEndpoint, row: &rows::WebhookEndpoint, secrets: &EndpointSecrets) -> Vec<String> {
    let CurrentEndpoint { row: old, secrets: kept } = before;
    changed(&[
        ("url", old.url != row.url),
        ("events", old.kinds != row.kinds),
        ("style", old.style != row.style),
        ("schedule", old.schedule != row.schedule),
        ("ordered", old.ordered != row.ordered),
        ("headers", kept.as_ref().is_none_or(|kept| kept.headers != secrets.headers)),
        ("secret", kept.as_ref().is_none_or(|kept| kept.secrets != secrets.secrets)),
    ])
}

/// A word as it is stored.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn written(kinds: &WantedKinds) -> String {
    serde_json::to_string(kinds).unwrap_or_default()
}
