//! From nothing to an app that knows its licenses, and a back end that hears of sales: the book's own texts, with the vendor's
//! names in them, and how far they have come.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use domain::member::Ability;
use engine::api_keys::opens;
use serde::Deserialize;
use store::{deliveries::DeliveryFilter, lists::Page};

use super::{
    super::{
        place::{Place, to::Look},
        refusal::Refusal,
        shell::{Shell, page},
        words::Pill,
    },
    Tab,
    guide::{Block, section},
    keys::keys,
    reference::{self, Own, Reference},
    tabs,
};
use crate::Web;

const APPS: &str = include_str!("../../../../../docs/apps.md");
const WEBHOOKS: &str = include_str!("../../../../../docs/webhooks.md");

/// Languages of an app, and the heading under which its example stands.
const OF_APPS: [(&str, &str, &str); 3] = [
    ("javascript", "JavaScript", "### In JavaScript"),
    ("python", "Python", "### In Python"),
    ("rust", "Rust", "### In Rust"),
];
/// Languages of a back end, and the heading under which its example stands.
const OF_BACK_ENDS: [(&str, &str, &str); 3] =
    [("node", "Node", "### Node"), ("python", "Python", "### Python"), ("go", "Go", "### Go")];

/// What it is about, and in which languages it is told.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    product: String,
    #[serde(default)]
    app: String,
    #[serde(default)]
    server: String,
}

#[derive(Template)]
#[template(path = "console/quickstart.html")]
struct QuickstartPage {
    shell: Shell,
    tabs: Vec<Tab>,
    products_path: String,
    products: Vec<Choice>,
    has_product: bool,
    names: Vec<(&'static str, String)>,
    app: Vec<Step>,
    back_end: Vec<Step>,
}

/// A link among others, one of which is chosen.
struct Choice {
    path: String,
    name: String,
    is_here: bool,
}

struct Step {
    part: &'static str,
    title: &'static str,
    /// How far it has come; none: nothing here tells.
    pill: Option<Pill>,
    languages: Vec<Choice>,
    blocks: Vec<Block>,
    /// Where it is done: address and words.
    link: Option<(String, &'static str)>,
}

/// `GET …/developers/quickstart`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let tenant = place.whose().tenant;
    let products = web.engine.store.products(tenant).await?;
    let plans = web.engine.store.newest_plans(tenant).await?;
    let product = products.iter().find(|row| row.code == asked.product).or(products.first());
    let plan = plans.iter().find(|plan| product.is_some_and(|row| row.id == plan.product_id));
    let own = reference::own_of(&web, &place, product, plan);
    let asked = Asked { product: own.product.clone(), ..asked };
    let choice = |row: &store::rows::Product| Choice {
        path: path(&place, &Asked { product: row.code.clone(), app: asked.app.clone(), server: asked.server.clone() }),
        name: row.name.clone(),
        is_here: row.code == asked.product,
    };
    page(&QuickstartPage {
        shell: Shell::new(&web, &place, "developers/quickstart", "Quickstart").await?,
        tabs: tabs(&place, "developers/quickstart"),
        products_path: place.at("products"),
        products: products.iter().map(choice).collect(),
        has_product: product.is_some(),
        names: vec![
            ("This server", own.server.clone()),
            ("Product", own.product.clone()),
            ("Plan", plan.map(|row| row.code.clone()).unwrap_or_default()),
            ("Public keys", format!("{}/.well-known/jwks.json", own.server)),
        ],
        app: app(&web, &place, &own, &asked).await?,
        back_end: back_end(&web, &place, &own, &asked).await?,
    })
}

/// The address of this page about a product, in these languages.
fn path(place: &Place<Look>, asked: &Asked) -> String {
    let pairs = [("product", &asked.product), ("app", &asked.app), ("server", &asked.server)];
    let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> =
        pairs.map(|(name, value)| format!("{name}={}", super::super::refusal::encoded(value))).collect();
    let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
    place.at(&format!("developers/quickstart{query}"))
}

/// The text of the book with other names in it: those of its own example are the ones that `docs/apps.md` uses.
fn named(own: &Own) -> impl Fn(&str) -> String + '_ {
    |text| {
        text.replace("http://127.0.0.1:8400", &own.server)
            .replace("STUDIO-67V0-XXVE-SW4K-GDVA", &own.key())
            .replace("\"studio\"", &format!("\"{}\"", own.product))
            .replace("\"studio-solo\"", &format!("\"{}\"", own.plan))
    }
}

fn step(title: &'static str, part: &'static str, blocks: Vec<Block>) -> Step {
    Step { part, title, pill: None, languages: Vec::new(), blocks, link: None }
}

fn state(is_done: bool, done: &'static str, waiting: &'static str) -> Option<Pill> {
    Some(match is_done {
        true => Pill { word: done, tone: "good", icon: "check" },
        false => Pill { word: waiting, tone: "quiet", icon: "clock" },
    })
}

/// The example in the language that was chosen, and the choices.
fn in_language<'l>(
    languages: &'l [(&'l str, &'l str, &'l str); 3],
    wanted: &str,
    chapter: &str,
    path: impl Fn(&str) -> String,
) -> (Vec<Choice>, Vec<Block>) {
    let chosen = languages.iter().find(|(word, ..)| *word == wanted).unwrap_or(&languages[0]);
    let choice = |(word, name, _): &(&str, &str, &str)| Choice {
        path: path(word),
        name: (*name).to_owned(),
        is_here: *word == chosen.0,
    };
    (languages.iter().map(choice).collect(), section(chapter, chosen.2))
}

/// What an app does.
async fn app(web: &Web, place: &Place<Look>, own: &Own, asked: &Asked) -> Result<Vec<Step>, Refusal> {
    let read =
        |heading: &str| section(APPS, heading).into_iter().map(|block| block.with(named(own))).collect::<Vec<_>>();
    let has_activation = web.engine.store.has_activation(place.whose().tenant).await?;
    let activated = state(has_activation, "the first one came", "waiting for the first activation …");
    let leases = read("## Leases: running offline").into_iter();
    let (languages, example) = in_language(&OF_APPS, &asked.app, APPS, |word| {
        let app = word.to_owned();
        format!("{}#offline", path(place, &Asked { app, product: asked.product.clone(), server: asked.server.clone() }))
    });
    Ok(vec![
        Step { pill: activated, ..step("Activate, once on each device", "activate", read("## Activate")) },
        step("Check, when the app starts and is online", "check", read("## Check")),
        Step {
            languages,
            ..step(
                "Believe the lease while offline",
                "offline",
                leases.chain(example.into_iter().map(|block| block.with(named(own)))).collect(),
            )
        },
        step("Deactivate, when it leaves a device", "deactivate", read("## Deactivate")),
    ])
}

/// What a back end does.
async fn back_end(web: &Web, place: &Place<Look>, own: &Own, asked: &Asked) -> Result<Vec<Step>, Refusal> {
    let (now, may_configure) = (web.engine.now(), place.role.may(Ability::Configure));
    let has_key = keys(web, place).await?.iter().any(|row| opens(row, now));
    let endpoints = web.engine.store.webhook_endpoints(place.whose().tenant).await?;
    let has_endpoint = endpoints.iter().any(|row| row.livemode == place.livemode);
    let delivered = DeliveryFilter { status: Some("delivered".to_owned()), ..DeliveryFilter::default() };
    let one = Page { limit: 1, from: None };
    let has_delivered = !web.engine.store.list_deliveries(place.whose(), &delivered, one).await?.rows.is_empty();
    let reference = Reference::of(web);
    let issue = reference.operation("issue").map(|(_, found)| reference::example::call(&reference, found, own, None));
    let issue = issue.map(|text| Block::Code { language: "sh".to_owned(), text }).into_iter();
    let (languages, example) = in_language(&OF_BACK_ENDS, &asked.server, WEBHOOKS, |word| {
        let server = word.to_owned();
        format!("{}#verify", path(place, &Asked { server, product: asked.product.clone(), app: asked.app.clone() }))
    });
    let verify = section(WEBHOOKS, "## Is it ours?").into_iter().chain(example).collect();
    let text = |words: &str| Block::Text(super::guide::pieces(words));
    // The first paragraph of the book leads to a table of headers, which verifiers read and people need not.
    let arrives = section(WEBHOOKS, "## What arrives").into_iter().skip(1);
    let arrives =
        [text("Each event is one `POST`, signed as Standard Webhooks says.")].into_iter().chain(arrives).collect();
    let new_key = may_configure.then(|| (place.at("developers/new-key"), "New API key"));
    let webhooks = (place.at("settings/webhooks"), "Webhooks");
    Ok(vec![
        Step {
            pill: state(has_key, "there is one", "none yet"),
            link: new_key,
            ..step(
                "Make an API key",
                "key",
                vec![text(
                    "Your own server sends it with each call. Give it the scopes that it needs, and no more: `issue` to make licenses, `license:read` to look them up.",
                )],
            )
        },
        step(
            "Issue a license yourself",
            "issue",
            [text(
                "Sales that a provider tells of need none of this. For a partner, a giveaway or a shop of your own:",
            )]
            .into_iter()
            .chain(issue)
            .collect(),
        ),
        Step {
            pill: state(has_endpoint, "there is one", "none yet"),
            link: Some(webhooks),
            ..step("Name the address that is told of sales", "endpoint", arrives)
        },
        Step {
            pill: state(has_delivered, "the first event arrived", "waiting for the first event …"),
            languages,
            ..step("Believe only what is signed", "verify", verify)
        },
    ])
}
