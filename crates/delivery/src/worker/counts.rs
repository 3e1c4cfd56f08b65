//! What became of mails, as it is counted by the hour.

use std::collections::HashMap;

use domain::{
    counted::{Counted, Took, hour_of},
    id::{OrderId, TenantId},
    mail::MailKind,
};
use jiff::Timestamp;
use store::{
    counts::{CountKey, Origin},
    lists::Whose,
    outbox::CaughtMail,
    rows::Mail,
};

use super::{
    Error, MailWorker,
    ending::{Landed, News},
};

/// Where mails come from, by their orders.
type Origins = HashMap<OrderId, Origin>;

impl MailWorker {
    /// Where mails come from that are not in flight any more. Read before the transaction: it does not change.
    pub(super) async fn origins(&self, landed: &[Landed]) -> Result<Origins, Error> {
        Ok(self.parts.store.origins(landed.iter().map(|landed| OrderId(landed.mail.order_id)).collect()).await?)
    }

    /// Where mails come from that were caught.
    pub(super) async fn origins_of_caught(&self, caught: &[CaughtMail]) -> Result<Origins, Error> {
        Ok(self.parts.store.origins(caught.iter().map(|mail| mail.order).collect()).await?)
    }
}

/// What a mail counts as after an attempt: nothing while it waits.
pub(super) fn of_mail(mail: &Mail, news: &News, origins: &Origins, now: Timestamp) -> Vec<(CountKey, i64)> {
    let Some(origin) = origins.get(&OrderId(mail.order_id)) else { return Vec::new() };
    let what = match news {
        News::Sent if mail.kind == MailKind::LicenseDelivery.as_str() => {
            vec![Counted::KeySent, Counted::Relayed(took(mail, origin, now))]
        }
        News::Sent => vec![Counted::OtherMail],
        News::Failed => vec![Counted::MailFailed],
        _ => Vec::new(),
    };
    let whose = Whose { tenant: TenantId(mail.tenant_id), livemode: origin.livemode };
    what.into_iter().map(|what| (CountKey { whose, hour: hour_of(now), what }, 1)).collect()
}

/// What mails count as that were caught.
pub(super) fn of_caught(caught: &[CaughtMail], origins: &Origins, now: Timestamp) -> Vec<(CountKey, i64)> {
    let key = |mail: &CaughtMail| {
        let is_key = mail.kind == MailKind::LicenseDelivery.as_str();
        let what = if is_key { Counted::KeyCaught } else { Counted::OtherMail };
        let whose = Whose { tenant: mail.tenant, livemode: origins.get(&mail.order)?.livemode };
        Some((CountKey { whose, hour: hour_of(now), what }, 1))
    };
    caught.iter().filter_map(key).collect()
}

/// How long a mail took from the event that it follows from: the last one that came before it was written. One that follows
/// from no event took its time from when it was written.
fn took(mail: &Mail, origin: &Origin, now: Timestamp) -> Took {
    let written = Timestamp::from_microsecond(mail.created_at).unwrap_or(now);
    let caused = origin.received.iter().copied().filter(|at| *at <= written).max();
    Took::of(now.duration_since(caused.unwrap_or(written)))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::worker::ending::tests::mail;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_mail_took_its_time_from_the_event_before_it() {
        let mail = Mail { created_at: at(100).as_microsecond(), ..mail(0) };
        for (received, now, seconds) in [
            (vec![at(98), at(20)], 101, 3),
            (vec![at(98), at(100), at(101)], 102, 2),
            (vec![at(101)], 104, 4),
            (Vec::new(), 104, 4),
        ] {
            let origin = Origin { livemode: true, received: received.clone() };
            let took = took(&mail, &origin, at(now));
            assert_eq!(took, Took::of(SignedDuration::from_secs(seconds)), "{received:?}");
        }
    }

    #[test]
    fn what_waits_is_not_counted_and_what_ended_is() {
        let key = Mail { kind: MailKind::LicenseDelivery.as_str().to_owned(), ..mail(0) };
        let notice = Mail { kind: MailKind::ALL[1].as_str().to_owned(), ..key.clone() };
        let origin = Origin { livemode: false, received: Vec::new() };
        let origins = Origins::from([(OrderId(key.order_id), origin)]);
        let words = |mail: &Mail, news| {
            let counted = of_mail(mail, &news, &origins, Timestamp::from_microsecond(mail.created_at).unwrap());
            counted.into_iter().map(|(key, _)| key.what.word().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(words(&key, News::Sent), ["mail.key_sent", "relayed.0"]);
        assert_eq!(words(&notice, News::Sent), ["mail.other"]);
        assert_eq!(words(&key, News::Failed), ["mail.failed"]);
        assert_eq!(words(&key, News::Waiting), [""; 0]);
        assert!(of_mail(&key, &News::Sent, &Origins::new(), at(0)).is_empty(), "its order is not there any more");
    }
}
