//! What is still to be done before real buyers come. Every tick is asked of what is there; nothing is ticked by hand.

use domain::member::Ability;
use engine::first_steps::FirstStep;

use super::{about::is_operators, backups::SECTION as BACKUPS, place::Place, refusal::Refusal, server};
use crate::Web;

/// All steps.
pub(crate) struct Checklist {
    pub(crate) steps: Vec<Step>,
    pub(crate) done: usize,
}

/// One of them.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// What it is for, or what is waited for.
    pub(crate) sentence: String,
    /// Where it is done: address and word.
    pub(crate) button: Option<(String, &'static str)>,
    pub(crate) is_done: bool,
    /// The first that is not.
    pub(crate) is_next: bool,
}

impl Checklist {
    /// What is to be done yet; none: nothing.
    pub(crate) async fn of<A>(web: &Web, place: &Place<A>) -> Result<Option<Self>, Refusal> {
        let asked = web.engine.first_steps(place.whose()).await?;
        // The plan is made on the page of the first product, which is named when the server is set up.
        let product = web.engine.store.products(place.whose().tenant).await?.into_iter().next().map(|row| row.code);
        let mut steps: Vec<Step> =
            asked.into_iter().map(|(step, is_done)| drawn(place, step, is_done, product.as_deref())).collect();
        if place.is_host() {
            steps.extend(of_server(web, place));
            steps.extend(backups(web, place).await?);
        }
        let done = steps.iter().filter(|step| step.is_done).count();
        if done == steps.len() {
            return Ok(None);
        }
        if let Some(next) = steps.iter_mut().find(|step| !step.is_done) {
            next.is_next = true;
        }
        Ok(Some(Self { steps, done }))
    }
}

fn step(name: &'static str, sentence: impl Into<String>, is_done: bool) -> Step {
    Step { name, sentence: sentence.into(), button: None, is_done, is_next: false }
}

fn drawn<A>(place: &Place<A>, first: FirstStep, is_done: bool, product: Option<&str>) -> Step {
    let new_plan = product.map_or_else(|| "products".to_owned(), |code| format!("products/{code}/new-plan"));
    let test = !place.livemode;
    let (name, sentence, path, word) = match first {
        FirstStep::Product => {
            ("Name what you sell", "A product is what your app names when it checks a key.", "products/new", "Name it")
        }
        FirstStep::Plan => {
            ("Make a plan", "What a buyer gets: on how many devices, and for how long.", &*new_plan, "Make a plan")
        }
        FirstStep::License if test => (
            "See a purchase become a license",
            "No account is needed: a provider on this machine sells, and you watch what follows.",
            "simulator",
            "Simulate a purchase",
        ),
        FirstStep::License => {
            ("The first license", "Buy your own product once, and give the money back.", "licenses", "See the licenses")
        }
        FirstStep::Activation => (
            "Have your app ask",
            "Waiting for the first activation: the calls stand there with your product's name in them.",
            "developers/quickstart",
            "See the calls",
        ),
        FirstStep::Connection if test => (
            "Connect a provider in test mode",
            "Stripe, Paddle, Lemon Squeezy, AppSumo or your own shop: copy an address, paste a secret.",
            "settings/billing/connect",
            "Connect one",
        ),
        FirstStep::Connection => (
            "Connect a provider for live money",
            "As in test mode, with the live secret of the same account.",
            "settings/billing/connect",
            "Connect one",
        ),
        FirstStep::SignedEvent => (
            "Hear from it",
            "Waiting for the first signed event: send a test event from there.",
            "settings/billing",
            "See what it waits for",
        ),
        FirstStep::PriceRule => (
            "Map a price",
            "Which plan each of its prices gives. A price that is sold first waits there.",
            "prices",
            "Map one",
        ),
    };
    // What only shows something is open to everybody.
    let needs = ["products/new", "settings/billing/connect", &*new_plan];
    let may = place.role.may(Ability::Configure) || !needs.contains(&path);
    Step { button: may.then(|| (place.at(path), word)), ..step(name, sentence, is_done) }
}

/// PostgreSQL has its own tools, of which nothing is known here.
async fn backups<A>(web: &Web, place: &Place<A>) -> Result<Option<Step>, Refusal> {
    if web.engine.store.is_shared() {
        return Ok(None);
    }
    let is_done = web.engine.last_backup().await?.is_some();
    let sentence = "The whole database as one file, every day, and the master keys in another place.";
    let button = is_operators(place).then(|| (place.at(BACKUPS), "How to have them made"));
    Ok(Some(Step { button, ..step("Have a backup", sentence, is_done) }))
}

/// What the server's operator does when starting it.
fn of_server<A>(web: &Web, place: &Place<A>) -> [Step; 2] {
    let address = server::address(&web.public_url);
    [
        Step {
            button: Some((place.at("mails/sender"), "How to send mails")),
            ..step(
                "Send mails",
                "Mails are caught and held: the server knows no relay and no service yet.",
                web.sender.is_some(),
            )
        },
        Step {
            button: Some((place.at("settings/server"), "How to set it")),
            ..step("Have a public address", address.sentence, address.is_public)
        },
    ]
}
