//! The people of a vendor: what each of them may do, and who else is invited.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    id::{InvitationId, MemberId},
    member::{Ability, Role},
};
use engine::members::MemberError;
use store::{
    members::OF_SERVER,
    rows::{Invitation, Member, Membership},
};

use super::{
    account::wrong,
    action::{Field, Question, Sent, shown_once},
    browser::see_other,
    place::{
        Place,
        to::{Look, Staff},
    },
    refusal::Refusal,
    security::Team,
    shell::{Shell, page},
    words::{Pill, When},
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/team.html")]
struct TeamPage {
    shell: Shell,
    path: String,
    members: Vec<MemberRow>,
    invitations: Vec<InvitationRow>,
    roles: Vec<(&'static str, &'static str)>,
    may_staff: bool,
}

struct MemberRow {
    path: String,
    email: String,
    name: String,
    role: String,
    since: When,
    /// Whether this vendor's identity provider alone says who they are.
    is_own: bool,
    has_authenticator: bool,
    has_passkey: bool,
    seen: Option<When>,
    is_self: bool,
    may_staff: bool,
}

impl MemberRow {
    /// What proves who they are beside their password.
    fn proof(&self) -> Option<Pill> {
        if self.is_own {
            return Some(Pill { word: "identity provider", icon: "check", tone: "good" });
        }
        let word = match (self.has_passkey, self.has_authenticator) {
            (true, true) => "passkey and code",
            (true, false) => "passkey",
            (false, true) => "code",
            (false, false) => return None,
        };
        Some(Pill { word, icon: "check", tone: "good" })
    }
}

struct InvitationRow {
    path: String,
    email: String,
    role: String,
    ends: When,
}

/// `GET …/team`.
pub(crate) async fn list(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let (now, store, tenant) = (web.engine.now(), &web.engine.store, place.whose().tenant);
    let team = Team::read(&web, &place).await?;
    let seen = team.seen();
    let member = |(member, membership): (Member, Membership)| {
        let role: Role = membership.role.parse().unwrap_or(Role::Viewer);
        MemberRow {
            path: place.at(&format!("team/{}", MemberId(member.id))),
            is_self: member.id == place.who.member.id,
            is_own: member.home != OF_SERVER,
            has_authenticator: member.authenticator.is_some(),
            has_passkey: team.with_passkey.contains(&member.id),
            seen: seen.get(&member.id).map(|at| When::stored(*at, now)),
            since: When::stored(membership.created_at, now),
            may_staff: place.role.may_staff(role),
            role: membership.role,
            email: member.email,
            name: member.name,
        }
    };
    let invitation = |row: Invitation| {
        let role = row.role.filter(|_| row.expires_at > now.as_microsecond())?;
        let path = place.at(&format!("team/invitations/{}", InvitationId(row.id)));
        Some(InvitationRow { path, email: row.email?, role, ends: When::stored(row.expires_at, now) })
    };
    page(&TeamPage {
        shell: Shell::new(&web, &place, "team", "Team").await?,
        path: place.at("team"),
        members: team.members.into_iter().map(member).collect(),
        invitations: store.invitations_of(tenant).await?.into_iter().filter_map(invitation).collect(),
        roles: Role::ALL.map(|role| (role.as_str(), role.sentence())).to_vec(),
        may_staff: place.role.may(Ability::Staff),
    })
}

/// The roles that the member here may give.
fn roles(place: &Place<Staff>, here: &str) -> Field {
    let given = Role::ALL.into_iter().filter(|role| place.role.may_staff(*role));
    Field::choice("role", "Role", given.map(|role| (role.as_str(), format!("{role}: {}", role.sentence()))), here)
}

fn chosen(place: &Place<Staff>, sent: &Sent) -> Result<Role, Refusal> {
    let role: Role = sent.get("role").parse().map_err(|_| Refusal::Unreadable("There is no such role.".into()))?;
    if place.role.may_staff(role) { Ok(role) } else { Err(Refusal::Forbidden(place.role)) }
}

async fn inviting(web: &Web, place: &Place<Staff>, sent: &Sent) -> Result<Question, Refusal> {
    let question = Question::new("Invite somebody", "Make the link", place.at("team"))
        .says("You get a link that is shown this once, and send it yourself. It is good for seven days, and for one person.")
        .asks(Field::text("email", "E-mail", sent.get("email")).of("email").needed().hint("Whose it is, as the list of open invitations shows it."))
        .asks(roles(place, sent.some("role").unwrap_or("support")))
        .asks(Field::reason());
    Ok(match web.engine.store.identity_provider(place.whose().tenant).await? {
        Some(provider) => question.says(format!(
            "Whoever signs in with {} by that address needs no link: they come in as that.",
            provider.name
        )),
        None => question,
    })
}

/// `GET …/team/invite`.
pub(crate) async fn invite_form(
    State(web): State<Web>,
    place: Place<Staff>,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    inviting(&web, &place, &sent).await?.page(&web, &place, "team", None).await
}

/// `POST …/team/invite`.
pub(crate) async fn invite(
    State(web): State<Web>,
    place: Place<Staff>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let role = chosen(&place, &sent)?;
    let by = place.by(sent.get("note"));
    let handle = match web.engine.invite(place.whose().tenant, sent.get("email"), role, &by).await {
        Ok(handle) => handle,
        Err(problem) => {
            let question = inviting(&web, &place, &sent).await?;
            return question.page(&web, &place, "team", Some(wrong(problem)?)).await;
        }
    };
    let link = zeroize::Zeroizing::new(format!("{}/join/{}", web.public_url.trim_end_matches('/'), *handle.reveal()));
    let lead = format!("Send it to {}, who becomes {role}.", sent.get("email"));
    shown_once(&web, &place, "team", ("The invitation", &link, &[&lead, "Whoever opens it first becomes that member."]))
        .await
}

/// A member of this vendor, with their role.
async fn member(web: &Web, place: &Place<Staff>, id: &str) -> Result<(Member, Role), Refusal> {
    let id: MemberId = id.parse().map_err(|_| Refusal::NotFound)?;
    let all = web.engine.store.members_of(place.whose().tenant).await?;
    let (member, membership) = all.into_iter().find(|(member, _)| member.id == id.0).ok_or(Refusal::NotFound)?;
    Ok((member, membership.role.parse().unwrap_or(Role::Viewer)))
}

fn staffing(
    place: &Place<Staff>,
    (member, role): &(Member, Role),
    word: &str,
    sent: &Sent,
) -> Result<Question, Refusal> {
    let new = |title: &str, button| Question::new(format!("{title} · {}", member.email), button, place.at("team"));
    let question = match word {
        "role" => new("Change the role", "Change it")
            .says("It counts from the next page on that they open.")
            .asks(roles(place, sent.some("role").unwrap_or(role.as_str()))),
        "remove" => new("Remove from the team", "Remove")
            .says("They see nothing of this vendor any more, from now on. What they did stays in the audit log.")
            .says("API keys that they made go on working: revoke them under Developers if they should not.")
            .dangerous(),
        _ => return Err(Refusal::NotFound),
    };
    Ok(question.asks(Field::reason()))
}

/// `GET …/team/{id}/{action}`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Staff>,
    Path((_, _, id, word)): Path<(String, String, String, String)>,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    let member = member(&web, &place, &id).await?;
    staffing(&place, &member, &word, &sent)?.page(&web, &place, "team", None).await
}

/// `POST …/team/{id}/{action}`.
pub(crate) async fn act(
    State(web): State<Web>,
    place: Place<Staff>,
    Path((_, _, id, word)): Path<(String, String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let member = member(&web, &place, &id).await?;
    let question = staffing(&place, &member, &word, &sent)?;
    let role = if word == "role" { Some(chosen(&place, &sent)?) } else { None };
    let (tenant, id) = (place.whose().tenant, MemberId(member.0.id));
    match web.engine.staff(tenant, id, role, place.role, &place.by(sent.get("note"))).await {
        Ok(()) if role.is_none() && id == place.who.id() => Ok(see_other("/")),
        Ok(()) => {
            Ok(see_other(&place.at(if role.is_some() { "team?said=role_changed" } else { "team?said=member_removed" })))
        }
        Err(MemberError::NoMember) => Err(Refusal::NotFound),
        Err(problem) => question.page(&web, &place, "team", Some(wrong(problem)?)).await,
    }
}

/// `GET …/team/invitations/{id}/withdraw`.
pub(crate) async fn withdraw_form(
    State(web): State<Web>,
    place: Place<Staff>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let id: InvitationId = id.parse().map_err(|_| Refusal::NotFound)?;
    let all = web.engine.store.invitations_of(place.whose().tenant).await?;
    let row = all.into_iter().find(|row| row.id == id.0).ok_or(Refusal::NotFound)?;
    let whose = row.email.unwrap_or_default();
    let question = Question::new(format!("Withdraw the invitation · {whose}"), "Withdraw it", place.at("team"));
    question.says("Its link opens nothing any more.").asks(Field::reason()).page(&web, &place, "team", None).await
}

/// `POST …/team/invitations/{id}/withdraw`.
pub(crate) async fn withdraw(
    State(web): State<Web>,
    place: Place<Staff>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let id: InvitationId = id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.withdraw_invitation(place.whose().tenant, id, &place.by(sent.get("note"))).await?;
    Ok(see_other(&place.at("team?said=withdrawn")))
}
