//! Many rows in one statement, in a few fixed sizes, so that prepared statements are used again.

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, IdenStatic, Iterable,
    PrimaryKeyToColumn, Value,
    sea_query::{Expr, ExprTrait, OnConflict, SimpleExpr},
};

use crate::error::StoreError;

const SIZES: [usize; 4] = [256, 64, 8, 1];

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
pub(crate) enum Existing {
    /// It is a fault.
    Refuse,
    /// It stays as it is.
    Keep,
    /// It becomes the new one.
    Replace,
}

/// Inserts rows; `existing` says what happens to those that are there already, by primary key when they are replaced.
pub(crate) async fn insert<E>(
    transaction: &DatabaseTransaction,
    rows: Vec<E::Model>,
    existing: Existing,
) -> Result<u64, StoreError>
where
    E: EntityTrait,
    E::ActiveModel: ActiveModelTrait<Entity = E> + From<E::Model> + Send,
{
    let mut inserted = 0;
    for piece in pieces(rows) {
        let models = piece.into_iter().map(all_set::<E>);
        let insert = match existing {
            Existing::Refuse => E::insert_many(models),
            Existing::Keep => E::insert_many(models).on_conflict(OnConflict::new().do_nothing().to_owned()),
            Existing::Replace => E::insert_many(models).on_conflict(replace_all::<E>()),
        };
        inserted += insert.exec_without_returning(transaction).await?;
    }
    Ok(inserted)
}

pub(crate) fn all_set<E>(row: E::Model) -> E::ActiveModel
where
    E: EntityTrait,
    E::ActiveModel: ActiveModelTrait<Entity = E> + From<E::Model>,
{
    let mut model = E::ActiveModel::from(row);
    for column in E::Column::iter() {
        if let ActiveValue::Unchanged(value) = model.get(column) {
            model.set(column, value);
        }
    }
    model
}

fn replace_all<E: EntityTrait>() -> OnConflict {
    let keys: Vec<E::Column> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
    let is_key = |column: &E::Column| keys.iter().any(|key| key.as_str() == column.as_str());
    let rest: Vec<E::Column> = E::Column::iter().filter(|column| !is_key(column)).collect();
    OnConflict::columns(keys.clone()).update_columns(rest).to_owned()
}

/// `column IN (...)`, in pieces of fixed sizes: the last one is filled up with its own last value.
pub(crate) fn any_of<C, V>(column: C, values: Vec<V>) -> Vec<SimpleExpr>
where
    C: ColumnTrait,
    V: Into<Value> + Clone,
{
    let mut values = values;
    let mut conditions = Vec::new();
    while !values.is_empty() {
        let size = SIZES.into_iter().rev().find(|size| *size >= values.len()).unwrap_or(SIZES[0]);
        let rest = values.split_off(size.min(values.len()));
        let filler = values[values.len() - 1].clone();
        values.resize(size, filler);
        conditions.push(Expr::col(column.as_column_ref()).is_in(values));
        values = rest;
    }
    conditions
}
