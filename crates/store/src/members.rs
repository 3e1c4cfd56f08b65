//! Members of vendors, what they are to them, and in which browsers they are signed in.

use domain::id::{InvitationId, MemberId, SessionId, TenantId};
use jiff::Timestamp;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, sea_query::Expr};
use uuid::Uuid;

use crate::{
    Store, Write,
    bulk::{self, Existing},
    convert::micros,
    entities::{identity_visits, invitations, members, memberships, sessions, tenants},
    error::StoreError,
    rows::{Invitation, Member, Membership, Session, Tenant},
};

/// The home of accounts that prove themselves to this server, by a password or a passkey; that of others is the tenant whose
/// identity provider vouches for them.
pub const OF_SERVER: Uuid = Uuid::nil();

impl Store {
    /// Whether anybody is a member of anything.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_member(&self) -> Result<bool, StoreError> {
        Ok(members::Entity::find().one(&self.reader).await?.is_some())
    }

    /// All members of all tenants.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn members(&self) -> Result<Vec<Member>, StoreError> {
        Ok(members::Entity::find().all(&self.reader).await?)
    }

    /// A member.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn member(&self, id: MemberId) -> Result<Option<Member>, StoreError> {
        Ok(members::Entity::find_by_id(id.0).one(&self.reader).await?)
    }

    /// The members of a tenant, with what they are to it, the first ones first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn members_of(&self, tenant: TenantId) -> Result<Vec<(Member, Membership)>, StoreError> {
        let query = memberships::Entity::find().filter(memberships::Column::TenantId.eq(tenant.0));
        let rows = query.all(&self.reader).await?;
        let ids: Vec<_> = rows.iter().map(|row| row.member_id).collect();
        let query = members::Entity::find().filter(members::Column::Id.is_in(ids));
        let members = query.order_by_asc(members::Column::Id).all(&self.reader).await?;
        let of = |member: Member| {
            let membership = rows.iter().find(|row| row.member_id == member.id)?.clone();
            Some((member, membership))
        };
        Ok(members.into_iter().filter_map(of).collect())
    }

    /// The tenants of a member, with what the member is to them, by name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn tenants_of(&self, member: MemberId) -> Result<Vec<(Tenant, Membership)>, StoreError> {
        let query = memberships::Entity::find().filter(memberships::Column::MemberId.eq(member.0));
        let rows = query.all(&self.reader).await?;
        let ids: Vec<_> = rows.iter().map(|row| row.tenant_id).collect();
        let query = tenants::Entity::find().filter(tenants::Column::Id.is_in(ids));
        let tenants = query.order_by_asc(tenants::Column::Name).all(&self.reader).await?;
        let of = |tenant: Tenant| {
            let membership = rows.iter().find(|row| row.tenant_id == tenant.id)?.clone();
            Some((tenant, membership))
        };
        Ok(tenants.into_iter().filter_map(of).collect())
    }

    /// A session, whatever has become of it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        Ok(sessions::Entity::find_by_id(id.0).one(&self.reader).await?)
    }

    /// The sessions of a member, the newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sessions_of(&self, member: MemberId) -> Result<Vec<Session>, StoreError> {
        let query = sessions::Entity::find().filter(sessions::Column::MemberId.eq(member.0));
        Ok(query.order_by_desc(sessions::Column::Id).all(&self.reader).await?)
    }

    /// The sessions of the members of a tenant, the one that was used last first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sessions_of_team(&self, tenant: TenantId) -> Result<Vec<Session>, StoreError> {
        let team = memberships::Entity::find().select_only().column(memberships::Column::MemberId);
        let team = team.filter(memberships::Column::TenantId.eq(tenant.0)).into_query();
        let query =
            sessions::Entity::find().filter(sessions::Column::MemberId.in_subquery(team)).filter(open_at(tenant));
        Ok(query.order_by_desc(sessions::Column::SeenAt).all(&self.reader).await?)
    }

    /// Notes that a session was used, unless that is known already.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn note_session_use(&self, id: SessionId, since: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        sessions::Entity::update_many()
            .col_expr(sessions::Column::SeenAt, Expr::val(micros(now)))
            .filter(sessions::Column::Id.eq(id.0))
            .filter(sessions::Column::SeenAt.lt(micros(since)))
            .exec(&self.writer)
            .await?;
        Ok(())
    }

    /// An invitation, whatever has become of it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn invitation(&self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        Ok(invitations::Entity::find_by_id(id.0).one(&self.reader).await?)
    }

    /// The invitations of a tenant that nobody took yet, the newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn invitations_of(&self, tenant: TenantId) -> Result<Vec<Invitation>, StoreError> {
        let query = invitations::Entity::find().filter(invitations::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_desc(invitations::Column::Id).all(&self.reader).await?)
    }
}

impl Write {
    /// Whether anybody is a member of anything.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn has_member(&self) -> Result<bool, StoreError> {
        Ok(members::Entity::find().one(&self.transaction).await?.is_some())
    }

    /// A member, for a change: other writers wait.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_member(&self, id: MemberId) -> Result<Option<Member>, StoreError> {
        let mut query = members::Entity::find_by_id(id.0);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.one(&self.transaction).await?)
    }

    /// The member with an account of this server and an address in its normal form, for a change.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_member_with_email(&self, email_normalised: &str) -> Result<Option<Member>, StoreError> {
        self.lock_member_at(OF_SERVER, email_normalised).await
    }

    /// The same of a vendor's own accounts.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_own_member(
        &self,
        tenant: TenantId,
        email_normalised: &str,
    ) -> Result<Option<Member>, StoreError> {
        self.lock_member_at(tenant.0, email_normalised).await
    }

    async fn lock_member_at(&self, home: Uuid, email_normalised: &str) -> Result<Option<Member>, StoreError> {
        let mut query = members::Entity::find().filter(members::Column::EmailNormalised.eq(email_normalised));
        query = query.filter(members::Column::Home.eq(home));
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.one(&self.transaction).await?)
    }

    /// Writes a member.
    ///
    /// # Errors
    /// Those of the database; [`StoreError::Duplicate`] if another one of the same home has the address.
    pub async fn save_member(&self, member: Member) -> Result<(), StoreError> {
        bulk::insert::<members::Entity>(&self.transaction, vec![member], Existing::Replace).await?;
        Ok(())
    }

    /// What the members of a tenant are to it, for a change.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_memberships(&self, tenant: TenantId) -> Result<Vec<Membership>, StoreError> {
        let mut query = memberships::Entity::find().filter(memberships::Column::TenantId.eq(tenant.0));
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.all(&self.transaction).await?)
    }

    /// The tenants of a member.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn memberships_of(&self, member: MemberId) -> Result<Vec<Membership>, StoreError> {
        let query = memberships::Entity::find().filter(memberships::Column::MemberId.eq(member.0));
        Ok(query.all(&self.transaction).await?)
    }

    /// Writes what a member is to a tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_membership(&self, membership: Membership) -> Result<(), StoreError> {
        bulk::insert::<memberships::Entity>(&self.transaction, vec![membership], Existing::Replace).await?;
        Ok(())
    }

    /// Takes a member out of a tenant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_membership(&self, member: MemberId, tenant: TenantId) -> Result<(), StoreError> {
        memberships::Entity::delete_by_id((member.0, tenant.0)).exec(&self.transaction).await?;
        Ok(())
    }

    /// A session, for a change.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let mut query = sessions::Entity::find_by_id(id.0);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.one(&self.transaction).await?)
    }

    /// Writes a session.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_session(&self, session: Session) -> Result<(), StoreError> {
        bulk::insert::<sessions::Entity>(&self.transaction, vec![session], Existing::Replace).await?;
        Ok(())
    }

    /// Ends one session of a member, or all but one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_sessions(&self, member: MemberId, which: Ended) -> Result<u64, StoreError> {
        let query = sessions::Entity::delete_many().filter(sessions::Column::MemberId.eq(member.0));
        let query = match which {
            Ended::One(id) => query.filter(sessions::Column::Id.eq(id.0)),
            Ended::AllBut(id) => query.filter(sessions::Column::Id.ne(id.0)),
            Ended::At(tenant) => query.filter(open_at(tenant)),
            Ended::All => query,
        };
        Ok(query.exec(&self.transaction).await?.rows_affected)
    }

    /// Notes that more than a password has said in this browser who its member is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn note_factor(&self, session: SessionId) -> Result<(), StoreError> {
        let noted = sessions::Entity::update_many().col_expr(sessions::Column::HasFactor, Expr::val(true));
        noted.filter(sessions::Column::Id.eq(session.0)).exec(&self.transaction).await?;
        Ok(())
    }

    /// Takes it for not said in a member's other browsers: one of their factors is gone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_factors(&self, member: MemberId, but: SessionId) -> Result<(), StoreError> {
        let forgotten = sessions::Entity::update_many().col_expr(sessions::Column::HasFactor, Expr::val(false));
        let others = forgotten.filter(sessions::Column::MemberId.eq(member.0)).filter(sessions::Column::Id.ne(but.0));
        others.exec(&self.transaction).await?;
        Ok(())
    }

    /// Forgets sessions, invitations, and visits to identity providers that are over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_expired_entries(&self, now: Timestamp) -> Result<(), StoreError> {
        let over = sessions::Entity::delete_many().filter(sessions::Column::ExpiresAt.lt(micros(now)));
        over.exec(&self.transaction).await?;
        let over = invitations::Entity::delete_many().filter(invitations::Column::ExpiresAt.lt(micros(now)));
        over.exec(&self.transaction).await?;
        let over = identity_visits::Entity::delete_many().filter(identity_visits::Column::ExpiresAt.lt(micros(now)));
        over.exec(&self.transaction).await?;
        Ok(())
    }

    /// An invitation, for a change: who holds it is the only one to take it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_invitation(&self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        let mut query = invitations::Entity::find_by_id(id.0);
        if self.is_shared() {
            query = query.lock_exclusive();
        }
        Ok(query.one(&self.transaction).await?)
    }

    /// The invitations of a tenant that nobody took yet, the newest first, as this transaction sees them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn invitations_of(&self, tenant: TenantId) -> Result<Vec<Invitation>, StoreError> {
        let query = invitations::Entity::find().filter(invitations::Column::TenantId.eq(tenant.0));
        Ok(query.order_by_desc(invitations::Column::Id).all(&self.transaction).await?)
    }

    /// Writes an invitation.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn save_invitation(&self, invitation: Invitation) -> Result<(), StoreError> {
        bulk::insert::<invitations::Entity>(&self.transaction, vec![invitation], Existing::Refuse).await?;
        Ok(())
    }

    /// Takes an invitation away: it was taken, or is withdrawn.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_invitation(&self, id: InvitationId) -> Result<(), StoreError> {
        invitations::Entity::delete_by_id(id.0).exec(&self.transaction).await?;
        Ok(())
    }

    /// Takes all links away that would make the first owner: there is one now, or a new link takes their place.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_set_up_links(&self) -> Result<(), StoreError> {
        invitations::Entity::delete_many().filter(invitations::Column::Role.is_null()).exec(&self.transaction).await?;
        Ok(())
    }
}

/// Sessions that open the pages of a vendor: another vendor's identity provider lets nobody in there.
fn open_at(tenant: TenantId) -> Condition {
    let of_tenant = sessions::Column::TenantId.eq(tenant.0);
    Condition::any().add(sessions::Column::TenantId.is_null()).add(of_tenant)
}

/// Which sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// This one.
    One(SessionId),
    /// All others.
    AllBut(SessionId),
    /// All that open the pages of this vendor.
    At(TenantId),
    /// All.
    All,
}
