//! The mails that tell what happened to a license. Each tells what is so at the moment of sending, or is not sent.

use domain::{
    license::LicenseState,
    reason::{Cause, Reason},
};

use super::{
    language::say,
    page::{Material, Message},
};

/// It is renewed; unless it does not work any more.
pub(super) fn renewed(material: &Material<'_>, title: &str) -> Option<Message> {
    let (license, sentences) = (&material.contents.license, material.sentences());
    let standing = &license.standing;
    if standing.state != LicenseState::Active || standing.at_risk {
        return None;
    }
    let day = standing.until.map(|until| material.day(until));
    let intro = match &day {
        Some(day) => say(sentences.renewed_until, &[("title", title), ("day", day)]),
        None => say(sentences.renewed_forever, &[("title", title)]),
    };
    let renews = license.unit.recurring && day.is_some() && standing.final_end().is_none();
    let renews = renews.then(|| sentences.renewed_renews.to_owned());
    let paragraphs = renews.into_iter().chain([sentences.renewed_nothing_to_do.to_owned()]).collect();
    Some(message(material, sentences.renewed_subject, intro, paragraphs, None, day))
}

/// It ends soon; unless something renews it after all, or it has ended.
pub(super) fn expiring(material: &Material<'_>, title: &str) -> Option<Message> {
    let (license, sentences) = (&material.contents.license, material.sentences());
    if license.standing.state != LicenseState::Active {
        return None;
    }
    let day = material.day(license.standing.final_end()?);
    let (since, to_do) = match license.unit.recurring {
        true => (sentences.expiring_since_cancelled, sentences.expiring_resume),
        false => (sentences.expiring_since_bought, sentences.expiring_renew),
    };
    let intro = say(sentences.expiring_intro, &[("title", title), ("day", &day)]);
    let paragraphs = vec![since.to_owned(), to_do.to_owned()];
    Some(message(material, sentences.expiring_subject, intro, paragraphs, None, Some(day)))
}

/// A payment is overdue; unless it came, or the license does not wait for it any more.
pub(super) fn payment_problem(material: &Material<'_>, title: &str) -> Option<Message> {
    let (standing, sentences) = (&material.contents.license.standing, material.sentences());
    let Reason::Cause(Cause::PastDue { paid_until, .. }) = &standing.reason else { return None };
    if standing.state != LicenseState::Active {
        return None;
    }
    let paid = material.day(*paid_until);
    let grace = standing.scheduled.map(|scheduled| material.day(scheduled.at));
    let works = match &grace {
        Some(day) => say(sentences.payment_works_until, &[("day", day)]),
        None => sentences.payment_works.to_owned(),
    };
    let intro = say(sentences.payment_intro, &[("title", title), ("day", &paid)]);
    let paragraphs = vec![works, sentences.payment_to_do.to_owned()];
    let why = reason(material, &standing.reason);
    Some(message(material, sentences.payment_subject, intro, paragraphs, Some(why), grace))
}

/// It does not work for now; unless it does again, or never will.
pub(super) fn frozen(material: &Material<'_>, title: &str) -> Option<Message> {
    let (standing, sentences) = (&material.contents.license.standing, material.sentences());
    if standing.state != LicenseState::Frozen {
        return None;
    }
    let why = reason(material, &standing.reason);
    let intro = say(sentences.frozen_intro, &[("title", title), ("reason", &why)]);
    let to_do = match &standing.reason {
        Reason::RenewalAwaited | Reason::NotRenewed | Reason::Cause(Cause::PastDue { .. }) => sentences.frozen_pay,
        Reason::Cause(Cause::Paused { .. }) => sentences.frozen_resume,
        Reason::Cause(Cause::Disputed { lost: false, .. }) => sentences.frozen_dispute,
        Reason::Cause(_) => sentences.get_in_touch,
        _ => sentences.mistake,
    };
    Some(message(material, sentences.frozen_subject, intro, vec![to_do.to_owned()], Some(why), None))
}

/// It was taken back; unless it was given back.
pub(super) fn revoked(material: &Material<'_>, title: &str) -> Option<Message> {
    let (standing, sentences) = (&material.contents.license.standing, material.sentences());
    if standing.state != LicenseState::Revoked {
        return None;
    }
    let why = reason(material, &standing.reason);
    let intro = say(sentences.revoked_intro, &[("title", title), ("reason", &why)]);
    let to_do = match &standing.reason {
        Reason::Cause(Cause::Disputed { .. }) => sentences.get_in_touch.to_owned(),
        Reason::Cause(_) | Reason::NotRenewed | Reason::TermOver => {
            say(sentences.revoked_again, &[("product", &material.words.product)])
        }
        _ => sentences.mistake.to_owned(),
    };
    Some(message(material, sentences.revoked_subject, intro, vec![to_do], Some(why), None))
}

/// Why, in words that a buyer understands; the end of "..., because ...". They know no ids and no amounts of ours.
pub(super) fn reason(material: &Material<'_>, reason: &Reason) -> String {
    let sentences = material.sentences();
    let sentence = match reason {
        Reason::Paid => sentences.reason_paid,
        Reason::RenewalAwaited => sentences.reason_renewal_awaited,
        Reason::NotRenewed => sentences.reason_not_renewed,
        Reason::TermOver => sentences.reason_term_over,
        Reason::RevokedByHand => sentences.reason_revoked_by_hand,
        Reason::FrozenByHand => sentences.reason_frozen_by_hand,
        Reason::Removed => sentences.reason_removed,
        Reason::Superseded => sentences.reason_superseded,
        Reason::Cause(Cause::Ended { at, .. }) => return say(sentences.reason_ended, &[("day", &material.day(*at))]),
        Reason::Cause(Cause::Paused { .. }) => sentences.reason_paused,
        Reason::Cause(Cause::PastDue { .. }) => sentences.reason_past_due,
        Reason::Cause(Cause::Refunded { full: true, .. }) => sentences.reason_refunded,
        Reason::Cause(Cause::Refunded { full: false, .. }) => sentences.reason_refunded_in_part,
        Reason::Cause(Cause::Disputed { lost: true, .. }) => sentences.reason_dispute_lost,
        Reason::Cause(Cause::Disputed { lost: false, .. }) => sentences.reason_dispute_open,
    };
    sentence.to_owned()
}

fn message(
    material: &Material<'_>,
    subject: &str,
    intro: String,
    paragraphs: Vec<String>,
    reason: Option<String>,
    day: Option<String>,
) -> Message {
    let values = [("product", material.words.product.as_str()), ("day", day.as_deref().unwrap_or_default())];
    Message { subject: say(subject, &values), intro, notice: None, paragraphs, reason, day }
}

#[cfg(test)]
mod tests;
