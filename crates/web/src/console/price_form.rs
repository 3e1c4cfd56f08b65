//! The form by which a price is mapped to a plan.

use axum::{
    Form,
    extract::{Query, State},
    response::Response,
};
use domain::{
    decision::{Matcher, QuantityRule},
    plan::AddOn,
    text::{PriceReference, ProductReference},
};
use engine::{
    attention::UNMAPPED_PRICE,
    configuration::{Existing, GrantInput, PriceRuleInput},
};
use store::{lists::Unmapped, rows};

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    mistakes::of_configuration,
    place::{Place, to::Configure},
    prices::Stock,
    refusal::Refusal,
    words::{counted, day_named},
};
use crate::Web;

/// Nothing is chosen yet; no plan has this code.
const CHOOSE: &str = "?";

/// `GET …/prices/map`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Configure>,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    let stock = Stock::read(&web, &place).await?;
    shown(&web, &place, &stock, &sent, None).await
}

async fn shown(
    web: &Web,
    place: &Place<Configure>,
    stock: &Stock,
    sent: &Sent,
    wrong: Option<String>,
) -> Result<Response, Refusal> {
    let name = |row: &rows::Connection| {
        let provider = providers::by_slug(&row.provider).map_or(row.provider.as_str(), |known| known.info().name);
        (row.code.clone(), format!("{} · {provider}", row.code))
    };
    let connection = stock.connection(sent.get("connection")).map_or("", |row| row.code.as_str());
    let plan = |row: &rows::Plan| (row.code.clone(), row.name.clone());
    let unmapped = unmapped(web, place, stock, sent).await?;
    let nothing = [(CHOOSE.to_owned(), "Choose one".to_owned()), (String::new(), "Nothing of ours".to_owned())];
    let plans = nothing.into_iter().chain(stock.plans.iter().map(plan));
    let chosen = if sent.has("plan") { sent.get("plan") } else { meant(stock, unmapped.as_ref()) };
    let abouts =
        [("price", "A price or variant"), ("product", "A product"), ("default", "Whatever no other rule speaks of")];
    let quantities = [("keys", "Each one bought is a key of its own"), ("seats", "One key with so many seats")];
    let here = |name: &str, first: &str| sent.some(name).unwrap_or(first).to_owned();
    let mut question =
        Question::new("Map a price", "Map it", next(place, sent).map_or_else(|| place.at("prices"), str::to_owned));
    if let Some(unmapped) = unmapped {
        let orders = counted(unmapped.orders, "order waits", "orders wait");
        question = question.says(format!("{orders} for this price: keys are issued and mailed at once."));
    }
    question
        .says("Later sales get the version of the plan that is current then. What was decided before stays decided.")
        .asks(Field::choice("connection", "Connection", stock.connections.iter().map(name), connection))
        .asks(Field::choice("about", "It is about", abouts, &here("about", "price")))
        .asks(
            Field::text("value", "Price or product", sent.get("value"))
                .hint("The provider's own id. Empty for whatever no other rule speaks of."),
        )
        .asks(Field::choice("plan", "It gives the plan", plans, chosen))
        .asks(Field::choice("quantity", "Several bought at once", quantities, &here("quantity", "keys")))
        .asks(Field::Part("Beside the plan"))
        .asks(
            Field::text("activations", "Devices more, for each one bought", sent.get("activations"))
                .of("number")
                .hint("For an add-on. Empty: none."),
        )
        .asks(
            Field::text("features", "Features more", sent.get("features"))
                .hint("Words with commas between them. Empty: none."),
        )
        .asks(
            Field::text("from", "Sales from that day on", sent.get("from")).of("date").hint("UTC. Empty: since ever."),
        )
        .asks(Field::text("until", "Sales before that day", sent.get("until")).of("date").hint("UTC. Empty: for ever."))
        .asks(Field::reason())
        .asks(Field::Hidden { name: "next", value: next(place, sent).unwrap_or_default().to_owned() })
        .page(web, place, "prices", wrong)
        .await
}

/// The page of a simulated run, where it came from there: it shows the key then.
fn next<'s>(place: &Place<Configure>, sent: &'s Sent) -> Option<&'s str> {
    sent.some("next").filter(|path| path.starts_with(&place.at("simulator/")))
}

/// This very price, where orders wait for it.
async fn unmapped(
    web: &Web,
    place: &Place<Configure>,
    stock: &Stock,
    sent: &Sent,
) -> Result<Option<Unmapped>, Refusal> {
    let at = stock.connection(sent.get("connection")).map(|row| row.id);
    let all = web.engine.store.unmapped_prices(place.whose(), UNMAPPED_PRICE).await?;
    Ok(all.into_iter().find(|price| Some(price.connection.0) == at && price.price == sent.get("value")))
}

/// The plan that is called as the provider calls the price.
fn meant<'s>(stock: &'s Stock, unmapped: Option<&Unmapped>) -> &'s str {
    let is_it = |plan: &&rows::Plan| unmapped.is_some_and(|price| price.detail.contains(&format!("({})", plan.name)));
    stock.plans.iter().find(is_it).map_or(CHOOSE, |plan| &plan.code)
}

/// `POST …/prices/map`.
pub(crate) async fn save(
    State(web): State<Web>,
    place: Place<Configure>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let stock = Stock::read(&web, &place).await?;
    let input = match input(&stock, &sent) {
        Ok(input) => input,
        Err(wrong) => return shown(&web, &place, &stock, &sent, Some(wrong)).await,
    };
    let by = place.by(sent.get("note"));
    match web.engine.save_price_rule(place.whose().tenant, input, Existing::Either, by).await {
        Ok(_) => {
            let path = next(&place, &sent).map_or_else(|| place.at("prices"), str::to_owned);
            Ok(see_other(&format!("{path}?said=mapped")))
        }
        Err(error) => shown(&web, &place, &stock, &sent, Some(of_configuration(error)?)).await,
    }
}

/// What the form says; otherwise what is wrong with it.
fn input(stock: &Stock, sent: &Sent) -> Result<PriceRuleInput, String> {
    let connection = stock.connection(sent.get("connection")).ok_or("Choose a connection of this mode.")?;
    let value = sent.get("value");
    let matcher = match sent.get("about") {
        "default" if value.is_empty() => Matcher::Default,
        "default" => return Err("A rule for whatever no other speaks of names no price; leave that empty.".to_owned()),
        _ if value.is_empty() => return Err("Name the price or product by the provider's own id.".to_owned()),
        "product" => Matcher::Product(ProductReference::new(value)),
        _ => Matcher::Price(PriceReference::new(value)),
    };
    if !sent.has("plan") || sent.get("plan") == CHOOSE {
        return Err("Choose what it gives.".to_owned());
    }
    let quantity = if sent.get("quantity") == "seats" { QuantityRule::Seats } else { QuantityRule::Keys };
    let grant = |plan: &str| GrantInput { plan: plan.to_owned(), quantity };
    let activations = sent.number("activations", "Devices more")?.unwrap_or_default();
    Ok(PriceRuleInput {
        connection: connection.code.clone(),
        matcher,
        grants: sent.some("plan").map(grant).into_iter().collect(),
        adds: AddOn { activations, features: sent.words("features") },
        from: day_named(sent.get("from"))?,
        until: day_named(sent.get("until"))?,
    })
}
