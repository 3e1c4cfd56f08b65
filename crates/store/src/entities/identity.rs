//! Identity providers of vendors, and whom they let in.

entities! {
    /// The identity provider by which a vendor's members sign in; each vendor has one at most. `sealed` is the client's
    /// secret, `domains` a JSON list, and `newcomers` the role of those of these domains whom nobody invited; none: they do
    /// not come in.
    identity_providers = "identity_providers" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        name: String,
        issuer: String,
        client_id: String,
        sealed: Vec<u8>,
        sealed_by: String,
        domains: String,
        newcomers: Option<String>,
        required: bool,
        created_at: i64,
        updated_at: i64,
    }
    /// Which member an account at an issuer is, for one vendor: what another vendor's issuer says counts there alone.
    member_identities = "member_identities" {
        #[sea_orm(primary_key, auto_increment = false)] tenant_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] issuer: String,
        #[sea_orm(primary_key, auto_increment = false)] subject: String,
        member_id: Uuid,
        created_at: i64,
    }
    /// Somebody who was sent to an identity provider and is awaited, once. `session_id` is the browser's session where it
    /// was for somebody who is signed in, `next` the page that they want.
    identity_visits = "identity_visits" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        hash: Vec<u8>,
        purpose: String,
        session_id: Option<Uuid>,
        next: String,
        created_at: i64,
        expires_at: i64,
    }
}
