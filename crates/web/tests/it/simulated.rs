//! What the pages of the simulator stand on in these tests: runs of which each test says how far they are. The one that plays
//! is in the binary, and tested there.

use std::sync::Mutex;

use domain::id::TenantId;
use futures::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use web::simulator::{NotPlayed, Playable, Run, RunState, Scenario, Simulator, Wish};

/// Remembers what it was asked to play.
#[derive(Default)]
pub(crate) struct Playwright {
    pub(crate) wishes: Mutex<Vec<Wish>>,
    pub(crate) runs: Mutex<Vec<(TenantId, Run)>>,
}

pub(crate) fn scenario(word: &str) -> Scenario {
    let heading = if word == "renew" { "Subscriptions" } else { "Purchases" };
    Scenario { word: word.to_owned(), sentence: format!("What {word} is."), heading }
}

impl Playwright {
    /// Changes the last run.
    pub(crate) fn so(&self, change: impl FnOnce(&mut Run)) {
        change(&mut self.runs.lock().unwrap().first_mut().unwrap().1);
    }
}

impl Simulator for Playwright {
    fn providers(&self) -> Vec<Playable> {
        let scenarios = |words: &[&str]| words.iter().map(|word| scenario(word)).collect();
        vec![
            Playable {
                slug: "stripe",
                name: "Stripe",
                scenarios: scenarios(&["checkout", "subscription", "unmapped", "refund", "renew"]),
            },
            Playable { slug: "appsumo", name: "AppSumo", scenarios: scenarios(&["checkout", "addon"]) },
        ]
    }

    fn begin(&self, wish: Wish) -> BoxFuture<'_, Result<String, NotPlayed>> {
        async move {
            let mut runs = self.runs.lock().unwrap();
            if let Some((_, busy)) = runs.iter().find(|(_, run)| run.state == RunState::Playing) {
                return Err(NotPlayed::Busy(busy.id.clone()));
            }
            if wish.scenario.is_empty() {
                return Err(NotPlayed::Impossible("choose what happens".to_owned()));
            }
            let run = Run {
                id: format!("run_{}", runs.len()),
                provider: ("stripe", "Stripe"),
                scenario: scenario(&wish.scenario),
                email: wish.email.clone(),
                began: Timestamp::UNIX_EPOCH,
                actor: wish.by.actor.clone(),
                steps: Vec::new(),
                sale: None,
                state: RunState::Playing,
                next: vec![scenario("refund")],
            };
            runs.insert(0, (wish.tenant.0, run.clone()));
            self.wishes.lock().unwrap().push(wish);
            Ok(run.id)
        }
        .boxed()
    }

    fn run(&self, tenant: TenantId, id: &str) -> Option<Run> {
        self.runs(tenant).into_iter().find(|run| run.id == id)
    }

    fn runs(&self, tenant: TenantId) -> Vec<Run> {
        let runs = self.runs.lock().unwrap();
        runs.iter().filter(|(of, _)| *of == tenant).map(|(_, run)| run.clone()).collect()
    }
}
