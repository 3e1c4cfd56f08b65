//! The thin shell: what the difference says is written, in one transaction.

use std::collections::BTreeSet;

use domain::{
    decision::Matcher,
    id::{AlertChannelId, AuditId, ConnectionId, OrderId, PriceRuleId, TenantId, WebhookEndpointId},
};
use jiff::Timestamp;
use providers::{Level, Settings};
use serde_json::json;
use store::{StoreError, Write, rows};

use super::{
    ConfigurationError, ConfigurationFile,
    difference::{Making, difference},
    file::Secrets,
    input::{
        AlertInput, ConnectionInput, Existing, PlanInput, PriceRuleInput, ProductInput, Unnamed, Wanted,
        WebhookEndpointInput,
    },
    report::{Action, ApplyReport, ConfigurationChange, Step, What},
    state::Current,
};
use crate::{
    Engine, Error,
    attention::{KEY_AWAITED, KEY_REFUSED, LINES_UNKNOWN, NO_ADDRESS, UNMAPPED_PRICE},
    catchup, connected_accounts as accounts,
    connections::seal_secrets,
    rulings::By,
    webhooks,
};

/// Who asks, and what for.
pub(super) struct Asked<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) by: &'a By,
    pub(super) existing: Existing,
    /// A file as a whole has an audit entry of its own.
    pub(super) is_file: bool,
}

impl Engine {
    /// Brings a tenant's configuration in line with a file. Twice changes nothing. Without `prune` nothing is taken away.
    /// `secrets` finds what `env:NAME` and `file:PATH` name.
    ///
    /// # Errors
    /// [`ConfigurationError::Problems`] with everything that cannot be, or those of the database. Nothing was changed then.
    pub async fn apply(
        &self,
        file: &ConfigurationFile,
        secrets: &(dyn Fn(&str) -> Result<String, String> + Sync),
        prune: bool,
        actor: &str,
    ) -> Result<ApplyReport, ConfigurationError> {
        let wanted = file.wanted(secrets as Secrets<'_>, prune)?;
        let (tenant, is_new) = self.tenant_of(file, &wanted).await?;
        let by = By::from(actor);
        let asked = Asked { wanted: &wanted, by: &by, existing: Existing::Either, is_file: true };
        let mut report = self.change(tenant, &asked).await?;
        if is_new {
            let name = format!("`{}`", file.tenant_slug());
            let created = ConfigurationChange {
                what: What::Tenant,
                name,
                id: Some(tenant.to_string()),
                action: Action::Created,
                details: Vec::new(),
                secret: None,
                step: None,
            };
            report.changes.insert(0, created);
        }
        Ok(report)
    }

    /// The tenant of a file. It is made only if everything in the file can be.
    async fn tenant_of(
        &self,
        file: &ConfigurationFile,
        wanted: &Wanted,
    ) -> Result<(TenantId, bool), ConfigurationError> {
        let slug = file.tenant_slug();
        if let Some(tenant) = self.tenant(slug).await? {
            return Ok((tenant, false));
        }
        file.check_slug()?;
        let name = file.tenant_name().unwrap_or(slug);
        let making = Making { now: self.now(), entropy: &mut *self.entropy(), actor: "" };
        difference(&Current::of_new_tenant(slug, name), wanted, making).map_err(ConfigurationError::Problems)?;
        self.check_addresses(None, wanted).await?;
        Ok((self.ensure_tenant(slug, name).await?, true))
    }

    /// Has a tenant's deliveries, events and alerts remembered for so many days.
    ///
    /// # Errors
    /// It is less than a day or more than ten years, or those of the database.
    pub async fn keep_deliveries(
        &self,
        tenant: TenantId,
        days: u16,
        by: impl Into<By>,
    ) -> Result<(), ConfigurationError> {
        let wanted = Wanted { deliveries_kept_days: Some(days), ..Wanted::default() };
        let by = by.into();
        self.change(tenant, &Asked { wanted: &wanted, by: &by, existing: Existing::Either, is_file: false }).await?;
        Ok(())
    }

    /// Makes or changes a product.
    ///
    /// # Errors
    /// It cannot be so, or those of the database.
    pub async fn save_product(
        &self,
        tenant: TenantId,
        input: ProductInput,
        existing: Existing,
        actor: &str,
    ) -> Result<ConfigurationChange, ConfigurationError> {
        self.change_one(tenant, Wanted { products: vec![input.into()], ..Wanted::default() }, existing, actor).await
    }

    /// Makes a plan, or a new version of one.
    ///
    /// # Errors
    /// It cannot be so, or those of the database.
    pub async fn save_plan(
        &self,
        tenant: TenantId,
        input: PlanInput,
        existing: Existing,
        actor: &str,
    ) -> Result<ConfigurationChange, ConfigurationError> {
        self.change_one(tenant, Wanted { plans: vec![input.into()], ..Wanted::default() }, existing, actor).await
    }

    /// Makes or changes a connection.
    ///
    /// # Errors
    /// It cannot be so, or those of the database.
    pub async fn save_connection(
        &self,
        tenant: TenantId,
        input: ConnectionInput,
        existing: Existing,
        actor: &str,
    ) -> Result<ConfigurationChange, ConfigurationError> {
        self.change_one(tenant, Wanted { connections: vec![input.into()], ..Wanted::default() }, existing, actor).await
    }

    /// Makes or changes a price rule. Orders that waited for it are looked at again.
    ///
    /// # Errors
    /// It cannot be so, or those of the database.
    pub async fn save_price_rule(
        &self,
        tenant: TenantId,
        input: PriceRuleInput,
        existing: Existing,
        by: impl Into<By>,
    ) -> Result<ConfigurationChange, ConfigurationError> {
        self.change_one(tenant, Wanted { price_rules: vec![input.into()], ..Wanted::default() }, existing, by).await
    }

    /// Takes a price rule away. What it decided stays decided.
    ///
    /// # Errors
    /// There is none, or those of the database.
    pub async fn delete_price_rule(
        &self,
        tenant: TenantId,
        rule: PriceRuleId,
        by: impl Into<By>,
    ) -> Result<ConfigurationChange, ConfigurationError> {
        let wanted = Wanted { removed_rules: vec![rule], ..Wanted::default() };
        match self.change_one(tenant, wanted, Existing::Either, by).await {
            Err(ConfigurationError::Missing(what, _)) => Err(ConfigurationError::Missing(what, rule.to_string())),
            other => other,
        }
    }

    /// Makes or changes an address to which events go. One that is new has a secret made, which is in the change and shown
    /// never again.
    ///
    /// # Errors
    /// It cannot be so, webhooks may not go there, or those of the database.
    pub async fn save_webhook_endpoint(
        &self,
        tenant: TenantId,
        input: WebhookEndpointInput,
        existing: Existing,
        by: impl Into<By>,
    ) -> Result<ConfigurationChange, ConfigurationError> {
        let wanted = Wanted { webhook_endpoints: vec![input.into()], ..Wanted::default() };
        self.change_one(tenant, wanted, existing, by).await
    }

    /// Takes an address away, with all that is known of its deliveries.
    ///
    /// # Errors
    /// There is none, or those of the database.
    pub async fn remove_webhook_endpoint(
        &self,
        tenant: TenantId,
        id: WebhookEndpointId,
        by: impl Into<By>,
    ) -> Result<ConfigurationChange, ConfigurationError> {
        let wanted = Wanted { removed_endpoints: vec![id], ..Wanted::default() };
        match self.change_one(tenant, wanted, Existing::Either, by).await {
            Err(ConfigurationError::Missing(..)) => {
                Err(ConfigurationError::Missing(What::WebhookEndpoint, id.to_string()))
            }
            other => other,
        }
    }

    /// Makes or changes a way by which alerts reach people.
    ///
    /// # Errors
    /// It cannot be so, or those of the database.
    pub async fn save_alert_channel(
        &self,
        tenant: TenantId,
        input: AlertInput,
        existing: Existing,
        actor: &str,
    ) -> Result<ConfigurationChange, ConfigurationError> {
        self.change_one(tenant, Wanted { alerts: vec![input.into()], ..Wanted::default() }, existing, actor).await
    }

    /// Takes a way by which alerts reach people away, with the alerts that still wait there.
    ///
    /// # Errors
    /// There is none, or those of the database.
    pub async fn delete_alert_channel(
        &self,
        tenant: TenantId,
        channel: AlertChannelId,
        actor: &str,
    ) -> Result<ConfigurationChange, ConfigurationError> {
        let wanted = Wanted { removed_alerts: vec![channel], ..Wanted::default() };
        match self.change_one(tenant, wanted, Existing::Either, actor).await {
            Err(ConfigurationError::Missing(..)) => {
                Err(ConfigurationError::Missing(What::AlertChannel, channel.to_string()))
            }
            other => other,
        }
    }

    async fn change_one(
        &self,
        tenant: TenantId,
        wanted: Wanted,
        existing: Existing,
        by: impl Into<By>,
    ) -> Result<ConfigurationChange, ConfigurationError> {
        let by = by.into();
        let report = self.change(tenant, &Asked { wanted: &wanted, by: &by, existing, is_file: false }).await?;
        let one = report.changes.into_iter().next();
        one.ok_or_else(|| ConfigurationError::Missing(What::PriceRule, String::new()))
    }

    pub(super) async fn change(&self, tenant: TenantId, asked: &Asked<'_>) -> Result<ApplyReport, ConfigurationError> {
        self.check_addresses(Some(tenant), asked.wanted).await?;
        let once = || self.change_once(tenant, asked);
        let report = store::repeat(once, ConfigurationError::is_conflict).await?;
        if report.is_change() {
            self.configuration_changed();
        }
        Ok(report)
    }

    async fn change_once(&self, tenant: TenantId, asked: &Asked<'_>) -> Result<ApplyReport, ConfigurationError> {
        let now = self.now();
        let write = self.store.begin().await?;
        let row = write.lock_catalogue(tenant).await?;
        let row = row.ok_or_else(|| ConfigurationError::Missing(What::Tenant, tenant.to_string()))?;
        let current = Current::read(&write, row, asked.wanted, &self.ring()).await?;
        let making = Making { now, entropy: &mut *self.entropy(), actor: &asked.by.actor };
        let changes = difference(&current, asked.wanted, making).map_err(ConfigurationError::Problems)?;
        check_existing(asked.existing, &changes)?;
        let mut report = ApplyReport { changes, woken: 0 };
        if !report.is_change() {
            return Ok(report);
        }
        for step in report.changes.iter().filter_map(|change| change.step.clone()) {
            self.make(&write, step, &asked.by.actor).await?;
        }
        if report.changes.iter().any(|change| change.step.as_ref().is_some_and(Step::is_of_catalogue)) {
            write.catalogue_changed(tenant).await?;
        }
        let is_sold_by = |step: &Step| matches!(step, Step::Plan(_) | Step::Connection(..));
        if report.changes.iter().filter_map(|change| change.step.as_ref()).any(is_sold_by) {
            self.follow_prices(&write, tenant, now).await?;
        }
        let waiting = waiting(&write, &current, &report.changes).await?;
        write.wake_orders(&waiting, now).await?;
        report.woken = waiting.len();
        crate::audit::add(&write, self.audit(tenant, asked, &report.changes, now)).await?;
        fail::fail_point!("configure-before-commit");
        write.commit().await?;
        Ok(report)
    }

    async fn make(&self, write: &Write, step: Step, actor: &str) -> Result<(), Error> {
        match step {
            Step::RenameTenant(tenant, name) => write.rename_tenant(tenant, &name).await?,
            Step::KeepDeliveries(tenant, days) => write.keep_deliveries(tenant, days).await?,
            Step::Product(row) => write.save_product(row).await?,
            Step::Plan(row) => write.save_plan(row).await?,
            Step::Connection(mut row, secrets) => {
                if let Some(secrets) = secrets {
                    seal_secrets(&mut row, &secrets, &self.ring(), &mut *self.entropy())?;
                }
                if !may_ask(&row) {
                    catchup::stop_reading(write, &row, self.now()).await?;
                }
                write.save_connection(row.clone()).await.map_err(|error| taken_meanwhile(error, &row))?;
                let asked_with_it = accounts::asked_with(write, &row).await?;
                write.retry_calls(asked_with_it.clone(), self.now()).await?;
                if may_ask(&row) {
                    let by = By::from(actor);
                    self.ask_what_was_refused(write, asked_with_it, &by).await?;
                }
                self.note_connected(write, &row).await?;
            }
            Step::PriceRule(row) => write.save_price_rule(row).await?,
            Step::DeletePriceRule(row) => write.delete_price_rule(&row).await?,
            Step::ApiKey(row) | Step::RevokeApiKey(row) => write.save_api_key(row).await?,
            Step::AlertChannel(row, target) => self.make_alert_channel(write, row, target).await?,
            Step::RemoveAlertChannel(row) => self.remove_alert_channel(write, &row).await?,
            Step::ReplaceApiKey(old, new) => {
                write.save_api_key(old).await?;
                write.save_api_key(new).await?;
            }
            Step::WebhookEndpoint(mut row, secrets) => {
                if let Some(secrets) = secrets {
                    webhooks::seal(&mut row, &secrets, &self.ring(), &mut *self.entropy())?;
                }
                write.save_endpoint(row).await?;
            }
            Step::RemoveWebhookEndpoint(row) => self.remove_endpoint(write, &row).await?,
        }
        Ok(())
    }

    fn audit(
        &self,
        tenant: TenantId,
        asked: &Asked<'_>,
        changes: &[ConfigurationChange],
        now: Timestamp,
    ) -> Vec<rows::AuditEntry> {
        let mut entropy = self.entropy();
        let mut entry = |action: String, subject: String, detail: serde_json::Value| rows::AuditEntry {
            id: AuditId::new(now, &mut *entropy).0,
            tenant_id: tenant.0,
            occurred_at: now.as_microsecond(),
            actor: asked.by.actor.clone(),
            action,
            subject,
            order_id: None,
            license_id: None,
            detail: detail.to_string(),
            // Numbered and chained when it is added.
            sequence: 0,
            chain: Vec::new(),
        };
        let mut entries = Vec::new();
        for (change, step) in changes.iter().filter_map(|change| Some((change, change.step.as_ref()?))) {
            let action = format!("{}.{}", change.what.as_str(), change.action.as_str());
            let mut detail = json!({ "name": change.name, "details": change.details });
            if let Some(note) = &asked.by.note {
                detail["note"] = json!(note);
            }
            entries.push(entry(action, step.subject(), detail));
        }
        if asked.is_file {
            let lines = changes.iter().filter(|change| change.action.is_change()).map(ToString::to_string);
            let detail =
                json!({ "changes": lines.collect::<Vec<_>>(), "pruned": asked.wanted.unnamed == Unnamed::Pruned });
            entries.push(entry("configuration.applied".to_owned(), tenant.to_string(), detail));
        }
        entries
    }
}

/// Another tenant may have named the same account since others' were read: read again, it is said whose it is.
fn taken_meanwhile(error: StoreError, row: &rows::Connection) -> StoreError {
    match error {
        StoreError::Duplicate(_) if row.account.is_some() => StoreError::changed_meanwhile("whose account it is"),
        error => error,
    }
}

/// Whether a connection may look things up. Its level alone says so: the others cannot be had without a key.
fn may_ask(row: &rows::Connection) -> bool {
    serde_json::from_str::<Settings>(&row.settings).is_ok_and(|settings| settings.level != Level::None)
}

fn check_existing(existing: Existing, changes: &[ConfigurationChange]) -> Result<(), ConfigurationError> {
    for ConfigurationChange { what, name, action, .. } in changes {
        match (existing, action) {
            (Existing::New, Action::Changed | Action::Unchanged) => {
                return Err(ConfigurationError::Exists(*what, name.clone()));
            }
            (Existing::There, Action::Created) => return Err(ConfigurationError::Missing(*what, name.clone())),
            _ => {}
        }
    }
    Ok(())
}

/// The orders whose wait may be over: a rule may speak of their price now, metadata name a plan that is there now, or
/// buyers come for their keys now.
async fn waiting(
    write: &Write,
    current: &Current,
    changes: &[ConfigurationChange],
) -> Result<BTreeSet<OrderId>, Error> {
    let mut at: BTreeSet<(ConnectionId, Option<String>)> = BTreeSet::new();
    let mut orders = BTreeSet::new();
    for change in changes {
        match &change.step {
            Some(Step::PriceRule(rule) | Step::DeletePriceRule(rule)) => {
                let price = match store::catalogue::matcher(&rule.matcher_kind, &rule.matcher_value) {
                    Matcher::Price(price) => Some(price.to_string()),
                    Matcher::Product(_) | Matcher::Default => None,
                };
                at.insert((ConnectionId(rule.connection_id), price));
            }
            Some(Step::Plan(_)) if change.action == Action::Created => {
                at.extend(current.connections.values().map(|connection| (ConnectionId(connection.row.id), None)));
            }
            Some(Step::Connection(row, secrets)) => {
                let expects_buyers = secrets.as_ref().is_some_and(|secrets| secrets.oauth_client.is_some());
                // Its keys may be ours from now on, and who waits for one gets it.
                let kinds = [KEY_AWAITED, KEY_REFUSED].into_iter().chain(expects_buyers.then_some(NO_ADDRESS));
                for kind in kinds {
                    orders.extend(write.orders_waiting_for(ConnectionId(row.id), kind, None).await?);
                }
            }
            _ => {}
        }
    }
    for (connection, price) in at {
        orders.extend(write.orders_waiting_for(connection, UNMAPPED_PRICE, price.map(|price| vec![price])).await?);
        orders.extend(write.orders_waiting_for(connection, LINES_UNKNOWN, None).await?);
    }
    Ok(orders)
}
