//! A visit to an identity provider: a browser is sent there, and comes back with an answer that is good once.
//!
//! What ties the answer to the browser (state, nonce, the verifier of PKCE) is made of the handle that the browser keeps; the
//! database has its hash, so that what it holds opens nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::{handle::Handle, seal::Place};
use domain::{
    id::{IdentityVisitId, InvitationId, MemberId, SessionId, TenantId},
    member::Role,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{
    StoreError, Write,
    rows::{IdentityProvider, IdentityVisit, Member, MemberIdentity, Membership, Session},
};
use uuid::Uuid;

use super::{
    IdentityError, Problem,
    admission::{Admission, Knowledge, Known, Said, admit},
    configuration::rules,
    protocol::{Client, SKEW, Ties},
};
use crate::{
    Engine, Error,
    members::{CameFrom, SignedIn, opened},
    rulings::By,
};

/// How long somebody may take to sign in.
const AWAITED: SignedDuration = SignedDuration::from_mins(10);
/// How long a session lasts that a provider opens: whom it knows no more is out after a day.
const SESSION: SignedDuration = SignedDuration::from_hours(24);
/// The longest name that is taken over, in characters.
const NAME_MAX: usize = 80;

/// Why a browser is sent to an identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To sign in.
    Enter,
    /// To prove once more who is signed in.
    Confirm(SessionId),
    /// To see whether it works; nobody is signed in.
    Try(SessionId),
}

impl Purpose {
    const fn columns(self) -> (&'static str, Option<Uuid>) {
        match self {
            Self::Enter => ("enter", None),
            Self::Confirm(session) => ("confirm", Some(session.0)),
            Self::Try(session) => ("try", Some(session.0)),
        }
    }

    fn read(word: &str, session: Option<Uuid>) -> Self {
        match (word, session.map(SessionId)) {
            ("confirm", Some(session)) => Self::Confirm(session),
            ("try", Some(session)) => Self::Try(session),
            _ => Self::Enter,
        }
    }
}

/// A visit that begins.
pub struct Visit {
    /// Where the browser is sent.
    pub url: String,
    /// What it keeps meanwhile.
    pub handle: Handle,
}

/// A browser that came back.
pub struct Returned {
    /// Why it was sent.
    pub purpose: Purpose,
    /// The page that it wants.
    pub next: String,
    tenant: TenantId,
    begun_at: Timestamp,
    ties: Ties,
}

/// What a provider answered, in the address to which it sent the browser back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    /// What is traded for who somebody is.
    pub code: Option<&'a str>,
    /// Who answers (RFC 9207); many do not say it.
    pub issuer: Option<&'a str>,
    /// Why there is no code.
    pub error: Option<&'a str>,
}

/// What a visit led to.
pub enum Ended {
    /// Somebody is signed in: what their browser keeps.
    Entered(Handle),
    /// Somebody has proved once more who they are.
    Confirmed,
    /// It works: whoever tried would have this role.
    Tried(Role),
}

impl Ties {
    fn of(handle: &Handle) -> Self {
        let text = handle.reveal();
        let tie = |what: &str| URL_SAFE_NO_PAD.encode(Sha256::digest([what.as_bytes(), text.as_bytes()].concat()));
        Self { state: tie("state:"), nonce: tie("nonce:"), verifier: tie("verifier:") }
    }
}

impl Engine {
    /// Sends a browser to the identity provider of a vendor; `redirect` is where it comes back.
    ///
    /// # Errors
    /// The vendor has none, it does not answer, or those of the database.
    pub async fn begin_visit(
        &self,
        tenant: TenantId,
        purpose: Purpose,
        next: &str,
        redirect: &str,
    ) -> Result<Visit, IdentityError> {
        let provider = self.store.identity_provider(tenant).await?.ok_or(IdentityError::None)?;
        let now = self.now();
        let handle = {
            let mut entropy = self.entropy();
            Handle::generate(IdentityVisitId::new(now, &mut *entropy).0, &mut *entropy)
        };
        let client = self.client(&provider, redirect)?;
        let again = matches!(purpose, Purpose::Confirm(_));
        let url = self.identity.door(&client, &Ties::of(&handle), again, now).await.map_err(IdentityError::Problem)?;
        let (word, session_id) = purpose.columns();
        let row = IdentityVisit {
            id: handle.id(),
            tenant_id: tenant.0,
            hash: handle.hash().to_vec(),
            purpose: word.to_owned(),
            session_id,
            next: next.to_owned(),
            created_at: now.as_microsecond(),
            expires_at: domain::time::after(now, AWAITED).as_microsecond(),
        };
        let once = || async {
            let write = self.store.begin().await?;
            write.forget_expired_entries(now).await?;
            write.save_visit(row.clone()).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, IdentityError::is_conflict).await?;
        Ok(Visit { url, handle })
    }

    fn client<'a>(&self, row: &'a IdentityProvider, redirect: &'a str) -> Result<Client<'a>, Error> {
        let secret = self.ring().open(Place::identity_provider(TenantId(row.tenant_id), row.id), &row.sealed)?;
        let secret = String::from_utf8_lossy(&secret).into_owned();
        Ok(Client { issuer: &row.issuer, id: &row.client_id, secret, redirect })
    }

    /// Takes the visit of a browser that came back with this state: nobody else takes it, and nobody takes it again.
    ///
    /// # Errors
    /// It was taken, is too old, or is another browser's; or those of the database.
    pub async fn end_visit(&self, tenant: TenantId, handle: &Handle, state: &str) -> Result<Returned, IdentityError> {
        let ties = Ties::of(handle);
        let once = || async {
            let write = self.store.begin().await?;
            let row = write.lock_visit(IdentityVisitId(handle.id())).await?;
            let is_good = |row: &IdentityVisit| {
                handle.matches(&row.hash)
                    && row.tenant_id == tenant.0
                    && row.expires_at > self.now().as_microsecond()
                    && ties.state == state
            };
            let row = row.filter(is_good).ok_or(IdentityError::Problem(Problem::Stale))?;
            write.remove_visit(IdentityVisitId(row.id)).await?;
            write.commit().await?;
            Ok(row)
        };
        let row = store::repeat(once, IdentityError::is_conflict).await?;
        Ok(Returned {
            purpose: Purpose::read(&row.purpose, row.session_id),
            next: row.next,
            tenant,
            begun_at: Timestamp::from_microsecond(row.created_at).unwrap_or(Timestamp::UNIX_EPOCH),
            ties,
        })
    }

    /// Does what a visit was for.
    ///
    /// # Errors
    /// Whoever came does not come in, the provider does not answer, or those of the database.
    pub async fn answer_visit(
        &self,
        visit: &Returned,
        answer: &Answer<'_>,
        redirect: &str,
        here: Option<&SignedIn>,
        from: &CameFrom,
    ) -> Result<Ended, IdentityError> {
        let provider = self.store.identity_provider(visit.tenant).await?.ok_or(IdentityError::None)?;
        let code = code_of(answer, &provider.issuer).map_err(IdentityError::Problem)?;
        let client = self.client(&provider, redirect)?;
        let said = self.identity.trade(&client, code, &visit.ties, self.now()).await.map_err(IdentityError::Problem)?;
        match visit.purpose {
            Purpose::Enter => {
                let handle = self.new_session();
                let once = || self.enter_by_provider(&provider, &said, &handle, from);
                store::repeat(once, IdentityError::is_conflict).await?;
                Ok(Ended::Entered(handle))
            }
            Purpose::Confirm(session) => {
                is_just_now(&said, visit.begun_at).map_err(IdentityError::Problem)?;
                let who = here.filter(|who| who.session() == session);
                let who = who.ok_or(IdentityError::Problem(Problem::Stale))?;
                let once = || self.confirm_by_provider(&provider, &said, who);
                store::repeat(once, IdentityError::is_conflict).await?;
                Ok(Ended::Confirmed)
            }
            Purpose::Try(_) => {
                let write = self.store.begin().await?;
                let known = self.knowledge(&write, &provider, &said).await?;
                let admission = admit(&said, &rules(&provider), &known).map_err(IdentityError::Problem)?;
                Ok(Ended::Tried(admission.role()))
            }
        }
    }

    async fn enter_by_provider(
        &self,
        provider: &IdentityProvider,
        said: &Said,
        handle: &Handle,
        from: &CameFrom,
    ) -> Result<(), IdentityError> {
        let (now, tenant) = (self.now(), TenantId(provider.tenant_id));
        let write = self.store.begin().await?;
        let known = self.knowledge(&write, provider, said).await?;
        let admission = admit(said, &rules(provider), &known).map_err(|problem| {
            tracing::warn!(issuer = provider.issuer, problem = problem.word(), "an identity provider let nobody in");
            IdentityError::Problem(problem)
        })?;
        let id = match admission {
            Admission::Known(id, _) | Admission::Bound(id, _) => id,
            Admission::Joined(member, role, invitation) => {
                self.join_by_provider(&write, tenant, said, (member, role, invitation)).await?
            }
        };
        if !matches!(admission, Admission::Known(..)) {
            self.bind(&write, provider, said, id).await?;
        }
        // Who signed in there long ago has proved nothing now.
        let confirmed_at = said.proved_at.filter(|at| *at < now).unwrap_or(now).as_microsecond();
        let expires_at = domain::time::after(now, SESSION).as_microsecond();
        let session = opened(id, handle, from, now);
        let session = Session { confirmed_at: Some(confirmed_at), expires_at, tenant_id: Some(tenant.0), ..session };
        write.forget_expired_entries(now).await?;
        write.save_session(session).await?;
        let detail = json!({ "by": provider.name });
        let entry = self.told(tenant, "member.signed_in", id.to_string(), None, &detail, &as_member(id));
        crate::audit::add(&write, vec![entry]).await?;
        Ok(write.commit().await?)
    }

    /// What is known of who comes.
    async fn knowledge(
        &self,
        write: &Write,
        provider: &IdentityProvider,
        said: &Said,
    ) -> Result<Knowledge, IdentityError> {
        let (tenant, issuer) = (TenantId(provider.tenant_id), provider.issuer.as_str());
        let memberships = write.lock_memberships(tenant).await?;
        let role = |id: MemberId| {
            let row = memberships.iter().find(|row| row.member_id == id.0);
            row.map(|row| row.role.parse().unwrap_or(Role::Viewer))
        };
        let account = write.identified(tenant, issuer, &said.subject).await?;
        let account = account.map(|id| Known { id, role: role(id), has_account: true });
        let Some(email) = &said.email else { return Ok(Knowledge { account, ..Knowledge::default() }) };
        let address = match write.lock_member_with_email(&email.normalised()).await? {
            None => None,
            Some(Member { id, .. }) => {
                let id = MemberId(id);
                Some(Known { id, role: role(id), has_account: write.has_identity(tenant, issuer, id).await? })
            }
        };
        let now = self.now().as_microsecond();
        let invitation = write.invitations_of(tenant).await?.into_iter().find_map(|row| {
            let to = domain::text::EmailAddress::parse(row.email.as_deref()?).ok()?;
            let is_theirs = row.expires_at > now && to.normalised() == email.normalised();
            let role = row.role.as_deref()?.parse().ok()?;
            is_theirs.then_some((InvitationId(row.id), role))
        });
        Ok(Knowledge { account, address, invitation })
    }

    async fn join_by_provider(
        &self,
        write: &Write,
        tenant: TenantId,
        said: &Said,
        (member, role, invitation): (Option<MemberId>, Role, Option<InvitationId>),
    ) -> Result<MemberId, IdentityError> {
        let now = self.now();
        let id = match member {
            Some(id) => id,
            None => self.new_member_of(write, said).await?,
        };
        if let Some(invitation) = invitation {
            write.remove_invitation(invitation).await?;
        }
        let membership = Membership {
            member_id: id.0,
            tenant_id: tenant.0,
            role: role.as_str().to_owned(),
            created_at: now.as_microsecond(),
        };
        write.save_membership(membership).await?;
        // Another account of theirs may have been known before they were invited again.
        write.forget_identities(tenant, id).await?;
        let detail = json!({ "role": role.as_str(), "invited": invitation.is_some() });
        let entry = self.told(tenant, "member.joined", id.to_string(), None, &detail, &as_member(id));
        crate::audit::add(write, vec![entry]).await?;
        Ok(id)
    }

    /// Somebody who never had a password here.
    async fn new_member_of(&self, write: &Write, said: &Said) -> Result<MemberId, IdentityError> {
        let now = self.now();
        let email = said.email.as_ref().ok_or(IdentityError::Problem(Problem::Unverified))?;
        let name = said.name.chars().filter(|symbol| !symbol.is_control()).take(NAME_MAX).collect();
        let member = Member {
            id: MemberId::new(now, &mut *self.entropy()).0,
            email_normalised: email.normalised(),
            email: email.as_str().to_owned(),
            name,
            password: None,
            authenticator: None,
            code_step: None,
            wrong_in_a_row: 0,
            wrong_at: None,
            created_at: now.as_microsecond(),
        };
        let id = MemberId(member.id);
        match write.save_member(member).await {
            Err(StoreError::Duplicate(_)) => Err(StoreError::changed_meanwhile("a member").into()),
            other => Ok(other.map(|()| id)?),
        }
    }

    async fn bind(
        &self,
        write: &Write,
        provider: &IdentityProvider,
        said: &Said,
        member: MemberId,
    ) -> Result<(), IdentityError> {
        let row = MemberIdentity {
            tenant_id: provider.tenant_id,
            issuer: provider.issuer.clone(),
            subject: said.subject.clone(),
            member_id: member.0,
            created_at: self.now().as_microsecond(),
        };
        write.save_identity(row).await?;
        let detail = json!({ "issuer": provider.issuer });
        let tenant = TenantId(provider.tenant_id);
        let entry = self.told(tenant, "member.account_bound", member.to_string(), None, &detail, &as_member(member));
        Ok(crate::audit::add(write, vec![entry]).await?)
    }

    async fn confirm_by_provider(
        &self,
        provider: &IdentityProvider,
        said: &Said,
        who: &SignedIn,
    ) -> Result<(), IdentityError> {
        let write = self.store.begin().await?;
        let member = write.identified(TenantId(provider.tenant_id), &provider.issuer, &said.subject).await?;
        if member != Some(who.id()) {
            return Err(IdentityError::Problem(Problem::NotYou));
        }
        let session = write.lock_session(who.session()).await?;
        let session = session.ok_or(IdentityError::Problem(Problem::Stale))?;
        write.save_session(Session { confirmed_at: Some(self.now().as_microsecond()), ..session }).await?;
        Ok(write.commit().await?)
    }
}

/// The code of an answer that this provider gave.
fn code_of<'a>(answer: &Answer<'a>, issuer: &str) -> Result<&'a str, Problem> {
    if answer.issuer.is_some_and(|said| said != issuer) {
        tracing::warn!(issuer, "another identity provider answers than was asked");
        return Err(Problem::Untrusted);
    }
    match (answer.code, answer.error) {
        (Some(code), None) => Ok(code),
        (_, Some("access_denied" | "login_required" | "interaction_required" | "consent_required")) => {
            Err(Problem::Cancelled)
        }
        (_, error) => {
            let why = error.unwrap_or("neither a code nor an error").chars().take(80).collect::<String>();
            tracing::warn!(issuer, ?why, "an identity provider let nobody in");
            Err(Problem::Refused)
        }
    }
}

/// Whether somebody proved who they are because they were asked to.
fn is_just_now(said: &Said, asked_at: Timestamp) -> Result<(), Problem> {
    let is_so = said.proved_at.is_some_and(|at| at >= domain::time::after(asked_at, -SKEW));
    if is_so { Ok(()) } else { Err(Problem::NotNow) }
}

fn as_member(id: MemberId) -> By {
    By { actor: format!("member:{id}"), note: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gives_a_code_or_says_why_not() {
        let issuer = "https://id.acme.example";
        for (code, said, error, expected) in [
            (Some("c"), None, None, Ok("c")),
            (Some("c"), Some(issuer), None, Ok("c")),
            (Some("c"), Some("https://id.evil.example"), None, Err(Problem::Untrusted)),
            (None, None, Some("access_denied"), Err(Problem::Cancelled)),
            (Some("c"), None, Some("access_denied"), Err(Problem::Cancelled)),
            (None, None, Some("server_error"), Err(Problem::Refused)),
            (None, None, None, Err(Problem::Refused)),
        ] {
            let answer = Answer { code, issuer: said, error };
            assert_eq!(code_of(&answer, issuer), expected, "{answer:?}");
        }
    }
}
