//! What was changed, for the audit log and for people.

use std::fmt;

use crypto::webhook::{AlertTarget, EndpointSecrets, WebhookSecret};
use domain::id::{AlertChannelId, ApiKeyId, ConnectionId, PlanId, PriceRuleId, ProductId, TenantId, WebhookEndpointId};
use serde::Serialize;
use store::rows;

use crate::connections::ConnectionSecrets;

/// What a change is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The vendor's account.
    Tenant,
    /// A product.
    Product,
    /// A plan.
    Plan,
    /// A connection.
    Connection,
    /// A price rule.
    PriceRule,
    /// An API key.
    ApiKey,
    /// An address to which events go.
    WebhookEndpoint,
    /// A way by which alerts reach people.
    AlertChannel,
}

impl What {
    /// The word for it in the audit log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Product => "product",
            Self::Plan => "plan",
            Self::Connection => "connection",
            Self::PriceRule => "price_rule",
            Self::ApiKey => "api_key",
            Self::WebhookEndpoint => "webhook_endpoint",
            Self::AlertChannel => "alert_channel",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PriceRule => "price rule",
            Self::ApiKey => "API key",
            Self::WebhookEndpoint => "webhook endpoint",
            Self::AlertChannel => "alert channel",
            other => other.as_str(),
        })
    }
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was not there.
    Created,
    /// It is another one now.
    Changed,
    /// It is as it is asked for.
    Unchanged,
    /// It is gone.
    Deleted,
    /// It opens nothing any more.
    Revoked,
    /// It is not asked for, and would go if it were pruned.
    WouldDelete,
    /// It is not asked for, and stays because something may stand on it.
    Kept,
}

impl Action {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Revoked => "revoked",
            Self::WouldDelete => "not named",
            Self::Kept => "kept",
        }
    }

    /// Whether anything is written for it.
    #[must_use]
    pub const fn is_change(self) -> bool {
        matches!(self, Self::Created | Self::Changed | Self::Deleted | Self::Revoked)
    }
}

/// One thing, and what happens to it.
#[derive(Clone, Debug)]
pub struct ConfigurationChange {
    /// What it is.
    pub what: What,
    /// The vendor's name for it.
    pub name: String,
    /// Its id. None for what stays and was not asked for.
    pub id: Option<String>,
    /// What happens.
    pub action: Action,
    /// Which parts of it, or why not.
    pub details: Vec<String>,
    /// A secret that was made for it. It is shown this once.
    pub secret: Option<WebhookSecret>,
    /// What is written.
    pub(super) step: Option<Step>,
}

/// What is written for a change.
#[derive(Clone, Debug)]
pub(super) enum Step {
    RenameTenant(TenantId, String),
    KeepDeliveries(TenantId, u16),
    Product(rows::Product),
    Plan(rows::Plan),
    /// The secrets where they are to be sealed anew.
    Connection(rows::Connection, Option<ConnectionSecrets>),
    PriceRule(rows::PriceRule),
    DeletePriceRule(rows::PriceRule),
    ApiKey(rows::ApiKey),
    /// The one that goes, with another name, and the one that takes it.
    ReplaceApiKey(rows::ApiKey, rows::ApiKey),
    RevokeApiKey(rows::ApiKey),
    /// The secrets where they are to be sealed anew.
    WebhookEndpoint(rows::WebhookEndpoint, Option<EndpointSecrets>),
    RemoveWebhookEndpoint(rows::WebhookEndpoint),
    /// Where its target is to be sealed anew, that as well.
    AlertChannel(rows::AlertChannel, Option<AlertTarget>),
    RemoveAlertChannel(rows::AlertChannel),
}

impl Step {
    /// The id of what it is about.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::RenameTenant(tenant, _) | Self::KeepDeliveries(tenant, _) => tenant.to_string(),
            Self::Product(row) => ProductId(row.id).to_string(),
            Self::Plan(row) => PlanId(row.id).to_string(),
            Self::Connection(row, _) => ConnectionId(row.id).to_string(),
            Self::PriceRule(row) | Self::DeletePriceRule(row) => PriceRuleId(row.id).to_string(),
            Self::ApiKey(row) | Self::ReplaceApiKey(_, row) | Self::RevokeApiKey(row) => ApiKeyId(row.id).to_string(),
            Self::WebhookEndpoint(row, _) | Self::RemoveWebhookEndpoint(row) => WebhookEndpointId(row.id).to_string(),
            Self::AlertChannel(row, _) | Self::RemoveAlertChannel(row) => AlertChannelId(row.id).to_string(),
        }
    }

    /// Whether orders are decided by it.
    pub(super) const fn is_of_catalogue(&self) -> bool {
        matches!(self, Self::Product(_) | Self::Plan(_) | Self::PriceRule(_) | Self::DeletePriceRule(_))
    }
}

impl fmt::Display for ConfigurationChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9} {} {}", self.action.as_str(), self.what, self.name)?;
        if !self.details.is_empty() {
            write!(f, ": {}", self.details.join(", "))?;
        }
        Ok(())
    }
}

/// What came of applying.
#[derive(Clone, Debug)]
pub struct ApplyReport {
    /// Everything that was asked for, and what is not named, in the order of the file.
    pub changes: Vec<ConfigurationChange>,
    /// Orders that waited and are looked at again.
    pub woken: usize,
}

impl ApplyReport {
    /// Whether anything was written.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.changes.iter().any(|change| change.action.is_change())
    }

    /// How many things this happened to.
    #[must_use]
    pub fn count(&self, action: Action) -> usize {
        self.changes.iter().filter(|change| change.action == action).count()
    }
}

impl fmt::Display for ApplyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in self.changes.iter().filter(|change| change.action != Action::Unchanged) {
            writeln!(f, "{change}")?;
        }
        for (change, secret) in self.changes.iter().filter_map(|change| Some((change, change.secret.as_ref()?))) {
            writeln!(f, "{} {} signs with {}, shown this once", change.what, change.name, secret.reveal())?;
        }
        let counts = [Action::Created, Action::Changed, Action::Deleted, Action::Revoked, Action::Unchanged];
        let counts = counts.map(|action| (action, self.count(action)));
        let words: Vec<String> = counts
            .iter()
            .filter(|(action, count)| *count > 0 || *action == Action::Unchanged)
            .map(|(action, count)| format!("{count} {}", action.as_str()))
            .collect();
        writeln!(f, "{}", words.join(", "))?;
        match self.woken {
            0 => Ok(()),
            1 => writeln!(f, "1 waiting order is looked at again"),
            many => writeln!(f, "{many} waiting orders are looked at again"),
        }
    }
}
