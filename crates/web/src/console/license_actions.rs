//! What can be done with a license: each action says first what follows.

use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    id::{ActivationId, MailId},
    member::Ability,
    order::Contact,
    ruling::Ruling,
    tag,
    text::EmailAddress,
};
use engine::{
    license_tags::{TagPatch, TaggingError},
    rulings::{By, OrderRuling},
};
use serde::Deserialize;
use store::lists::ListedLicense;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    license::{license, revealed},
    license_keys, license_terms,
    place::{
        Place,
        to::{Help, Look},
    },
    refusal::Refusal,
    shell::Shell,
    words::sentence,
};
use crate::Web;

/// What all say that stop a license.
pub(super) const LEASES: &str =
    "Apps that run already may go on until their lease ends; each check tells them at once.";

/// An action that somebody asks for: the license, and what they sent.
pub(super) struct Case<'a> {
    pub(super) web: &'a Web,
    pub(super) place: &'a Place<Look>,
    pub(super) listed: &'a ListedLicense,
    pub(super) sent: &'a Sent,
}

/// An action: what is asked first, and who may take it.
pub(super) struct Action {
    pub(super) question: Question,
    ability: Ability,
    /// Whether whoever takes it proves first who they are: a secret is shown or changed by it.
    is_guarded: bool,
}

/// How an action ended.
pub(super) enum Done {
    /// It is done, and this is answered.
    Answer(Response),
    /// There was something wrong with what was sent.
    Wrong(String),
    /// What would follow is to be read first.
    Read,
}

impl Case<'_> {
    /// A question about the license.
    pub(super) fn question(&self, title: &str, button: &'static str) -> Question {
        let key = self.listed.key_hint.as_deref().unwrap_or_default();
        Question::new(format!("{title} · {key}"), button, self.page())
    }

    /// The page of the license.
    pub(super) fn page(&self) -> String {
        self.place.at(&format!("licenses/{}", self.listed.license.id))
    }

    /// Who acts, with their reason.
    pub(super) fn by(&self) -> By {
        self.place.by(self.sent.get("note"))
    }

    /// Back to the page, where it is said what was done.
    pub(super) fn said(&self, word: &str) -> Done {
        Done::Answer(see_other(&format!("{}?said={word}", self.page())))
    }

    /// Rules about the license.
    pub(super) async fn rule(&self, ruling: &Ruling, said: &str) -> Result<Done, Refusal> {
        let (tenant, id) = (self.place.whose().tenant, self.listed.license.id);
        self.web.engine.rule(tenant, id, ruling, &self.by()).await?.ok_or(Refusal::NotFound)?;
        Ok(self.said(said))
    }

    /// Goes on if the member may take the action.
    fn may(&self, action: &Action) -> Result<(), Refusal> {
        self.place.may(action.ability)?;
        if action.is_guarded { self.place.confirmed(self.web) } else { Ok(()) }
    }

    async fn shown(&self, action: Action, wrong: Option<String>) -> Result<Response, Refusal> {
        action.question.page(self.web, self.place, "licenses", wrong).await
    }
}

impl Action {
    /// One for those who have this ability.
    pub(super) const fn new(ability: Ability, question: Question) -> Self {
        Self { question, ability, is_guarded: false }
    }

    /// Whoever takes it proves first who they are.
    pub(super) fn guarded(self) -> Self {
        Self { is_guarded: true, ..self }
    }

    /// It takes a reason, which stays while the question is asked once more.
    fn with_reason(self, sent: &Sent) -> Self {
        Self { question: self.question.asks(Field::reason().filled(sent.get("note"))), ..self }
    }
}

/// An action of a license as it is now.
async fn action(case: &Case<'_>, word: &str) -> Result<Action, Refusal> {
    let action = match word {
        "extend" => license_terms::extending(case),
        "change-plan" => license_terms::changing_plan(case).await?,
        "limits" => license_terms::limiting(case).await?,
        "rotate-key" => license_keys::changing(case).await?,
        "transfer" => license_keys::transferring(case).await?,
        "offline-file" => license_keys::offline(case).await?,
        "tags" => tagging(case),
        "note" => return Ok(noting(case)),
        _ => simple(case, word).ok_or(Refusal::NotFound)?,
    };
    Ok(action.with_reason(case.sent))
}

fn noting(case: &Case<'_>) -> Action {
    let question = case
        .question("Write a note", "Keep it")
        .says("Colleagues read it in the timeline of the license. Nothing changes by it, and the buyer never sees it.")
        .asks(Field::long("note", "Note", case.sent.get("note")));
    Action::new(Ability::Help, question)
}

fn tagging(case: &Case<'_>) -> Action {
    let has = || case.listed.tags.iter().cloned().collect::<Vec<_>>().join(", ");
    let tags = if case.sent.has("tags") { case.sent.get("tags").to_owned() } else { has() };
    let question = case
        .question("Set tags", "Set them")
        .says("Tags are your own words, by which licenses are found in their list. Nothing else changes, and the buyer never sees them.")
        .asks(Field::text("tags", "Tags", tags).hint("Up to 20, with commas between them. Empty: it has none."));
    Action::new(Ability::Help, question)
}

/// Those that need nothing but a reason, and an address at most.
fn simple(case: &Case<'_>, word: &str) -> Option<Action> {
    let new = |ability, title, button| Action::new(ability, case.question(title, button));
    let said = |action: Action, text: &str| Action { question: action.question.says(text), ..action };
    let action = match word {
        "freeze" => {
            let action =
                said(new(Ability::Help, "Freeze", "Freeze"), "The license stops working until somebody unfreezes it.");
            said(said(action, LEASES), "The buyer is told by mail.")
        }
        "unfreeze" => said(
            new(Ability::Help, "Unfreeze", "Unfreeze"),
            "The license works again, and everything that speaks against it now is excused. A new refund or dispute \
             counts again.",
        ),
        "revoke" => {
            let action = said(
                new(Ability::Decide, "Revoke", "Revoke the license"),
                "The license stops working, whatever was or will be paid.",
            );
            let action = said(said(action, LEASES), "The buyer is told by mail. It can be undone.");
            Action { question: action.question.dangerous(), ..action }
        }
        "reinstate" => {
            said(new(Ability::Decide, "Undo the revocation", "Undo it"), "From now on the money decides again.")
        }
        "reveal" => {
            said(new(Ability::Reveal, "See the key", "Show it"), "That you saw it stands in the audit log.").guarded()
        }
        "correct" => {
            let action = said(
                new(Ability::Help, "Correct the address", "Correct and send"),
                "All mails about this order go to the new address from now on, whatever the provider says, and the mail \
                 with the key goes there at once.",
            );
            let email = Field::text("email", "E-mail", case.sent.get("email")).of("email").needed();
            Action { question: action.question.asks(email), ..action }
        }
        _ => return None,
    };
    Some(action)
}

/// `GET …/licenses/{id}/{action}`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id, word)): Path<(String, String, String, String)>,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    let listed = license(&web, &place, &id).await?;
    let case = Case { web: &web, place: &place, listed: &listed, sent: &sent };
    if word == "resend" {
        place.may(Ability::Help)?;
        // An order without an address has no mail; once that is corrected, the key is sent.
        let mail = web.engine.mail_with_key(place.whose(), listed.license.id).await?;
        return Ok(see_other(&match mail {
            Some(mail) => place.at(&format!("mails/{}/resend", MailId(mail.id))),
            None => format!("{}/correct", case.page()),
        }));
    }
    let action = action(&case, &word).await?;
    case.may(&action)?;
    case.shown(action, None).await
}

/// `POST …/licenses/{id}/{action}`.
pub(crate) async fn act(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id, word)): Path<(String, String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let listed = license(&web, &place, &id).await?;
    let case = Case { web: &web, place: &place, listed: &listed, sent: &sent };
    let action = action(&case, &word).await?;
    case.may(&action)?;
    match done(&case, &word).await? {
        Done::Answer(answer) => Ok(answer),
        Done::Wrong(wrong) => case.shown(action, Some(wrong)).await,
        Done::Read => case.shown(action, None).await,
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

/// Does it.
async fn done(case: &Case<'_>, word: &str) -> Result<Done, Refusal> {
    match word {
        "freeze" => case.rule(&Ruling::Freeze, "frozen").await,
        "unfreeze" => case.rule(&Ruling::Unfreeze, "unfrozen").await,
        "revoke" => case.rule(&Ruling::Revoke, "revoked").await,
        "reinstate" => case.rule(&Ruling::Reinstate, "reinstated").await,
        "extend" => license_terms::extend(case).await,
        "change-plan" => license_terms::change_plan(case).await,
        "limits" => license_terms::limit(case).await,
        "rotate-key" => license_keys::change(case).await,
        "transfer" => license_keys::transfer(case).await,
        "offline-file" => license_keys::write_offline(case).await,
        "reveal" => reveal(case).await,
        "note" => note(case).await,
        "tags" => tag(case).await,
        "correct" => correct(case).await,
        _ => Err(Refusal::NotFound),
    }
}

async fn reveal(case: &Case<'_>) -> Result<Done, Refusal> {
    let Case { web, place, listed, .. } = case;
    let key = web.engine.reveal_key(place.whose(), listed, &case.by()).await?.ok_or(Refusal::NotFound)?;
    let shell = Shell::new(web, place, "licenses", "The key").await?;
    Ok(Done::Answer(revealed(shell, &key, case.page())?))
}

async fn note(case: &Case<'_>) -> Result<Done, Refusal> {
    let by = case.by();
    if by.note.is_none() {
        return Ok(Done::Wrong("Write something first.".to_owned()));
    }
    case.web.engine.note_license(case.place.whose(), case.listed, &by).await?;
    Ok(case.said("noted"))
}

async fn tag(case: &Case<'_>) -> Result<Done, Refusal> {
    let wanted = match tag::read_all(case.sent.get("tags")) {
        Ok(wanted) => wanted,
        Err(error) => return Ok(Done::Wrong(sentence(&error))),
    };
    let patch = TagPatch::between(&case.listed.tags, &wanted);
    match case.web.engine.tag_license(case.place.whose(), case.listed.license.id, &patch, &case.by()).await {
        Ok(tags) => tags.map(|_| case.said("tagged")).ok_or(Refusal::NotFound),
        Err(TaggingError::Tag(error)) => Ok(Done::Wrong(sentence(&error))),
        Err(TaggingError::Engine(error)) => Err(error.into()),
    }
}

async fn correct(case: &Case<'_>) -> Result<Done, Refusal> {
    let Ok(email) = EmailAddress::parse(case.sent.get("email")) else {
        return Ok(Done::Wrong("This is not an e-mail address.".to_owned()));
    };
    let ruling = OrderRuling::Contact { to: Contact { email, name: None }, again: true };
    let (tenant, order) = (case.place.whose().tenant, case.listed.order);
    case.web.engine.rule_order(tenant, order, &ruling, &case.by()).await?.ok_or(Refusal::NotFound)?;
    Ok(case.said("corrected"))
}
