//! Who comes by a provider becomes a member of its vendor: an account of the vendor's own, unless they are a member there
//! already.

use domain::{
    id::{InvitationId, MemberId, TenantId},
    member::Role,
    text::EmailAddress,
};
use serde_json::json;
use store::{
    StoreError, Write,
    members::OF_SERVER,
    rows::{IdentityProvider, Member, MemberIdentity, Membership},
};

use super::{
    IdentityError, Problem,
    admission::{Knowledge, Known, Said},
    visit::as_member,
};
use crate::Engine;

/// The longest name that is taken over, in characters.
const NAME_MAX: usize = 80;

impl Engine {
    /// What is known of who comes.
    pub(super) async fn knowledge(
        &self,
        write: &Write,
        provider: &IdentityProvider,
        said: &Said,
    ) -> Result<Knowledge, IdentityError> {
        let (tenant, issuer) = (TenantId(provider.tenant_id), provider.issuer.as_str());
        let memberships = write.lock_memberships(tenant).await?;
        let known = |member: Member, has_account| {
            let row = memberships.iter().find(|row| row.member_id == member.id);
            let role = row.map(|row| row.role.parse().unwrap_or(Role::Viewer));
            Known { id: MemberId(member.id), role, has_account, is_own: member.home != OF_SERVER }
        };
        let account = match write.identified(tenant, issuer, &said.subject).await? {
            Some(id) => write.lock_member(id).await?.map(|member| known(member, true)),
            None => None,
        };
        let Some(email) = &said.email else { return Ok(Knowledge { account, ..Knowledge::default() }) };
        let email = email.normalised();
        let mut with_address = Vec::new();
        for member in [write.lock_member_with_email(&email).await?, write.lock_own_member(tenant, &email).await?] {
            let Some(member) = member else { continue };
            let has_account = write.has_identity(tenant, issuer, MemberId(member.id)).await?;
            with_address.push(known(member, has_account));
        }
        // Members before those who were, and then the vendor's own.
        let address = with_address.into_iter().max_by_key(|known| (known.role.is_some(), known.is_own));
        let invitation = self.invitation_to(write, tenant, &email).await?;
        Ok(Knowledge { account, address, invitation })
    }

    async fn invitation_to(
        &self,
        write: &Write,
        tenant: TenantId,
        email: &str,
    ) -> Result<Option<(InvitationId, Role)>, IdentityError> {
        let now = self.now().as_microsecond();
        Ok(write.invitations_of(tenant).await?.into_iter().find_map(|row| {
            let to = EmailAddress::parse(row.email.as_deref()?).ok()?;
            let is_theirs = row.expires_at > now && to.normalised() == email;
            let role = row.role.as_deref()?.parse().ok()?;
            is_theirs.then_some((InvitationId(row.id), role))
        }))
    }

    pub(super) async fn join_by_provider(
        &self,
        write: &Write,
        tenant: TenantId,
        said: &Said,
        (member, role, invitation): (Option<MemberId>, Role, Option<InvitationId>),
    ) -> Result<MemberId, IdentityError> {
        let now = self.now();
        let id = match member {
            Some(id) => id,
            None => self.new_member_of(write, tenant, said).await?,
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

    /// Somebody for whom this vendor's provider alone vouches. Whoever has the address on this server is not touched: neither
    /// made a member nor in their way.
    async fn new_member_of(&self, write: &Write, tenant: TenantId, said: &Said) -> Result<MemberId, IdentityError> {
        let now = self.now();
        let email = said.email.as_ref().ok_or(IdentityError::Problem(Problem::Unverified))?;
        let name = said.name.chars().filter(|symbol| !symbol.is_control()).take(NAME_MAX).collect();
        let member = Member {
            id: MemberId::new(now, &mut *self.entropy()).0,
            home: tenant.0,
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

    /// Says whose an account is from now on. If it was somebody's who is a member no more, it is theirs no more either.
    pub(super) async fn bind(
        &self,
        write: &Write,
        provider: &IdentityProvider,
        said: &Said,
        member: MemberId,
    ) -> Result<(), IdentityError> {
        let tenant = TenantId(provider.tenant_id);
        write.forget_account(tenant, &provider.issuer, &said.subject).await?;
        let row = MemberIdentity {
            tenant_id: provider.tenant_id,
            issuer: provider.issuer.clone(),
            subject: said.subject.clone(),
            member_id: member.0,
            created_at: self.now().as_microsecond(),
        };
        write.save_identity(row).await?;
        let detail = json!({ "issuer": provider.issuer });
        let entry = self.told(tenant, "member.account_bound", member.to_string(), None, &detail, &as_member(member));
        Ok(crate::audit::add(write, vec![entry]).await?)
    }
}
