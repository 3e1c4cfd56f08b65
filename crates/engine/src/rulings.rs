//! A person decides about a license or a sale, and what follows is written in the same transaction.

use std::collections::HashMap;

use domain::{
    fulfil::{Concern, resolve_again},
    id::{AuditId, LicenseId, OrderId, TenantId},
    mail::MailKind,
    order::{Approval, Contact},
    ruling::{Ruling, approve, correct_contact, rule},
};
use jiff::Timestamp;
use serde_json::json;
use store::{
    StoreError, StoredOrder, Write,
    many::BulkStep,
    rows::{AuditEntry, Mail},
};

use crate::{
    Engine, Error,
    adopt::Keys,
    bulk::take_step,
    buyers::{self, CustomerNews},
    connections::Connection,
    settle::Around,
};

/// Who decides, and why they say they do.
#[derive(Clone, Debug)]
pub struct By {
    /// The actor as the audit log names them: `key:…`, `member:…`, `cli`.
    pub actor: String,
    /// Their reason, if they gave one.
    pub note: Option<String>,
}

/// An actor who gives no reason.
impl<T: AsRef<str> + ?Sized> From<&T> for By {
    fn from(actor: &T) -> Self {
        Self { actor: actor.as_ref().to_owned(), note: None }
    }
}

/// A decision about a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRuling {
    /// Whether a sale that must be approved may have its licenses (B29).
    Approval(Approval),
    /// Its prices give what rules and plans say now (B11).
    Redecide(Concern),
    /// Its mails go to this address, whatever the provider says. Those that wait or were refused go there at once.
    Contact {
        /// Where to.
        to: Contact,
        /// Whether the mails with the keys go out once more, though a relay has taken them.
        again: bool,
    },
}

impl OrderRuling {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Approval(Approval::Approved) => "approve",
            Self::Approval(Approval::Rejected) => "reject",
            Self::Redecide(_) => "redecide",
            Self::Contact { .. } => "contact",
        }
    }
}

/// What else is done in the transaction of a decision.
#[derive(Clone, Copy)]
enum Along<'a> {
    Nothing,
    /// It is noted in a change of many licenses.
    Step(BulkStep),
    /// A mail goes out once more, to the corrected address.
    Mail(&'a Mail),
}

/// What a decision is about.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    License(LicenseId, &'a Ruling),
    Order(OrderId, &'a OrderRuling),
}

impl Engine {
    /// Rules about a license. None: the tenant has no such license.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rule(
        &self,
        tenant: TenantId,
        license: LicenseId,
        ruling: &Ruling,
        by: &By,
    ) -> Result<Option<StoredOrder>, Error> {
        self.decide(tenant, About::License(license, ruling), by, Along::Nothing).await
    }

    /// The same for a license of many, which is noted in the same transaction.
    pub(crate) async fn rule_along(
        &self,
        tenant: TenantId,
        license: LicenseId,
        ruling: &Ruling,
        by: &By,
        step: BulkStep,
    ) -> Result<Option<StoredOrder>, Error> {
        self.decide(tenant, About::License(license, ruling), by, Along::Step(step)).await
    }

    /// Rules about a sale. None: the tenant has no such order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rule_order(
        &self,
        tenant: TenantId,
        order: OrderId,
        ruling: &OrderRuling,
        by: &By,
    ) -> Result<Option<StoredOrder>, Error> {
        self.decide(tenant, About::Order(order, ruling), by, Along::Nothing).await
    }

    /// Corrects where the mails of a sale go, and sends one of them once more, whatever became of it. None: the tenant has no
    /// such order.
    pub(crate) async fn correct_address(
        &self,
        tenant: TenantId,
        mail: &Mail,
        ruling: &OrderRuling,
        by: &By,
    ) -> Result<Option<StoredOrder>, Error> {
        self.decide(tenant, About::Order(OrderId(mail.order_id), ruling), by, Along::Mail(mail)).await
    }

    /// What a decision about a sale would come to: the order before and after it. Nothing is written. None: the tenant
    /// has no such order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn preview(
        &self,
        tenant: TenantId,
        order: OrderId,
        ruling: &OrderRuling,
    ) -> Result<Option<(StoredOrder, StoredOrder)>, Error> {
        let about = About::Order(order, ruling);
        store::repeat(|| self.preview_once(tenant, about), Error::is_conflict).await
    }

    async fn preview_once(
        &self,
        tenant: TenantId,
        about: About<'_>,
    ) -> Result<Option<(StoredOrder, StoredOrder)>, Error> {
        let write = self.store.begin().await?;
        let Some(mut orders) = found(&write, tenant, about).await? else { return Ok(None) };
        let before = orders.first().cloned();
        let by = By { actor: String::new(), note: None };
        self.settle_decided(&write, &mut orders, about, &by).await?;
        Ok(before.zip(orders.into_iter().next()))
    }

    async fn decide(
        &self,
        tenant: TenantId,
        about: About<'_>,
        by: &By,
        along: Along<'_>,
    ) -> Result<Option<StoredOrder>, Error> {
        let ruled = store::repeat(|| self.decide_once(tenant, about, by, along), Error::is_conflict).await?;
        self.mails.notify_one();
        Ok(ruled)
    }

    async fn decide_once(
        &self,
        tenant: TenantId,
        about: About<'_>,
        by: &By,
        along: Along<'_>,
    ) -> Result<Option<StoredOrder>, Error> {
        let now = self.now();
        let write = self.store.begin().await?;
        let Some(mut orders) = found(&write, tenant, about).await? else { return Ok(None) };
        let mut rows = self.settle_decided(&write, &mut orders, about, by).await?;
        rows.audit.extend(orders.iter().map(|order| self.ruled(order, about, by, now)));
        write.save_orders(&orders, now).await?;
        let happened = rows.write(&write, now, &mut *self.entropy()).await?;
        if let About::Order(_, OrderRuling::Contact { to, again }) = about {
            let licenses = || orders.iter().flat_map(|order| &order.licenses).map(|license| license.id).collect();
            write.redirect_mails(licenses(), to, now).await?;
            if *again {
                write.send_mails_again(licenses(), MailKind::LicenseDelivery.as_str(), to, now).await?;
            }
            if let Along::Mail(mail) = along {
                self.write_again(&write, mail, tenant, Some(to), by).await?;
            }
        }
        if let Along::Step(step) = along {
            take_step(&write, step, "").await?;
        }
        write.commit().await?;
        self.tell(happened);
        Ok(orders.into_iter().next())
    }

    /// Writes the decision into its order, and settles what follows.
    pub(crate) async fn settle_decided(
        &self,
        write: &Write,
        orders: &mut [StoredOrder],
        about: About<'_>,
        by: &By,
    ) -> Result<crate::outcome::OutcomeRows, Error> {
        let now = self.now();
        let connections = self.connections().await?;
        for stored in orders.iter_mut() {
            let StoredOrder { order, licenses, .. } = stored;
            match about {
                About::License(id, ruling) => {
                    if let Some(license) = licenses.iter_mut().find(|license| license.id == id) {
                        rule(order, license, ruling.clone(), now);
                    }
                }
                About::Order(_, OrderRuling::Approval(approval)) => approve(order, *approval, now),
                About::Order(_, OrderRuling::Contact { to, .. }) => correct_contact(order, to.clone(), now),
                About::Order(_, OrderRuling::Redecide(concern)) => {
                    let shelf = self.catalogues.of(write, stored.tenant).await?;
                    resolve_again(order, stored.connection, &shelf.catalogue, concern, now);
                }
            }
        }
        let identities = buyers::learn(write, CustomerNews::new(), orders, now).await?;
        let actor = |_: &StoredOrder, _: &Connection| by.actor.clone();
        let aftermath = &HashMap::new();
        let (actor_of, identities, connections, brought) = (&actor, &identities, &*connections, &Keys::new());
        let around = Around { actor_of, identities, connections, aftermath, brought, now };
        self.settle_all(write, orders, around).await
    }

    fn ruled(&self, order: &StoredOrder, about: About<'_>, by: &By, now: Timestamp) -> AuditEntry {
        let (word, subject, license, detail) = match about {
            About::License(id, ruling) => (ruling.as_str(), id.to_string(), Some(id.0), json!(ruling)),
            // The log is kept for good, so it does not say where anybody can be written to.
            About::Order(_, OrderRuling::Contact { to, again }) => {
                let detail = json!({ "email": to.email.masked(), "again": again });
                ("contact", order.id.to_string(), None, detail)
            }
            About::Order(_, ruling) => (ruling.as_str(), order.id.to_string(), None, json!(ruling.as_str())),
        };
        AuditEntry {
            id: AuditId::new(now, &mut *self.entropy()).0,
            tenant_id: order.tenant.0,
            occurred_at: now.as_microsecond(),
            actor: by.actor.clone(),
            action: format!("ruling.{word}"),
            subject,
            order_id: Some(order.id.0),
            license_id: license,
            detail: json!({ "ruling": detail, "note": by.note }).to_string(),
            // Numbered and chained when it is added.
            sequence: 0,
            chain: Vec::new(),
        }
    }
}

/// The order that a decision is about, as this transaction sees it. None: the tenant has no such license or order.
pub(crate) async fn found(
    write: &Write,
    tenant: TenantId,
    about: About<'_>,
) -> Result<Option<Vec<StoredOrder>>, Error> {
    let id = match about {
        About::License(license, _) => write.order_of_license(tenant, license).await?,
        About::Order(order, _) => write.survivor_of_order(tenant, order).await?,
    };
    let Some(id) = id else { return Ok(None) };
    let orders = write.load_orders(&[id].into()).await?;
    let is_there = |order: &StoredOrder| match about {
        About::License(license, _) => order.licenses.iter().any(|held| held.id == license),
        About::Order(..) => order.merged_into.is_none(),
    };
    if !orders.iter().any(is_there) {
        return Err(StoreError::changed_meanwhile("the order of what was decided about").into());
    }
    Ok(Some(orders))
}
