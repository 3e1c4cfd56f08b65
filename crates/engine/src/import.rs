//! Licenses that come from another system, with the keys that their buyers have.
//!
//! A file is read and compared with what is there ([`judge`]), and each of its lines waits, sealed, as a step of a change of
//! many licenses ([`crate::bulk`]). Each step is one transaction ([`bring`]): a sale made by hand whose license takes the key
//! that came along. So there is one way for a license to exist, and importing a file twice makes nothing twice.

mod bring;
mod file;
mod judge;

use domain::{id::BulkChangeId, text::PlanCode, time::after};
use jiff::SignedDuration;
use serde_json::json;
use store::{
    lists::Whose,
    many::status,
    rows::{BulkChange, BulkItem, ImportRow},
};

pub use self::judge::{Outcome, Preview, PreviewLine};
use crate::{Engine, Error, members::aside, rulings::By};

/// Lines of a file at most.
pub const LINES_MAX: usize = 50_000;
/// Bytes of a file at most.
pub const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Columns of a file at most.
pub const COLUMNS_MAX: usize = 200;
/// Files of a vendor that wait for somebody to begin them, at most.
pub const WAITING_MAX: usize = 10;
/// The word of an import among changes of many licenses.
pub const ACTION: &str = "import";

/// Lines that are written, or compared, at once.
const PAGE: usize = 500;
/// How long an import waits for somebody to begin it.
const PREPARED_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Why a file is not imported at all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Its first line does not name the columns.
    #[error("the first line must name the columns, and one of them must be `key`")]
    NoKeys,
    /// It is not text that can be read without guessing.
    #[error("the file is not text in UTF-8; save it as “CSV UTF-8”")]
    NotText,
    /// More than is imported at once.
    #[error("the file has more than {LINES_MAX} lines; split it, and import its parts")]
    TooManyLines,
    /// More than is imported at once.
    #[error("the file has more than {} MiB; split it, and import its parts", BYTES_MAX / 1024 / 1024)]
    TooLarge,
    /// More than any table of licenses has.
    #[error("the first line names more than {COLUMNS_MAX} columns; leave out those that are not imported")]
    TooManyColumns,
    /// There is a header and nothing else.
    #[error("the file has no licenses in it")]
    Empty,
    /// Lines without a plan were to have one that is not there.
    #[error("there is no plan with the code `{0}`")]
    UnknownPlan(PlanCode),
    /// More files are kept than one looks at.
    #[error("{WAITING_MAX} files wait to be imported already; import or discard one of them first")]
    TooManyWaiting,
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<store::StoreError> for ImportError {
    fn from(error: store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// How a file is to be read.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The plan of lines that name none.
    pub plan: Option<PlanCode>,
    /// Whether buyers get a mail with their key, as if they had bought it here.
    pub send_email: bool,
}

impl Engine {
    /// Reads a file and says what importing it would come to. Nothing is kept.
    ///
    /// # Errors
    /// The file as a whole cannot be imported, or those of the database.
    pub async fn preview_import(
        &self,
        whose: Whose,
        bytes: &[u8],
        options: &ImportOptions,
    ) -> Result<Preview, ImportError> {
        if bytes.len() > BYTES_MAX {
            return Err(ImportError::TooLarge);
        }
        let text = str::from_utf8(bytes).map_err(|_| ImportError::NotText)?.to_owned();
        let file = aside(move || file::read(&text)).await??;
        if file.lines.is_empty() {
            return Err(ImportError::Empty);
        }
        self.judge_import(whose, file, options).await
    }

    /// Keeps what a file says, so that it can be imported when somebody says so.
    ///
    /// # Errors
    /// [`ImportError::TooManyWaiting`], or those of the database.
    pub async fn prepare_import(&self, whose: Whose, preview: Preview, by: &By) -> Result<BulkChangeId, ImportError> {
        let now = self.now();
        let id = BulkChangeId::new(now, &mut *self.entropy());
        let change = BulkChange {
            id: id.0,
            tenant_id: whose.tenant.0,
            livemode: whose.livemode,
            action: ACTION.to_owned(),
            days: None,
            tag: None,
            actor: by.actor.clone(),
            note: by.note.clone(),
            total: count(preview.lines.len()),
            done: 0,
            skipped: 0,
            status: status::READING.to_owned(),
            lease_until: None,
            created_at: now.as_microsecond(),
            done_at: None,
        };
        // It begins only when it is whole, and what a crash leaves behind is forgotten with what nobody began.
        let once = || async {
            let write = self.store.begin().await?;
            // One after the other, so that none is counted too late.
            write.lock_catalogue(whose.tenant).await?;
            if write.waiting_bulk_changes(whose.tenant).await? >= WAITING_MAX as u64 {
                write.let_go().await?;
                return Ok(false);
            }
            write.add_bulk_change(change.clone(), Vec::new()).await?;
            write.commit().await?;
            Ok::<_, Error>(true)
        };
        if !store::repeat(once, Error::is_conflict).await? {
            return Err(ImportError::TooManyWaiting);
        }
        for (page, lines) in preview.lines.chunks(PAGE).enumerate() {
            let from = page * PAGE;
            let rows =
                || lines.iter().enumerate().map(|(place, line)| self.sealed(whose, id, count(from + place), line));
            let (items, rows): (Vec<BulkItem>, Vec<ImportRow>) = rows().collect::<Result<_, _>>()?;
            let once = || async {
                let write = self.store.begin().await?;
                write.add_import_rows(items.clone(), rows.clone()).await?;
                Ok::<_, Error>(write.commit().await?)
            };
            store::repeat(once, Error::is_conflict).await?;
        }
        let once = || async {
            let write = self.store.begin().await?;
            write.prepare_bulk_change(id).await?;
            Ok::<_, Error>(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await?;
        Ok(id)
    }

    /// A line as it waits.
    fn sealed(
        &self,
        whose: Whose,
        id: BulkChangeId,
        position: i32,
        line: &PreviewLine,
    ) -> Result<(BulkItem, ImportRow), Error> {
        let seal = |told: &file::Bringing| {
            let text = zeroize::Zeroizing::new(serde_json::to_vec(told).map_err(Error::Document)?);
            let place = crypto::seal::Place::import_rows(whose.tenant, id.0);
            Ok::<_, Error>(self.ring().seal(place, &text, &mut *self.entropy()).0)
        };
        let item = BulkItem { change_id: id.0, position, license_id: None, until: None, outcome: None };
        let row = ImportRow {
            change_id: id.0,
            position,
            line: i32::try_from(line.number).unwrap_or(i32::MAX),
            hint: line.hint.clone(),
            outcome: line.outcome.as_str().to_owned(),
            detail: line.detail.clone(),
            sealed: line.told.as_ref().map(seal).transpose()?,
        };
        Ok((item, row))
    }

    /// Begins an import that is prepared. A worker goes on with it. None: there is none, or it has begun.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn begin_import(&self, whose: Whose, id: BulkChangeId, by: &By) -> Result<Option<BulkChange>, Error> {
        let once = || async {
            let write = self.store.begin().await?;
            let Some(change) = write.begin_bulk_change(whose, id).await? else { return Ok(None) };
            let detail = json!({ "lines": change.total, "note": by.note });
            let entry = self.told(whose.tenant, "licenses.imported", id.to_string(), None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
            write.commit().await?;
            Ok(Some(change))
        };
        let begun = store::repeat(once, Error::is_conflict).await?;
        self.changing.notify_one();
        Ok(begun)
    }

    /// Forgets an import that has not begun, with all that its file said. False: there is none, or it has begun.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn discard_import(&self, whose: Whose, id: BulkChangeId) -> Result<bool, Error> {
        let once = || async {
            let write = self.store.begin().await?;
            let is_gone = write.discard_bulk_change(whose, id).await?;
            write.commit().await?;
            Ok(is_gone)
        };
        store::repeat(once, Error::is_conflict).await
    }

    /// Forgets imports that nobody began for a day.
    pub async fn forget_prepared_imports(&self) -> Result<(), Error> {
        let once = || async {
            let write = self.store.begin().await?;
            for change in write.prepared_bulk_changes(after(self.now(), -PREPARED_KEPT)).await? {
                let whose = Whose { tenant: domain::id::TenantId(change.tenant_id), livemode: change.livemode };
                write.discard_bulk_change(whose, BulkChangeId(change.id)).await?;
            }
            Ok::<_, Error>(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
