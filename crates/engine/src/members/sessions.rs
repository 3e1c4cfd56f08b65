//! Signing in and out.

use crypto::{handle::Handle, password};
use domain::{
    id::{MemberId, SessionId},
    text::EmailAddress,
};
use jiff::Timestamp;
use store::{
    members::Ended,
    rows::{Member, Session},
};
use zeroize::Zeroizing;

use super::{CODE_AWAITED, MemberError, SESSION, SESSION_IDLE, SignedIn, aside, before, later, righted, wait, wronged};
use crate::{Engine, Error, rulings::By};

/// What is kept of a browser's name for itself, in bytes.
const AGENT_MAX: usize = 200;
/// How often the use of a session is noted.
const USE_NOTED_EVERY: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// From where somebody signs in.
#[derive(Clone, Debug)]
pub struct CameFrom {
    /// The address that the call came from.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
}

/// Somebody whose password is right.
pub struct Entered {
    /// What their browser keeps.
    pub handle: Handle,
    /// Whether the code of their authenticator is still asked for.
    pub needs_code: bool,
}

impl Engine {
    /// Signs somebody in by their password.
    ///
    /// # Errors
    /// It is wrong, too many were wrong, or those of the database. Whether there is such a member is not told.
    pub async fn sign_in(&self, email: &str, password: &str, from: &CameFrom) -> Result<Entered, MemberError> {
        let email = EmailAddress::parse(email).map(|email| email.normalised()).unwrap_or_default();
        let member = self.store.begin().await?.lock_member_with_email(&email).await?;
        if let Some(seconds) = member.as_ref().map(|member| wait(member, self.now())).filter(|seconds| *seconds > 0) {
            return Err(MemberError::Wait(seconds));
        }
        let (typed, stored) =
            (Zeroizing::new(password.to_owned()), member.as_ref().and_then(|member| member.password.clone()));
        let is_right = aside(move || password::matches(&typed, stored.as_deref())).await?;
        let Some(member) = member else { return Err(MemberError::Wrong) };
        let handle = self.new_session();
        let once = || self.let_in(MemberId(member.id), is_right, &handle, from);
        let needs_code = store::repeat(once, MemberError::is_conflict).await?;
        Ok(Entered { handle, needs_code })
    }

    /// What a browser will keep that is to be signed in.
    pub(crate) fn new_session(&self) -> Handle {
        let mut entropy = self.entropy();
        Handle::generate(SessionId::new(self.now(), &mut *entropy).0, &mut *entropy)
    }

    async fn let_in(
        &self,
        id: MemberId,
        is_right: bool,
        handle: &Handle,
        from: &CameFrom,
    ) -> Result<bool, MemberError> {
        let now = self.now();
        let write = self.store.begin().await?;
        let member = write.lock_member(id).await?.ok_or(MemberError::Wrong)?;
        // Of many tries at the same time, each counts.
        let seconds = wait(&member, now);
        if seconds > 0 {
            return Err(MemberError::Wait(seconds));
        }
        if !is_right {
            write.save_member(wronged(member, now)).await?;
            write.commit().await?;
            return Err(MemberError::Wrong);
        }
        let needs_code = member.authenticator.is_some();
        write.forget_expired_entries(now).await?;
        write.save_session(session(id, handle, from, now, needs_code)).await?;
        if !needs_code {
            write.save_member(righted(member)).await?;
            let by = By { actor: format!("member:{id}"), note: None };
            self.tell_tenants(&write, id, "member.signed_in", &by).await?;
        }
        write.commit().await?;
        Ok(needs_code)
    }

    /// Signs somebody in whose password was right, by the code of their authenticator.
    ///
    /// # Errors
    /// It is wrong, too many were wrong, or those of the database.
    pub async fn enter_code(&self, handle: &Handle, code: &str) -> Result<(), MemberError> {
        store::repeat(|| self.enter_code_once(handle, code), MemberError::is_conflict).await
    }

    async fn enter_code_once(&self, handle: &Handle, code: &str) -> Result<(), MemberError> {
        let now = self.now();
        let write = self.store.begin().await?;
        let session = write.lock_session(SessionId(handle.id())).await?;
        let session = session.filter(|session| handle.matches(&session.hash) && is_open(session, now));
        let session = session.ok_or(MemberError::Link)?;
        let id = MemberId(session.member_id);
        let member = write.lock_member(id).await?.ok_or(MemberError::Wrong)?;
        let seconds = wait(&member, now);
        if seconds > 0 {
            return Err(MemberError::Wait(seconds));
        }
        let Some(step) = self.step_of(&member, code, now)? else {
            write.save_member(wronged(member, now)).await?;
            write.commit().await?;
            return Err(MemberError::Wrong);
        };
        write.save_member(Member { code_step: Some(step), ..righted(member) }).await?;
        let (confirmed_at, expires_at) = (Some(now.as_microsecond()), later(now, SESSION));
        write.save_session(Session { confirmed_at, expires_at, has_factor: true, ..session }).await?;
        let by = By { actor: format!("member:{id}"), note: None };
        self.tell_tenants(&write, id, "member.signed_in", &by).await?;
        Ok(write.commit().await?)
    }

    /// Who a browser's handle belongs to. None: nobody, or somebody who has not given their code yet.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn signed_in(&self, handle: &Handle) -> Result<Option<SignedIn>, Error> {
        let now = self.now();
        let session = self.store.session(SessionId(handle.id())).await?;
        let session = session
            .filter(|session| handle.matches(&session.hash) && is_open(session, now) && session.confirmed_at.is_some());
        let Some(session) = session else { return Ok(None) };
        let Some(member) = self.store.member(MemberId(session.member_id)).await? else { return Ok(None) };
        let since = domain::time::after(now, -USE_NOTED_EVERY);
        if session.seen_at < since.as_microsecond() {
            self.store.note_session_use(SessionId(session.id), since, now).await?;
        }
        Ok(Some(SignedIn { member, session }))
    }

    /// Proves once more who somebody is, by their password.
    ///
    /// # Errors
    /// It is wrong, too many were wrong, or those of the database.
    pub async fn confirm(&self, who: &SignedIn, password: &str) -> Result<(), MemberError> {
        let seconds = wait(&who.member, self.now());
        if seconds > 0 {
            return Err(MemberError::Wait(seconds));
        }
        let (typed, stored) = (Zeroizing::new(password.to_owned()), who.member.password.clone());
        let is_right = aside(move || password::matches(&typed, stored.as_deref())).await?;
        store::repeat(|| self.confirm_once(who, is_right), MemberError::is_conflict).await
    }

    async fn confirm_once(&self, who: &SignedIn, is_right: bool) -> Result<(), MemberError> {
        let now = self.now();
        let write = self.store.begin().await?;
        let member = write.lock_member(who.id()).await?.ok_or(MemberError::Wrong)?;
        if !is_right {
            write.save_member(wronged(member, now)).await?;
            write.commit().await?;
            return Err(MemberError::Wrong);
        }
        write.save_member(righted(member)).await?;
        let session = write.lock_session(who.session()).await?.ok_or(MemberError::Link)?;
        write.save_session(Session { confirmed_at: Some(now.as_microsecond()), ..session }).await?;
        Ok(write.commit().await?)
    }

    /// Ends sessions of a member.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_sessions(&self, member: MemberId, which: Ended) -> Result<u64, Error> {
        let once = || async {
            let write = self.store.begin().await?;
            let ended = write.end_sessions(member, which).await?;
            write.commit().await?;
            Ok(ended)
        };
        store::repeat(once, Error::is_conflict).await
    }
}

/// A session of somebody who has proved who they are.
pub(crate) fn opened(member: MemberId, handle: &Handle, from: &CameFrom, now: Timestamp) -> Session {
    session(member, handle, from, now, false)
}

/// A session of somebody whose password was right.
pub(super) fn session(member: MemberId, handle: &Handle, from: &CameFrom, now: Timestamp, needs_code: bool) -> Session {
    let mut agent = from.agent.clone();
    agent.truncate(agent.floor_char_boundary(AGENT_MAX));
    Session {
        id: handle.id(),
        member_id: member.0,
        hash: handle.hash().to_vec(),
        address: from.address.clone(),
        agent,
        created_at: now.as_microsecond(),
        confirmed_at: (!needs_code).then(|| now.as_microsecond()),
        seen_at: now.as_microsecond(),
        expires_at: later(now, if needs_code { CODE_AWAITED } else { SESSION }),
        tenant_id: None,
        has_factor: false,
    }
}

pub(super) fn is_open(session: &Session, now: Timestamp) -> bool {
    session.expires_at > now.as_microsecond() && session.seen_at > before(now, SESSION_IDLE)
}
