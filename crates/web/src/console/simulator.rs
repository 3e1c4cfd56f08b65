//! The simulator: something is bought at a provider that is not there, and what follows is seen as it happens.

mod run;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Query, State},
    response::Response,
    routing::get,
};
use domain::member::Ability;
use store::rows;

use super::{
    action::Sent,
    browser::see_other,
    place::{
        Place, at,
        to::{Configure, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When, capitalised, sentence},
};
use crate::{
    Web,
    simulator::{NotPlayed, Playable, Run, Scenario, Wish},
};

/// What somebody plays who is new, in this order.
const FIRST: [&str; 4] = ["checkout", "subscription", "unmapped", "refund"];
/// Who buys, unless another address is typed.
const BUYER: &str = "ada@example.com";
/// How many may be bought at once here: a page is read by a person.
const QUANTITY_MAX: u32 = 50;

pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/simulator", get(show).post(begin))
        .route("/console/{tenant}/{mode}/simulator/{run}", get(run::show))
}

#[derive(Template)]
#[template(path = "console/simulator.html")]
struct SimulatorPage {
    shell: Shell,
    path: String,
    /// Address, name, whether it is chosen.
    providers: Vec<(String, &'static str, bool)>,
    provider: String,
    first: Vec<Choice>,
    /// Heading, and what stands under it.
    others: Vec<(&'static str, Vec<Choice>)>,
    is_other: bool,
    /// Code, name, whether it is chosen.
    plans: Vec<(String, String, bool)>,
    email: String,
    quantity: String,
    wrong: Option<String>,
    runs: Vec<RunRow>,
    products_path: String,
    may_configure: bool,
}

#[derive(Template)]
#[template(path = "console/simulator_live.html")]
struct LivePage {
    shell: Shell,
    test_path: String,
}

struct Choice {
    word: String,
    name: String,
    sentence: String,
    is_here: bool,
}

struct RunRow {
    path: String,
    name: String,
    provider: &'static str,
    pill: Pill,
    email: String,
    began: When,
}

/// `out-of-order` as people read it.
pub(crate) fn name(scenario: &Scenario) -> String {
    capitalised(&scenario.word.replace('-', " "))
}

/// `GET …/simulator`.
async fn show(State(web): State<Web>, place: Place<Look>, Query(asked): Query<Sent>) -> Result<Response, Refusal> {
    if place.livemode {
        return page(&LivePage {
            shell: Shell::new(&web, &place, "simulator", "Simulator").await?,
            test_path: at(&place.tenant.slug, false, "simulator"),
        });
    }
    shown(&web, &place, &asked, None).await
}

async fn shown<A>(web: &Web, place: &Place<A>, sent: &Sent, wrong: Option<String>) -> Result<Response, Refusal> {
    let (path, now) = (place.at("simulator"), web.engine.now());
    let all = web.simulator.providers();
    let Some(chosen) = all.iter().find(|known| known.slug == sent.get("provider")).or(all.first()) else {
        return Err(Refusal::NotFound);
    };
    let here = sent.some("scenario").unwrap_or(FIRST[0]);
    let (first, others) = choices(chosen, here);
    let plans = web.engine.store.newest_plans(place.whose().tenant).await?;
    let plan = |row: rows::Plan| (row.code == sent.get("plan"), row);
    page(&SimulatorPage {
        shell: Shell::new(web, place, "simulator", "Simulator").await?,
        providers: all
            .iter()
            .map(|known| (format!("{path}?provider={}", known.slug), known.name, known.slug == chosen.slug))
            .collect(),
        provider: chosen.slug.to_owned(),
        is_other: !first.iter().any(|choice| choice.is_here),
        first,
        others,
        plans: plans.into_iter().map(plan).map(|(is_here, row)| (row.code, row.name, is_here)).collect(),
        email: sent.some("email").unwrap_or(BUYER).to_owned(),
        quantity: sent.some("quantity").unwrap_or("1").to_owned(),
        wrong,
        runs: web.simulator.runs(place.whose().tenant).iter().map(|run| row(place, run, now)).collect(),
        products_path: place.at("products"),
        may_configure: place.role.may(Ability::Configure),
        path,
    })
}

/// What somebody plays first, and all the rest under its headings.
fn choices(provider: &Playable, here: &str) -> (Vec<Choice>, Vec<(&'static str, Vec<Choice>)>) {
    let is_there = provider.scenarios.iter().any(|scenario| scenario.word == here);
    let here = if is_there { here } else { FIRST[0] };
    let choice = |scenario: &Scenario| Choice {
        name: name(scenario),
        sentence: scenario.sentence.clone(),
        is_here: scenario.word == here,
        word: scenario.word.clone(),
    };
    let first = FIRST.iter().filter_map(|word| provider.scenarios.iter().find(|scenario| scenario.word == *word));
    let mut others: Vec<(&'static str, Vec<Choice>)> = Vec::new();
    for scenario in provider.scenarios.iter().filter(|scenario| !FIRST.contains(&scenario.word.as_str())) {
        match others.iter_mut().find(|(heading, _)| *heading == scenario.heading) {
            Some((_, choices)) => choices.push(choice(scenario)),
            None => others.push((scenario.heading, vec![choice(scenario)])),
        }
    }
    (first.map(choice).collect(), others)
}

fn row<A>(place: &Place<A>, run: &Run, now: jiff::Timestamp) -> RunRow {
    RunRow {
        path: place.at(&format!("simulator/{}", run.id)),
        name: name(&run.scenario),
        provider: run.provider.1,
        pill: run::pill(&run.state),
        email: run.email.clone(),
        began: When::new(run.began, now),
    }
}

/// `POST …/simulator`: begins to play.
async fn begin(State(web): State<Web>, place: Place<Configure>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    if place.livemode {
        return Err(Refusal::Unreadable("Nothing is simulated with live money: go to test mode.".into()));
    }
    let quantity = match quantity(&sent) {
        Ok(quantity) => quantity,
        Err(wrong) => return shown(&web, &place, &sent, Some(wrong)).await,
    };
    let wish = Wish {
        tenant: (place.whose().tenant, place.tenant.slug.clone()),
        provider: sent.get("provider").to_owned(),
        scenario: sent.get("scenario").to_owned(),
        plan: sent.some("plan").map(str::to_owned),
        email: sent.some("email").unwrap_or(BUYER).to_owned(),
        quantity,
        session: sent.some("session").map(str::to_owned),
        by: place.by(""),
    };
    match web.simulator.begin(wish).await {
        Ok(id) => Ok(see_other(&place.at(&format!("simulator/{id}")))),
        Err(NotPlayed::Busy(id)) => Ok(see_other(&place.at(&format!("simulator/{id}?said=played_already")))),
        Err(problem) => shown(&web, &place, &sent, Some(sentence(&problem))).await,
    }
}

fn quantity(sent: &Sent) -> Result<Option<u32>, String> {
    let quantity = sent.number::<u32>("quantity", "How many")?;
    match quantity {
        Some(0) => Err("How many: one at least.".to_owned()),
        Some(many) if many > QUANTITY_MAX => Err(format!("How many: {QUANTITY_MAX} at most.")),
        // One is what is bought where nothing is said, also where a provider sells one at a time.
        Some(1) | None => Ok(None),
        Some(many) => Ok(Some(many)),
    }
}
