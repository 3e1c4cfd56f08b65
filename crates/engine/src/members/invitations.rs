//! How somebody becomes a member: by a link that is good once, or by the operator's command.

use crypto::handle::Handle;
use domain::{
    id::{InvitationId, MemberId, TenantId},
    member::Role,
};
use store::{
    StoreError, Write,
    members::OF_SERVER,
    rows::{Invitation, Member, Membership},
};

use super::{CameFrom, INVITATION, MemberError, SET_UP, SignedIn, check_name, later, read_email, sessions::session};
use crate::{Engine, Error, rulings::By};

/// Somebody who becomes a member.
#[derive(Clone, Debug)]
pub struct NewMember {
    /// Their address.
    pub email: String,
    /// Their name; may be empty.
    pub name: String,
    /// Their password.
    pub password: secrecy::SecretString,
}

/// What an invitation is to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// The vendor.
    pub tenant: TenantId,
    /// Who was invited; none: whoever has the link.
    pub email: Option<String>,
    /// As what. None: as the first owner of the installation.
    pub role: Option<Role>,
}

impl Engine {
    /// Whether there is nobody yet who could sign in.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_no_member(&self) -> Result<bool, Error> {
        Ok(!self.store.has_member().await?)
    }

    /// Makes the link by which the first owner comes. It is good for half an hour, and once; an earlier one is no more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn make_set_up_link(&self, tenant: TenantId) -> Result<Handle, Error> {
        let (handle, row) = self.invitation(tenant, None, None);
        let once = || async {
            let write = self.store.begin().await?;
            write.remove_set_up_links().await?;
            write.save_invitation(row.clone()).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await?;
        Ok(handle)
    }

    /// Invites somebody.
    ///
    /// # Errors
    /// The address is none, or those of the database.
    pub async fn invite(&self, tenant: TenantId, email: &str, role: Role, by: &By) -> Result<Handle, MemberError> {
        let email = read_email(email)?;
        let (handle, row) = self.invitation(tenant, Some(email.as_str().to_owned()), Some(role));
        let detail = serde_json::json!({ "email": email.masked(), "role": role.as_str() });
        let subject = InvitationId(row.id).to_string();
        let once = || async {
            let write = self.store.begin().await?;
            write.save_invitation(row.clone()).await?;
            let entry = self.told(tenant, "member.invited", subject.clone(), None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, MemberError::is_conflict).await?;
        Ok(handle)
    }

    fn invitation(&self, tenant: TenantId, email: Option<String>, role: Option<Role>) -> (Handle, Invitation) {
        let now = self.now();
        let mut entropy = self.entropy();
        let handle = Handle::generate(InvitationId::new(now, &mut *entropy).0, &mut *entropy);
        let row = Invitation {
            id: handle.id(),
            tenant_id: tenant.0,
            hash: handle.hash().to_vec(),
            email,
            role: role.map(|role| role.as_str().to_owned()),
            created_at: now.as_microsecond(),
            expires_at: later(now, if role.is_some() { INVITATION } else { SET_UP }),
        };
        (handle, row)
    }

    /// What a link is to. None: it was used, withdrawn, or is too old.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn invited(&self, handle: &Handle) -> Result<Option<Invited>, Error> {
        let row = self.store.invitation(InvitationId(handle.id())).await?;
        let row = row.filter(|row| self.is_good(row, handle));
        if row.as_ref().is_some_and(|row| row.role.is_none()) && self.store.has_member().await? {
            return Ok(None);
        }
        Ok(row.map(|row| Invited {
            tenant: TenantId(row.tenant_id),
            role: row.role.as_deref().and_then(|role| role.parse().ok()),
            email: row.email,
        }))
    }

    fn is_good(&self, row: &Invitation, handle: &Handle) -> bool {
        handle.matches(&row.hash) && row.expires_at > self.now().as_microsecond()
    }

    /// Makes somebody a member by their link, and signs them in.
    ///
    /// # Errors
    /// A field is wrong, the link is no good any more, there is a member with this address, or those of the database.
    pub async fn take_invitation(
        &self,
        handle: &Handle,
        new: &NewMember,
        from: &CameFrom,
    ) -> Result<(MemberId, Handle), MemberError> {
        let member = self.new_member(new).await?;
        let id = MemberId(member.id);
        let browser = self.new_session();
        let once = || async {
            let write = self.store.begin().await?;
            let invitation = self.take(&write, handle).await?;
            self.add_member(&write, &member, &invitation).await?;
            write.save_session(session(id, &browser, from, self.now(), false)).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, MemberError::is_conflict).await?;
        Ok((id, browser))
    }

    /// Makes a member of one vendor that of another, by their link.
    ///
    /// # Errors
    /// The link is no good any more, or those of the database.
    pub async fn join(&self, handle: &Handle, who: &SignedIn) -> Result<TenantId, MemberError> {
        let once = || async {
            let write = self.store.begin().await?;
            let invitation = self.take(&write, handle).await?;
            self.admit(&write, who.id(), &invitation).await?;
            write.commit().await?;
            Ok(TenantId(invitation.tenant_id))
        };
        store::repeat(once, MemberError::is_conflict).await
    }

    /// Makes an owner of a vendor, as the operator says.
    ///
    /// # Errors
    /// A field is wrong, there is a member with this address, or those of the database.
    pub async fn create_owner(&self, tenant: TenantId, new: &NewMember) -> Result<MemberId, MemberError> {
        let member = self.new_member(new).await?;
        let (_, invitation) = self.invitation(tenant, None, Some(Role::Owner));
        let once = || async {
            let write = self.store.begin().await?;
            self.add_member(&write, &member, &invitation).await?;
            write.remove_set_up_links().await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, MemberError::is_conflict).await?;
        Ok(MemberId(member.id))
    }

    async fn new_member(&self, new: &NewMember) -> Result<Member, MemberError> {
        use secrecy::ExposeSecret;
        let email = read_email(&new.email)?;
        check_name(&new.name)?;
        let password = self.hash_password(new.password.expose_secret()).await?;
        let now = self.now();
        Ok(Member {
            id: MemberId::new(now, &mut *self.entropy()).0,
            home: OF_SERVER,
            email_normalised: email.normalised(),
            email: email.as_str().to_owned(),
            name: new.name.trim().to_owned(),
            password: Some(password),
            authenticator: None,
            code_step: None,
            wrong_in_a_row: 0,
            wrong_at: None,
            created_at: now.as_microsecond(),
        })
    }

    /// Takes an invitation away from everybody else.
    async fn take(&self, write: &Write, handle: &Handle) -> Result<Invitation, MemberError> {
        let row = write.lock_invitation(InvitationId(handle.id())).await?;
        let row = row.filter(|row| self.is_good(row, handle)).ok_or(MemberError::Link)?;
        // What makes the first owner makes no second one.
        if row.role.is_none() && write.has_member().await? {
            return Err(MemberError::Link);
        }
        write.remove_invitation(InvitationId(row.id)).await?;
        Ok(row)
    }

    async fn add_member(&self, write: &Write, member: &Member, invitation: &Invitation) -> Result<(), MemberError> {
        if write.lock_member_with_email(&member.email_normalised).await?.is_some() {
            return Err(MemberError::EmailTaken);
        }
        match write.save_member(member.clone()).await {
            Err(StoreError::Duplicate(_)) => return Err(MemberError::EmailTaken),
            other => other?,
        }
        self.admit(write, MemberId(member.id), invitation).await
    }

    async fn admit(&self, write: &Write, member: MemberId, invitation: &Invitation) -> Result<(), MemberError> {
        let now = self.now();
        let role = invitation.role.clone().unwrap_or_else(|| Role::Owner.as_str().to_owned());
        let tenant = TenantId(invitation.tenant_id);
        // A link gives, and takes nothing away from who is a member there already.
        let rank = |role: &str| role.parse::<Role>().ok();
        let there = write.memberships_of(member).await?.into_iter().find(|row| row.tenant_id == tenant.0);
        if there.is_some_and(|row| rank(&row.role) >= rank(&role)) {
            return Ok(());
        }
        let membership =
            Membership { member_id: member.0, tenant_id: tenant.0, role, created_at: now.as_microsecond() };
        let by = By { actor: format!("member:{member}"), note: None };
        let detail = serde_json::json!({ "role": membership.role });
        write.save_membership(membership).await?;
        // Who was removed and is invited again may have another account by now.
        write.forget_identities(tenant, member).await?;
        let entry = self.told(tenant, "member.joined", member.to_string(), None, &detail, &by);
        Ok(crate::audit::add(write, vec![entry]).await?)
    }
}
