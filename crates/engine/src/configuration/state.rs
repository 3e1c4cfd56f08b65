//! What is there, as far as a change of the configuration rests on it.

use std::collections::{BTreeMap, BTreeSet};

use crypto::{
    ring::KeyRing,
    webhook::{AlertTarget, EndpointSecrets},
};
use domain::id::{ApiKeyId, TenantId};
use store::{Write, rows};

use super::{ConfigurationError, input::Wanted};
use crate::accounts::AccountStatus;
use crate::connections::{ConnectionSecrets, account_of, open_secrets};
use crate::webhooks;

/// A connection with its secrets.
#[derive(Debug)]
pub(super) struct CurrentConnection {
    pub(super) row: rows::Connection,
    /// None: they do not open.
    pub(super) secrets: Option<ConnectionSecrets>,
    /// Whether an event ever came in by it.
    pub(super) is_used: bool,
}

/// An address to which events go, with its secrets.
#[derive(Debug)]
pub(super) struct CurrentEndpoint {
    pub(super) row: rows::WebhookEndpoint,
    /// None: they do not open.
    pub(super) secrets: Option<EndpointSecrets>,
}

/// A way by which alerts reach people, with its address.
#[derive(Debug)]
pub(super) struct CurrentAlert {
    pub(super) row: rows::AlertChannel,
    /// None: it does not open.
    pub(super) target: Option<AlertTarget>,
}

/// The configuration of a tenant, by the vendor's codes.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) tenant: rows::Tenant,
    pub(super) products: BTreeMap<String, rows::Product>,
    /// Each in its latest version.
    pub(super) plans: BTreeMap<String, rows::Plan>,
    pub(super) connections: BTreeMap<String, CurrentConnection>,
    pub(super) rules: Vec<rows::PriceRule>,
    /// Connection and name of the prices that this server has made. Their rules are its own.
    pub(super) made_prices: BTreeSet<(uuid::Uuid, String)>,
    pub(super) api_keys: Vec<rows::ApiKey>,
    pub(super) webhook_endpoints: BTreeMap<String, CurrentEndpoint>,
    pub(super) alerts: BTreeMap<String, CurrentAlert>,
    /// Wanted API keys that are another tenant's.
    pub(super) keys_of_others: BTreeSet<ApiKeyId>,
    /// Provider, mode and name of the accounts that are connected to other tenants.
    pub(super) accounts_of_others: BTreeSet<(String, String, String)>,
}

impl Current {
    /// That of a tenant that is about to be made.
    pub(super) fn of_new_tenant(slug: &str, name: &str) -> Self {
        Self {
            tenant: rows::Tenant {
                id: uuid::Uuid::nil(),
                slug: slug.to_owned(),
                name: name.to_owned(),
                status: AccountStatus::Active.as_str().to_owned(),
                account: "{}".to_owned(),
                catalogue_revision: 0,
                test_clock_ahead: 0,
                deliveries_kept_days: None,
                requires_second_factor: false,
                created_at: 0,
            },
            products: BTreeMap::new(),
            plans: BTreeMap::new(),
            connections: BTreeMap::new(),
            rules: Vec::new(),
            made_prices: BTreeSet::new(),
            api_keys: Vec::new(),
            webhook_endpoints: BTreeMap::new(),
            alerts: BTreeMap::new(),
            keys_of_others: BTreeSet::new(),
            accounts_of_others: BTreeSet::new(),
        }
    }

    /// Reads it, and keeps others from changing it until the transaction ends.
    pub(super) async fn read(
        write: &Write,
        tenant: rows::Tenant,
        wanted: &Wanted,
        ring: &KeyRing,
    ) -> Result<Self, ConfigurationError> {
        let id = TenantId(tenant.id);
        let connections = write.lock_connections(id).await?;
        let used = write.connections_with_events(connections.iter().map(|row| row.id).collect()).await?;
        let connections = connections.into_iter().map(|row| {
            let secrets = open_secrets(&row, ring).ok();
            (row.code.clone(), CurrentConnection { secrets, is_used: used.contains(&row.id), row })
        });
        let endpoints = write.endpoints_of(&BTreeSet::from([id])).await?.into_iter();
        let endpoints =
            endpoints.map(|row| (row.code.clone(), CurrentEndpoint { secrets: webhooks::open(&row, ring).ok(), row }));
        let mut keys_of_others = BTreeSet::new();
        for entry in &wanted.api_keys {
            let key = entry.item.key.id();
            if write.tenant_of_api_key(key).await?.is_some_and(|owner| owner != id) {
                keys_of_others.insert(key);
            }
        }
        let made_prices = write.plan_prices(id).await?.into_iter();
        let alerts = write.alert_channels_of(&BTreeSet::from([id])).await?.into_iter();
        let alerts = alerts.map(|row| {
            let target = crate::alerts::open_target(&row, ring).ok();
            (row.code.clone(), CurrentAlert { target, row })
        });
        let others = write.connections().await?;
        let others = others.iter().filter(|row| row.tenant_id != id.0);
        Ok(Self {
            accounts_of_others: others.filter_map(account_of).collect(),
            tenant,
            products: write.products(id).await?.into_iter().map(|row| (row.code.clone(), row)).collect(),
            plans: write.current_plans(id).await?.into_iter().map(|row| (row.code.clone(), row)).collect(),
            connections: connections.collect(),
            rules: write.price_rules(id).await?,
            made_prices: made_prices.filter_map(|row| Some((row.connection_id, row.reference?))).collect(),
            api_keys: write.api_keys(id).await?,
            webhook_endpoints: endpoints.collect(),
            alerts: alerts.collect(),
            keys_of_others,
        })
    }
}
