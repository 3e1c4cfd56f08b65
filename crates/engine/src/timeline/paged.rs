//! The timeline of a buyer, a page at a time.
//!
//! It is made of five tables. Ids begin with the millisecond at which they were made, so that a page is the same stretch of
//! ids of each; what happened within one millisecond stands in the order in which it follows from each other.

use std::{fmt, str::FromStr};

use domain::id::{ActivationId, AuditId, CustomerId, DeliveryId, IdError, InboundId, MailId};
use store::lists::{Cursor, Listed, Page};
use uuid::Uuid;

use super::{Happened, Moment};
use crate::{Engine, Error};

/// What a line is about: by this people choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MomentKind {
    /// What providers told.
    Money,
    /// What followed by itself.
    Decision,
    /// What was written.
    Mail,
    /// Where it is used.
    Device,
    /// What members and their API keys did.
    Staff,
    /// What vendors' own systems were told.
    Webhook,
}

impl MomentKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Money, Self::Decision, Self::Mail, Self::Device, Self::Staff, Self::Webhook];

    /// Its word, as addresses have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Money => "money",
            Self::Decision => "decision",
            Self::Mail => "mail",
            Self::Device => "device",
            Self::Staff => "staff",
            Self::Webhook => "webhook",
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Money => "Payments",
            Self::Decision => "Decisions",
            Self::Mail => "Mails",
            Self::Device => "Devices",
            Self::Staff => "Staff",
            Self::Webhook => "Webhooks",
        }
    }
}

/// Which line of a timeline. At one moment a vendor's system is told last, so it stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MomentId {
    /// A delivery.
    Delivered(DeliveryId),
    /// A mail.
    Written(MailId),
    /// An activation.
    Used(ActivationId),
    /// An audit entry.
    Changed(AuditId),
    /// An inbound event.
    Told(InboundId),
}

/// How far down it stands among what happened in one millisecond.
type Rank = u8;

const DELIVERED: Rank = 0;
const WRITTEN: Rank = 1;
const USED: Rank = 2;
const CHANGED: Rank = 3;
const TOLD: Rank = 4;

impl MomentId {
    const fn parts(self) -> (Rank, Uuid) {
        match self {
            Self::Delivered(id) => (DELIVERED, id.0),
            Self::Written(id) => (WRITTEN, id.0),
            Self::Used(id) => (USED, id.0),
            Self::Changed(id) => (CHANGED, id.0),
            Self::Told(id) => (TOLD, id.0),
        }
    }
}

impl fmt::Display for MomentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered(id) => id.fmt(formatter),
            Self::Written(id) => id.fmt(formatter),
            Self::Used(id) => id.fmt(formatter),
            Self::Changed(id) => id.fmt(formatter),
            Self::Told(id) => id.fmt(formatter),
        }
    }
}

impl FromStr for MomentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once('_').map(|(prefix, _)| prefix) {
            Some(DeliveryId::PREFIX) => text.parse().map(Self::Delivered),
            Some(MailId::PREFIX) => text.parse().map(Self::Written),
            Some(ActivationId::PREFIX) => text.parse().map(Self::Used),
            Some(AuditId::PREFIX) => text.parse().map(Self::Changed),
            _ => text.parse().map(Self::Told),
        }
    }
}

impl Moment {
    /// Which line it is. None: what was denied has no row of its own.
    #[must_use]
    pub const fn id(&self) -> Option<MomentId> {
        Some(match &self.what {
            Happened::Told(row) => MomentId::Told(InboundId(row.id)),
            Happened::Changed(row) => MomentId::Changed(AuditId(row.id)),
            Happened::Written(row) => MomentId::Written(MailId(row.id)),
            Happened::Used(row) => MomentId::Used(ActivationId(row.id)),
            Happened::Delivered(row) => MomentId::Delivered(DeliveryId(row.id)),
            Happened::Denied(_) => return None,
        })
    }
}

impl Engine {
    /// What happened to a buyer, their orders and their licenses, the latest first; only what is of one kind, if one is asked
    /// for. That they are the vendor's was looked at before.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn timeline_of_customer(
        &self,
        customer: CustomerId,
        only: Option<MomentKind>,
        limit: u64,
        from: Option<Cursor<MomentId>>,
    ) -> Result<Listed<Moment>, Error> {
        let (store, about) = (&self.store, self.store.concerned(customer).await?);
        let is_wanted = |kind: MomentKind| only.is_none_or(|only| only == kind);
        let page = |rank| Page { limit, from: from.map(|from| bound(from, rank)) };
        let (mut moments, mut has_more) = (Vec::new(), false);
        let mut take = |listed: Listed<Moment>| {
            moments.extend(listed.rows);
            has_more |= listed.has_more;
        };
        if is_wanted(MomentKind::Webhook) {
            take(store.delivered_about(&about, page(DELIVERED)).await?.map(Moment::from));
        }
        if is_wanted(MomentKind::Mail) {
            take(store.written_about(&about, page(WRITTEN)).await?.map(Moment::from));
        }
        if is_wanted(MomentKind::Device) {
            take(store.used_about(&about, page(USED)).await?.map(Moment::from));
        }
        if is_wanted(MomentKind::Staff) || is_wanted(MomentKind::Decision) {
            let by_staff = only.map(|only| only == MomentKind::Staff);
            take(store.changed_about(&about, by_staff, page(CHANGED)).await?.map(Moment::from));
        }
        if is_wanted(MomentKind::Money) {
            take(store.told_about(&about, page(TOLD)).await?.map(Moment::from));
        }
        let listed = cut(moments, usize::try_from(limit).unwrap_or(usize::MAX), from);
        Ok(Listed { has_more: listed.has_more || has_more, ..listed })
    }
}

/// The millisecond at which an id was made.
fn millis(id: Uuid) -> u128 {
    id.as_u128() >> 80
}

/// From where a page goes on in the table of this rank.
fn bound(from: Cursor<MomentId>, rank: Rank) -> Cursor {
    let first_of = |millis: u128| Uuid::from_u128(millis << 80);
    let before = |id: Uuid| Uuid::from_u128(id.as_u128().saturating_sub(1));
    match from {
        Cursor::After(edge) => match edge.parts() {
            (own, id) if own == rank => Cursor::After(id),
            (own, id) if rank > own => Cursor::After(first_of(millis(id) + 1)),
            (_, id) => Cursor::After(first_of(millis(id))),
        },
        Cursor::Before(edge) => match edge.parts() {
            (own, id) if own == rank => Cursor::Before(id),
            (own, id) if rank > own => Cursor::Before(before(first_of(millis(id) + 1))),
            (_, id) => Cursor::Before(before(first_of(millis(id)))),
        },
    }
}

/// A page of what was found, which begins at its cursor already.
fn cut(mut moments: Vec<Moment>, limit: usize, from: Option<Cursor<MomentId>>) -> Listed<Moment> {
    moments.sort_by_key(|moment| {
        moment.id().map(|id| {
            let (rank, id) = id.parts();
            (std::cmp::Reverse(millis(id)), rank, std::cmp::Reverse(id))
        })
    });
    let has_more = moments.len() > limit;
    match from {
        Some(Cursor::Before(_)) => drop(moments.drain(..moments.len().saturating_sub(limit))),
        _ => moments.truncate(limit),
    }
    Listed { rows: moments, has_more }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_where_the_last_one_ended_in_every_table() {
        let id = |millis: u128, low: u128| Uuid::from_u128(millis << 80 | low);
        let edge = MomentId::Used(ActivationId(id(7, 5)));
        let shown = |cursor: Cursor, id: Uuid| match cursor {
            Cursor::After(edge) => id < edge,
            Cursor::Before(edge) => id > edge,
        };
        for (rank, other, is_older, is_newer) in [
            (USED, id(7, 5), false, false),
            (USED, id(7, 4), true, false),
            (USED, id(7, 6), false, true),
            (WRITTEN, id(7, 4), false, true),
            (WRITTEN, id(7, 0), false, true),
            (WRITTEN, id(6, 9), true, false),
            (CHANGED, id(7, 9), true, false),
            (CHANGED, id(8, 0), false, true),
        ] {
            assert_eq!(shown(bound(Cursor::After(edge), rank), other), is_older, "{rank} {other}");
            assert_eq!(shown(bound(Cursor::Before(edge), rank), other), is_newer, "{rank} {other}");
        }
    }

    #[test]
    fn a_line_is_found_by_its_id() {
        let id = Uuid::from_u128(7);
        for edge in [
            MomentId::Delivered(DeliveryId(id)),
            MomentId::Written(MailId(id)),
            MomentId::Used(ActivationId(id)),
            MomentId::Changed(AuditId(id)),
            MomentId::Told(InboundId(id)),
        ] {
            assert_eq!(edge.to_string().parse(), Ok(edge));
        }
        assert!("lic_00000000000000000000000007".parse::<MomentId>().is_err());
    }
}
