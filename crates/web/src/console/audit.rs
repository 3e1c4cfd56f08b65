//! The audit log: who did what, and each entry's place in its chain.

use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    response::Response,
    routing::{get, post},
};
use domain::{
    id::{AuditId, LicenseId, MemberId, OrderId},
    member::Ability,
};
use engine::audit::AuditVerified;
use jiff::Timestamp;
use serde::Deserialize;
use store::lists::AuditFilter;

use super::{
    billing::providers_there,
    browser::see_other,
    entries::{Entry, People, entries},
    list::{Asked, Pager},
    place::{
        Place,
        to::{Configure, Look},
    },
    refusal::{Refusal, encoded},
    shell::{Shell, page},
    words::{Pill, When, capitalised, day_named, end_of_day_named},
};
use crate::Web;

/// How long looking at everything takes at most, in seconds: who asks meanwhile comes again.
pub(crate) const SCAN_SECONDS: u64 = 20;

/// What is written about, by the word that its actions begin with.
const SUBJECTS: [&str; 22] = [
    "activation",
    "alert_channel",
    "api_key",
    "attention",
    "audit",
    "configuration",
    "connection",
    "customer",
    "delivery",
    "event",
    "license",
    "mail",
    "mail_template",
    "member",
    "order",
    "plan",
    "price",
    "price_rule",
    "product",
    "signing_key",
    "tenant",
    "webhook_endpoint",
];

/// The pages of the audit log.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/audit", get(list))
        .route("/console/{tenant}/{mode}/audit/verify", post(verify))
}

/// Which entries are asked for. Empty: all.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    /// An id of anything: what it was done to. Of an order: it, and all that became of it.
    #[serde(default)]
    about: String,
    #[serde(default)]
    order: String,
    #[serde(default)]
    license: String,
    #[serde(default)]
    actor: String,
    #[serde(default)]
    action: String,
    /// A day in UTC, the first.
    #[serde(default)]
    from: String,
    /// A day in UTC, the last.
    #[serde(default)]
    to: String,
}

impl Wanted {
    /// What is asked for, by name.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("about", self.about()),
            ("actor", self.actor.trim()),
            ("action", self.action.trim()),
            ("from", self.from.trim()),
            ("to", self.to.trim()),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// An address with all that is asked for.
    pub(crate) fn address(&self, path: &str) -> String {
        let pairs = self.pairs().into_iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        let query = pairs.collect::<Vec<_>>().join("&");
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    /// What it is about, by whichever name it was asked for.
    fn about(&self) -> &str {
        [&self.about, &self.order, &self.license]
            .map(|text| text.trim())
            .into_iter()
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    }

    /// The same as the database is asked.
    pub(crate) fn filter(&self) -> Result<AuditFilter, Refusal> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        is_id::<OrderId>(&self.order)?;
        is_id::<LicenseId>(&self.license)?;
        let about = self.about();
        let (order, license) = (about.parse::<OrderId>().ok(), about.parse::<LicenseId>().ok());
        let subject = some(about).filter(|_| order.is_none() && license.is_none());
        Ok(AuditFilter {
            order,
            license,
            subject,
            actor: some(&self.actor),
            action: some(&self.action),
            since: day_named(&self.from).map_err(|wrong| Refusal::Unreadable(wrong.into()))?,
            until: end_of_day_named(&self.to).map_err(|wrong| Refusal::Unreadable(wrong.into()))?,
        })
    }
}

/// Goes on if nothing, or an id of that kind was asked for.
fn is_id<I: std::str::FromStr>(text: &str) -> Result<(), Refusal> {
    let text = text.trim();
    let is_fine = text.is_empty() || text.parse::<I>().is_ok();
    if is_fine { Ok(()) } else { Err(Refusal::Unreadable("That is not an id of the right kind.".into())) }
}

#[derive(Template)]
#[template(path = "console/audit.html")]
struct AuditPage {
    shell: Shell,
    path: String,
    entries: Vec<Entry>,
    pager: Pager,
    wanted: Wanted,
    is_filtered: bool,
    actors: Vec<(String, String)>,
    actions: Vec<(String, String)>,
    verified: Option<Verified>,
    /// Where what is asked for is taken along; none: the member may not.
    export: Option<String>,
    may_verify: bool,
}

/// What came of following the chain.
struct Verified {
    pill: Pill,
    words: String,
    at: When,
}

fn verified(done: AuditVerified, now: Timestamp) -> Verified {
    let entries = done.entries;
    let (pill, words) = match (done.problem, done.is_unfinished) {
        (Some(problem), _) => (
            Pill { word: "broken", tone: "bad", icon: "stop" },
            format!("{} {entries} entries before it are as they were written.", super::words::sentence(&problem)),
        ),
        (None, true) => (
            Pill { word: "in part", tone: "warn", icon: "clock" },
            format!(
                "The first {entries} entries are as they were written; there was no time for the rest. `keywright doctor --verify` follows all of them."
            ),
        ),
        (None, false) => (
            Pill { word: "whole", tone: "good", icon: "check" },
            format!(
                "All {entries} entries that were there are as they were written: none is missing, changed, or was put in later."
            ),
        ),
    };
    Verified { pill, words, at: When::new(done.at, now) }
}

/// Everybody who may have done something, as the log names them and as people do.
async fn actors(web: &Web, place: &Place<Look>, here: &str) -> Result<Vec<(String, String)>, Refusal> {
    let members = web.engine.store.members_of(place.whose().tenant).await?;
    let mut all: Vec<(String, String)> =
        members.into_iter().map(|(member, _)| (format!("member:{}", MemberId(member.id)), member.email)).collect();
    all.push(("key:".to_owned(), "API keys".to_owned()));
    all.extend(
        providers_there().map(|provider| (format!("{}:", provider.info().slug), provider.info().name.to_owned())),
    );
    all.push(("cli".to_owned(), "the command line".to_owned()));
    all.push(("time".to_owned(), "time passing".to_owned()));
    if !here.is_empty() && !all.iter().any(|(actor, _)| actor == here) {
        all.push((here.to_owned(), here.to_owned()));
    }
    Ok(all)
}

/// All that may have been done; one that was asked for by an address is among it.
fn actions(here: &str) -> Vec<(String, String)> {
    let group = |subject: &str| (format!("{subject}."), format!("{}: all", capitalised(&subject.replace('_', " "))));
    let mut all: Vec<(String, String)> = SUBJECTS.into_iter().map(group).collect();
    if !here.is_empty() && !all.iter().any(|(action, _)| action == here) {
        all.insert(0, (here.to_owned(), super::entries::what(here)));
    }
    all
}

/// `GET …/audit`.
async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(wanted): Query<Wanted>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let at = asked.page::<AuditId>()?;
    let examined = web.engine.store.examine_audit(place.whose(), &wanted.filter()?, at).await?;
    let path = place.at("audit");
    let pager = Pager::examined(&examined, at, &path, &wanted.pairs(), |row| row.id, |id| AuditId(id).to_string());
    let people = People::of(&web, &place).await?;
    let done = web.engine.audit_verified(place.whose().tenant).await?;
    let export = wanted.address(&place.at("audit/export"));
    page(&AuditPage {
        shell: Shell::new(&web, &place, "audit", "Audit log").await?,
        entries: entries(&place, &people, examined.listed.rows, now),
        pager,
        path,
        is_filtered: !wanted.pairs().is_empty(),
        actors: actors(&web, &place, wanted.actor.trim()).await?,
        actions: actions(wanted.action.trim()),
        verified: done.map(|done| verified(done, now)),
        export: place.role.may(Ability::Decide).then_some(export),
        may_verify: place.role.may(Ability::Configure),
        wanted,
    })
}

/// `POST …/audit/verify`.
async fn verify(State(web): State<Web>, place: Place<Configure>) -> Result<Response, Refusal> {
    let tenant = place.whose().tenant;
    let _scan = web.engine.begin_scan(tenant).ok_or(Refusal::TooMany(SCAN_SECONDS))?;
    web.engine.verify_audit(tenant).await?;
    Ok(see_other(&place.at("audit")))
}
