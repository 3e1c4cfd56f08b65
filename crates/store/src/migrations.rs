//! One set of migrations for both databases. A migration that was released is never changed.

mod brought;
mod m0001_spine;

use sea_orm_migration::prelude::*;

pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_spine::Migration)]
    }
}
