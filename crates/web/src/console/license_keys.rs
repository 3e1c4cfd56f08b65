//! The key of a license: another one, for its holder or for somebody else, and a file for a machine that is never online.

use axum::{http::header, response::IntoResponse};
use domain::{
    activation::fingerprint,
    member::Ability,
    order::{Contact, Order},
    text::EmailAddress,
};
use engine::{
    key_change::{KeyChange, KeyChangeError, OVERLAP_HOURS_MAX, is_mailed_by_vendor},
    license_keys::OfflineDevice,
};

use super::{
    action::Field,
    license_actions::{Action, Case, Done, LEASES},
    refusal::Refusal,
    words::{When, counted, sentence},
};

/// The order of a license, and how many licenses it has that can be handed over.
async fn order(case: &Case<'_>) -> Result<(Order, usize), Refusal> {
    let found = case.web.engine.store.order(case.place.whose(), case.listed.order).await?;
    let (order, licenses) = found.ok_or(Refusal::NotFound)?;
    let held = licenses.iter().filter(|listed| listed.key_hint.is_some()).count();
    Ok((order.order, held))
}

/// What becomes of the keys that open the license now.
fn keys_stop(case: &Case<'_>) -> String {
    match (case.listed.license.keys, case.listed.key_hint.as_deref()) {
        (2.., _) => format!("All {} keys that open it now stop", case.listed.license.keys),
        (_, hint) => format!("The key {} stops", hint.unwrap_or_default()),
    }
}

/// Who is mailed a new key, as a sentence.
async fn mailed(case: &Case<'_>, order: &Order) -> Result<String, Refusal> {
    let whose = case.place.whose();
    let offer = case.web.engine.offer(whose.tenant, case.listed.license.plan).await?;
    if is_mailed_by_vendor(order, &offer.plan) {
        return Ok(
            "Nobody is mailed: you deliver these keys yourself. Who may see the key finds it on this page.".to_owned()
        );
    }
    let customer = match case.listed.customer {
        Some(id) => case.web.engine.store.customer(whose, id).await?,
        None => None,
    };
    let email = order.mailed_to().map(|contact| contact.email.as_str().to_owned());
    Ok(match email.or_else(|| customer.map(|customer| customer.email)) {
        Some(email) => format!("The new key is mailed to {email}; here only its end is shown."),
        None => "Nobody is mailed: the order has no address yet.".to_owned(),
    })
}

pub(super) async fn changing(case: &Case<'_>) -> Result<Action, Refusal> {
    let (order, _) = order(case).await?;
    let hours = case.sent.some("hours").unwrap_or("0");
    let question = case
        .question("Change the key", "Make a new key")
        .says(format!("{} opening the license, at once or after the hours that you choose.", keys_stop(case)))
        .says(mailed(case, &order).await?)
        .says("Devices keep their places, and go on until their lease ends; by then the new key has to be typed there.")
        .asks(
            Field::text("hours", "Hours for which the old key still works", hours)
                .of("number")
                .hint("0: it stops at once. 720 at most."),
        );
    Ok(Action::new(Ability::Help, question).guarded())
}

pub(super) async fn change(case: &Case<'_>) -> Result<Done, Refusal> {
    let overlap_hours = match case.sent.number("hours", "Hours") {
        Ok(hours) => hours.unwrap_or(0),
        Err(wrong) => return Ok(Done::Wrong(wrong)),
    };
    let change = KeyChange { overlap_hours, is_mailed: true };
    let (tenant, id) = (case.place.whose().tenant, case.listed.license.id);
    match case.web.engine.change_key(tenant, id, change, &case.by()).await {
        Ok(made) => {
            let is_mailed = made.ok_or(Refusal::NotFound)?.is_mailed;
            Ok(case.said(if is_mailed { "key_changed" } else { "key_changed_silently" }))
        }
        Err(problem) => wrong(problem),
    }
}

/// What a person reads of why a key is not changed.
fn wrong(problem: KeyChangeError) -> Result<Done, Refusal> {
    match problem {
        KeyChangeError::Engine(error) => Err(error.into()),
        KeyChangeError::TooLong => Ok(Done::Wrong(format!("Hours: 0 to {OVERLAP_HOURS_MAX}."))),
        problem => Ok(Done::Wrong(sentence(&problem))),
    }
}

pub(super) async fn transferring(case: &Case<'_>) -> Result<Action, Refusal> {
    let (order, held) = order(case).await?;
    let devices = case.web.engine.store.activations(case.listed.license.id).await?.len();
    let mut question = case
        .question("Transfer to somebody else", "Transfer it")
        .dangerous()
        .says("The order goes to them: all mails about it go to the new address, whatever its provider says.");
    question = match held {
        2.. => question.says(format!(
            "The address is the order's, so its {held} licenses go together: each gets a new key, and all their devices are freed."
        )),
        _ => question.says(format!(
            "{} opening the license at once, and its devices ({devices} now) are freed.",
            keys_stop(case)
        )),
    };
    let offer = case.web.engine.offer(case.place.whose().tenant, case.listed.license.plan).await?;
    question = if is_mailed_by_vendor(&order, &offer.plan) {
        question.says("Nobody is mailed: you deliver these keys yourself. Who may see the key finds it on this page.")
    } else {
        question.says("They are mailed the new key.")
    };
    if case.listed.license.unit.subscribed {
        question =
            question.says("The subscription stays as it is at the provider: whoever pays goes on paying for it.");
    }
    let question = question
        .says(LEASES)
        .asks(Field::text("email", "E-mail of the new holder", case.sent.get("email")).of("email").needed())
        .asks(Field::text("name", "Name", case.sent.get("name")).hint("May stay empty."));
    Ok(Action::new(Ability::Decide, question).guarded())
}

pub(super) async fn transfer(case: &Case<'_>) -> Result<Done, Refusal> {
    let Ok(email) = EmailAddress::parse(case.sent.get("email")) else {
        return Ok(Done::Wrong("This is not an e-mail address.".to_owned()));
    };
    let to = Contact { email, name: case.sent.some("name").map(Into::into) };
    let (tenant, id) = (case.place.whose().tenant, case.listed.license.id);
    match case.web.engine.transfer(tenant, id, &to, &case.by()).await {
        Ok(made) => {
            let all_mailed = made.ok_or(Refusal::NotFound)?.iter().all(|new| new.is_mailed);
            Ok(case.said(if all_mailed { "transferred" } else { "transferred_silently" }))
        }
        Err(problem) => wrong(problem),
    }
}

pub(super) async fn offline(case: &Case<'_>) -> Result<Action, Refusal> {
    let (web, license) = (case.web, &case.listed.license);
    let offer = web.engine.offer(case.place.whose().tenant, license.plan).await?;
    let ends = When::new(web.engine.offline_until(case.place.whose(), license).await?, web.engine.now());
    let days = counted(offer.plan.terms.lease.offline_days, "day", "days");
    let used = web.engine.store.activations(license.id).await?.len();
    let places = match license.limits(&offer.plan.terms.limits).activations {
        Some(most) => format!("The machine takes one of the license's places: {used} of {most} are taken."),
        None => format!("The machine takes a place of the license: {used} are taken, and any number is allowed."),
    };
    let question = case
        .question("File for a machine that is never online", "Write the file")
        .says(places)
        .says(format!(
            "The file has the signed lease that the app would get by itself. It is good until {}: its plan lets a lease go \
             for {days}, and none outlives the license. After that a new file is needed.",
            ends.full(),
        ))
        .says("It cannot be called back before then, whatever happens to the license.")
        .asks(
            Field::text("fingerprint", "Fingerprint of the machine", case.sent.get("fingerprint"))
                .needed()
                .hint("What your app shows as the identity of its machine, exactly as it stands there."),
        )
        .asks(Field::text("name", "Name", case.sent.get("name")).hint("By which its owner recognises it. May stay empty."));
    Ok(Action::new(Ability::Help, question))
}

pub(super) async fn write_offline(case: &Case<'_>) -> Result<Done, Refusal> {
    let name = case.sent.some("name").map(str::to_owned);
    let device = match fingerprint(case.sent.get("fingerprint")) {
        Ok(fingerprint) => OfflineDevice { fingerprint, name },
        Err(problem) => return Ok(Done::Wrong(format!("Fingerprint: {problem}."))),
    };
    let engine = &case.web.engine;
    let answer =
        engine.offline_lease(case.place.whose(), case.listed, &device, &case.web.public_url, &case.by()).await?;
    let answer = match answer {
        Some(answer) if answer.lease.is_some() => answer,
        Some(answer) => return Ok(Done::Wrong(answer.verdict.message)),
        None => return Ok(Done::Wrong("It has no key of its own.".to_owned())),
    };
    let file = format!("attachment; filename=\"{}-offline.json\"", case.listed.license.id);
    let headers = [(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_DISPOSITION, file)];
    Ok(Done::Answer((headers, (case.web.app_answer)(answer)).into_response()))
}
