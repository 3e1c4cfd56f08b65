//! What runs here: its release and what is new in it, its database, how it fares, and what to send along with a question.

use std::sync::LazyLock;

use askama::Template;
use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};
use domain::member::Ability;
use engine::{
    doctor::{self, Finding},
    support::{Process, size},
};

use super::{
    audit::SCAN_SECONDS,
    place::{
        Place,
        to::{Decide, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When, capitalised, sentence},
};
use crate::Web;

const SECTION: &str = "settings/about";
const VERSION: &str = env!("CARGO_PKG_VERSION");
const CHANGELOG: &str = include_str!("../../../../CHANGELOG.md");

/// The pages about the installation.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/settings/about", get(show))
        .route("/console/{tenant}/{mode}/settings/about/doctor", post(examine))
}

#[derive(Template)]
#[template(path = "console/about.html")]
struct AboutPage {
    shell: Shell,
    path: String,
    version: &'static str,
    news: &'static [News],
    description: String,
    /// What only those hear of who run the installation.
    installation: Option<Installation>,
}

struct Installation {
    database: String,
    data_folder: String,
    started: When,
    checks: Vec<Check>,
    /// What the doctor found; none: nobody asked.
    found: Option<Found>,
    support: String,
}

/// Something that is as it should be, or what to do about it.
struct Check {
    pill: Pill,
    what: String,
    advice: String,
}

/// What the doctor found.
enum Found {
    /// There was no time to look at everything.
    Unfinished,
    /// All of it; empty: nothing is wrong.
    All(Vec<(String, &'static str)>),
}

/// What is new: a heading, and its lines in passages, every second of which is code.
struct News {
    heading: &'static str,
    lines: Vec<Vec<String>>,
}

static NEWS: LazyLock<Vec<News>> = LazyLock::new(|| news(CHANGELOG, VERSION));

/// What a changelog says of a release; what is not released yet, if it does not name it.
fn news(changelog: &'static str, version: &str) -> Vec<News> {
    let mut sections = changelog.split("\n## ").skip(1);
    let named = sections.clone().find(|section| section.lines().next().is_some_and(|line| line.contains(version)));
    let Some(section) = named.or_else(|| sections.next()) else { return Vec::new() };
    let part = |part: &'static str| {
        let (heading, text) = part.split_once('\n')?;
        let line = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.join(" ").split('`').map(str::to_owned).collect()
        };
        Some(News { heading, lines: text.split("\n* ").skip(1).map(line).collect() })
    };
    section.split("\n### ").skip(1).filter_map(part).collect()
}

/// Whether a member here may hear of the installation as a whole: an owner or admin of the vendor that it was set up with.
pub(crate) fn is_operators<A>(place: &Place<A>) -> bool {
    place.is_host() && place.role.may(Ability::Decide)
}

/// `GET …/settings/about`.
async fn show(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let installation = if is_operators(&place) { Some(installation(&web, None).await?) } else { None };
    shown(&web, &place, installation).await
}

/// `POST …/settings/about/doctor`: nothing is changed by it, and what it finds is shown this once.
async fn examine(State(web): State<Web>, place: Place<Decide>) -> Result<Response, Refusal> {
    if !is_operators(&place) {
        return Err(Refusal::NotFound);
    }
    let _scan = web.engine.begin_scan(place.whose().tenant).ok_or(Refusal::TooMany(SCAN_SECONDS))?;
    let findings = web.engine.verify_in_time().await?;
    let installation = installation(&web, Some(findings)).await?;
    shown(&web, &place, Some(installation)).await
}

async fn shown<A>(web: &Web, place: &Place<A>, installation: Option<Installation>) -> Result<Response, Refusal> {
    page(&AboutPage {
        shell: Shell::new(web, place, SECTION, "About").await?,
        path: place.at(SECTION),
        version: VERSION,
        news: &NEWS,
        description: format!("{}/openapi.json", web.public_url.trim_end_matches('/')),
        installation,
    })
}

/// `findings`: none, nobody asked for them; none inside, there was no time for all.
async fn installation(web: &Web, findings: Option<Option<Vec<Finding>>>) -> Result<Installation, Refusal> {
    let now = web.engine.now();
    let database = web.engine.store.about().await?;
    let process = Process {
        version: VERSION,
        up: Some(now.duration_since(web.started_at)),
        is_https: Some(web.is_secure()),
        sends_mails: Some(web.sender.is_some()),
    };
    let known = findings.as_ref().and_then(Option::as_deref);
    let support = web.engine.support_text(process, known).await?.to_string();
    let row = |finding: &Finding| (capitalised(&finding.to_string()), doctor::advice(finding.invariant));
    Ok(Installation {
        database: format!("{} {}, {}", database.kind, database.version, size(database.bytes)),
        data_folder: web.data_folder.to_string(),
        started: When::new(web.started_at, now),
        checks: checks(web).await?,
        found: findings.map(|findings| match findings {
            None => Found::Unfinished,
            Some(findings) => Found::All(findings.iter().map(row).collect()),
        }),
        support,
    })
}

async fn checks(web: &Web) -> Result<Vec<Check>, Refusal> {
    let check = |is_fine: bool, what: &str, advice: &str| Check {
        pill: match is_fine {
            true => Pill { word: "fine", tone: "good", icon: "check" },
            false => Pill { word: "look at it", tone: "warn", icon: "clock" },
        },
        what: what.to_owned(),
        advice: if is_fine { String::new() } else { advice.to_owned() },
    };
    let status = web.engine.store.status(None).await?;
    let mut checks = vec![
        check(true, "The master keys open what is in the database.", ""),
        check(
            web.is_secure(),
            if web.is_secure() { "Browsers and apps come by HTTPS." } else { "This server is reached by plain HTTP." },
            "For anything but a trial on this machine: a proxy with a certificate, and --public-url https://…",
        ),
        check(
            web.sender.is_some(),
            if web.sender.is_some() { "Mails leave this server." } else { "Mails are caught here; no buyer gets one." },
            "Under E-mail, Sender stands what to start the server with.",
        ),
        check(
            status.attention_open == 0,
            &match status.attention_open {
                0 => "Nothing needs a person.".to_owned(),
                1 => "One item needs a person.".to_owned(),
                count => format!("{count} items need a person."),
            },
            "Under Needs attention each says what is wrong, and leads to where it is mended. Items of all vendors and both modes are counted.",
        ),
    ];
    checks.extend(backups(web).await?.map(|(is_fine, what, advice)| check(is_fine, what, advice)));
    for (tenant, livemode) in web.engine.unwatched_webhooks().await? {
        let mode = if livemode { "live" } else { "test" };
        let what = sentence(&format!("nobody would hear that a webhook address of `{tenant}` fails in {mode} mode"));
        checks.push(check(false, &what, "Make an alert channel under Integrations, in that mode."));
    }
    Ok(checks)
}

/// Whether backups are made, what to say, and what to do; none: that is not known here.
async fn backups(web: &Web) -> Result<Option<(bool, &'static str, &'static str)>, Refusal> {
    if web.engine.store.is_shared() {
        return Ok(None);
    }
    Ok(Some(match (web.engine.backup_plan(), web.engine.backup_is_overdue()) {
        (Some(_), false) => (true, "Backups are made by themselves.", ""),
        (Some(_), true) => (false, "No backup was made when it was due.", "Under Backups stands why."),
        (None, _) => {
            (false, "No backups are made by themselves.", "Under Backups stands what to start the server with.")
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_what_the_changelog_says_of_the_release() {
        const LOG: &str = "# Changelog\n\n## Unreleased\n\n### Added\n\n* Not yet.\n\n## 0.2.0\n\n### Added\n\n* `keywright a`: does\n  it.\n* More.\n\n### Fixed\n\n* This.\n";
        let told = |version| {
            let one = |news: News| (news.heading, news.lines.iter().map(|line| line.join("|")).collect::<Vec<_>>());
            news(LOG, version).into_iter().map(one).collect::<Vec<_>>()
        };
        let of = |heading, lines: &[&str]| (heading, lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        assert_eq!(told("0.2.0"), [of("Added", &["|keywright a|: does it.", "More."]), of("Fixed", &["This."])]);
        assert_eq!(told("0.3.0"), [of("Added", &["Not yet."])]);
        assert!(!NEWS.is_empty(), "this release has something to tell");
    }
}
