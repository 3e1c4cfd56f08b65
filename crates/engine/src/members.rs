//! The people of vendors: who they are, how they sign in, and who else becomes one.

mod authenticators;
mod invitations;
mod passkeys;
mod security;
mod sessions;
mod staff;

use domain::{
    Entropy,
    id::{MemberId, SessionId, TenantId},
    member::wait_seconds,
    text::EmailAddress,
};
use jiff::{SignedDuration, Timestamp};
use store::{
    StoreError, Write,
    rows::{Member, Session},
};

pub use authenticators::NewAuthenticator;
pub use invitations::{Invited, NewMember};
pub use passkeys::{PASSKEYS_MAX, Purpose, Shown, owner};
pub(crate) use sessions::opened;
pub use sessions::{CameFrom, Entered};

use crate::{Engine, Error, rulings::By};

/// How long a member stays signed in.
pub const SESSION: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long without doing anything.
pub const SESSION_IDLE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a code may take to be typed.
const CODE_AWAITED: SignedDuration = SignedDuration::from_mins(5);
/// How long somebody is believed to be who they proved to be, where secrets are shown or changed.
const CONFIRMED: SignedDuration = SignedDuration::from_mins(15);
/// How long the link is good that makes the first owner.
const SET_UP: SignedDuration = SignedDuration::from_mins(30);
/// How long other invitations are good.
pub const INVITATION: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The shortest and the longest password, in characters. Length is what counts (NIST SP 800-63B, section 3.1.1.2).
pub const PASSWORD_MIN: usize = 10;
/// The longest: hashing takes time.
pub const PASSWORD_MAX: usize = 200;
/// The longest name, in characters.
const NAME_MAX: usize = 80;

/// Why something about members cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// What was typed is wrong, and which field it is.
    #[error("{1}")]
    Field(&'static str, &'static str),
    /// Somebody is a member with this address already.
    #[error("there is a member with this e-mail address; sign in, and open the link then")]
    EmailTaken,
    /// The link was used, withdrawn, or is too old.
    #[error("this link was used already, or is too old; ask for a new one")]
    Link,
    /// There is no such member or invitation.
    #[error("there is no such member here")]
    NoMember,
    /// Nobody could decide anything any more.
    #[error("this is the only owner; make somebody else an owner first")]
    LastOwner,
    /// Who asks for a second factor has one.
    #[error("set up a second factor of your own first, under Account and security; otherwise this would lock you out")]
    OwnFactorFirst,
    /// Who has a second factor shows it before another takes its place: their password alone must not be enough.
    #[error("a vendor of yours asks for a second factor: sign in with your code or a passkey first, then change them")]
    FactorFirst,
    /// The role may not do this.
    #[error("only an owner makes owners, and takes that from them")]
    Owners,
    /// The password, or the code, is wrong.
    #[error("that is not right")]
    Wrong,
    /// Too many wrong answers in a row: so many seconds have to pass.
    #[error("too many wrong answers; wait {0} seconds and try again")]
    Wait(u32),
    /// What a passkey was asked to sign is not ours, was asked for elsewhere, too old, or used.
    #[error("that took too long, or was sent twice; try again")]
    Stale,
    /// Nobody has this passkey here.
    #[error("this passkey is not known here, or was removed; use another way")]
    UnknownPasskey,
    /// A passkey is not accepted.
    #[error(transparent)]
    Passkey(#[from] crypto::passkey::Refused),
    /// The database failed, or a secret does not open.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<StoreError> for MemberError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl MemberError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Engine(error) if error.is_conflict())
    }
}

/// A member in a browser.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub member: Member,
    /// Where.
    pub session: Session,
}

impl SignedIn {
    /// The member.
    #[must_use]
    pub const fn id(&self) -> MemberId {
        MemberId(self.member.id)
    }

    /// The browser.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        SessionId(self.session.id)
    }

    /// The member as the audit log names them, with their reason.
    #[must_use]
    pub fn by(&self, note: Option<String>) -> By {
        By { actor: format!("member:{}", self.id()), note }
    }

    /// Whether more than a password has said in this browser that it is them: a code, a passkey, or their vendor's identity
    /// provider, whose business that is.
    #[must_use]
    pub const fn has_second_factor(&self) -> bool {
        self.session.has_factor || self.session.tenant_id.is_some()
    }

    /// Whether they proved lately who they are: otherwise no secret is shown or changed.
    #[must_use]
    pub fn is_confirmed(&self, now: Timestamp) -> bool {
        self.session.confirmed_at.is_some_and(|at| at > before(now, CONFIRMED))
    }
}

fn before(now: Timestamp, duration: SignedDuration) -> i64 {
    domain::time::after(now, -duration).as_microsecond()
}

fn later(now: Timestamp, duration: SignedDuration) -> i64 {
    domain::time::after(now, duration).as_microsecond()
}

/// How many seconds have to pass before a member may try again; 0: none.
fn wait(member: &Member, now: Timestamp) -> u32 {
    let Some(wrong_at) = member.wrong_at else { return 0 };
    let free_at = wrong_at + i64::from(wait_seconds(member.wrong_in_a_row.unsigned_abs())) * 1_000_000;
    u32::try_from((free_at - now.as_microsecond()).max(0).unsigned_abs().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// The member after a wrong answer.
fn wronged(member: Member, now: Timestamp) -> Member {
    Member { wrong_in_a_row: member.wrong_in_a_row.saturating_add(1), wrong_at: Some(now.as_microsecond()), ..member }
}

/// The member after a right one.
fn righted(member: Member) -> Member {
    Member { wrong_in_a_row: 0, wrong_at: None, ..member }
}

fn read_email(text: &str) -> Result<EmailAddress, MemberError> {
    EmailAddress::parse(text).map_err(|_| MemberError::Field("email", "this is not an e-mail address"))
}

fn check_password(password: &str) -> Result<(), MemberError> {
    match password.chars().count() {
        0..PASSWORD_MIN => Err(MemberError::Field("password", "a password has 10 characters at least")),
        PASSWORD_MIN..=PASSWORD_MAX => Ok(()),
        _ => Err(MemberError::Field("password", "a password has 200 characters at most")),
    }
}

fn check_name(name: &str) -> Result<(), MemberError> {
    let is_fine = name.chars().count() <= NAME_MAX && !name.chars().any(char::is_control);
    if is_fine { Ok(()) } else { Err(MemberError::Field("name", "a name has 80 characters at most, all in one line")) }
}

/// What takes tens of milliseconds, as a password's hash does, is done where nobody waits for the thread.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Panicked)
}

impl Engine {
    async fn hash_password(&self, password: &str) -> Result<String, MemberError> {
        check_password(password)?;
        let password = zeroize::Zeroizing::new(password.to_owned());
        let mut salt = Salt::default();
        self.entropy().fill(&mut salt.0);
        Ok(aside(move || crypto::password::hash(&password, &mut salt)).await?)
    }

    /// Tells all vendors of a member what the member did.
    async fn tell_tenants(&self, write: &Write, member: MemberId, action: &str, by: &By) -> Result<(), Error> {
        self.tell_tenants_of(write, member, action, &serde_json::json!({ "note": by.note }), by).await
    }

    /// Tells all vendors of a member what the member did, and what there is to say about it.
    async fn tell_tenants_of(
        &self,
        write: &Write,
        member: MemberId,
        action: &str,
        detail: &serde_json::Value,
        by: &By,
    ) -> Result<(), Error> {
        let memberships = write.memberships_of(member).await?;
        let entry = |tenant| self.told(TenantId(tenant), action, member.to_string(), None, detail, by);
        crate::audit::add(write, memberships.into_iter().map(|row| entry(row.tenant_id)).collect()).await
    }
}

/// Randomness that was taken before.
#[derive(Default)]
struct Salt([u8; 16]);

impl Entropy for Salt {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.0[..bytes.len()]);
    }
}
