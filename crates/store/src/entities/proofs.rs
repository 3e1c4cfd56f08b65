//! What proves who a member is, beside their password.

entities! {
    /// A passkey of a member, found by the id that its browser has for it, and good at the site `party` alone. `counter` is
    /// how often it said to have signed; `is_synced`: its owner's other devices may have it, too.
    passkeys = "passkeys" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        member_id: Uuid,
        credential_id: Vec<u8>,
        public_key: Vec<u8>,
        counter: i64,
        party: String,
        is_synced: bool,
        name: String,
        created_at: i64,
        used_at: Option<i64>,
    }
    /// The hash of a challenge that a passkey has signed: it is good for nothing any more. Kept while it would be.
    spent_challenges = "spent_challenges" {
        #[sea_orm(primary_key, auto_increment = false)] hash: Vec<u8>,
        expires_at: i64,
    }
}
