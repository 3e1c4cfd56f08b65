//! The form of a plan.

use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use domain::{
    plan::{LeaseTerms, Limits, PlanTerms},
    policy::{Issuing, MailBy, Notice, OnCancellation, OnLoss, OnTrial, Policy},
    text::PlanCode,
};
use engine::configuration::{Existing, PlanInput};
use serde::Serialize;
use store::rows;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    mistakes::of_configuration,
    place::{Place, to::Configure},
    plans::{terms, versions},
    products::product,
    refusal::Refusal,
};
use crate::Web;

/// What follows while money is gone.
pub(crate) const LOSSES: [(OnLoss, &str); 4] = [
    (OnLoss::Keep, "Nothing happens"),
    (OnLoss::Freeze, "The license freezes"),
    (OnLoss::Downgrade, "It goes on as a smaller plan"),
    (OnLoss::Revoke, "The license is revoked"),
];

/// What a cancelled subscription leads to.
pub(crate) const CANCELLATIONS: [(OnCancellation, &str); 4] = [
    (OnCancellation::ExpireAtPeriodEnd, "It expires when what was paid is over"),
    (OnCancellation::RevokeAtPeriodEnd, "It is revoked when what was paid is over"),
    (OnCancellation::ExpireAtOnce, "It expires with the subscription, even inside a paid period"),
    (OnCancellation::RevokeAtOnce, "It is revoked with the subscription, even inside a paid period"),
];

const TRIALS: [(OnTrial, &str); 2] =
    [(OnTrial::License, "A license until it ends"), (OnTrial::Wait, "Nothing until the first period is paid")];
const ISSUING: [(Issuing, &str); 2] =
    [(Issuing::Automatic, "As soon as it is paid"), (Issuing::AfterApproval, "When somebody has approved it")];
const MAILS: [(MailBy, &str); 2] = [(MailBy::Us, "Keywright"), (MailBy::Vendor, "You, with what your webhook is told")];

/// What else a buyer is written: the notice, the name of its box, and its words.
pub(crate) const NOTICES: [(Notice, &str, &str); 5] = [
    (Notice::Renewed, "notice_renewed", "It was renewed"),
    (Notice::Expiring, "notice_expiring", "It ends soon"),
    (Notice::PaymentProblem, "notice_payment_problem", "A payment is overdue"),
    (Notice::Frozen, "notice_frozen", "It is frozen"),
    (Notice::Revoked, "notice_revoked", "It is revoked"),
];

/// The words for one of several.
pub(crate) fn words_of<T: PartialEq>(all: &[(T, &str)], one: T) -> String {
    all.iter().find(|(other, _)| *other == one).map(|(_, words)| (*words).to_owned()).unwrap_or_default()
}

fn word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The one of several that was chosen; otherwise what it is by default.
fn chosen<T: Copy + Default + Serialize>(all: &[(T, &str)], sent: &str) -> T {
    all.iter().map(|(value, _)| *value).find(|value| word(value) == sent).unwrap_or_default()
}

fn loss(sent: &str, default: OnLoss) -> OnLoss {
    LOSSES.iter().map(|(value, _)| *value).find(|value| word(value) == sent).unwrap_or(default)
}

fn choice<T: Serialize>(name: &'static str, label: &'static str, all: &[(T, &'static str)], sent: &Sent) -> Field {
    Field::choice(name, label, all.iter().map(|(value, words)| (word(value), *words)), sent.get(name))
}

/// What the form has in it to begin with.
fn filled(code: &str, name: &str, terms: &PlanTerms) -> Sent {
    let PlanTerms { limits, duration_days, policy, lease, .. } = terms;
    let number = |count: Option<u32>| count.map(|count| count.to_string()).unwrap_or_default();
    let sent = Sent::default()
        .with("code", code)
        .with("name", name)
        .with("activations", number(limits.activations))
        .with("checks_per_month", number(limits.checks_per_month))
        .with("features", limits.features.iter().cloned().collect::<Vec<_>>().join(", "))
        .with("duration_days", number(*duration_days))
        .with("grace_days", policy.grace_days.to_string())
        .with("offline_days", lease.offline_days.to_string())
        .with("recheck_hours", lease.recheck_hours.to_string())
        .with("full_refund", word(&policy.full_refund))
        .with("partial_refund", word(&policy.partial_refund))
        .with("dispute", word(&policy.dispute))
        .with("downgrade_to", policy.downgrade_to.as_ref().map(ToString::to_string).unwrap_or_default())
        .with("cancellation", word(&policy.cancellation))
        .with("trial", word(&policy.trial))
        .with("issuing", word(&policy.issuing))
        .with("mail", word(&policy.mail))
        .with("expiring_notice_days", policy.expiring_notice_days.to_string());
    let on = NOTICES.iter().filter(|(notice, ..)| policy.notices.contains(notice));
    on.fold(sent, |sent, (_, name, _)| sent.with(name, "on"))
}

/// What the form says; otherwise what is wrong with it. What it does not show stays as it was.
fn read(sent: &Sent, before: &PlanTerms) -> Result<PlanTerms, String> {
    let days = |name: &str, label: &str| sent.number(name, label).map(Option::unwrap_or_default);
    let on = NOTICES.iter().filter(|(_, name, _)| sent.is_on(name));
    let default = Policy::default();
    Ok(PlanTerms {
        limits: Limits {
            activations: sent.number("activations", "Devices")?,
            checks_per_month: sent.number("checks_per_month", "Checks a month")?,
            features: sent.words("features"),
        },
        duration_days: sent.number("duration_days", "Days that a license lasts")?,
        policy: Policy {
            grace_days: days("grace_days", "Days of grace")?,
            full_refund: loss(sent.get("full_refund"), default.full_refund),
            partial_refund: loss(sent.get("partial_refund"), default.partial_refund),
            dispute: loss(sent.get("dispute"), default.dispute),
            downgrade_to: sent.some("downgrade_to").map(PlanCode::new),
            cancellation: chosen(&CANCELLATIONS, sent.get("cancellation")),
            trial: chosen(&TRIALS, sent.get("trial")),
            issuing: chosen(&ISSUING, sent.get("issuing")),
            mail: chosen(&MAILS, sent.get("mail")),
            notices: on.map(|(notice, ..)| *notice).collect(),
            expiring_notice_days: days("expiring_notice_days", "Days before its end")?,
        },
        lease: LeaseTerms {
            offline_days: days("offline_days", "Days offline")?,
            recheck_hours: days("recheck_hours", "Hours")?,
        },
        price: before.price,
    })
}

/// A plan that is made or changed.
struct Draft {
    product: rows::Product,
    before: Option<rows::Plan>,
    /// How many licenses stand on it.
    licenses: u64,
}

impl Draft {
    async fn new(web: &Web, place: &Place<Configure>, product_code: &str) -> Result<Self, Refusal> {
        Ok(Self { product: product(web, place, product_code).await?, before: None, licenses: 0 })
    }

    async fn of(web: &Web, place: &Place<Configure>, code: &str) -> Result<Self, Refusal> {
        let (store, tenant) = (&web.engine.store, place.whose().tenant);
        let before = versions(web, place, code).await?.into_iter().next().ok_or(Refusal::NotFound)?;
        let product = store.products(tenant).await?.into_iter().find(|row| row.id == before.product_id);
        let counts = store.count_licenses(tenant).await?;
        let licenses = counts.iter().filter(|(id, ..)| *id == before.id).map(|(.., count)| count).sum();
        Ok(Self { product: product.ok_or(Refusal::NotFound)?, before: Some(before), licenses })
    }

    fn terms(&self) -> PlanTerms {
        self.before.as_ref().map(terms).unwrap_or_default()
    }

    fn filled(&self) -> Sent {
        let (code, name) = self.before.as_ref().map(|row| (&*row.code, &*row.name)).unwrap_or_default();
        filled(code, name, &self.terms())
    }

    fn question(&self, place: &Place<Configure>) -> Question {
        let Some(before) = &self.before else {
            return Question::new(format!("New plan of {}", self.product.name), "Make it", place.at("products"))
                .says("A price gives it once a rule says so; your own code may name it, too.");
        };
        let question = Question::new(before.name.clone(), "Save", place.at(&format!("plans/{}", before.code)));
        let licenses = match self.licenses {
            0 => "No license stands on this plan yet.".to_owned(),
            1 => "1 license stands on this plan, and keeps the version that it was sold with.".to_owned(),
            count => format!("{count} licenses stand on this plan, and keep the versions that they were sold with."),
        };
        let question = question.says("What is saved is a new version. Later sales get it.").says(licenses);
        match self.terms().price {
            Some(_) => question.says("Its price stays as it is. It is changed by the API or the configuration file."),
            None => question,
        }
    }

    async fn shown(
        &self,
        web: &Web,
        place: &Place<Configure>,
        sent: &Sent,
        wrong: Option<String>,
    ) -> Result<Response, Refusal> {
        let mut plans = web.engine.store.newest_plans(place.whose().tenant).await?;
        let here = self.before.as_ref().map(|row| &*row.code).unwrap_or_default();
        plans.retain(|plan| plan.code != here);
        let smaller =
            [(String::new(), "none".to_owned())].into_iter().chain(plans.into_iter().map(|row| (row.code, row.name)));
        let smaller = Field::choice(
            "downgrade_to",
            "The smaller plan, where one of these leads to it",
            smaller,
            sent.get("downgrade_to"),
        );
        let mut question = self.question(place);
        if self.before.is_none() {
            let code = Field::text("code", "Code", sent.get("code")).needed();
            question = question.asks(code.hint("Your name for it, for good: letters, digits, - . _"));
        }
        question = question.asks(Field::text("name", "Name", sent.get("name")).needed().hint("What buyers read."));
        let fields = allowance(sent).into_iter().chain(losses(sent, smaller)).chain(selling(sent));
        fields.fold(question, Question::asks).page(web, place, "products", wrong).await
    }

    async fn save(&self, web: &Web, place: &Place<Configure>, sent: &Sent) -> Result<Response, Refusal> {
        let terms = match read(sent, &self.terms()) {
            Ok(terms) => terms,
            Err(wrong) => return self.shown(web, place, sent, Some(wrong)).await,
        };
        let code = self.before.as_ref().map_or_else(|| sent.get("code").to_owned(), |row| row.code.clone());
        let name = sent.get("name").to_owned();
        let input = PlanInput { code: code.clone(), product: self.product.code.clone(), name, terms };
        let existing = if self.before.is_some() { Existing::There } else { Existing::New };
        let tenant = place.whose().tenant;
        let is_first = !place.livemode && web.engine.store.newest_plans(tenant).await?.is_empty();
        match web.engine.save_plan(tenant, input, existing, &place.by("").actor).await {
            Ok(_) => {
                let said = if is_first { "first_plan" } else { "saved" };
                Ok(see_other(&place.at(&format!("plans/{code}?said={said}"))))
            }
            Err(error) => self.shown(web, place, sent, Some(of_configuration(error)?)).await,
        }
    }
}

fn number(name: &'static str, label: &'static str, sent: &Sent) -> Field {
    Field::text(name, label, sent.get(name)).of("number")
}

fn allowance(sent: &Sent) -> Vec<Field> {
    vec![
        Field::Part("What it allows"),
        number("activations", "Devices", sent).hint("At the same time. Empty: any number."),
        number("checks_per_month", "Checks a month", sent).hint("Empty: any number."),
        Field::text("features", "Features", sent.get("features"))
            .hint("Names that your app understands, with commas between them."),
        Field::Part("How long"),
        number("duration_days", "Days that a license lasts", sent)
            .hint("Where the sale itself has no period. Empty: for good."),
        number("grace_days", "Days of grace", sent)
            .needed()
            .hint("After its paid end, while a renewal is still expected."),
        number("offline_days", "Days offline", sent)
            .needed()
            .hint("How long an app may trust its lease without asking."),
        number("recheck_hours", "Hours between checks", sent)
            .needed()
            .hint("After which an app that is online asks again."),
    ]
}

fn losses(sent: &Sent, smaller: Field) -> Vec<Field> {
    vec![
        Field::Part("When the money changes"),
        choice("full_refund", "A refund in full, or a lost dispute", &LOSSES, sent),
        choice("partial_refund", "A refund in part", &LOSSES, sent),
        choice("dispute", "An open dispute", &LOSSES, sent),
        smaller,
        choice("cancellation", "A subscription is cancelled", &CANCELLATIONS, sent),
    ]
}

fn selling(sent: &Sent) -> Vec<Field> {
    let mut fields = vec![
        Field::Part("How it is sold"),
        choice("trial", "A trial gives", &TRIALS, sent),
        choice("issuing", "Licenses are issued", &ISSUING, sent),
        choice("mail", "The key is mailed by", &MAILS, sent),
        Field::Part("What else the buyer is written"),
    ];
    let boxes = NOTICES.iter().map(|(_, name, label)| Field::Check { name, label, hint: "", is_on: sent.is_on(name) });
    fields.extend(boxes);
    fields.push(
        number("expiring_notice_days", "Days before its end", sent)
            .needed()
            .hint("When a license that nothing renews is told to end. 0: it is not told."),
    );
    fields
}

/// `GET …/products/{code}/new-plan`.
pub(crate) async fn new_form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, code)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let draft = Draft::new(&web, &place, &code).await?;
    draft.shown(&web, &place, &draft.filled(), None).await
}

/// `POST …/products/{code}/new-plan`.
pub(crate) async fn create(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, code)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    Draft::new(&web, &place, &code).await?.save(&web, &place, &sent).await
}

/// `GET …/plans/{code}/edit`.
pub(crate) async fn edit_form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, code)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let draft = Draft::of(&web, &place, &code).await?;
    draft.shown(&web, &place, &draft.filled(), None).await
}

/// `POST …/plans/{code}/edit`.
pub(crate) async fn edit(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, code)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    Draft::of(&web, &place, &code).await?.save(&web, &place, &sent).await
}
