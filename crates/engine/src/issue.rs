//! Issuing by hand: an order of the provider `manual`, through the inbox like every other.

use std::time::Duration;

use crypto::{key::LicenseKey, seal::Place};
use domain::{
    id::{InboundId, LicenseId, OrderId, TenantId},
    license::License,
    text::{EmailAddress, PlanCode, Reference},
};
use providers::{Incoming, manual};

use crate::{
    Engine, Error,
    accounts::{AccountStanding, AccountStatus},
    connections::Connection,
};

/// How long a caller waits for the keys; they are issued all the same.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a waiting caller looks, in case another node has done the work.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What is asked for.
#[derive(Clone, Debug)]
pub struct IssueRequest {
    /// For which vendor.
    pub tenant: TenantId,
    /// Whether it is for real.
    pub livemode: bool,
    /// Who gets it.
    pub email: Option<EmailAddress>,
    /// Their name.
    pub name: Option<String>,
    /// The plan.
    pub plan: PlanCode,
    /// How many keys.
    pub quantity: u32,
    /// Whether we send the mail.
    pub send_email: bool,
    /// The caller's own reference of this sale: asking twice with one gives the same keys. None: a new sale.
    pub reference: Option<String>,
}

/// A license with its key.
#[derive(Clone, Debug)]
pub struct IssuedLicense {
    /// The license.
    pub license: License,
    /// Its key.
    pub key: LicenseKey,
}

/// What was issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The order.
    pub order: OrderId,
    /// Its licenses.
    pub licenses: Vec<IssuedLicense>,
}

/// Why nothing could be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// There is no plan of that code.
    #[error("there is no plan with the code `{0}`")]
    UnknownPlan(PlanCode),
    /// The account may not sell at present.
    #[error("the account is {0}, so it gets no new licenses; `keywright tenant resume` makes it active again")]
    AccountStopped(AccountStatus),
    /// The account has no room for so many.
    #[error("the account has {used} of {most} licenses, so there is no room for these")]
    AccountFull {
        /// How many it may have.
        most: u32,
        /// How many it has.
        used: u64,
    },
    /// More than one order may hold, or none at all.
    #[error("the quantity is {0}; it must be between 1 and {max}", max = domain::fulfil::UNITS_MAX)]
    Quantity(u32),
    /// The order is in the inbox and has not been worked on in time. It will be.
    #[error("the order {0} is accepted and its keys are not issued yet; ask again with the same reference")]
    NotYet(String),
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl Engine {
    /// Issues licenses of a plan and waits for their keys.
    ///
    /// # Errors
    /// There is no such plan, the quantity is out of range, the database is away, or it takes too long.
    pub async fn issue(&self, request: IssueRequest) -> Result<Issued, IssueError> {
        if request.quantity == 0 || request.quantity as usize > domain::fulfil::UNITS_MAX {
            return Err(IssueError::Quantity(request.quantity));
        }
        if !self.has_plan(request.tenant, &request.plan).await? {
            return Err(IssueError::UnknownPlan(request.plan));
        }
        let connection = self.manual_connection(request.tenant, request.livemode).await?;
        let now = self.now();
        let reference = request.reference.unwrap_or_else(|| InboundId::new(now, &mut *self.entropy()).to_string());
        let issue = manual::Issue {
            reference: Reference::issued(&reference).to_string(),
            email: request.email,
            name: request.name.map(Into::into),
            plan: request.plan,
            quantity: request.quantity,
            send_email: request.send_email,
            // Who sells while the clock of test mode is ahead sells then, as at a provider whose test clock is.
            at: domain::time::after(now, self.ahead(request.tenant, request.livemode).await?),
            ends: None,
            has_key: false,
            also: None,
        };
        let name = Reference::new(issue.reference.as_str());
        // Nothing is paid yet, so nothing has to be kept. Asking once more for what was issued is answered all the same.
        if self.store.order_licenses(connection.id, &name).await.map_err(Error::from)?.is_none() {
            self.check_account(request.tenant, request.livemode, request.quantity).await?;
        }
        self.enter_issue(&connection, issue).await?;
        let waiting = self.keys_of(&connection, &name);
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(issued) => Ok(issued?),
            Err(_) => Err(IssueError::NotYet(reference)),
        }
    }

    /// Whether the account may have so many licenses more (D05).
    pub(crate) async fn check_account(
        &self,
        tenant: TenantId,
        livemode: bool,
        quantity: u32,
    ) -> Result<(), IssueError> {
        let AccountStanding { status, account } = self.account_of(tenant).await?;
        if status != AccountStatus::Active {
            return Err(IssueError::AccountStopped(status));
        }
        let Some(most) = account.licenses_max.filter(|_| livemode) else { return Ok(()) };
        let write = self.store.begin().await.map_err(Error::from)?;
        let used = write.licenses_that_count(tenant).await.map_err(Error::from)?;
        if used + u64::from(quantity) > u64::from(most) { Err(IssueError::AccountFull { most, used }) } else { Ok(()) }
    }

    async fn enter_issue(&self, connection: &Connection, issue: manual::Issue) -> Result<(), Error> {
        let event = Incoming {
            key: issue.reference.clone(),
            kind: manual::ISSUE.to_owned(),
            occurred_at: Some(issue.at),
            live: None,
            account: None,
            body: serde_json::to_string(&issue).map_err(Error::Document)?,
        };
        self.enter(connection, event).await
    }

    /// Waits until the order of that reference has licenses, and opens their keys.
    async fn keys_of(&self, connection: &Connection, reference: &Reference) -> Result<Issued, Error> {
        let mut batches = self.batches.subscribe();
        loop {
            if let Some((order, licenses)) = self.store.order_licenses(connection.id, reference).await?
                && !licenses.is_empty()
            {
                let mut issued = Vec::with_capacity(licenses.len());
                for license in licenses {
                    let key = self.reveal(connection.tenant, license.id).await?;
                    issued.extend(key.map(|key| IssuedLicense { license, key }));
                }
                return Ok(Issued { order, licenses: issued });
            }
            // Whichever comes first; a closed channel only means that the process is stopping.
            let _ = tokio::time::timeout(LOOK_AGAIN, batches.changed()).await;
        }
    }

    /// The key of a license, in clear. Whoever calls this has to say so in the audit log.
    ///
    /// # Errors
    /// Those of the database, or the key does not open.
    pub async fn reveal(&self, tenant: TenantId, license: LicenseId) -> Result<Option<LicenseKey>, Error> {
        let Some(row) = self.store.license_keys(license).await?.into_iter().next() else { return Ok(None) };
        let text = self.ring().open(Place::license_key(tenant, row.id), &row.sealed)?;
        Ok(str::from_utf8(&text).ok().and_then(|text| LicenseKey::as_written(text).ok()))
    }

    async fn has_plan(&self, tenant: TenantId, code: &PlanCode) -> Result<bool, Error> {
        Ok(self.store.plans(tenant).await?.iter().any(|plan| plan.code == code.as_str()))
    }

    pub(crate) async fn manual_connection(
        &self,
        tenant: TenantId,
        livemode: bool,
    ) -> Result<std::sync::Arc<Connection>, Error> {
        let connections = self.connections().await?;
        let found = connections.iter().find(|connection| {
            connection.tenant == tenant
                && connection.provider.info().slug == manual::SLUG
                && connection.mode.is_live() == livemode
        });
        found.cloned().ok_or(Error::NoManualConnection)
    }
}
