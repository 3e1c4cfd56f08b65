//! Everything that happened to a license, or to all that a buyer has, in one list: what providers told, what was decided,
//! written, used and told on.

mod paged;

use domain::{denied::Denied, id::OrderId};
use jiff::Timestamp;
use store::{
    lists::{AuditFilter, InboundSummary, ListedLicense, MailFilter, Page, Whose},
    rows::{Activation, AuditEntry, Delivery, Mail},
};

use crate::{Engine, Error};

pub use self::paged::{MomentId, MomentKind};

/// Entries of one kind at most: a page is read by a person.
const EACH_MAX: u64 = 100;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Happened {
    /// A provider told something.
    Told(InboundSummary),
    /// Something was decided, by whomever.
    Changed(AuditEntry),
    /// A mail was written.
    Written(Mail),
    /// A device was activated.
    Used(Activation),
    /// A vendor's own system was told.
    Delivered(Delivery),
    /// Apps were denied something, with one answer, however often.
    Denied(Denied),
}

/// Something that happened, and when.
#[derive(Clone, Debug)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happened,
}

impl Engine {
    /// What happened to a license and to its order, the latest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn timeline(&self, whose: Whose, license: &ListedLicense) -> Result<Vec<Moment>, Error> {
        let (id, store) = (license.license.id, &self.store);
        let page = Page { limit: EACH_MAX, from: None };
        let audit = AuditFilter { order: Some(license.order), ..AuditFilter::default() };
        let audit = store.list_audit(whose, &audit, page).await?.rows;
        let mails = MailFilter { license: Some(id), ..MailFilter::default() };
        let mails = store.list_mails(whose, &mails, page).await?.rows;
        let told = self.told_of(whose, license.order).await?;
        let used = store.activations(id).await?;
        let delivered = store.deliveries_about(whose, id, EACH_MAX).await?;
        let denied = self.denials(id).await?;
        Ok(merged(told, about(audit, license), mails, used, delivered, denied))
    }

    /// What providers told of an order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn told_of(&self, whose: Whose, order: OrderId) -> Result<Vec<InboundSummary>, Error> {
        Ok(self.store.inbound_of_order(whose, order, EACH_MAX).await?)
    }
}

/// Entries about this license or about its order as a whole, not about another license of it.
fn about(entries: Vec<AuditEntry>, license: &ListedLicense) -> Vec<AuditEntry> {
    let is_about = |entry: &AuditEntry| entry.license_id.is_none_or(|id| id == license.license.id.0);
    entries.into_iter().filter(is_about).collect()
}

/// One list, the latest first. What happened at one moment stands in the order in which it follows from each other.
fn merged(
    told: Vec<InboundSummary>,
    changed: Vec<AuditEntry>,
    written: Vec<Mail>,
    used: Vec<Activation>,
    delivered: Vec<Delivery>,
    denied: Vec<Denied>,
) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    moments.extend(denied.into_iter().map(|all| Moment { at: all.denials.last_at, what: Happened::Denied(all) }));
    moments.extend(delivered.into_iter().map(Moment::from));
    moments.extend(written.into_iter().map(Moment::from));
    moments.extend(used.into_iter().map(Moment::from));
    moments.extend(changed.into_iter().map(Moment::from));
    moments.extend(told.into_iter().map(Moment::from));
    moments.sort_by_key(|moment| std::cmp::Reverse(moment.at));
    moments
}

macro_rules! moments {
    ($($row:ident: $at:ident -> $happened:ident;)*) => {$(
        impl From<$row> for Moment {
            fn from(row: $row) -> Self {
                let at = Timestamp::from_microsecond(row.$at).unwrap_or(Timestamp::MIN);
                Self { at, what: Happened::$happened(row) }
            }
        }
    )*};
}

moments! {
    InboundSummary: received_at -> Told;
    AuditEntry: occurred_at -> Changed;
    Mail: created_at -> Written;
    Activation: created_at -> Used;
    Delivery: created_at -> Delivered;
}
