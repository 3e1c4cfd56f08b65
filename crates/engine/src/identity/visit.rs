//! A visit to an identity provider: a browser is sent there, and comes back with an answer that is good once.
//!
//! What ties the answer to the browser (state, nonce, the verifier of PKCE) is made of the handle that the browser keeps; the
//! database has its hash, so that what it holds opens nothing.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use crypto::{handle::Handle, seal::Place};
use domain::{
    id::{IdentityVisitId, MemberId, SessionId, TenantId},
    member::Role,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{
    Write,
    rows::{IdentityProvider, IdentityVisit, Session},
};
use uuid::Uuid;

use super::{
    IdentityError, Problem,
    admission::{Admission, Said, admit},
    configuration::{is_same, rules},
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

/// Why a browser is sent to an identity provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To sign in, and to leave this session, of which the person was told.
    Enter(Option<SessionId>),
    /// To prove once more who is signed in.
    Confirm(SessionId),
    /// To see whether it works; nobody is signed in.
    Try(SessionId),
}

impl Purpose {
    fn columns(self) -> (&'static str, Option<Uuid>) {
        match self {
            Self::Enter(left) => ("enter", left.map(|session| session.0)),
            Self::Confirm(session) => ("confirm", Some(session.0)),
            Self::Try(session) => ("try", Some(session.0)),
        }
    }

    fn read(word: &str, session: Option<Uuid>) -> Self {
        match (word, session.map(SessionId)) {
            ("confirm", Some(session)) => Self::Confirm(session),
            ("try", Some(session)) => Self::Try(session),
            (_, left) => Self::Enter(left),
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
    provider: IdentityProvider,
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
            as_it_was(&write, &provider).await?;
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
            let provider = write.lock_identity_provider(tenant).await?.ok_or(IdentityError::None)?;
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
            Ok((row, provider))
        };
        let (row, provider) = store::repeat(once, IdentityError::is_conflict).await?;
        Ok(Returned {
            purpose: Purpose::read(&row.purpose, row.session_id),
            next: row.next,
            provider,
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
        let provider = &visit.provider;
        let code = code_of(answer, &provider.issuer).map_err(IdentityError::Problem)?;
        let client = self.client(provider, redirect)?;
        let said = self.identity.trade(&client, code, &visit.ties, self.now()).await.map_err(IdentityError::Problem)?;
        match visit.purpose {
            Purpose::Enter(left) => {
                let handle = self.new_session();
                let once = || self.enter_by_provider(provider, &said, &handle, from, (here, left));
                store::repeat(once, IdentityError::is_conflict).await?;
                Ok(Ended::Entered(handle))
            }
            Purpose::Confirm(session) => {
                is_just_now(&said, visit.begun_at).map_err(IdentityError::Problem)?;
                let who = here.filter(|who| who.session() == session);
                let who = who.ok_or(IdentityError::Problem(Problem::Stale))?;
                let once = || self.confirm_by_provider(provider, &said, who);
                store::repeat(once, IdentityError::is_conflict).await?;
                Ok(Ended::Confirmed)
            }
            Purpose::Try(_) => {
                let write = self.store.begin().await?;
                let provider = as_it_was(&write, provider).await?;
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
        (here, left): (Option<&SignedIn>, Option<SessionId>),
    ) -> Result<(), IdentityError> {
        let (now, tenant) = (self.now(), TenantId(provider.tenant_id));
        let write = self.store.begin().await?;
        let provider = as_it_was(&write, provider).await?;
        let known = self.knowledge(&write, &provider, said).await?;
        let admission = admit(said, &rules(&provider), &known).map_err(|problem| {
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
            self.bind(&write, &provider, said, id).await?;
        }
        if let Some(who) = here {
            // Nobody is taken out of their own account by a page that they were led to.
            if who.id() != id && left != Some(who.session()) {
                return Err(IdentityError::Problem(Problem::Stale));
            }
            write.end_sessions(who.id(), store::members::Ended::One(who.session())).await?;
        }
        // Who signed in there long ago has proved nothing now, nor has one of whom the provider does not say when.
        let confirmed_at = said.proved_at.map_or(Timestamp::UNIX_EPOCH, |at| at.min(now)).as_microsecond();
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

    async fn confirm_by_provider(
        &self,
        provider: &IdentityProvider,
        said: &Said,
        who: &SignedIn,
    ) -> Result<(), IdentityError> {
        let write = self.store.begin().await?;
        as_it_was(&write, provider).await?;
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

/// The identity provider of a visit as it is now, if it is still the one that was asked: it stays so until the transaction ends.
async fn as_it_was(write: &Write, asked: &IdentityProvider) -> Result<IdentityProvider, IdentityError> {
    let row = write.lock_identity_provider(TenantId(asked.tenant_id)).await?;
    let row = row.filter(|row| row.id == asked.id && is_same(row, asked));
    row.ok_or(IdentityError::Problem(Problem::Stale))
}

pub(super) fn as_member(id: MemberId) -> By {
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
