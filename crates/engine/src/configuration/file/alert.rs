//! Ways by which alerts reach people, in a file.

use std::collections::BTreeSet;

use domain::alert::ChannelKind;
use serde::Deserialize;

use super::{
    super::{input::AlertInput, secret::SecretSource},
    Reader, SectionMode,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertSection {
    code: String,
    kind: ChannelKind,
    /// An address to which mails go is no secret, and may stand here itself.
    to: String,
    #[serde(default)]
    mode: SectionMode,
    #[serde(default)]
    items: BTreeSet<String>,
    secret: Option<SecretSource>,
}

impl Reader<'_> {
    pub(super) fn alert(&mut self, line: usize, section: &AlertSection) -> Option<AlertInput> {
        let AlertSection { code, kind, to, mode, items, secret } = section;
        let subject = format!("alert channel `{code}`");
        let to = match (to.split_once(':'), kind) {
            (Some(("env" | "file", _)), _) => self.secret(line, &subject, "to", &SecretSource(to.clone()))?,
            (_, ChannelKind::Mail) => to.clone(),
            _ => {
                let message = "an address that is called may hold a token; say where it is found, as \"env:NAME\" or \"file:PATH\"";
                self.wrong(line, &subject, Some("to"), message);
                return None;
            }
        };
        let secret = self.webhook_secret(line, &subject, secret.as_ref()).ok()?;
        Some(AlertInput {
            code: code.clone(),
            livemode: *mode == SectionMode::Live,
            kind: *kind,
            to: Some(to.into()),
            items: items.clone(),
            secret,
        })
    }
}
