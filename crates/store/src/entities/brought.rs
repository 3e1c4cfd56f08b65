//! What licenses are brought along with from other systems, and the vendor's own words for licenses.

entities! {
    /// A line of a file that is to be imported, for as long as it waits: `outcome` is what it would come to, `detail` why,
    /// and `sealed` what it says, its key among it. Without that it comes to nothing.
    import_rows = "import_rows" {
        #[sea_orm(primary_key, auto_increment = false)] change_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] position: i32,
        line: i32,
        hint: String,
        outcome: String,
        detail: String,
        sealed: Option<Vec<u8>>,
    }
    /// A word of the vendor's for one of its licenses.
    license_tags = "license_tags" {
        #[sea_orm(primary_key, auto_increment = false)] license_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] tag: String,
        tenant_id: Uuid,
        livemode: bool,
    }
}
