//! Which calls of the API were answered, and how.

entities! {
    /// A call that was answered. Without `livemode` nobody knows its mode: a key that was refused, an app whose license is not
    /// known. `subject` is the id in its address. Neither its body nor its answer is kept; `detail` is what a refusal said.
    api_requests = "api_requests" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        tenant_id: Uuid,
        livemode: Option<bool>,
        api_key_id: Option<Uuid>,
        method: String,
        route: String,
        subject: Option<String>,
        status: i32,
        code: Option<String>,
        detail: Option<String>,
        address: Option<String>,
        received_at: i64,
        duration_micros: i64,
    }
}
