//! An order: everything known about a sale, what came of it, and what is in the way.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::Response,
};
use domain::{id::OrderId, member::Ability, order::Approval};
use engine::{
    attention::{APPROVAL, APPROVAL_OVERDUE},
    rulings::OrderRuling,
};
use store::{
    StoredOrder,
    lists::{ListedLicense, MailFilter, Page},
    rows::AttentionItem,
};

use super::{
    action::{Field, Question, Sent},
    attention::{Item, item},
    browser::see_other,
    inbound::{self, connection_name},
    licenses,
    mails::{self, rows as mail_rows},
    orders,
    place::{
        Place,
        to::{Decide, Look},
    },
    refusal::Refusal,
    sale::{self, Bought, Movement},
    shell::{Shell, page},
    words::{Pill, When},
};
use crate::Web;

/// Mails on the page at most; the list has all.
const MAILS_SHOWN: u64 = 20;

#[derive(Template)]
#[template(path = "console/order.html")]
struct OrderPage {
    shell: Shell,
    id: String,
    path: String,
    title: String,
    pill: Pill,
    facts: Vec<(&'static str, String, Option<String>)>,
    bought: Vec<Bought>,
    movements: Vec<Movement>,
    subscriptions: Vec<(String, String)>,
    decisions: Vec<Decision>,
    licenses: Vec<licenses::Row>,
    attention: Vec<Item>,
    events: Vec<inbound::Row>,
    mails: Vec<mails::Row>,
    references: Vec<String>,
    /// Word, name, whether it is the dangerous kind.
    actions: Vec<(&'static str, &'static str, bool)>,
    audit_path: String,
    mails_path: String,
}

/// What a price gives.
struct Decision {
    price: String,
    gives: String,
    because: &'static str,
    when: When,
}

/// `GET …/orders/{id}`. An order that became part of another is shown there.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let (order, listed) = order(&web, &place, &id).await?;
    if order.id.to_string() != id {
        return Ok(see_other(&place.at(&format!("orders/{}", order.id))));
    }
    let (now, store, whose) = (web.engine.now(), &web.engine.store, place.whose());
    let attention = store.attention_of_order(order.id).await?;
    let events = web.engine.told_of(whose, order.id).await?;
    let filter = MailFilter { order: Some(order.id), ..MailFilter::default() };
    let mails = store.list_mails(whose, &filter, Page { limit: MAILS_SHOWN, from: None }).await?;
    let title = sale::title(&order.order);
    let path = place.at(&format!("orders/{}", order.id));
    page(&OrderPage {
        shell: Shell::new(&web, &place, "orders", format!("{title} · Order")).await?,
        id: order.id.to_string(),
        pill: sale::standing(&order.order),
        facts: facts(&web, &place, &order).await?,
        bought: sale::bought(&order.order),
        movements: sale::movements(&order.order),
        subscriptions: sale::subscriptions(&order.order),
        decisions: decisions(&web, &place, &order).await?,
        licenses: licenses::rows(&web, &place, &listed, now).await?,
        actions: if place.role.may(Ability::Decide) { actions(&order, &attention) } else { Vec::new() },
        attention: attention.into_iter().map(|row| item(&place, row, now).on(&path)).collect(),
        events: inbound::rows(&web, &place, events, now).await?,
        mails: mail_rows(&place, mails.rows, now),
        references: order.order.references.iter().map(ToString::to_string).collect(),
        audit_path: place.at(&format!("audit?order={}", order.id)),
        mails_path: place.at(&format!("mails?order={}", order.id)),
        title,
        path,
    })
}

/// An order of this vendor in this mode, with its licenses.
async fn order<A>(web: &Web, place: &Place<A>, id: &str) -> Result<(StoredOrder, Vec<ListedLicense>), Refusal> {
    let id: OrderId = id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.store.order(place.whose(), id).await?.ok_or(Refusal::NotFound)
}

async fn facts(
    web: &Web,
    place: &Place<Look>,
    order: &StoredOrder,
) -> Result<Vec<(&'static str, String, Option<String>)>, Refusal> {
    let connections = web.engine.connections().await?;
    let now = web.engine.now();
    let buyer = orders::rows(web, place, std::slice::from_ref(order), now).await?.pop();
    let buyer = buyer.map(|row| ("Buyer", row.buyer, row.customer));
    let connection = place.at(&format!("inbound?connection={}", order.connection));
    let mut facts = Vec::from_iter(buyer);
    facts.extend([
        ("Paid", sale::total(&order.order), None),
        ("Connection", connection_name(&connections, order.connection), Some(connection)),
        ("First heard of", When::new(order.created_at, now).full(), None),
    ]);
    let customers = order.order.customers.iter().map(|reference| ("Customer there", reference.to_string(), None));
    facts.extend(customers);
    facts.extend(order.order.approval.as_ref().map(|register| {
        let word = match register.value {
            Approval::Approved => "approved",
            Approval::Rejected => "rejected",
        };
        ("Approval", word.to_owned(), None)
    }));
    facts.retain(|(_, value, _)| !value.is_empty());
    Ok(facts)
}

async fn decisions(web: &Web, place: &Place<Look>, order: &StoredOrder) -> Result<Vec<Decision>, Refusal> {
    use domain::decision::{Evidence, QuantityRule};
    let mut rows = Vec::new();
    for (price, decision) in &order.order.decided {
        let mut gives = Vec::new();
        for grant in &decision.grants {
            let offer = web.engine.offer(place.whose().tenant, grant.plan).await?;
            let how = match grant.quantity {
                QuantityRule::Keys => "a key each",
                QuantityRule::Seats => "one key with seats",
            };
            gives.push(format!("{} (version {}), {how}", offer.plan.name, grant.plan.version));
        }
        let adds = &decision.adds;
        gives.extend((adds.activations > 0).then(|| format!("{} devices more", adds.activations)));
        gives.extend(adds.features.iter().map(|feature| format!("the feature {feature}")));
        rows.push(Decision {
            price: price.to_string(),
            gives: if gives.is_empty() { "nothing of ours".to_owned() } else { gives.join("; ") },
            because: match decision.evidence {
                Evidence::Default => "the connection's default",
                Evidence::Sale => "the sale names the plan",
                Evidence::Product => "a rule for its product",
                Evidence::Price => "a rule for its price",
                Evidence::Metadata => "its own metadata names the plan",
            },
            when: When::new(decision.decided_at, web.engine.now()),
        });
    }
    Ok(rows)
}

/// What a person can say to it now.
fn actions(order: &StoredOrder, open: &[AttentionItem]) -> Vec<(&'static str, &'static str, bool)> {
    let waits = open.iter().any(|item| [APPROVAL, APPROVAL_OVERDUE].contains(&item.kind.as_str()));
    let is_rejected = order.order.approval.as_ref().is_some_and(|register| register.value == Approval::Rejected);
    let all = [("approve", "Approve", false, waits || is_rejected), ("reject", "Reject", true, waits)];
    all.into_iter()
        .filter(|(_, _, _, is_possible)| *is_possible)
        .map(|(word, name, bad, _)| (word, name, bad))
        .collect()
}

/// `GET …/orders/{id}/{action}`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Decide>,
    Path((_, _, id, word)): Path<(String, String, String, String)>,
) -> Result<Response, Refusal> {
    let (order, _) = order(&web, &place, &id).await?;
    let (what, back) = (sale::title(&order.order), place.at(&format!("orders/{}", order.id)));
    let question = match word.as_str() {
        "approve" => Question::new(format!("Approve · {what}"), "Approve the order", back)
            .says("Its licenses are issued at once, and the buyer is mailed the keys."),
        "reject" => Question::new(format!("Reject · {what}"), "Reject the order", back)
            .says("It gets no licenses, and the buyer is told nothing by Keywright.")
            .says(
                "The money is not given back by this: do that at the provider. It can be approved later all the same.",
            )
            .dangerous(),
        _ => return Err(Refusal::NotFound),
    };
    question.asks(Field::reason()).page(&web, &place, "orders", None).await
}

/// `POST …/orders/{id}/{action}`.
pub(crate) async fn act(
    State(web): State<Web>,
    place: Place<Decide>,
    Path((_, _, id, word)): Path<(String, String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let (approval, said) = match word.as_str() {
        "approve" => (Approval::Approved, "approved"),
        "reject" => (Approval::Rejected, "rejected"),
        _ => return Err(Refusal::NotFound),
    };
    let (order, _) = order(&web, &place, &id).await?;
    let ruling = OrderRuling::Approval(approval);
    let ruled = web.engine.rule_order(place.whose().tenant, order.id, &ruling, &place.by(sent.get("note"))).await?;
    ruled.ok_or(Refusal::NotFound)?;
    Ok(see_other(&place.at(&format!("orders/{}?said={said}", order.id))))
}
