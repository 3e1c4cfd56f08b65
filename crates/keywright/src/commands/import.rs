//! `keywright import licenses FILE`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use domain::text::PlanCode;
use engine::{
    Engine,
    import::{BYTES_MAX, ImportOptions, Outcome, Preview},
    rulings::By,
};
use store::{lists::Whose, many::status};

use super::deliveries::Whom;
use crate::{
    options::DataOptions,
    output::{counted, say},
    server,
};

/// Lines that are printed of those that are not imported.
const LINES_SHOWN: usize = 20;

/// Brings licenses along from another system.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Imports licenses from a CSV file, each with the key that its buyer has.
    Licenses(ImportLicenses),
}

/// Imports licenses from a CSV file, each with the key that its buyer has. Importing a file twice makes nothing twice.
///
/// Its first line names the columns: key, and perhaps email, name, plan or product, expires, created, activations or quantity,
/// reference, note, devices, tags.
#[derive(Debug, Args)]
pub(crate) struct ImportLicenses {
    /// The file.
    file: PathBuf,

    /// Only tells what would follow.
    #[arg(long)]
    dry_run: bool,

    /// The code of the plan of lines that name none.
    #[arg(long)]
    plan: Option<String>,

    /// Also sends each buyer the mail with the key; the running server does.
    #[arg(long)]
    send_email: bool,

    #[command(flatten)]
    whom: Whom,

    #[command(flatten)]
    data: DataOptions,
}

impl ImportCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Licenses(command) => command.run().await,
        }
    }
}

impl ImportLicenses {
    async fn run(self) -> anyhow::Result<()> {
        let bytes = self.read()?;
        let engine = server::open(&self.data).await?.engine;
        let whose = self.whom.whose(&engine).await?;
        let options = ImportOptions { plan: self.plan.map(PlanCode::new), send_email: self.send_email };
        let preview = engine.preview_import(whose, &bytes, &options).await?;
        tell(&preview);
        if self.dry_run || preview.count(Outcome::New) == 0 {
            say!("nothing was imported");
            return Ok(());
        }
        import(&engine, whose, preview).await
    }

    /// The file, if it is not too large to be one.
    fn read(&self) -> anyhow::Result<Vec<u8>> {
        let shown = self.file.display();
        let size = std::fs::metadata(&self.file).with_context(|| format!("{shown} cannot be read"))?.len();
        anyhow::ensure!(
            size <= BYTES_MAX as u64,
            "{shown} has more than {} MiB; split it, and import its parts",
            BYTES_MAX / 1024 / 1024
        );
        std::fs::read(&self.file).with_context(|| format!("{shown} cannot be read"))
    }
}

/// Says what importing would come to.
fn tell(preview: &Preview) {
    if !preview.ignored.is_empty() {
        say!("columns that are not known: {}", preview.ignored.join(", "));
    }
    let is_told = |outcome: Outcome| matches!(outcome, Outcome::Differs | Outcome::Refused);
    let told = || preview.lines.iter().filter(|line| is_told(line.outcome));
    for line in told().take(LINES_SHOWN) {
        say!("line {} {} {}: {}", line.number, line.hint, line.outcome.as_str(), line.detail);
    }
    let more = told().count().saturating_sub(LINES_SHOWN);
    if more > 0 {
        say!("and {more} more");
    }
    let [new, same, differs, refused] = Outcome::ALL.map(|outcome| preview.count(outcome));
    say!("{new} new, {same} the same, {differs} different, {refused} refused");
}

async fn import(engine: &Engine, whose: Whose, preview: Preview) -> anyhow::Result<()> {
    let by = By { actor: "cli".to_owned(), note: None };
    let id = engine.prepare_import(whose, preview, &by).await?;
    engine.begin_import(whose, id, &by).await?;
    say!("{id}; a running server goes on with it if this command is ended");
    loop {
        engine.bulk_turn().await?;
        let Some(row) = engine.store.bulk_change(whose, id).await? else { break };
        if row.status != status::RUNNING {
            let imported = u32::try_from(row.done - row.skipped).unwrap_or_default();
            say!("{} imported, {} skipped", counted(imported, "license"), row.skipped);
            break;
        }
    }
    Ok(())
}
