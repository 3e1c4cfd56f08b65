//! A run of the simulator: its milestones, what came of it, and what can happen to the sale next.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use domain::member::Ability;
use engine::attention::UNMAPPED_PRICE;
use jiff::Timestamp;
use store::rows::AttentionItem;

use super::name;
use crate::{
    Web,
    console::{
        attention::item,
        entries::People,
        licenses::{Row, rows},
        place::{Place, to::Look},
        refusal::{Refusal, encoded},
        shell::{Shell, page},
        words::{Pill, When, sentence},
    },
    simulator::{About, Run, RunState, Sale, Scenario, Step},
};

/// How soon a page looks again while something is played, and while a person is waited for, in milliseconds.
const SOON: u32 = 250;
const LATER: u32 = 1_500;

#[derive(Template)]
#[template(path = "console/simulator_run.html")]
struct RunPage {
    shell: Shell,
    path: String,
    simulator_path: String,
    name: String,
    sentence: String,
    pill: Pill,
    steps: Vec<Drawn>,
    ended: Option<String>,
    wrong: Option<String>,
    items: Vec<Waits>,
    attention_path: String,
    licenses: Vec<Row>,
    order: Option<String>,
    next: Vec<(Scenario, String)>,
    provider: (&'static str, &'static str),
    session: String,
    email: String,
    began: When,
    who: String,
    may_configure: bool,
    may_reveal: bool,
}

/// A step as it is shown.
struct Drawn {
    /// None: it is a remark.
    milestone: Option<Milestone>,
    text: String,
    link: Option<String>,
}

struct Milestone {
    word: String,
    tone: &'static str,
    icon: &'static str,
    at: String,
}

/// What a person is waited for.
struct Waits {
    detail: String,
    /// Where it is mended: address, word, and whether it opens over this page.
    mend: Option<(String, &'static str, bool)>,
}

/// What there is of the sale by now.
#[derive(Default)]
struct Came {
    order: Option<String>,
    licenses: Vec<Row>,
    items: Vec<AttentionItem>,
}

/// `GET …/simulator/{run}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let run = web.simulator.run(place.whose().tenant, &id).filter(|_| !place.livemode).ok_or(Refusal::NotFound)?;
    let now = web.engine.now();
    let path = place.at(&format!("simulator/{id}"));
    let came = match &run.sale {
        Some(sale) => came(&web, &place, sale, now).await?,
        None => Came::default(),
    };
    let is_over = run.state != RunState::Playing;
    let waits = is_over && !came.items.is_empty();
    let items = came.items.into_iter().map(|row| waiting(&place, &run, &path, row, now)).collect();
    let name = name(&run.scenario);
    let again = if is_over { waits.then_some(LATER) } else { Some(SOON) };
    page(&RunPage {
        shell: Shell::new(&web, &place, "simulator", format!("{name} · Simulator")).await?.looks_again(again),
        simulator_path: place.at("simulator"),
        attention_path: place.at("attention"),
        pill: if waits { Pill { word: "waits for you", tone: "warn", icon: "pause" } } else { pill(&run.state) },
        steps: run.steps.iter().filter_map(|step| drawn(&place, step)).collect(),
        wrong: if let RunState::Failed(problem) = &run.state { Some(problem.clone()) } else { None },
        ended: if let RunState::Ended(said) = &run.state { said.clone() } else { None },
        items,
        licenses: came.licenses,
        order: came.order,
        next: if is_over {
            run.next.iter().map(|next| (next.clone(), super::name(next))).collect()
        } else {
            Vec::new()
        },
        provider: run.provider,
        session: run.sale.map(|sale| sale.session).unwrap_or_default(),
        email: run.email,
        began: When::new(run.began, now),
        who: People::of(&web, &place).await?.name(&run.actor),
        may_configure: place.role.may(Ability::Configure),
        may_reveal: place.role.may(Ability::Reveal),
        sentence: run.scenario.sentence,
        name,
        path,
    })
}

/// What there is of a sale now: also what came after the run had ended, such as the key of a price that was mapped then.
async fn came(web: &Web, place: &Place<Look>, sale: &Sale, now: Timestamp) -> Result<Came, Refusal> {
    let store = &web.engine.store;
    let Some((order, licenses)) = store.order_licenses(sale.connection.0, &sale.reference).await? else {
        return Ok(Came::default());
    };
    let mut listed = Vec::new();
    for license in licenses {
        listed.extend(store.listed_license(place.whose(), license.id).await?);
    }
    Ok(Came {
        order: Some(place.at(&format!("orders/{order}"))),
        licenses: rows(web, place, &listed, now).await?,
        items: store.attention_of_order(order).await?.into_iter().filter(|row| row.closed_at.is_none()).collect(),
    })
}

/// An item; a price is mapped over this very page, which shows the key then.
fn waiting(place: &Place<Look>, run: &Run, path: &str, row: AttentionItem, now: Timestamp) -> Waits {
    let is_unmapped = row.kind == UNMAPPED_PRICE && place.role.may(Ability::Configure);
    let map = row.lookup.clone().zip(run.sale.as_ref()).filter(|_| is_unmapped).map(|(price, sale)| {
        let (code, price, next) = (encoded(&sale.connection.1), encoded(&price), encoded(path));
        (place.at(&format!("prices/map?connection={code}&value={price}&next={next}")), "Map it", true)
    });
    let item = item(place, row, now);
    Waits { detail: sentence(&item.detail), mend: map.or(item.mend.map(|(path, word)| (path, word, false))) }
}

fn drawn(place: &Place<Look>, step: &Step) -> Option<Drawn> {
    match step {
        Step::Remark(text) if text.trim().is_empty() => None,
        Step::Remark(text) => Some(Drawn { milestone: None, text: text.trim().to_owned(), link: None }),
        Step::Milestone { at_milliseconds, word, text, about } => {
            let (tone, icon) = look(word);
            let milestone =
                Milestone { word: super::capitalised(word), tone, icon, at: format!("{at_milliseconds} ms") };
            let link = about.map(|about| match about {
                About::License(id) => place.at(&format!("licenses/{id}")),
                About::Mail(id) => place.at(&format!("mails/{id}")),
                About::Delivery(id) => place.at(&format!("deliveries/{id}")),
            });
            Some(Drawn { milestone: Some(milestone), text: text.clone(), link })
        }
    }
}

/// The colour and the icon of a milestone.
fn look(word: &str) -> (&'static str, &'static str) {
    match word {
        "received" | "found" => ("good", "in"),
        "matched" => ("good", "tag"),
        "issued" | "active" | "valid" => ("good", "key"),
        "mailed" => ("good", "mail"),
        "delivered" => ("good", "out"),
        "solved" => ("good", "check"),
        "waits" | "held" | "looks up" | "at risk" | "tries again" => ("warn", "pause"),
        "refused" | "not sent" | "revoked" | "given up" => ("bad", "stop"),
        "frozen" => ("cold", "pause"),
        "scheduled" | "expired" => ("quiet", "clock"),
        _ => ("quiet", "check"),
    }
}

/// How far a run is, as a coloured word.
pub(crate) const fn pill(state: &RunState) -> Pill {
    match state {
        RunState::Playing => Pill { word: "playing", tone: "quiet", icon: "clock" },
        RunState::Ended(_) => Pill { word: "done", tone: "good", icon: "check" },
        RunState::Failed(_) => Pill { word: "failed", tone: "bad", icon: "stop" },
    }
}
