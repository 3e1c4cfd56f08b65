//! The authenticators of members: what a second code proves.

use crypto::{password::Authenticator, seal::Place};
use jiff::Timestamp;
use store::rows::Member;
use zeroize::Zeroizing;

use super::{MemberError, SignedIn};
use crate::{Engine, Error};

/// An authenticator that is not used before its owner has typed a code of it. The server keeps nothing of it meanwhile.
pub struct NewAuthenticator {
    /// The secret, sealed for this member: the form carries it along.
    pub sealed: Vec<u8>,
    /// What an authenticator reads.
    pub url: Zeroizing<String>,
}

impl Engine {
    /// Makes an authenticator for a member.
    ///
    /// # Errors
    /// The address of the member cannot stand in it.
    pub fn new_authenticator(&self, member: &Member) -> Result<NewAuthenticator, MemberError> {
        let mut secret = Zeroizing::new([0; Authenticator::SECRET]);
        let mut entropy = self.entropy();
        entropy.fill(&mut *secret);
        let url = authenticator(&secret, member)?.url();
        let sealed = self.ring().seal(Place::authenticator(member.id), &*secret, &mut *entropy).0;
        Ok(NewAuthenticator { sealed, url })
    }

    /// What an authenticator reads, of one whose secret a form has carried along.
    ///
    /// # Errors
    /// It was not sealed for this member.
    pub fn authenticator_url(&self, member: &Member, sealed: &[u8]) -> Result<Zeroizing<String>, MemberError> {
        let secret = self.ring().open(Place::authenticator(member.id), sealed).map_err(Error::from)?;
        let secret = secret.as_slice().try_into().map_err(|_| MemberError::Wrong)?;
        Ok(authenticator(secret, member)?.url())
    }

    /// Asks for its codes from now on.
    ///
    /// # Errors
    /// The code is wrong, another factor has to be shown first, or those of the database.
    pub async fn set_authenticator(&self, who: &SignedIn, sealed: &[u8], code: &str) -> Result<(), MemberError> {
        self.ensure_may_change_factors(who).await?;
        let member = Member { authenticator: Some(sealed.to_vec()), code_step: None, ..who.member.clone() };
        let step = self.step_of(&member, code, self.now())?.ok_or(MemberError::Wrong)?;
        let change = |member| Member { authenticator: Some(sealed.to_vec()), code_step: Some(step), ..member };
        self.change_authenticator(who, "member.authenticator_set", &change).await
    }

    /// Asks for no code any more.
    ///
    /// # Errors
    /// A factor has to be shown first, or those of the database.
    pub async fn remove_authenticator(&self, who: &SignedIn) -> Result<(), MemberError> {
        self.ensure_may_change_factors(who).await?;
        let change = |member| Member { authenticator: None, code_step: None, ..member };
        self.change_authenticator(who, "member.authenticator_removed", &change).await
    }

    async fn change_authenticator(
        &self,
        who: &SignedIn,
        action: &str,
        change: &(dyn Fn(Member) -> Member + Sync),
    ) -> Result<(), MemberError> {
        let once = || async {
            let write = self.store.begin().await?;
            let member = write.lock_member(who.id()).await?.ok_or(MemberError::NoMember)?;
            let member = change(member);
            match member.authenticator {
                Some(_) => write.note_factor(who.session()).await?,
                None => write.forget_factors(who.id(), who.session()).await?,
            }
            write.save_member(member).await?;
            self.tell_tenants(&write, who.id(), action, &who.by(None)).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, MemberError::is_conflict).await
    }

    /// In which step of half a minute a code of a member is right. None: it is not.
    pub(super) fn step_of(&self, member: &Member, code: &str, now: Timestamp) -> Result<Option<i64>, MemberError> {
        let Some(sealed) = &member.authenticator else { return Ok(None) };
        let secret = self.ring().open(Place::authenticator(member.id), sealed).map_err(Error::from)?;
        let Ok(secret) = <&[u8; Authenticator::SECRET]>::try_from(secret.as_slice()) else { return Ok(None) };
        let last = member.code_step.and_then(|step| u64::try_from(step).ok());
        let step = authenticator(secret, member)?.step_of(code, now, last);
        Ok(step.and_then(|step| i64::try_from(step).ok()))
    }
}

fn authenticator(secret: &[u8; Authenticator::SECRET], member: &Member) -> Result<Authenticator, MemberError> {
    // A colon is all that an account may not have; no mailbox that anybody uses has one.
    Authenticator::new(secret, &member.email.replace(':', "_"))
        .map_err(|_| MemberError::Field("email", "an authenticator cannot show this e-mail address"))
}
