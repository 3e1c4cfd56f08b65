//! The tables, as rows. Ids are UUIDs, times integer microseconds (UTC), documents JSON text; no row knows another.

/// Declares one module per table with its row and SeaORM's companions.
macro_rules! entities {
    ($($(#[$doc:meta])* $module:ident = $table:tt { $($(#[$attribute:meta])* $field:ident: $type:ty,)* })*) => {$(
        pub mod $module {
            use sea_orm::entity::prelude::*;

            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]

            pub struct Model {
                $($(#[$attribute])* pub $field: $type,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    )*

        /// Every column of these rows, as (table, column, type, nullable).
        #[cfg(test)]
        pub(super) fn columns() -> Vec<(&'static str, &'static str, sea_orm::ColumnType, bool)> {
            use sea_orm::{ColumnTrait, IdenStatic, Iterable};
            let mut columns = Vec::new();
            $(columns.extend($module::Column::iter().map(|column| {
                let definition = column.def();
                ($table, column.as_str(), definition.get_column_type().clone(), definition.is_null())
            }));)*
            columns
        }
    };
}

mod activity;
mod brought;
mod configuration;
mod identity;
mod many;
mod people;
mod proofs;
mod records;
mod requests;
mod sales;
mod traffic;

pub use self::{
    activity::*, brought::*, configuration::*, identity::*, many::*, people::*, proofs::*, records::*, requests::*,
    sales::*, traffic::*,
};

/// Every column of every row, as (table, column, type, nullable), for the test that compares them with both databases.
#[cfg(test)]
pub(crate) fn columns() -> Vec<(&'static str, &'static str, sea_orm::ColumnType, bool)> {
    [
        activity::columns(),
        brought::columns(),
        configuration::columns(),
        identity::columns(),
        many::columns(),
        people::columns(),
        proofs::columns(),
        records::columns(),
        requests::columns(),
        sales::columns(),
        traffic::columns(),
    ]
    .concat()
}
