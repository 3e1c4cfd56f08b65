//! What can be done with a license: each action says first what follows.

use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use domain::{
    id::{ActivationId, MailId, PlanId, ProductId},
    member::{Ability, Role, SUPPORT_EXTENDS_DAYS},
    order::Contact,
    plan::{Limits, PlanVersion},
    ruling::Ruling,
    tag,
    text::EmailAddress,
};
use engine::{
    license_tags::{TagPatch, TaggingError},
    rulings::OrderRuling,
};
use jiff::SignedDuration;
use serde::Deserialize;
use store::lists::ListedLicense;

use super::{
    action::{ActionPage, Field},
    browser::see_other,
    license::{license, revealed},
    place::{
        Place,
        to::{Help, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
    words::{When, sentence},
};
use crate::Web;

/// The longest extension in one step, in days.
const DAYS_MAX: u32 = 3_650;

/// What is sent.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Sent {
    #[serde(default)]
    note: String,
    #[serde(default)]
    days: String,
    #[serde(default)]
    plan: String,
    #[serde(default)]
    activations: String,
    #[serde(default)]
    email: String,
    /// None: the form was not sent yet.
    #[serde(default)]
    tags: Option<String>,
}

/// An action, its page, and who may take it.
struct Action {
    title: &'static str,
    button: &'static str,
    ability: Ability,
    is_dangerous: bool,
    consequences: Vec<String>,
    fields: Vec<Field>,
}

fn text(name: &'static str, label: &'static str, kind: &'static str, value: String, hint: &'static str) -> Field {
    Field::Text { name, label, value, kind, hint, is_required: true }
}

/// What all say that stop a license.
pub(super) const LEASES: &str =
    "Apps that run already may go on until their lease ends; each check tells them at once.";

fn plain(
    title: &'static str,
    button: &'static str,
    ability: Ability,
    consequences: &[&str],
    fields: Vec<Field>,
) -> Action {
    let consequences = consequences.iter().map(|text| (*text).to_owned()).collect();
    Action { title, button, ability, is_dangerous: false, consequences, fields }
}

/// An action of a license as it is now.
async fn action(
    web: &Web,
    place: &Place<Look>,
    listed: &ListedLicense,
    word: &str,
    sent: &Sent,
) -> Result<Action, Refusal> {
    match word {
        "extend" => Ok(extend(web, place, listed, sent)),
        "change-plan" => change_plan(web, place, listed).await,
        "limits" => Ok(set_limits(sent)),
        "correct" => Ok(plain(
            "Correct the address",
            "Correct and send",
            Ability::Help,
            &[
                "All mails about this order go to the new address from now on, whatever the provider says, and the mail with \
               the key goes there at once.",
            ],
            vec![text("email", "E-mail", "email", sent.email.clone(), "")],
        )),
        "note" => Ok(plain(
            "Write a note",
            "Keep it",
            Ability::Help,
            &["Colleagues read it in the timeline of the license. Nothing changes by it, and the buyer never sees it."],
            Vec::new(),
        )),
        "tags" => Ok(set_tags(listed, sent)),
        _ => simple(word).ok_or(Refusal::NotFound),
    }
}

fn set_tags(listed: &ListedLicense, sent: &Sent) -> Action {
    let has = || listed.tags.iter().cloned().collect::<Vec<_>>().join(", ");
    let tags = Field::text("tags", "Tags", sent.tags.clone().unwrap_or_else(has));
    let consequence = "Tags are your own words, by which licenses are found in their list. Nothing else changes, and the buyer \
                       never sees them.";
    let hint = "Up to 20, with commas between them. Empty: it has none.";
    plain("Set tags", "Set them", Ability::Help, &[consequence], vec![tags.hint(hint)])
}

/// Those that need nothing but a reason.
fn simple(word: &str) -> Option<Action> {
    let action = match word {
        "freeze" => plain(
            "Freeze",
            "Freeze",
            Ability::Help,
            &["The license stops working until somebody unfreezes it.", LEASES, "The buyer is told by mail."],
            Vec::new(),
        ),
        "unfreeze" => plain(
            "Unfreeze",
            "Unfreeze",
            Ability::Help,
            &[
                "The license works again, and everything that speaks against it now is excused. A new refund or dispute \
               counts again.",
            ],
            Vec::new(),
        ),
        "revoke" => Action {
            is_dangerous: true,
            ..plain(
                "Revoke",
                "Revoke the license",
                Ability::Decide,
                &[
                    "The license stops working, whatever was or will be paid.",
                    LEASES,
                    "The buyer is told by mail. It can be undone.",
                ],
                Vec::new(),
            )
        },
        "reinstate" => plain(
            "Undo the revocation",
            "Undo it",
            Ability::Decide,
            &["From now on the money decides again."],
            Vec::new(),
        ),
        "reveal" => {
            plain("See the key", "Show it", Ability::Reveal, &["That you saw it stands in the audit log."], Vec::new())
        }
        _ => return None,
    };
    Some(action)
}

fn extend(web: &Web, place: &Place<Look>, listed: &ListedLicense, sent: &Sent) -> Action {
    let until = listed.license.standing.until.map(|until| When::new(until, web.engine.now()));
    let now = match until {
        Some(until) => format!("It ends {} ({until}) now.", until.full()),
        None => "It has no end now.".to_owned(),
    };
    let most = extends_at_most(place.role).1;
    let days = if sent.days.is_empty() { "30".to_owned() } else { sent.days.clone() };
    let longer = "The license lasts that many days longer, counted from its end or from today, whichever is later.";
    plain("Extend", "Extend", Ability::Help, &[longer, &now], vec![text("days", "Days", "number", days, most)])
}

async fn change_plan(web: &Web, place: &Place<Look>, listed: &ListedLicense) -> Result<Action, Refusal> {
    let plans = web.engine.store.newest_plans(place.whose().tenant).await?;
    let here = listed.license.plan.plan.0;
    let options = plans.into_iter().map(|plan| (plan.code, plan.name, plan.id == here)).collect();
    Ok(plain(
        "Change the plan",
        "Change it",
        Ability::Decide,
        &[
            "The license gets the current version of this plan, and keeps it whatever is paid later.",
            "Devices that are too many for it stay until they are freed; new ones are refused.",
        ],
        vec![Field::Choice { name: "plan", label: "Plan", options }],
    ))
}

fn set_limits(sent: &Sent) -> Action {
    let devices = Field::Text {
        name: "activations",
        label: "Devices",
        value: sent.activations.clone(),
        kind: "number",
        hint: "",
        is_required: false,
    };
    let instead = "What is set here counts instead of what the plan says. Leave it empty to go by the plan again.";
    plain("Set limits", "Set them", Ability::Decide, &[instead], vec![devices])
}

/// `GET …/licenses/{id}/{action}`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id, word)): Path<(String, String, String, String)>,
    axum::extract::Query(sent): axum::extract::Query<Sent>,
) -> Result<Response, Refusal> {
    let listed = license(&web, &place, &id).await?;
    if word == "resend" {
        place.may(Ability::Help)?;
        // An order without an address has no mail; once that is corrected, the key is sent.
        return Ok(see_other(&match mail_with_key(&web, &place, &listed).await? {
            Some(mail) => place.at(&format!("mails/{mail}/resend")),
            None => place.at(&format!("licenses/{}/correct", listed.license.id)),
        }));
    }
    shown(&web, &place, &listed, &word, &sent, None).await
}

async fn shown(
    web: &Web,
    place: &Place<Look>,
    listed: &ListedLicense,
    word: &str,
    sent: &Sent,
    wrong: Option<String>,
) -> Result<Response, Refusal> {
    let mut action = action(web, place, listed, word, sent).await?;
    place.may(action.ability)?;
    confirmed(web, place, &action)?;
    action.fields.push(match word {
        "note" => Field::long("note", "Note", sent.note.clone()),
        _ => Field::reason(),
    });
    let key = listed.key_hint.clone().unwrap_or_default();
    page(&ActionPage {
        shell: Shell::new(web, place, "licenses", action.title).await?,
        title: format!("{} · {key}", action.title),
        consequences: action.consequences.into_iter().filter(|text| !text.is_empty()).collect(),
        fields: action.fields,
        button: action.button,
        is_dangerous: action.is_dangerous,
        back: place.at(&format!("licenses/{}", listed.license.id)),
        wrong,
    })
}

/// Before a secret is shown, its viewer proves who they are.
fn confirmed(web: &Web, place: &Place<Look>, action: &Action) -> Result<(), Refusal> {
    if action.ability == Ability::Reveal && !place.who.is_confirmed(web.engine.now()) {
        return Err(Refusal::Confirm(place.address.clone()));
    }
    Ok(())
}

/// `POST …/licenses/{id}/{action}`.
pub(crate) async fn act(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id, word)): Path<(String, String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let listed = license(&web, &place, &id).await?;
    let action = action(&web, &place, &listed, &word, &sent).await?;
    place.may(action.ability)?;
    confirmed(&web, &place, &action)?;
    let back = place.at(&format!("licenses/{}", listed.license.id));
    if word == "reveal" {
        let key =
            web.engine.reveal_key(place.whose(), &listed, &place.by(&sent.note)).await?.ok_or(Refusal::NotFound)?;
        return revealed(Shell::new(&web, &place, "licenses", "The key").await?, &key, back);
    }
    match done(&web, &place, &listed, &word, &sent).await? {
        Ok(said) => Ok(see_other(&format!("{back}?said={said}"))),
        Err(wrong) => shown(&web, &place, &listed, &word, &sent, Some(wrong)).await,
    }
}

/// The device that is to be freed.
#[derive(Deserialize)]
pub(crate) struct Freed {
    device: ActivationId,
}

/// `POST …/licenses/{id}/free`: at once, since whoever was meant to keep it activates again.
pub(crate) async fn free(
    State(web): State<Web>,
    place: Place<Help>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Freed>,
) -> Result<Response, Refusal> {
    let listed = license(&web, &place, &id).await?;
    web.engine.free_device(place.whose(), &listed, sent.device, &place.by("")).await?;
    Ok(see_other(&place.at(&format!("licenses/{}?said=device_freed", listed.license.id))))
}

/// Does it: the word for what was done, or what was wrong with what was sent.
async fn done(
    web: &Web,
    place: &Place<Look>,
    listed: &ListedLicense,
    word: &str,
    sent: &Sent,
) -> Result<Result<&'static str, String>, Refusal> {
    let by = place.by(&sent.note);
    let (ruling, said) = match word {
        "freeze" => (Ruling::Freeze, "frozen"),
        "unfreeze" => (Ruling::Unfreeze, "unfrozen"),
        "revoke" => (Ruling::Revoke, "revoked"),
        "reinstate" => (Ruling::Reinstate, "reinstated"),
        "extend" => match extension(web, place, listed, &sent.days) {
            Ok(ruling) => (ruling, "extended"),
            Err(wrong) => return Ok(Err(wrong)),
        },
        "change-plan" => match current_plan(web, place, &sent.plan).await? {
            Some(plan) => (Ruling::ChangePlan(plan), "plan_changed"),
            None => return Ok(Err("There is no such plan.".to_owned())),
        },
        "limits" => match limits(&sent.activations) {
            Ok(limits) => {
                let said = if limits.is_some() { "limits_set" } else { "limits_cleared" };
                (Ruling::Limits(limits), said)
            }
            Err(wrong) => return Ok(Err(wrong)),
        },
        "note" if by.note.is_none() => return Ok(Err("Write something first.".to_owned())),
        "note" => {
            web.engine.note_license(place.whose(), listed, &by).await?;
            return Ok(Ok("noted"));
        }
        "tags" => return tag(web, place, listed, sent).await,
        "correct" => return correct(web, place, listed, sent).await,
        _ => return Err(Refusal::NotFound),
    };
    web.engine.rule(place.whose().tenant, listed.license.id, &ruling, &by).await?.ok_or(Refusal::NotFound)?;
    Ok(Ok(said))
}

/// By how many days a role extends at most, with what to say about it.
pub(super) const fn extends_at_most(role: Role) -> (u32, &'static str) {
    if role.may(Ability::Decide) {
        (DAYS_MAX, "")
    } else {
        (SUPPORT_EXTENDS_DAYS, "Your role extends by 30 days at most.")
    }
}

fn extension(web: &Web, place: &Place<Look>, listed: &ListedLicense, days: &str) -> Result<Ruling, String> {
    let most = extends_at_most(place.role).0;
    let days: u32 = days.trim().parse().map_err(|_| "Days are a whole number.".to_owned())?;
    if !(1..=most).contains(&days) {
        return Err(format!("You may extend by 1 to {most} days."));
    }
    let now = web.engine.now();
    let from = listed.license.standing.until.map_or(now, |until| until.max(now));
    Ok(Ruling::Extend(domain::time::after(from, SignedDuration::from_hours(24 * i64::from(days)))))
}

async fn current_plan(web: &Web, place: &Place<Look>, code: &str) -> Result<Option<PlanVersion>, Refusal> {
    let plans = web.engine.store.plans(place.whose().tenant).await?;
    let newest = plans.into_iter().filter(|plan| plan.code == code).max_by_key(|plan| plan.version);
    Ok(newest.map(|plan| PlanVersion {
        product: ProductId(plan.product_id),
        plan: PlanId(plan.id),
        version: plan.version.unsigned_abs(),
    }))
}

fn limits(activations: &str) -> Result<Option<Limits>, String> {
    let activations = activations.trim();
    if activations.is_empty() {
        return Ok(None);
    }
    let activations: u32 = activations.parse().map_err(|_| "Devices are a whole number.".to_owned())?;
    let limits = Limits { activations: Some(activations), ..Limits::default() };
    match engine::configuration::wrong_with_limits(&limits) {
        Some((_, message)) => Err(message),
        None => Ok(Some(limits)),
    }
}

/// The mail with the key of a license, the latest; none: the order has no address yet.
async fn mail_with_key(web: &Web, place: &Place<Look>, listed: &ListedLicense) -> Result<Option<MailId>, Refusal> {
    let mail = web.engine.mail_with_key(place.whose(), listed.license.id).await?;
    Ok(mail.map(|mail| MailId(mail.id)))
}

async fn tag(
    web: &Web,
    place: &Place<Look>,
    listed: &ListedLicense,
    sent: &Sent,
) -> Result<Result<&'static str, String>, Refusal> {
    let wanted = match tag::read_all(sent.tags.as_deref().unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(error) => return Ok(Err(sentence(&error))),
    };
    let (patch, by) = (TagPatch::between(&listed.tags, &wanted), place.by(&sent.note));
    match web.engine.tag_license(place.whose(), listed.license.id, &patch, &by).await {
        Ok(tags) => tags.map(|_| Ok("tagged")).ok_or(Refusal::NotFound),
        Err(TaggingError::Tag(error)) => Ok(Err(sentence(&error))),
        Err(TaggingError::Engine(error)) => Err(error.into()),
    }
}

async fn correct(
    web: &Web,
    place: &Place<Look>,
    listed: &ListedLicense,
    sent: &Sent,
) -> Result<Result<&'static str, String>, Refusal> {
    let Ok(email) = EmailAddress::parse(&sent.email) else {
        return Ok(Err("This is not an e-mail address.".to_owned()));
    };
    let ruling = OrderRuling::Contact { to: Contact { email, name: None }, again: true };
    web.engine
        .rule_order(place.whose().tenant, listed.order, &ruling, &place.by(&sent.note))
        .await?
        .ok_or(Refusal::NotFound)?;
    Ok(Ok("corrected"))
}
