//! Who could get in, and who did: second factors, signed-in browsers, and calls that were refused.

use std::collections::{BTreeSet, HashMap};

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use domain::{
    id::{MemberId, SessionId},
    member::{Ability, Role},
};
use engine::members::{SESSION, SESSION_IDLE};
use jiff::Timestamp;
use store::{
    lists::{AuditFilter, Page},
    rows::{Member, Membership, Session},
};
use uuid::Uuid;

use super::{
    account::wrong,
    action::{Field, Question, Sent},
    browser::see_other,
    entries::People,
    place::{
        Place,
        to::{Look, Staff},
    },
    refusal::Refusal,
    shell::{Shell, page},
    words::{When, browser_name},
};
use crate::Web;

const SECTION: &str = "settings/security";
/// Sign-ins that are shown; the audit log has all.
const SIGN_INS: u64 = 8;

/// The pages of security.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/settings/security", get(show))
        .route("/console/{tenant}/{mode}/settings/security/second-factor", get(factor_form).post(factor))
        .route("/console/{tenant}/{mode}/settings/security/browsers/{id}/sign-out", get(browser_form).post(browser))
        .route("/console/{tenant}/{mode}/settings/security/members/{id}/sign-out", get(member_form).post(member))
}

#[derive(Template)]
#[template(path = "console/security.html")]
struct SecurityPage {
    shell: Shell,
    path: String,
    audit: String,
    billing: String,
    is_required: bool,
    with_factor: usize,
    members: Vec<MemberRow>,
    browsers: Vec<BrowserRow>,
    sign_ins: Vec<(String, When)>,
    refused: Vec<RefusedRow>,
    session_days: i64,
    idle_days: i64,
    may_staff: bool,
}

struct MemberRow {
    email: String,
    role: String,
    has_factor: bool,
    seen: Option<When>,
    /// Wrong passwords and codes in a row, and when the last one came.
    wrong: Option<(i32, When)>,
    /// Where all of their browsers are signed out; none: there is none, or the member here may not.
    sign_out: Option<String>,
}

struct BrowserRow {
    who: String,
    agent: String,
    whole_agent: String,
    address: String,
    since: When,
    seen: When,
    is_this: bool,
    sign_out: Option<String>,
}

struct RefusedRow {
    connection: String,
    count: u32,
    since: When,
    last: When,
}

/// Members of a vendor, each with the browsers that they are signed in with.
pub(crate) struct Team {
    pub(crate) members: Vec<(Member, Membership)>,
    sessions: Vec<Session>,
    pub(crate) with_passkey: BTreeSet<Uuid>,
}

impl Team {
    /// As they are now.
    pub(crate) async fn read<A>(web: &Web, place: &Place<A>) -> Result<Self, Refusal> {
        let tenant = place.whose().tenant;
        let members = web.engine.store.members_of(tenant).await?;
        let with_passkey = web.engine.store.with_passkey(members.iter().map(|(member, _)| member.id).collect()).await?;
        let mut sessions = web.engine.store.sessions_of_team(tenant).await?;
        let (now, idle) = (web.engine.now(), SESSION_IDLE);
        let is_open = |row: &Session| {
            let seen = Timestamp::from_microsecond(row.seen_at).unwrap_or(Timestamp::MIN);
            row.confirmed_at.is_some() && row.expires_at > now.as_microsecond() && now.duration_since(seen) < idle
        };
        sessions.retain(is_open);
        Ok(Self { members, sessions, with_passkey })
    }

    /// When each member was seen last, by their id.
    pub(crate) fn seen(&self) -> HashMap<Uuid, i64> {
        let mut seen = HashMap::new();
        for row in &self.sessions {
            let at = seen.entry(row.member_id).or_insert(row.seen_at);
            *at = row.seen_at.max(*at);
        }
        seen
    }

    /// Whether a member has more than a password to prove who they are.
    fn has_factor(&self, member: &Member) -> bool {
        member.authenticator.is_some() || self.with_passkey.contains(&member.id)
    }

    /// How many have.
    pub(crate) fn with_factor(&self) -> usize {
        self.members.iter().filter(|(member, _)| self.has_factor(member)).count()
    }
}

/// `GET …/settings/security`.
async fn show(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let team = Team::read(&web, &place).await?;
    page(&SecurityPage {
        shell: Shell::new(&web, &place, SECTION, "Security").await?,
        path: place.at(SECTION),
        audit: place.at("audit?action=member.signed_in"),
        billing: place.at("settings/billing"),
        is_required: place.tenant.requires_second_factor,
        with_factor: team.with_factor(),
        members: member_rows(&web, &place, &team),
        browsers: if place.role.may(Ability::Staff) { browser_rows(&web, &place, &team) } else { Vec::new() },
        sign_ins: sign_ins(&web, &place).await?,
        refused: refused(&web, &place).await?,
        session_days: SESSION.as_hours() / 24,
        idle_days: SESSION_IDLE.as_hours() / 24,
        may_staff: place.role.may(Ability::Staff),
    })
}

fn role(membership: &Membership) -> Role {
    membership.role.parse().unwrap_or(Role::Viewer)
}

fn member_rows(web: &Web, place: &Place<Look>, team: &Team) -> Vec<MemberRow> {
    let (now, seen) = (web.engine.now(), team.seen());
    let row = |(member, membership): &(Member, Membership)| {
        let at = seen.get(&member.id);
        let may = place.role.may_staff(role(membership)) && member.id != place.who.member.id;
        let path = || place.at(&format!("{SECTION}/members/{}/sign-out", MemberId(member.id)));
        MemberRow {
            email: member.email.clone(),
            role: membership.role.clone(),
            has_factor: team.has_factor(member),
            seen: at.map(|at| When::stored(*at, now)),
            wrong: member.wrong_at.map(|at| (member.wrong_in_a_row, When::stored(at, now))),
            sign_out: at.filter(|_| may).map(|_| path()),
        }
    };
    team.members.iter().map(row).collect()
}

fn browser_rows(web: &Web, place: &Place<Look>, team: &Team) -> Vec<BrowserRow> {
    let now = web.engine.now();
    let row = |session: &Session| {
        let (member, membership) = team.members.iter().find(|(member, _)| member.id == session.member_id)?;
        let is_this = session.id == place.who.session.id;
        let may = place.role.may_staff(role(membership)) && !is_this;
        Some(BrowserRow {
            who: member.email.clone(),
            agent: browser_name(&session.agent),
            whole_agent: session.agent.clone(),
            address: session.address.clone(),
            since: When::stored(session.created_at, now),
            seen: When::stored(session.seen_at, now),
            is_this,
            sign_out: may.then(|| place.at(&format!("{SECTION}/browsers/{}/sign-out", SessionId(session.id)))),
        })
    };
    team.sessions.iter().filter_map(row).collect()
}

async fn sign_ins(web: &Web, place: &Place<Look>) -> Result<Vec<(String, When)>, Refusal> {
    let filter = AuditFilter { action: Some("member.signed_in".to_owned()), ..AuditFilter::default() };
    let newest = Page { limit: SIGN_INS, from: None };
    let examined = web.engine.store.examine_audit(place.whose(), &filter, newest).await?;
    let (people, now) = (People::of(web, place).await?, web.engine.now());
    Ok(examined
        .listed
        .rows
        .into_iter()
        .map(|row| (people.name(&row.actor), When::stored(row.occurred_at, now)))
        .collect())
}

async fn refused(web: &Web, place: &Place<Look>) -> Result<Vec<RefusedRow>, Refusal> {
    let (now, tenant) = (web.engine.now(), place.whose().tenant);
    let connections = web.engine.connections().await?;
    let row = |calls: engine::rejections::RefusedCalls| {
        let connection = connections.iter().find(|row| row.id == calls.connection && row.tenant == tenant)?;
        Some(RefusedRow {
            connection: connection.code.clone(),
            count: calls.count,
            since: When::new(calls.since, now),
            last: When::new(calls.last, now),
        })
    };
    Ok(web.engine.refused_calls().into_iter().filter_map(row).collect())
}

fn asking(place: &Place<Staff>, with_factor: usize, members: usize) -> Question {
    let back = place.at(SECTION);
    if place.tenant.requires_second_factor {
        return Question::new("Stop requiring a second factor", "Stop requiring it", back)
            .says("Members see the pages of this vendor with a password alone again. Whoever has a second factor goes on using it.")
            .asks(Field::reason())
            .dangerous();
    }
    Question::new("Require a second factor", "Require it", back)
        .says(format!("{with_factor} of {members} members have one. The others are led to set theirs up before they see another page of this vendor, from now on."))
        .says("You need one yourself, so that you cannot lock yourself out. API keys are not touched.")
        .asks(Field::reason())
}

/// `GET …/settings/security/second-factor`.
async fn factor_form(State(web): State<Web>, place: Place<Staff>) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let team = Team::read(&web, &place).await?;
    asking(&place, team.with_factor(), team.members.len()).page(&web, &place, SECTION, None).await
}

/// `POST …/settings/security/second-factor`.
async fn factor(State(web): State<Web>, place: Place<Staff>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let (tenant, required) = (place.whose().tenant, !place.tenant.requires_second_factor);
    match web.engine.require_second_factor(tenant, required, &place.who, &place.by(sent.get("note"))).await {
        Ok(()) => Ok(see_other(&place.at(&format!("{SECTION}?said=saved")))),
        Err(error) => {
            let team = Team::read(&web, &place).await?;
            let question = asking(&place, team.with_factor(), team.members.len());
            question.page(&web, &place, SECTION, Some(wrong(error)?)).await
        }
    }
}

/// Whose browsers, and which of them; none: all.
struct Target {
    member: MemberId,
    browser: Option<SessionId>,
    email: String,
    what: String,
}

impl Target {
    async fn browser(web: &Web, place: &Place<Staff>, id: &str) -> Result<Self, Refusal> {
        let id: SessionId = id.parse().map_err(|_| Refusal::NotFound)?;
        let team = Team::read(web, place).await?;
        let row = team.sessions.iter().find(|row| row.id == id.0).ok_or(Refusal::NotFound)?;
        let (member, _) =
            team.members.iter().find(|(member, _)| member.id == row.member_id).ok_or(Refusal::NotFound)?;
        let what = format!("{} at {}", browser_name(&row.agent), row.address);
        Ok(Self { member: MemberId(member.id), browser: Some(id), email: member.email.clone(), what })
    }

    async fn member(web: &Web, place: &Place<Staff>, id: &str) -> Result<Self, Refusal> {
        let id: MemberId = id.parse().map_err(|_| Refusal::NotFound)?;
        let team = Team::read(web, place).await?;
        let (member, _) = team.members.iter().find(|(member, _)| member.id == id.0).ok_or(Refusal::NotFound)?;
        Ok(Self { member: id, browser: None, email: member.email.clone(), what: "All of their browsers".to_owned() })
    }

    fn question(&self, place: &Place<Staff>) -> Question {
        Question::new(format!("Sign out · {}", self.email), "Sign out", place.at(SECTION))
            .says(format!("{}: the next page asks them to sign in again, of other vendors that they work for as well.", self.what))
            .says("It does not change their password. If somebody else knows it, have them change it, or remove them from the team.")
            .asks(Field::reason())
            .dangerous()
    }

    async fn sign_out(&self, web: &Web, place: &Place<Staff>, sent: &Sent) -> Result<Response, Refusal> {
        let (tenant, by) = (place.whose().tenant, place.by(sent.get("note")));
        match web.engine.sign_out_member(tenant, self.member, self.browser, place.role, &by).await {
            Ok(()) => Ok(see_other(&place.at(&format!("{SECTION}?said=signed_out")))),
            Err(error) => self.question(place).page(web, place, SECTION, Some(wrong(error)?)).await,
        }
    }
}

type Asked = Path<(String, String, String)>;

/// `GET …/settings/security/browsers/{id}/sign-out`.
async fn browser_form(
    State(web): State<Web>,
    place: Place<Staff>,
    Path((_, _, id)): Asked,
) -> Result<Response, Refusal> {
    Target::browser(&web, &place, &id).await?.question(&place).page(&web, &place, SECTION, None).await
}

/// `POST …/settings/security/browsers/{id}/sign-out`.
async fn browser(
    State(web): State<Web>,
    place: Place<Staff>,
    Path((_, _, id)): Asked,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    Target::browser(&web, &place, &id).await?.sign_out(&web, &place, &sent).await
}

/// `GET …/settings/security/members/{id}/sign-out`.
async fn member_form(
    State(web): State<Web>,
    place: Place<Staff>,
    Path((_, _, id)): Asked,
) -> Result<Response, Refusal> {
    Target::member(&web, &place, &id).await?.question(&place).page(&web, &place, SECTION, None).await
}

/// `POST …/settings/security/members/{id}/sign-out`.
async fn member(
    State(web): State<Web>,
    place: Place<Staff>,
    Path((_, _, id)): Asked,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    Target::member(&web, &place, &id).await?.sign_out(&web, &place, &sent).await
}
