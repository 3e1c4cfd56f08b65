//! What a license gives: how long it lasts, its plan, and its limits.

use std::sync::Arc;

use domain::{
    id::{PlanId, ProductId},
    license::License,
    member::{Ability, Role, SUPPORT_EXTENDS_DAYS},
    plan::{Adjustment, Limits, PlanVersion},
    ruling::Ruling,
};
use engine::{catalogue::Offer, configuration::wrong_with_limits};
use jiff::SignedDuration;

use super::{
    action::{Field, Sent},
    license_actions::{Action, Case, Done},
    refusal::Refusal,
    words::{When, any_number, words_or_none},
};

/// The longest extension in one step, in days.
const DAYS_MAX: u32 = 3_650;

pub(super) fn extending(case: &Case<'_>) -> Action {
    let until = case.listed.license.standing.until.map(|until| When::new(until, case.web.engine.now()));
    let now = match until {
        Some(until) => format!("It ends {} ({until}) now.", until.full()),
        None => "It has no end now.".to_owned(),
    };
    let days = case.sent.some("days").unwrap_or("30");
    let days = Field::text("days", "Days", days).of("number").needed().hint(extends_at_most(case.place.role).1);
    let question = case
        .question("Extend", "Extend")
        .says("The license lasts that many days longer, counted from its end or from today, whichever is later.")
        .says(now)
        .asks(days);
    Action::new(Ability::Help, question)
}

/// By how many days a role extends at most, with what to say about it.
pub(super) const fn extends_at_most(role: Role) -> (u32, &'static str) {
    if role.may(Ability::Decide) {
        (DAYS_MAX, "")
    } else {
        (SUPPORT_EXTENDS_DAYS, "Your role extends by 30 days at most.")
    }
}

pub(super) async fn extend(case: &Case<'_>) -> Result<Done, Refusal> {
    let most = extends_at_most(case.place.role).0;
    let Ok(days) = case.sent.get("days").parse::<u32>() else {
        return Ok(Done::Wrong("Days are a whole number.".to_owned()));
    };
    if !(1..=most).contains(&days) {
        return Ok(Done::Wrong(format!("You may extend by 1 to {most} days.")));
    }
    let now = case.web.engine.now();
    let from = case.listed.license.standing.until.map_or(now, |until| until.max(now));
    let until = domain::time::after(from, SignedDuration::from_hours(24 * i64::from(days)));
    case.rule(&Ruling::Extend(until), "extended").await
}

pub(super) async fn changing_plan(case: &Case<'_>) -> Result<Action, Refusal> {
    let plans = case.web.engine.store.newest_plans(case.place.whose().tenant).await?;
    let here = case.listed.license.plan.plan.0;
    let options = plans.into_iter().map(|plan| (plan.code, plan.name, plan.id == here)).collect();
    let question = case
        .question("Change the plan", "Change it")
        .says("The license gets the current version of this plan, and keeps it whatever is paid later.")
        .says("Devices that are too many for it stay until they are freed; new ones are refused.")
        .asks(Field::Choice { name: "plan", label: "Plan", options });
    Ok(Action::new(Ability::Decide, question))
}

pub(super) async fn change_plan(case: &Case<'_>) -> Result<Done, Refusal> {
    let plans = case.web.engine.store.plans(case.place.whose().tenant).await?;
    let code = case.sent.get("plan");
    let newest = plans.into_iter().filter(|plan| plan.code == code).max_by_key(|plan| plan.version);
    let Some(plan) = newest else { return Ok(Done::Wrong("There is no such plan.".to_owned())) };
    let plan = PlanVersion {
        product: ProductId(plan.product_id),
        plan: PlanId(plan.id),
        version: plan.version.unsigned_abs(),
    };
    case.rule(&Ruling::ChangePlan(plan), "plan_changed").await
}

/// What a license would allow if this were decided about it.
fn allowed(license: &License, instead: Option<Limits>, offer: &Offer) -> Limits {
    let adjustment = Adjustment { instead, added: license.unit.added.clone() };
    adjustment.limits(&offer.plan.terms.limits, license.unit.seats)
}

/// What a person has decided about its limits.
fn set_by_hand(license: &License) -> Option<&Limits> {
    license.rulings.limits.as_ref().and_then(|register| register.value.as_ref())
}

async fn offer(case: &Case<'_>) -> Result<Arc<Offer>, Refusal> {
    Ok(case.web.engine.offer(case.place.whose().tenant, case.listed.license.plan).await?)
}

/// What is asked for: other limits, or those of the plan; none: nothing yet. Otherwise what is wrong with it.
fn wanted(sent: &Sent) -> Result<Option<Option<Limits>>, String> {
    if sent.is_on("plan") {
        return Ok(Some(None));
    }
    if !sent.has("activations") {
        return Ok(None);
    }
    let limits = Limits {
        activations: sent.number("activations", "Devices")?,
        checks_per_month: sent.number("checks_per_month", "Checks a month")?,
        features: sent.words("features"),
    };
    match wrong_with_limits(&limits) {
        Some(("features", message)) => Err(format!("Features: {message}.")),
        Some((_, _)) => Err("A number is 1 at least; leave it empty for any number.".to_owned()),
        None => Ok(Some(Some(limits))),
    }
}

/// How something that is wanted is known again, once it was read what follows from it.
fn word(limits: Option<&Limits>) -> String {
    let Some(limits) = limits else { return "plan".to_owned() };
    let number = |limit: Option<u32>| limit.map(|limit| limit.to_string()).unwrap_or_default();
    let features = limits.features.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    format!("{}/{}/{features}", number(limits.activations), number(limits.checks_per_month))
}

pub(super) async fn limiting(case: &Case<'_>) -> Result<Action, Refusal> {
    let (license, offer) = (&case.listed.license, offer(case).await?);
    let by_hand = set_by_hand(license);
    let now = allowed(license, by_hand.cloned(), &offer);
    let wanted = wanted(case.sent).ok().flatten();
    let goes_back = matches!(wanted, Some(None));
    let (title, button) = match (goes_back, &wanted) {
        (true, _) => ("Go by the plan again", "Go by the plan"),
        (false, Some(_)) => ("Set limits", "Set them"),
        (false, None) => ("Set limits", "See what changes"),
    };
    let mut question = case.question(title, button);
    match &wanted {
        Some(instead) => {
            let then = allowed(license, instead.clone(), &offer);
            question = differences(&now, &then).into_iter().fold(question, super::action::Question::says);
            question = question.asks(Field::Hidden { name: "seen", value: word(instead.as_ref()) });
        }
        None => {
            question = question.says("What is set here counts instead of what the plan and the seats say, until somebody goes by the plan again.");
        }
    }
    question = question.says("Devices that are too many stay until they are freed; new ones are refused.");
    if goes_back {
        return Ok(Action::new(Ability::Decide, question.asks(Field::Hidden { name: "plan", value: "on".to_owned() })));
    }
    // What add-ons bring comes on top, so it is not set here.
    let own = Adjustment { instead: by_hand.cloned(), ..Adjustment::default() }
        .limits(&offer.plan.terms.limits, license.unit.seats);
    for field in fields(case.sent, &own) {
        question = question.asks(field);
    }
    if by_hand.is_some() {
        let path = format!("{}/limits?plan=on", case.page());
        question = question.asks(Field::Link { path, words: "Go by the plan again" });
    }
    Ok(Action::new(Ability::Decide, question))
}

/// The limits as they are sent, otherwise as they are.
fn fields(sent: &Sent, own: &Limits) -> [Field; 3] {
    let value = |name: &str, here: String| if sent.has(name) { sent.get(name).to_owned() } else { here };
    let number = |limit: Option<u32>| limit.map(|limit| limit.to_string()).unwrap_or_default();
    let features = own.features.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    [
        Field::text("activations", "Devices", value("activations", number(own.activations)))
            .of("number")
            .hint("Empty: any number. What add-ons bring comes on top."),
        Field::text("checks_per_month", "Checks a month", value("checks_per_month", number(own.checks_per_month)))
            .of("number")
            .hint("Empty: any number."),
        Field::text("features", "Features", value("features", features))
            .hint("The words that your app reads, with commas between them."),
    ]
}

/// What is otherwise, each as a sentence.
fn differences(before: &Limits, after: &Limits) -> Vec<String> {
    let rows = [
        ("Devices", any_number(before.activations), any_number(after.activations)),
        ("Checks a month", any_number(before.checks_per_month), any_number(after.checks_per_month)),
        ("Features", words_or_none(&before.features), words_or_none(&after.features)),
    ];
    let other = rows.into_iter().filter(|(_, before, after)| before != after);
    let told: Vec<String> = other.map(|(name, before, after)| format!("{name}: {before} → {after}.")).collect();
    if told.is_empty() { vec!["It allows the same as now.".to_owned()] } else { told }
}

pub(super) async fn limit(case: &Case<'_>) -> Result<Done, Refusal> {
    let limits = match wanted(case.sent) {
        Ok(Some(limits)) => limits,
        Ok(None) => return Ok(Done::Read),
        Err(wrong) => return Ok(Done::Wrong(wrong)),
    };
    if case.sent.get("seen") != word(limits.as_ref()) {
        return Ok(Done::Read);
    }
    let said = if limits.is_some() { "limits_set" } else { "limits_cleared" };
    case.rule(&Ruling::Limits(limits), said).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(activations: Option<u32>, features: &[&str]) -> Limits {
        let features = features.iter().map(|feature| (*feature).to_owned()).collect();
        Limits { activations, features, ..Limits::default() }
    }

    #[test]
    fn what_is_otherwise_is_told_from_what_to_what() {
        let now = limits(Some(3), &["edit"]);
        for (then, told) in [
            (limits(Some(5), &["edit"]), vec!["Devices: 3 → 5."]),
            (limits(None, &[]), vec!["Devices: 3 → any number.", "Features: edit → none."]),
            (now.clone(), vec!["It allows the same as now."]),
        ] {
            assert_eq!(differences(&now, &then), told);
        }
    }

    #[test]
    fn what_was_read_is_known_again() {
        assert_eq!(word(None), "plan");
        assert_ne!(word(Some(&limits(Some(3), &[]))), word(Some(&limits(None, &[]))));
        assert_eq!(word(Some(&limits(Some(3), &["a", "b"]))), "3//a,b");
    }
}
