//! What a vendor asks of its members' browsers, and ends in them.

use domain::{
    id::{MemberId, SessionId, TenantId},
    member::Role,
};
use store::members::Ended;

use super::{MemberError, SignedIn};
use crate::{Engine, rulings::By};

impl Engine {
    /// Has a vendor's pages shown to members with a second factor only, or to all again.
    ///
    /// # Errors
    /// Who asks for it has none, or those of the database.
    pub async fn require_second_factor(
        &self,
        tenant: TenantId,
        required: bool,
        who: &SignedIn,
        by: &By,
    ) -> Result<(), MemberError> {
        if required && !who.has_second_factor() {
            return Err(MemberError::OwnFactorFirst);
        }
        let once = || async {
            let write = self.store.begin().await?;
            let row = write.lock_catalogue(tenant).await?.ok_or(MemberError::NoMember)?;
            if row.requires_second_factor == required {
                return Ok(());
            }
            write.require_second_factor(tenant, required).await?;
            let detail = serde_json::json!({ "before": !required, "after": required, "note": by.note });
            let entry = self.told(tenant, "tenant.second_factor_required", tenant.to_string(), None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, MemberError::is_conflict).await
    }

    /// Lets a member change what proves who they are. Where a vendor of theirs asks for a second factor, and they have one, a
    /// password alone adds and removes none: otherwise it would be enough after all.
    ///
    /// # Errors
    /// A factor has to be shown first, or those of the database.
    pub(super) async fn ensure_may_change_factors(&self, who: &SignedIn) -> Result<(), MemberError> {
        if who.has_second_factor() {
            return Ok(());
        }
        let store = &self.store;
        let has_one = who.member.authenticator.is_some() || !store.passkeys_of(who.id()).await?.is_empty();
        let is_asked_for = store.tenants_of(who.id()).await?.iter().any(|(tenant, _)| tenant.requires_second_factor);
        if has_one && is_asked_for { Err(MemberError::FactorFirst) } else { Ok(()) }
    }

    /// Signs a member of a vendor out: of one browser, or of all. `deciding` is the role of who says so.
    ///
    /// # Errors
    /// There is no such member there, only owners may do that, or those of the database.
    pub async fn sign_out_member(
        &self,
        tenant: TenantId,
        member: MemberId,
        browser: Option<SessionId>,
        deciding: Role,
        by: &By,
    ) -> Result<(), MemberError> {
        let once = || async {
            let write = self.store.begin().await?;
            let all = write.lock_memberships(tenant).await?;
            let row = all.iter().find(|row| row.member_id == member.0).ok_or(MemberError::NoMember)?;
            if !deciding.may_staff(row.role.parse().unwrap_or(Role::Viewer)) {
                return Err(MemberError::Owners);
            }
            let ended = write.end_sessions(member, browser.map_or(Ended::At(tenant), Ended::One)).await?;
            if ended == 0 {
                return Ok(());
            }
            let detail = serde_json::json!({ "browsers": ended, "note": by.note });
            let entry = self.told(tenant, "member.signed_out", member.to_string(), None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, MemberError::is_conflict).await
    }
}
