//! The console's simulator: the same scripts as on the command line, played by the server that serves the page, against its
//! own route over loopback. What happens is kept in memory for the page of the run.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{
    id::TenantId,
    text::{EmailAddress, Reference},
};
use engine::{Engine, connections::Connection};
use futures::{FutureExt, future::BoxFuture};
use serde_json::json;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;
use web::simulator::{self as port, NotPlayed, Playable, Run, RunState, Simulator, Step, Wish};

use super::{
    dialect::{DIALECTS, Dialect, by_slug, module, refusal},
    journal,
    scenario::Scenario,
    script::Script,
    stage::{Setting, Stage},
    tell::{About, Audience, Line},
};
use crate::entropy::ThreadEntropy;

/// Runs that are remembered of each tenant.
const RUNS_KEPT: usize = 20;
/// How long a run may take. The longest script waits for a list of events, and for what follows from it.
const RUN_MAX: Duration = Duration::from_secs(90);

type SharedRun = Arc<Mutex<Run>>;

/// Plays for pages.
pub(crate) struct ConsoleSimulator {
    stage: Place,
    tasks: TaskTracker,
    stop: CancellationToken,
    runs: Mutex<HashMap<TenantId, VecDeque<SharedRun>>>,
}

/// Where it is played.
#[derive(Clone)]
struct Place {
    engine: Arc<Engine>,
    /// Where accounts are kept.
    folder: PathBuf,
    /// Where this server listens.
    listens: SocketAddr,
}

impl ConsoleSimulator {
    /// For the server that listens there and has that data folder.
    pub(crate) fn new(
        engine: Arc<Engine>,
        folder: PathBuf,
        listens: SocketAddr,
        (tasks, stop): (TaskTracker, CancellationToken),
    ) -> Self {
        Self { stage: Place { engine, folder, listens }, tasks, stop, runs: Mutex::default() }
    }

    fn runs_of(&self, tenant: TenantId) -> Vec<Run> {
        let runs = locked(&self.runs);
        runs.get(&tenant).into_iter().flatten().map(|run| locked(run).clone()).collect()
    }

    /// Remembers a run, unless another one has not ended: then that one's id.
    fn admit(&self, tenant: TenantId, run: Run) -> Result<SharedRun, NotPlayed> {
        let mut runs = locked(&self.runs);
        let runs = runs.entry(tenant).or_default();
        if let Some(busy) = runs.iter().map(|run| locked(run)).find(|run| run.state == RunState::Playing) {
            return Err(NotPlayed::Busy(busy.id.clone()));
        }
        let run = Arc::new(Mutex::new(run));
        runs.push_front(Arc::clone(&run));
        runs.truncate(RUNS_KEPT);
        Ok(run)
    }

    async fn begun(&self, wish: Wish) -> Result<String, NotPlayed> {
        let engine = &self.stage.engine;
        let (dialect, script) = script(&wish).map_err(impossible)?;
        script.ensure_possible(dialect).map_err(impossible)?;
        script.ensure_plans(engine, wish.tenant.0).await.map_err(impossible)?;
        let server = over_loopback(self.stage.listens).map_err(impossible)?;
        let id = format!("run_{}", domain::id::uuid_v7(engine.now(), &mut ThreadEntropy).simple());
        let run = self.admit(wish.tenant.0, begin(&id, dialect, &script, &wish, engine.now()))?;
        let entry =
            journal::entry(engine, wish.tenant.0, (&wish.by.actor, "simulator.played"), dialect.slug().to_owned());
        let detail = json!({ "scenario": script.scenario.word(), "plan": script.plan });
        let noted = journal::write_down(engine, vec![journal::with(entry, &detail)]).await;
        if let Err(problem) = noted {
            locked(&run).state = RunState::Failed("It was not played: the audit log cannot be written.".to_owned());
            return Err(impossible(problem));
        }
        let (place, stop) = (self.stage.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let played = place.play(dialect, script, wish, server, Arc::clone(&run));
            let ended = match stop.run_until_cancelled(tokio::time::timeout(RUN_MAX, played)).await {
                Some(Ok(Ok(said))) => RunState::Ended(said),
                Some(Ok(Err(problem))) => RunState::Failed(told(&problem)),
                Some(Err(_)) => RunState::Failed(format!(
                    "It took longer than {} seconds. What the server has of it goes on all the same.",
                    RUN_MAX.as_secs()
                )),
                None => RunState::Failed("The server is stopping.".to_owned()),
            };
            locked(&run).state = ended;
        });
        Ok(id)
    }
}

impl Place {
    /// Plays it. Returns what is to be said of it where nothing was told.
    async fn play(
        &self,
        dialect: &'static dyn Dialect,
        script: Script,
        wish: Wish,
        server: Url,
        run: SharedRun,
    ) -> anyhow::Result<Option<String>> {
        let setting = Setting {
            dialect,
            engine: Arc::clone(&self.engine),
            folder: &self.folder,
            server: &server,
            level: None,
            trouble: None,
            connected: false,
            tenant: &wish.tenant.1,
            actor: wish.by.actor.clone(),
            audience: Arc::new(Recorder(run)),
        };
        let mut stage = Stage::set(setting).boxed().await?;
        let played = script.play(&mut stage).boxed().await;
        stage.close().await;
        let played = played?;
        Ok((played.told == 0).then(|| script.nothing_told(&played)))
    }
}

impl Simulator for ConsoleSimulator {
    fn providers(&self) -> Vec<Playable> {
        DIALECTS.iter().map(|dialect| playable(*dialect)).collect()
    }

    fn begin(&self, wish: Wish) -> BoxFuture<'_, Result<String, NotPlayed>> {
        self.begun(wish).boxed()
    }

    fn run(&self, tenant: TenantId, id: &str) -> Option<Run> {
        self.runs_of(tenant).into_iter().find(|run| run.id == id)
    }

    fn runs(&self, tenant: TenantId) -> Vec<Run> {
        self.runs_of(tenant)
    }
}

/// Remembers what happens in a run.
struct Recorder(SharedRun);

impl Audience for Recorder {
    fn line(&self, at: Duration, line: &Line) {
        let about = line.about.map(|about| match about {
            About::License(id) => port::About::License(id),
            About::Mail(id) | About::CaughtMail(id) => port::About::Mail(id),
            About::Delivery(id) => port::About::Delivery(id),
        });
        let at_milliseconds = at.as_millis().try_into().unwrap_or(u64::MAX);
        let step = Step::Milestone { at_milliseconds, word: line.word, text: line.text.clone(), about };
        locked(&self.0).steps.push(step);
    }

    fn remark(&self, text: &str) {
        locked(&self.0).steps.push(Step::Remark(text.to_owned()));
    }

    fn sale(&self, session: &str, connection: &Connection, name: &str) {
        locked(&self.0).sale = Some(port::Sale {
            session: session.to_owned(),
            connection: (connection.id, connection.code.clone()),
            reference: Reference::new(name),
        });
    }

    fn sees_keys(&self) -> bool {
        false
    }
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A run of which nothing has happened yet.
fn begin(id: &str, dialect: &dyn Dialect, script: &Script, wish: &Wish, now: jiff::Timestamp) -> Run {
    Run {
        id: id.to_owned(),
        provider: (dialect.slug(), module(dialect).info().name),
        scenario: described(script.scenario),
        email: script.email.clone(),
        began: now,
        actor: wish.by.actor.clone(),
        steps: Vec::new(),
        sale: None,
        state: RunState::Playing,
        next: next(dialect, script.scenario),
    }
}

/// What a page asks for, as a script.
fn script(wish: &Wish) -> anyhow::Result<(&'static dyn Dialect, Script)> {
    let dialect = by_slug(&wish.provider);
    let dialect = dialect.ok_or_else(|| anyhow::anyhow!("nobody plays the provider `{}`", wish.provider))?;
    let scenario = Scenario::of(&wish.scenario);
    let scenario = scenario.ok_or_else(|| anyhow::anyhow!("choose what happens"))?;
    let email = EmailAddress::parse(&wish.email).map_err(|problem| anyhow::anyhow!("who buys: {problem}"))?;
    let goes_on = wish.session.is_some();
    let script = Script {
        scenario,
        plan: wish.plan.clone().filter(|_| !goes_on),
        price: None,
        also: Vec::new(),
        to: None,
        quantity: wish.quantity,
        email: email.as_str().to_owned(),
        last: goes_on,
        now: false,
        connected: false,
        session: wish.session.clone(),
    };
    Ok((dialect, script))
}

fn playable(dialect: &'static dyn Dialect) -> Playable {
    let possible = Scenario::all().filter(|scenario| refusal(dialect, &scenario.word()).is_none());
    let info = module(dialect).info();
    Playable { slug: info.slug, name: info.name, scenarios: possible.map(described).collect() }
}

fn described(scenario: Scenario) -> port::Scenario {
    let sentence = scenario.sentence();
    let ended = if sentence.ends_with('.') { sentence } else { format!("{sentence}.") };
    port::Scenario { word: scenario.word(), sentence: ended, heading: scenario.heading() }
}

/// What can happen to the sale of a scenario next.
fn next(dialect: &dyn Dialect, scenario: Scenario) -> Vec<port::Scenario> {
    let words = scenario.next().iter().filter_map(|next| next.split_once(" --last").map(|(word, _)| word));
    let possible = words.filter(|word| refusal(dialect, word).is_none());
    possible.filter_map(Scenario::of).map(described).collect()
}

/// How this server is reached from its own machine.
fn over_loopback(listens: SocketAddr) -> anyhow::Result<Url> {
    let address = match listens.ip() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    anyhow::ensure!(
        address.is_loopback(),
        "the simulator posts to this server over loopback, and it listens on {listens} alone; have it listen on 127.0.0.1 or \
         0.0.0.0 (--listen)"
    );
    Ok(Url::parse(&format!("http://{}", SocketAddr::new(address, listens.port())))?)
}

fn impossible(problem: anyhow::Error) -> NotPlayed {
    NotPlayed::Impossible(format!("{problem:#}"))
}

/// What went wrong, as a sentence.
fn told(problem: &anyhow::Error) -> String {
    let mut text = format!("{problem:#}.");
    text.get_mut(..1).into_iter().for_each(str::make_ascii_uppercase);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_posts_over_loopback_and_nowhere_else() {
        for (listens, server) in [
            ("127.0.0.1:8400", Some("http://127.0.0.1:8400/")),
            ("0.0.0.0:8400", Some("http://127.0.0.1:8400/")),
            ("[::]:8400", Some("http://[::1]:8400/")),
            ("10.0.0.7:8400", None),
        ] {
            let url = over_loopback(listens.parse().unwrap());
            assert_eq!(url.ok().as_ref().map(Url::as_str), server, "{listens}");
        }
    }

    #[test]
    fn every_provider_is_played_with_what_can_happen_there() {
        for dialect in DIALECTS {
            let played = playable(*dialect);
            let words: Vec<&str> = played.scenarios.iter().map(|scenario| scenario.word.as_str()).collect();
            assert!(words.starts_with(&["checkout", "unmapped"]), "{}: {words:?}", played.slug);
            assert_eq!(words.contains(&"addon"), played.slug == "appsumo");
            assert!(played.scenarios.iter().all(|scenario| scenario.sentence.len() > 10), "{played:?}");
            for scenario in Scenario::all() {
                for next in next(*dialect, scenario) {
                    assert!(
                        words.contains(&next.word.as_str()),
                        "{}: {} → {}",
                        played.slug,
                        scenario.word(),
                        next.word
                    );
                }
            }
        }
    }
}
