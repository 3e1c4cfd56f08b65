//! A license: why it is as it is, what happened, who uses it, and what can be done.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};
use domain::{
    id::LicenseId,
    license::{Holding, LicenseState},
    member::Ability,
    plan::LeaseTerms,
    reason::Reason,
    time::after,
};
use engine::timeline::Moment;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use store::{lists::ListedLicense, rows::Activation};

use super::{
    entries::People,
    facts::{self, Fact},
    list::address,
    place::{Place, to::Look},
    refusal::Refusal,
    shell::{Shell, page},
    timeline::{self, Line},
    words::{Pill, When, capitalised, pill},
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/license.html")]
struct LicensePage {
    shell: Shell,
    id: String,
    path: String,
    key: String,
    pill: Pill,
    why: Why,
    facts: Vec<Fact>,
    /// Each with the list of those that have it.
    tags: Vec<(String, String)>,
    devices: Vec<Device>,
    devices_max: Option<u32>,
    recheck_hours: u32,
    timeline: Vec<Line>,
    /// Word, name, whether it is the dangerous kind.
    actions: Vec<(&'static str, &'static str, bool)>,
    /// Whether a file for a machine may be written, which is no dialog: a browser keeps it.
    may_write_file: bool,
    may_help: bool,
    may_reveal: bool,
    /// The answer of the last test, and what was tried.
    tested: Option<(String, String)>,
    support_link: String,
    /// The buyer's address.
    write_to: Option<String>,
}

/// The one sentence, its cause, and its undo.
struct Why {
    sentence: String,
    since: Option<When>,
    /// Address and name.
    cause: (String, &'static str),
    undo: Option<(&'static str, &'static str)>,
    scheduled: Option<String>,
}

struct Device {
    id: String,
    name: String,
    /// What runs on it, as far as it was told.
    software: String,
    fingerprint: String,
    since: When,
    seen: When,
    /// Whether it was seen within the time after which its app asks again.
    is_online: bool,
    /// Until when it may run without asking; none: it has to ask.
    lease_until: Option<When>,
}

/// What can be tried: a device or a domain.
#[derive(Debug, Deserialize)]
pub(crate) struct TestForm {
    #[serde(default)]
    fingerprint: String,
}

/// `GET …/licenses/{id}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    shown(&web, &place, &id, None).await
}

/// `POST …/licenses/{id}/test`: exactly what an app would get.
pub(crate) async fn test(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(form): Form<TestForm>,
) -> Result<Response, Refusal> {
    let listed = license(&web, &place, &id).await?;
    let tried = form.fingerprint.trim().to_owned();
    let device = Some(tried.clone()).filter(|tried| !tried.is_empty());
    let answer = web.engine.try_key(place.whose(), listed.license.id, device).await?;
    let answer = answer.map_or_else(|| "It has no key of its own.".to_owned(), |answer| (web.app_answer)(answer));
    shown(&web, &place, &id, Some((tried, answer))).await
}

/// A license of this vendor in this mode.
pub(crate) async fn license<A>(web: &Web, place: &Place<A>, id: &str) -> Result<ListedLicense, Refusal> {
    let id: LicenseId = id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.store.listed_license(place.whose(), id).await?.ok_or(Refusal::NotFound)
}

async fn shown(
    web: &Web,
    place: &Place<Look>,
    id: &str,
    tested: Option<(String, String)>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    // What an app would get is the answer to a form, which the page cannot ask for again.
    let shell = match tested {
        Some(_) => Shell::new(web, place, "licenses", "License").await?,
        None => Shell::live(web, place, "licenses", "License").await?,
    };
    let listed = license(web, place, id).await?;
    let offer = web.engine.offer(place.whose().tenant, listed.license.plan).await?;
    let moments = web.engine.timeline(place.whose(), &listed).await?;
    let people = People::of(web, place).await?;
    let facts = facts::of(web, place, (&listed, &offer), &moments, &people).await?;
    let cause = cause(place, &listed, &moments);
    let customer = match listed.customer {
        Some(id) => web.engine.store.customer(place.whose(), id).await?,
        None => None,
    };
    let timeline = timeline::lines(place, &people, moments, now);
    let mut devices = web.engine.store.activations(listed.license.id).await?;
    devices.sort_by_key(|row| std::cmp::Reverse(row.last_seen_at));
    let key = listed.key_hint.clone().unwrap_or_else(|| "its keys open another license".to_owned());
    page(&LicensePage {
        shell: Shell { title: format!("{key} · License"), ..shell },
        path: place.at(&format!("licenses/{}", listed.license.id)),
        id: listed.license.id.to_string(),
        pill: pill(&listed.license.standing),
        why: why(place, &listed, cause, &timeline, now),
        facts,
        tags: listed.tags.iter().map(|tag| (address(&place.at("licenses"), &[("tag", tag)]), tag.clone())).collect(),
        write_to: customer.filter(|customer| customer.erased_at.is_none()).map(|customer| customer.email),
        devices: devices.into_iter().map(|row| device(row, offer.plan.terms.lease, now)).collect(),
        recheck_hours: offer.plan.terms.lease.recheck_hours,
        devices_max: listed.license.limits(&offer.plan.terms.limits).activations,
        actions: actions(place, &listed),
        may_write_file: place.role.may(Ability::Help)
            && listed.license.standing.state == LicenseState::Active
            && listed.key_hint.is_some(),
        may_help: place.role.may(Ability::Help),
        may_reveal: place.role.may(Ability::Reveal),
        support_link: format!("{}{}", web.public_url.trim_end_matches('/'), place.at(&format!("licenses/{id}"))),
        timeline,
        key,
        tested,
    })
}

fn device(row: Activation, lease: LeaseTerms, now: Timestamp) -> Device {
    let asks_again = SignedDuration::from_hours(lease.recheck_hours.into());
    let lease_until = row.lease_until.filter(|until| *until > now.as_microsecond());
    Device {
        id: domain::id::ActivationId(row.id).to_string(),
        name: name(&row).to_owned(),
        software: software(&row),
        is_online: row.last_seen_at >= after(now, -asks_again).as_microsecond(),
        lease_until: lease_until.map(|until| When::stored(until, now)),
        since: When::stored(row.created_at, now),
        seen: When::stored(row.last_seen_at, now),
        fingerprint: row.fingerprint,
    }
}

/// What a device is called: `Ada's Mac`.
fn name(row: &Activation) -> &str {
    row.name.as_deref().unwrap_or(&row.kind)
}

/// What runs on it, as far as it was told: `macOS 15.2 · 3.4.1`.
fn software(row: &Activation) -> String {
    let told = [row.os.as_deref(), row.app_version.as_deref()];
    told.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// Both in one text.
pub(crate) fn device_name(row: &Activation) -> String {
    let parts = [name(row).to_owned(), software(row)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// Why a license is as it is, in one sentence.
fn why(
    place: &Place<Look>,
    listed: &ListedLicense,
    cause: (String, &'static str),
    timeline: &[Line],
    now: Timestamp,
) -> Why {
    let license = &listed.license;
    let standing = &license.standing;
    let word = pill(standing).word;
    let undo = match standing.state {
        _ if matches!(license.holding, Holding::SupersededBy(_)) => None,
        LicenseState::Frozen => Some(("unfreeze", "Unfreeze", Ability::Help)),
        LicenseState::Revoked if is_revoked_by_hand(listed) => {
            Some(("reinstate", "Undo the revocation", Ability::Decide))
        }
        LicenseState::Revoked if matches!(standing.reason, Reason::Cause(_)) => {
            Some(("unfreeze", "Let it work again", Ability::Help))
        }
        LicenseState::Expired => Some(("extend", "Extend", Ability::Help)),
        LicenseState::Active | LicenseState::Revoked => None,
    };
    let scheduled = standing.scheduled.as_ref().map(|next| {
        let when = When::new(next.at, now);
        format!("It will be {} {} ({}) if nothing else happens.", next.state.as_str(), when, when.full())
    });
    let changed = timeline.iter().find(|line| line.changes_state);
    Why {
        sentence: format!("{} because {}.", capitalised(word), standing.reason.sentence()),
        since: changed.map(|line| When::new(line.at, now)),
        cause,
        undo: undo.filter(|(.., ability)| place.role.may(*ability)).map(|(word, name, _)| (word, name)),
        scheduled,
    }
}

/// Where it stands what made it so: what a person did has its line in the timeline, and money has its order.
fn cause(place: &Place<Look>, listed: &ListedLicense, moments: &[Moment]) -> (String, &'static str) {
    let by_hand = match listed.license.standing.reason {
        Reason::FrozenByHand => facts::ruling(moments, "freeze"),
        Reason::RevokedByHand => facts::ruling(moments, "revoke"),
        _ => None,
    };
    match by_hand {
        Some(entry) => (format!("#{}", timeline::anchor(entry)), "who did it"),
        None => (place.at(&format!("orders/{}", listed.order)), "the order"),
    }
}

fn is_revoked_by_hand(listed: &ListedLicense) -> bool {
    listed.license.rulings.revoked.as_ref().is_some_and(|register| register.value)
}

/// What can be done with it now, by this member.
fn actions(place: &Place<Look>, listed: &ListedLicense) -> Vec<(&'static str, &'static str, bool)> {
    let state = listed.license.standing.state;
    if matches!(listed.license.holding, Holding::SupersededBy(_)) {
        return Vec::new();
    }
    let is_revoked = is_revoked_by_hand(listed);
    let all = [
        ("resend", "Resend the key", false, Ability::Help, true),
        ("correct", "Correct the address", false, Ability::Help, true),
        ("freeze", "Freeze", false, Ability::Help, state == LicenseState::Active),
        ("unfreeze", "Unfreeze", false, Ability::Help, state == LicenseState::Frozen),
        ("extend", "Extend", false, Ability::Help, true),
        ("note", "Write a note", false, Ability::Help, true),
        ("rotate-key", "Change the key", false, Ability::Help, listed.license.keys > 0),
        ("tags", "Set tags", false, Ability::Help, true),
        ("change-plan", "Change the plan", false, Ability::Decide, true),
        ("limits", "Set limits", false, Ability::Decide, true),
        ("transfer", "Transfer to somebody else", false, Ability::Decide, listed.license.keys > 0),
        ("reinstate", "Undo the revocation", false, Ability::Decide, is_revoked),
        ("revoke", "Revoke", true, Ability::Decide, !is_revoked),
    ];
    let possible = all.into_iter().filter(|(_, _, _, ability, is_possible)| *is_possible && place.role.may(*ability));
    possible.map(|(word, name, is_dangerous, _, _)| (word, name, is_dangerous)).collect()
}

/// The raw key, where it may be seen.
pub(crate) fn revealed(shell: Shell, key: &str, back: String) -> Result<Response, Refusal> {
    #[derive(Template)]
    #[template(path = "console/revealed.html")]
    struct RevealedPage<'a> {
        shell: Shell,
        key: &'a str,
        back: String,
    }
    Ok(Html(RevealedPage { shell, key, back }.render()?).into_response())
}
