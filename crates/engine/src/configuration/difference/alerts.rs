//! The ways by which alerts reach people.

use crypto::webhook::AlertTarget;
use domain::{alert::ChannelKind, id::AlertChannelId};
use secrecy::ExposeSecret;
use store::rows;

use super::{
    super::{
        check,
        input::{AlertInput, Entry},
        report::{Action, Step, What},
        state::CurrentAlert,
    },
    Draft,
    catalogue::changed,
};
use crate::alerts::hint;

impl Draft<'_> {
    pub(super) fn alert(&mut self, entry: &Entry<AlertInput>) {
        let input = &entry.item;
        let code = &input.code;
        if !self.is_sound(entry, What::AlertChannel, code, check::alert(input)) {
            return;
        }
        let before = self.current.alerts.get(code);
        if let Some(message) = before.and_then(|before| fixed(before, input)) {
            return self.wrong(entry, What::AlertChannel, code, None, message);
        }
        let kept = before.and_then(|before| before.target.clone());
        let given = input.to.as_ref().map(|to| to.expose_secret().to_owned());
        let Some(to) = given.or_else(|| kept.as_ref().map(|kept| kept.to.clone())) else {
            let message = "it says nowhere to which address alerts go";
            return self.wrong(entry, What::AlertChannel, code, Some("to"), message);
        };
        let secret = input.secret.clone().or_else(|| kept.as_ref().and_then(|kept| kept.secret.clone()));
        if input.kind == ChannelKind::Webhook && secret.is_none() {
            let message = "calls are signed, and there is no secret that signs them: say where one is found, as \
                \"env:NAME\"; it is whsec_ and 24 to 64 bytes in base64";
            return self.wrong(entry, What::AlertChannel, code, Some("secret"), message);
        }
        let target = AlertTarget { to, secret };
        let row = rows::AlertChannel {
            id: before.map_or_else(|| self.making.id(), |before| before.row.id),
            tenant_id: self.current.tenant.id,
            livemode: input.livemode,
            code: code.clone(),
            kind: input.kind.as_str().to_owned(),
            hint: hint(input.kind, &target.to),
            items: serde_json::json!(input.items).to_string(),
            // Sealed when it is written; the right to use it is kept.
            sealed: before.map(|before| before.row.sealed.clone()).unwrap_or_default(),
            sealed_by: before.map(|before| before.row.sealed_by.clone()).unwrap_or_default(),
            lease_token: None,
            lease_until: None,
            created_at: before.map_or_else(|| self.making.at(), |before| before.row.created_at),
        };
        let mut details = Vec::new();
        if let Some(CurrentAlert { row: before, .. }) = before {
            details = changed(&[
                ("to", kept.as_ref().is_none_or(|kept| kept.to != target.to)),
                ("items", before.items != row.items),
                ("secret", kept.as_ref().is_none_or(|kept| kept.secret != target.secret)),
            ]);
        }
        let is_same = kept.is_some_and(|kept| kept == target);
        let step = Step::AlertChannel(row, Some(target).filter(|_| !is_same));
        self.compared(What::AlertChannel, code, before.is_none(), details, step);
    }

    pub(super) fn remove_alert(&mut self, id: AlertChannelId) {
        let current = self.current;
        if let Some(found) = current.alerts.values().find(|alert| alert.row.id == id.0) {
            let step = Step::RemoveAlertChannel(found.row.clone());
            self.change(What::AlertChannel, &found.row.code, Action::Deleted, Vec::new(), Some(step));
        }
    }

    pub(super) fn unnamed_alerts(&mut self, is_pruned: bool) {
        let current = self.current;
        for (code, CurrentAlert { row, .. }) in &current.alerts {
            if self.met.contains(&(What::AlertChannel.as_str(), code.clone())) {
                continue;
            }
            match is_pruned {
                true => {
                    let step = Step::RemoveAlertChannel(row.clone());
                    let why = vec!["not in the file".to_owned()];
                    self.change(What::AlertChannel, code, Action::Deleted, why, Some(step));
                }
                false => {
                    let why = vec!["stays as it is; --prune deletes it".to_owned()];
                    self.change(What::AlertChannel, code, Action::WouldDelete, why, None);
                }
            }
        }
    }
}

/// What of a channel never changes.
fn fixed(before: &CurrentAlert, input: &AlertInput) -> Option<String> {
    let row = &before.row;
    if row.kind != input.kind.as_str() {
        return Some(format!("it is a channel of the kind {}, for good; choose another code", row.kind));
    }
    (row.livemode != input.livemode)
        .then(|| "it is a channel of the other mode, for good; choose another code".to_owned())
}
