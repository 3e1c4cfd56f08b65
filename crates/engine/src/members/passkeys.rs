//! The passkeys of members. The device that has one checks who uses it, so that a passkey stands for password and code.

use crypto::{
    handle::Handle,
    passkey::{self, Made, RelyingParty, Used},
    seal::Place,
};
use domain::id::{MemberId, PasskeyId};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use store::{
    StoreError, Write,
    rows::{Member, Passkey, Session},
};
use uuid::Uuid;

use super::{
    CameFrom, MemberError, SignedIn, check_name,
    sessions::{is_open, session},
    wait,
};
use crate::Engine;

/// How long a device may take to sign a challenge.
const CHALLENGE: SignedDuration = SignedDuration::from_mins(10);
/// How many passkeys a member may have.
pub const PASSKEYS_MAX: usize = 20;
/// What a passkey is called that nobody gave a name.
const NAMELESS: &str = "Passkey";

/// What a challenge is for. Signed for one purpose, or in one browser, it is good for no other.
#[derive(Clone, Copy)]
pub enum Purpose<'a> {
    /// Somebody signs in; who it is, the passkey says.
    SignIn,
    /// A member adds a passkey.
    Add(&'a SignedIn),
    /// A member proves once more who they are.
    Confirm(&'a SignedIn),
}

impl Purpose<'_> {
    fn place(self) -> Place<'static> {
        match self {
            Self::SignIn => Place::passkey_challenge(Uuid::nil(), "sign_in"),
            Self::Add(who) => Place::passkey_challenge(who.session.id, "add"),
            Self::Confirm(who) => Place::passkey_challenge(who.session.id, "confirm"),
        }
    }
}

/// A passkey, as a browser shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// How the browser finds it.
    pub credential_id: Vec<u8>,
    /// Whose the device says it is, as [`owner`] has it; none: it does not say.
    pub owner: Option<Vec<u8>>,
    /// What was signed.
    pub used: Used,
}

/// The member as devices know them.
#[must_use]
pub const fn owner(member: MemberId) -> [u8; 16] {
    member.0.into_bytes()
}

/// A challenge that is ours, and fresh.
struct Challenge {
    hash: [u8; 32],
    expires_at: Timestamp,
}

impl Engine {
    /// Makes what a passkey has to sign: random, sealed, and good for ten minutes. The server keeps nothing of it until it
    /// is used.
    #[must_use]
    pub fn passkey_challenge(&self, purpose: Purpose<'_>) -> Vec<u8> {
        let expires_at = domain::time::after(self.now(), CHALLENGE).as_microsecond();
        self.ring().seal(purpose.place(), &expires_at.to_be_bytes(), &mut *self.entropy()).0
    }

    /// The challenge that was signed, if it was given out for this.
    fn signed_challenge(&self, purpose: Purpose<'_>, client_data: &[u8]) -> Result<Challenge, MemberError> {
        let sealed = passkey::challenge(client_data)?;
        let opened = self.ring().open(purpose.place(), &sealed).map_err(|_| MemberError::Stale)?;
        let micros = i64::from_be_bytes(opened.as_slice().try_into().map_err(|_| MemberError::Stale)?);
        let expires_at = Timestamp::from_microsecond(micros).map_err(|_| MemberError::Stale)?;
        if expires_at <= self.now() {
            return Err(MemberError::Stale);
        }
        Ok(Challenge { hash: Sha256::digest(&sealed).into(), expires_at })
    }

    /// Adds a passkey that a browser has made for a member, who proved who they are.
    ///
    /// # Errors
    /// It is not accepted, is here already or is one too many, the challenge is not fresh, or those of the database.
    pub async fn add_passkey(
        &self,
        who: &SignedIn,
        party: &RelyingParty,
        name: &str,
        made: &Made,
    ) -> Result<(), MemberError> {
        check_name(name.trim())?;
        self.ensure_may_change_factors(who).await?;
        let challenge = self.signed_challenge(Purpose::Add(who), &made.client_data)?;
        let (new, now) = (made.accept(party)?, self.now());
        let row = Passkey {
            id: PasskeyId::new(now, &mut *self.entropy()).0,
            member_id: who.id().0,
            credential_id: new.credential_id,
            public_key: new.public_key,
            counter: i64::from(new.counter),
            party: party.id.clone(),
            is_synced: new.is_synced,
            name: Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or(NAMELESS).to_owned(),
            created_at: now.as_microsecond(),
            used_at: None,
        };
        store::repeat(|| self.add_passkey_once(who, &challenge, &row), MemberError::is_conflict).await
    }

    async fn add_passkey_once(&self, who: &SignedIn, challenge: &Challenge, row: &Passkey) -> Result<(), MemberError> {
        let write = self.store.begin().await?;
        write.lock_member(who.id()).await?.ok_or(MemberError::NoMember)?;
        self.spend(&write, challenge).await?;
        if write.count_passkeys(who.id()).await? >= PASSKEYS_MAX {
            return Err(MemberError::Field("name", "a member has 20 passkeys at most; remove one first"));
        }
        match write.save_passkey(row.clone()).await {
            Err(StoreError::Duplicate(_)) => {
                return Err(MemberError::Field("name", "this passkey is here already; use another device"));
            }
            other => other?,
        }
        write.note_factor(who.session()).await?;
        let detail = serde_json::json!({ "passkey": row.name });
        self.tell_tenants_of(&write, who.id(), "member.passkey_added", &detail, &who.by(None)).await?;
        Ok(write.commit().await?)
    }

    /// Takes a passkey away from its member. The device still has it, and it opens nothing.
    ///
    /// # Errors
    /// The member has no such passkey, or those of the database.
    pub async fn remove_passkey(&self, who: &SignedIn, id: PasskeyId) -> Result<(), MemberError> {
        self.ensure_may_change_factors(who).await?;
        let once = || async {
            let write = self.store.begin().await?;
            write.lock_member(who.id()).await?.ok_or(MemberError::NoMember)?;
            let row = write.lock_passkey(id).await?.filter(|row| row.member_id == who.id().0);
            let row = row.ok_or(MemberError::NoMember)?;
            write.remove_passkey(id).await?;
            write.forget_factors(who.id(), who.session()).await?;
            let detail = serde_json::json!({ "passkey": row.name });
            self.tell_tenants_of(&write, who.id(), "member.passkey_removed", &detail, &who.by(None)).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, MemberError::is_conflict).await
    }

    /// Signs somebody in by their passkey: no password and no code is asked for.
    ///
    /// # Errors
    /// It is not known or not accepted, too many answers were wrong, the challenge is not fresh, or those of the database.
    pub async fn sign_in_by_passkey(
        &self,
        party: &RelyingParty,
        shown: &Shown,
        from: &CameFrom,
    ) -> Result<Handle, MemberError> {
        let challenge = self.signed_challenge(Purpose::SignIn, &shown.used.client_data)?;
        let passkey = self.known(shown).await?;
        let handle = self.new_session();
        let once = || async {
            let (write, member) = self.prove(&passkey, party, shown, &challenge).await?;
            let (id, now) = (MemberId(member.id), self.now());
            write.forget_expired_entries(now).await?;
            write.save_session(Session { has_factor: true, ..session(id, &handle, from, now, false) }).await?;
            let (by, detail) = (by(id), serde_json::json!({ "passkey": passkey.name }));
            self.tell_tenants_of(&write, id, "member.signed_in", &detail, &by).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, MemberError::is_conflict).await?;
        Ok(handle)
    }

    /// Proves once more who somebody is, by a passkey of theirs.
    ///
    /// # Errors
    /// As when signing in; the passkey of somebody else is not known here.
    pub async fn confirm_by_passkey(
        &self,
        who: &SignedIn,
        party: &RelyingParty,
        shown: &Shown,
    ) -> Result<(), MemberError> {
        let challenge = self.signed_challenge(Purpose::Confirm(who), &shown.used.client_data)?;
        let passkey = self.known(shown).await?;
        if passkey.member_id != who.id().0 {
            return Err(MemberError::UnknownPasskey);
        }
        let once = || async {
            let (write, _) = self.prove(&passkey, party, shown, &challenge).await?;
            let now = self.now();
            let session = write.lock_session(who.session()).await?.filter(|session| is_open(session, now));
            let session = session.ok_or(MemberError::Link)?;
            write
                .save_session(Session { confirmed_at: Some(now.as_microsecond()), has_factor: true, ..session })
                .await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, MemberError::is_conflict).await
    }

    /// The passkey that is shown, if it is somebody's here and nobody else is said to own it.
    async fn known(&self, shown: &Shown) -> Result<Passkey, MemberError> {
        let row = self.store.passkey(&shown.credential_id).await?;
        let is_said =
            |row: &Passkey| shown.owner.as_deref().is_none_or(|said| said == owner(MemberId(row.member_id)).as_slice());
        row.filter(is_said).ok_or(MemberError::UnknownPasskey)
    }

    /// The member whose passkey has signed. What is wrong is counted as a wrong password is, and nothing else is written.
    async fn prove(
        &self,
        passkey: &Passkey,
        party: &RelyingParty,
        shown: &Shown,
        challenge: &Challenge,
    ) -> Result<(Write, Member), MemberError> {
        let now = self.now();
        let write = self.store.begin().await?;
        let member = write.lock_member(MemberId(passkey.member_id)).await?.ok_or(MemberError::UnknownPasskey)?;
        let passkey = write.lock_passkey(PasskeyId(passkey.id)).await?.ok_or(MemberError::UnknownPasskey)?;
        let seconds = wait(&member, now);
        if seconds > 0 {
            return Err(MemberError::Wait(seconds));
        }
        let counter = match shown.used.accept(party, &passkey.public_key, u32::try_from(passkey.counter).unwrap_or(0)) {
            Ok(counter) => counter,
            Err(refused) => {
                write.save_member(super::wronged(member, now)).await?;
                write.commit().await?;
                return Err(refused.into());
            }
        };
        self.spend(&write, challenge).await?;
        let member = super::righted(member);
        write.save_member(member.clone()).await?;
        let (counter, used_at) = (i64::from(counter), Some(now.as_microsecond()));
        write.save_passkey(Passkey { counter, used_at, ..passkey }).await?;
        Ok((write, member))
    }

    async fn spend(&self, write: &Write, challenge: &Challenge) -> Result<(), MemberError> {
        let is_new = write.spend_challenge(challenge.hash, challenge.expires_at, self.now()).await?;
        if is_new { Ok(()) } else { Err(MemberError::Stale) }
    }
}

fn by(id: MemberId) -> crate::rulings::By {
    crate::rulings::By { actor: format!("member:{id}"), note: None }
}
