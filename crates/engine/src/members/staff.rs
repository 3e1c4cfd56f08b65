//! What members are to a vendor: changed, and ended.

use domain::{
    id::{InvitationId, MemberId, TenantId},
    member::Role,
};
use store::{members::Ended, rows::Membership};

use super::{MemberError, SignedIn};
use crate::{Engine, rulings::By};

impl Engine {
    /// Changes what a member is to a vendor; none: nothing any more. `deciding` is the role of who says so.
    ///
    /// # Errors
    /// There is no such member there, it would leave nobody who owns, only owners may do that, or those of the database.
    pub async fn staff(
        &self,
        tenant: TenantId,
        member: MemberId,
        role: Option<Role>,
        deciding: Role,
        by: &By,
    ) -> Result<(), MemberError> {
        store::repeat(|| self.staff_once(tenant, member, role, deciding, by), MemberError::is_conflict).await
    }

    async fn staff_once(
        &self,
        tenant: TenantId,
        member: MemberId,
        role: Option<Role>,
        deciding: Role,
        by: &By,
    ) -> Result<(), MemberError> {
        let write = self.store.begin().await?;
        let all = write.lock_memberships(tenant).await?;
        let row = all.iter().find(|row| row.member_id == member.0).ok_or(MemberError::NoMember)?;
        let before: Role = row.role.parse().unwrap_or(Role::Viewer);
        if ![Some(before), role].into_iter().flatten().all(|role| deciding.may_staff(role)) {
            return Err(MemberError::Owners);
        }
        let owners = all.iter().filter(|row| row.role == Role::Owner.as_str()).count();
        if before == Role::Owner && role != Some(Role::Owner) && owners == 1 {
            return Err(MemberError::LastOwner);
        }
        let action = match role {
            Some(role) => {
                write.save_membership(Membership { role: role.as_str().to_owned(), ..row.clone() }).await?;
                "member.role_changed"
            }
            None => {
                write.remove_membership(member, tenant).await?;
                "member.removed"
            }
        };
        let detail = serde_json::json!({ "before": before.as_str(), "after": role.map(Role::as_str), "note": by.note });
        let entry = self.told(tenant, action, member.to_string(), None, &detail, by);
        crate::audit::add(&write, vec![entry]).await?;
        Ok(write.commit().await?)
    }

    /// Withdraws an invitation.
    ///
    /// # Errors
    /// The vendor has no such invitation, or those of the database.
    pub async fn withdraw_invitation(&self, tenant: TenantId, id: InvitationId, by: &By) -> Result<(), MemberError> {
        let once = || async {
            let write = self.store.begin().await?;
            let row = write.lock_invitation(id).await?.filter(|row| row.tenant_id == tenant.0);
            row.ok_or(MemberError::NoMember)?;
            write.remove_invitation(id).await?;
            let detail = serde_json::json!({ "note": by.note });
            let entry = self.told(tenant, "member.invitation_withdrawn", id.to_string(), None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, MemberError::is_conflict).await
    }

    /// Changes the password of a member, who proved who they are; all their other browsers are signed out.
    ///
    /// # Errors
    /// The password is too short, or those of the database.
    pub async fn change_password(&self, who: &SignedIn, password: &str) -> Result<(), MemberError> {
        let hash = self.hash_password(password).await?;
        let once = || async {
            let write = self.store.begin().await?;
            let member = write.lock_member(who.id()).await?.ok_or(MemberError::NoMember)?;
            write.save_member(store::rows::Member { password: Some(hash.clone()), ..member }).await?;
            write.end_sessions(who.id(), Ended::AllBut(who.session())).await?;
            self.tell_tenants(&write, who.id(), "member.password_changed", &who.by(None)).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, MemberError::is_conflict).await
    }
}
