//! Members of vendors, and where they are signed in.

entities! {
    /// A person who works for vendors. `home` is the tenant whose own account this is, since its identity provider alone says
    /// who that is; all zeros: an account of this server. Addresses are unique per home. `authenticator` is sealed;
    /// `code_step` is the step of its last code, which is good once. `wrong_in_a_row` counts wrong passwords and codes, the
    /// last of them `wrong_at`.
    members = "members" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        home: Uuid,
        email_normalised: String,
        email: String,
        name: String,
        password: Option<String>,
        authenticator: Option<Vec<u8>>,
        code_step: Option<i64>,
        wrong_in_a_row: i32,
        wrong_at: Option<i64>,
        created_at: i64,
    }
    /// What a member is to a vendor.
    memberships = "memberships" {
        #[sea_orm(primary_key, auto_increment = false)] member_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] tenant_id: Uuid,
        role: String,
        created_at: i64,
    }
    /// A browser in which a member is signed in, found by its handle. Until `confirmed_at`, which is when the member last
    /// proved who they are, a code is still asked for. With `tenant_id`, that vendor's identity provider let them in, and it
    /// opens that vendor alone.
    sessions = "sessions" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        member_id: Uuid,
        hash: Vec<u8>,
        address: String,
        agent: String,
        created_at: i64,
        confirmed_at: Option<i64>,
        seen_at: i64,
        expires_at: i64,
        tenant_id: Option<Uuid>,
        has_factor: bool,
    }
    /// A link that makes somebody a member, once. Without a role it makes the first owner of an installation.
    invitations = "invitations" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        hash: Vec<u8>,
        email: Option<String>,
        role: Option<String>,
        created_at: i64,
        expires_at: i64,
    }
}
