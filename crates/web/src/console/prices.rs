//! Price rules: what a provider's price gives, and the prices of which none speaks yet.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    decision::{Matcher, QuantityRule, Rule},
    id::{ConnectionId, PriceRuleId},
    member::Ability,
};
use engine::{
    attention::UNMAPPED_PRICE,
    configuration::{GrantInput, PriceRuleInput},
    connections::Mode,
};
use jiff::Timestamp;
use serde::Deserialize;
use store::{lists::Unmapped, rows};

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    chart::count,
    mistakes::of_configuration,
    place::{
        Place,
        to::{Configure, Look},
    },
    refusal::{Refusal, encoded},
    shell::{Shell, page},
    words::When,
};
use crate::Web;

/// Which price is asked about.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    price: String,
}

#[derive(Template)]
#[template(path = "console/prices.html")]
struct PricesPage {
    shell: Shell,
    path: String,
    billing: String,
    products: String,
    unmapped: Vec<UnmappedRow>,
    /// The price that is asked about, and whether it is mapped already.
    asked: Option<(String, bool)>,
    rules: Vec<RuleRow>,
    may_configure: bool,
    may_export: bool,
    is_connected: bool,
    has_plans: bool,
}

struct UnmappedRow {
    map: String,
    price: String,
    connection: String,
    detail: String,
    orders: u64,
    since: When,
}

struct RuleRow {
    path: String,
    change: Option<String>,
    connection: String,
    about: &'static str,
    value: String,
    gives: String,
    valid: String,
    /// How many sales it decided, and when the last of them was made; none: it decided none.
    sales: Option<(String, When)>,
}

/// What rules stand on.
pub(crate) struct Stock {
    /// The connections of the mode, those for orders made by hand left out.
    pub(crate) connections: Vec<rows::Connection>,
    /// Each plan in its current version.
    pub(crate) plans: Vec<rows::Plan>,
}

impl Stock {
    pub(crate) async fn read<A>(web: &Web, place: &Place<A>) -> Result<Self, Refusal> {
        let (store, tenant) = (&web.engine.store, place.whose().tenant);
        let mut connections = store.connections().await?;
        connections.retain(|row| {
            let is_of_mode = Mode::read(&row.mode).is_live() == place.livemode;
            row.tenant_id == tenant.0 && row.provider != providers::manual::SLUG && is_of_mode
        });
        let plans = store.newest_plans(tenant).await?;
        Ok(Self { connections, plans })
    }

    /// A connection by its code or its id.
    pub(crate) fn connection(&self, name: &str) -> Option<&rows::Connection> {
        self.connections.iter().find(|row| row.code == name || ConnectionId(row.id).to_string() == name)
    }

    fn connection_of(&self, rule: &rows::PriceRule) -> Option<&rows::Connection> {
        self.connections.iter().find(|row| row.id == rule.connection_id)
    }
}

/// `GET …/prices`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let stock = Stock::read(&web, &place).await?;
    let mut unmapped = web.engine.store.unmapped_prices(place.whose(), UNMAPPED_PRICE).await?;
    let asked = Some(asked.price).filter(|price| !price.is_empty());
    if let Some(price) = &asked {
        unmapped.retain(|row| row.price == *price);
    }
    let rules = web.engine.store.price_rules(place.whose().tenant).await?;
    let mut drawn_rules = Vec::new();
    for row in rules.iter().rev() {
        let Some(drawn) = drawn(&place, &stock, row) else { continue };
        let sales = web.engine.store.sales_of_rule(row).await?;
        let sales = sales.map(|(sales, last)| (count(sales.cast_signed()), When::new(last, now)));
        drawn_rules.push(RuleRow { sales, ..drawn });
    }
    let row = |row: Unmapped| unmapped_row(&place, &stock, row, now);
    page(&PricesPage {
        shell: Shell::new(&web, &place, "prices", "Prices").await?,
        path: place.at("prices"),
        billing: place.at("settings/billing"),
        products: place.at("products"),
        asked: asked.map(|price| (price, unmapped.is_empty())),
        unmapped: unmapped.into_iter().map(row).collect(),
        rules: drawn_rules,
        may_configure: place.role.may(Ability::Configure),
        may_export: place.role.may(Ability::Decide),
        is_connected: !stock.connections.is_empty(),
        has_plans: !stock.plans.is_empty(),
    })
}

fn unmapped_row(place: &Place<Look>, stock: &Stock, row: Unmapped, now: Timestamp) -> UnmappedRow {
    let connection = stock.connections.iter().find(|connection| connection.id == row.connection.0);
    let connection = connection.map(|connection| connection.code.clone()).unwrap_or_default();
    UnmappedRow {
        map: place.at(&format!("prices/map?connection={}&value={}", encoded(&connection), encoded(&row.price))),
        // What is to be done about it is the button beside it.
        detail: row.detail.split(" is not mapped").next().unwrap_or_default().to_owned(),
        price: row.price,
        connection,
        orders: row.orders,
        since: When::new(row.since, now),
    }
}

fn about(matcher: &Matcher) -> (&'static str, String) {
    match matcher {
        Matcher::Price(price) => ("price", price.to_string()),
        Matcher::Product(product) => ("product", product.to_string()),
        Matcher::Default => ("default", String::new()),
    }
}

/// A rule of this mode.
fn drawn(place: &Place<Look>, stock: &Stock, row: &rows::PriceRule) -> Option<RuleRow> {
    let connection = stock.connection_of(row)?;
    let rule = store::catalogue::rule(row).unwrap_or_default();
    let (kind, value) = about(&store::catalogue::matcher(&row.matcher_kind, &row.matcher_value));
    Some(RuleRow {
        path: place.at(&format!("prices/{}", PriceRuleId(row.id))),
        change: place.role.may(Ability::Configure).then(|| change(place, stock, connection, row, &rule)).flatten(),
        connection: connection.code.clone(),
        about: kind,
        value,
        gives: gives(stock, &rule),
        valid: valid(&rule),
        sales: None,
    })
}

/// The form with what a rule says. Several plans for one price are written in a file, and changed there.
fn change(
    place: &Place<Look>,
    stock: &Stock,
    connection: &rows::Connection,
    row: &rows::PriceRule,
    rule: &Rule,
) -> Option<String> {
    let plan = match rule.grants.as_slice() {
        [] => "",
        [grant] => stock.plans.iter().find(|plan| plan.id == grant.plan.0).map(|plan| plan.code.as_str())?,
        _ => return None,
    };
    let quantity = rule.grants.first().map_or(QuantityRule::Keys, |grant| grant.quantity);
    let features = rule.adds.features.iter().cloned().collect::<Vec<_>>().join(", ");
    let pairs = [
        ("connection", connection.code.clone()),
        ("about", row.matcher_kind.clone()),
        ("value", row.matcher_value.clone()),
        ("plan", plan.to_owned()),
        ("quantity", if quantity == QuantityRule::Seats { "seats" } else { "keys" }.to_owned()),
        (
            "activations",
            Some(rule.adds.activations).filter(|count| *count > 0).map(|n| n.to_string()).unwrap_or_default(),
        ),
        ("features", features),
        ("from", rule.from.map(day).unwrap_or_default()),
        ("until", rule.until.map(day).unwrap_or_default()),
    ];
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    Some(place.at(&format!("prices/map?{}", pairs.join("&"))))
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn gives(stock: &Stock, rule: &Rule) -> String {
    let name = |id: uuid::Uuid| stock.plans.iter().find(|plan| plan.id == id).map(|plan| plan.name.clone());
    let grant = |grant: &domain::decision::RuleGrant| {
        let plan = name(grant.plan.0).unwrap_or_else(|| grant.plan.to_string());
        match grant.quantity {
            QuantityRule::Keys => format!("{plan}, a key for each"),
            QuantityRule::Seats => format!("{plan}, one key with so many seats"),
        }
    };
    let mut gives: Vec<String> = rule.grants.iter().map(grant).collect();
    if rule.adds.activations > 0 {
        gives.push(format!("{} devices more", rule.adds.activations));
    }
    gives.extend(rule.adds.features.iter().map(|feature| format!("the feature {feature}")));
    if gives.is_empty() { "Nothing of ours".to_owned() } else { gives.join("; ") }
}

fn valid(rule: &Rule) -> String {
    match (rule.from.map(day), rule.until.map(day)) {
        (None, None) => "always".to_owned(),
        (Some(from), None) => format!("from {from}"),
        (None, Some(until)) => format!("before {until}"),
        (Some(from), Some(until)) => format!("{from} to {until}"),
    }
}

/// The rules of this mode, the newest first, as they would be asked for.
pub(crate) async fn inputs<A>(web: &Web, place: &Place<A>) -> Result<Vec<PriceRuleInput>, Refusal> {
    let stock = Stock::read(web, place).await?;
    let rules = web.engine.store.price_rules(place.whose().tenant).await?;
    Ok(rules.iter().rev().filter_map(|row| input(&stock, row)).collect())
}

/// A rule as it would be asked for. None: it is one of the other mode.
fn input(stock: &Stock, row: &rows::PriceRule) -> Option<PriceRuleInput> {
    let rule = store::catalogue::rule(row).unwrap_or_default();
    let grant = |grant: &domain::decision::RuleGrant| {
        let plan = stock.plans.iter().find(|plan| plan.id == grant.plan.0);
        GrantInput {
            plan: plan.map_or_else(|| grant.plan.to_string(), |plan| plan.code.clone()),
            quantity: grant.quantity,
        }
    };
    Some(PriceRuleInput {
        connection: stock.connection_of(row)?.code.clone(),
        matcher: store::catalogue::matcher(&row.matcher_kind, &row.matcher_value),
        grants: rule.grants.iter().map(grant).collect(),
        adds: rule.adds,
        from: rule.from,
        until: rule.until,
    })
}

/// `GET …/prices/{id}/remove`.
pub(crate) async fn remove_form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let (row, _) = rule(&web, &place, &id).await?;
    let (kind, value) = about(&store::catalogue::matcher(&row.matcher_kind, &row.matcher_value));
    Question::new(
        format!("Remove the rule for {}", if value.is_empty() { kind } else { &value }),
        "Remove it",
        place.at("prices"),
    )
    .says("Sales that need it wait from now on until another rule speaks of them.")
    .says("What it decided before stays decided.")
    .asks(Field::reason())
    .dangerous()
    .page(&web, &place, "prices", None)
    .await
}

/// `POST …/prices/{id}/remove`.
pub(crate) async fn remove(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let (_, id) = rule(&web, &place, &id).await?;
    match web.engine.delete_price_rule(place.whose().tenant, id, place.by(sent.get("note"))).await {
        Ok(_) => Ok(see_other(&place.at("prices?said=rule_removed"))),
        Err(error) => Err(of_configuration(error).map_or_else(|refusal| refusal, Refusal::Failed)),
    }
}

/// A rule of this vendor in this mode.
async fn rule(web: &Web, place: &Place<Configure>, id: &str) -> Result<(rows::PriceRule, PriceRuleId), Refusal> {
    let id: PriceRuleId = id.parse().map_err(|_| Refusal::NotFound)?;
    let stock = Stock::read(web, place).await?;
    let rules = web.engine.store.price_rules(place.whose().tenant).await?;
    let rule = rules.into_iter().find(|row| row.id == id.0 && stock.connection_of(row).is_some());
    Ok((rule.ok_or(Refusal::NotFound)?, id))
}
