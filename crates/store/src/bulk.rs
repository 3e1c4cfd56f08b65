//! Many rows in one statement, in a few fixed sizes, so that prepared statements are used again.

use std::{
    collections::HashMap,
    sync::{LazyLock, PoisonError, RwLock},
};

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseBackend, DatabaseTransaction, EntityTrait, IdenStatic,
    Iterable, PrimaryKeyToColumn, Statement, Value,
    sea_query::{Expr, ExprTrait, Func, OnConflict, Query, SimpleExpr, ValueType, Values},
};

use crate::error::StoreError;

/// A batch of any size is a few statements: each costs a way to the database and back, which is more than its rows do.
const SIZES: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// Splits into pieces of the fixed sizes, largest first.
pub(crate) fn pieces<T>(mut rows: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || {
        let size = SIZES.into_iter().find(|size| *size <= rows.len())?;
        let rest = rows.split_off(size);
        Some(std::mem::replace(&mut rows, rest))
    })
}

/// What to do with a row that is there already.
#[derive(Clone, Copy)]
pub(crate) enum Existing<C: 'static> {
    /// It is a fault.
    Refuse,
    /// It stays as it is.
    Keep,
    /// It becomes the new one. The same row is one with the same primary key.
    Replace,
    /// These columns become those of the new one.
    Update {
        /// What makes it the same row: unique.
        by: &'static [C],
        /// What is written.
        columns: &'static [C],
    },
}

/// Inserts rows; `existing` says what happens to those that are there already. Returns how many were written.
pub(crate) async fn insert<E>(
    transaction: &DatabaseTransaction,
    rows: Vec<E::Model>,
    existing: Existing<E::Column>,
) -> Result<u64, StoreError>
where
    E: EntityTrait,
    E::ActiveModel: ActiveModelTrait<Entity = E> + From<E::Model> + Send,
{
    let db_backend = transaction.get_database_backend();
    let table = E::default().table_name();
    let mut written = 0;
    for piece in pieces(rows) {
        let is_postgres = db_backend == DatabaseBackend::Postgres;
        let shape = Shape { table, rows: piece.len(), on_conflict: existing.on_conflict::<E>(), is_postgres };
        let sql = shape.text(|shape| shape.write::<E>(db_backend));
        let values = Some(Values(piece.into_iter().flat_map(values_of::<E>).collect()));
        written += transaction.execute_raw(Statement { sql, values, db_backend }).await?.rows_affected();
    }
    Ok(written)
}

/// The values of a row, in the order of its columns.
fn values_of<E>(row: E::Model) -> impl Iterator<Item = Value>
where
    E: EntityTrait,
    E::ActiveModel: ActiveModelTrait<Entity = E> + From<E::Model>,
{
    let mut model = E::ActiveModel::from(row);
    E::Column::iter().filter_map(move |column| model.take(column).into_value())
}

impl<C: ColumnTrait> Existing<C> {
    fn on_conflict<E: EntityTrait<Column = C>>(&self) -> Option<Conflict> {
        let names = |columns: &[C]| columns.iter().map(IdenStatic::as_str).collect();
        match self {
            Self::Refuse => None,
            Self::Keep => Some(Conflict::default()),
            Self::Replace => {
                let by: Vec<_> = E::PrimaryKey::iter().map(|key| key.into_column().as_str()).collect();
                let all = E::Column::iter().map(|column| column.as_str());
                Some(Conflict { update: all.filter(|column| !by.contains(column)).collect(), by })
            }
            Self::Update { by, columns } => Some(Conflict { by: names(by), update: names(columns) }),
        }
    }
}

/// What follows when a row is there already; with nothing to update, nothing.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Conflict {
    by: Vec<&'static str>,
    update: Vec<&'static str>,
}

/// All that the text of an insert depends on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Shape {
    table: &'static str,
    rows: usize,
    on_conflict: Option<Conflict>,
    is_postgres: bool,
}

/// The texts of inserts, of which there are few: writing one of 256 rows takes longer than running it.
static TEXTS: LazyLock<RwLock<HashMap<Shape, String>>> = LazyLock::new(RwLock::default);

impl Shape {
    fn text(self, write: impl Fn(&Self) -> String) -> String {
        if let Some(text) = TEXTS.read().unwrap_or_else(PoisonError::into_inner).get(&self) {
            return text.clone();
        }
        let text = write(&self);
        TEXTS.write().unwrap_or_else(PoisonError::into_inner).insert(self, text.clone());
        text
    }

    fn write<E: EntityTrait>(&self, db_backend: DatabaseBackend) -> String {
        let mut insert = Query::insert();
        insert.into_table(self.table).columns(E::Column::iter());
        for _ in 0..self.rows {
            // Only the places of values stand in the text; each run brings its own values.
            insert.values_panic(E::Column::iter().map(|_| Expr::val(0)));
        }
        if let Some(Conflict { by, update }) = &self.on_conflict {
            let mut on_conflict = OnConflict::columns(by.iter().copied());
            match update.is_empty() {
                true => on_conflict.do_nothing(),
                false => on_conflict.update_columns(update.iter().copied()),
            };
            insert.on_conflict(on_conflict);
        }
        db_backend.build(&insert).sql
    }
}

/// Rows whose column has one of these values, as conditions to be asked one after the other.
///
/// PostgreSQL gets all values as one array, so that any number of them is the same prepared statement. SQLite has no arrays: it gets pieces of fixed sizes, the last of them
/// filled up with its own last value.
pub(crate) fn any_of<C, V>(database: &impl ConnectionTrait, column: C, values: Vec<V>) -> Vec<SimpleExpr>
where
    C: ColumnTrait,
    V: Into<Value> + ValueType + Clone,
{
    let column = Expr::col(column.as_column_ref());
    if values.is_empty() {
        return Vec::new();
    }
    if database.get_database_backend() == DatabaseBackend::Postgres {
        let array = Value::Array(V::array_type(), Some(Box::new(values.into_iter().map(Into::into).collect())));
        return vec![column.eq(Func::cust("ANY").arg(Expr::val(array)))];
    }
    let mut values = values;
    let mut conditions = Vec::new();
    while !values.is_empty() {
        let size = SIZES.into_iter().rev().find(|size| *size >= values.len()).unwrap_or(SIZES[0]);
        let rest = values.split_off(size.min(values.len()));
        let filler = values[values.len() - 1].clone();
        values.resize(size, filler);
        conditions.push(column.clone().is_in(values));
        values = rest;
    }
    conditions
}
