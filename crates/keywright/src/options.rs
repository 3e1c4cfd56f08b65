//! Options that several commands share. A flag comes before its environment variable; nothing is required.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

/// Where the data is.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataOptions {
    /// The folder with everything: database, master key.
    #[arg(long, env = "KEYWRIGHT_DATA_DIR", default_value = "keywright-data")]
    pub(crate) data_dir: PathBuf,

    /// The database: sqlite:PATH or postgres://USER@HOST/NAME. Also from the file that KEYWRIGHT_DATABASE_URL_FILE names.
    /// [default: keywright.db in the data folder]
    #[arg(long, env = "KEYWRIGHT_DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,

    /// The file with the master keys, made with mode 0600 if it is not there. [default: master-key in the data folder]
    #[arg(long, env = "KEYWRIGHT_MASTER_KEY_FILE")]
    pub(crate) master_key_file: Option<PathBuf>,

    /// Ask no provider anything: what would be looked up, caught up or written back waits. Simulated ones are on this machine
    /// and are asked all the same.
    #[arg(long, env = "KEYWRIGHT_OFFLINE", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) offline: bool,

    /// A network of your own to which webhooks may go, such as 10.1.0.0/16, by plain http as well; several with commas between
    /// them. [default: none, so that nobody can have this server call its neighbours]
    #[arg(long, env = "KEYWRIGHT_ALLOWED_NETWORKS", value_name = "NETWORK", value_delimiter = ',')]
    pub(crate) allow_network: Vec<net::Network>,
}

impl DataOptions {
    /// The option that names this data folder in a command that is suggested, where it has to be named.
    pub(crate) fn as_option(&self) -> String {
        let folder = self.data_dir.display().to_string();
        let is_known = folder == "keywright-data" || std::env::var_os("KEYWRIGHT_DATA_DIR").is_some();
        if is_known { String::new() } else { format!(" --data-dir {folder}") }
    }

    /// The address of the database.
    pub(crate) fn database(&self) -> anyhow::Result<String> {
        let given = value_or_file(self.database_url.as_deref(), "KEYWRIGHT_DATABASE_URL")?;
        Ok(given.unwrap_or_else(|| format!("sqlite:{}", self.data_dir.join("keywright.db").display())))
    }

    /// Where the master keys are.
    pub(crate) fn master_key_file(&self) -> PathBuf {
        self.master_key_file.clone().unwrap_or_else(|| self.data_dir.join("master-key"))
    }

    /// Makes the data folder, for its owner only.
    pub(crate) fn make_folder(&self) -> anyhow::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.data_dir)
            .with_context(|| format!("the data folder {} cannot be made", self.data_dir.display()))
    }
}

/// A value, or the content of the file that the variable with `_FILE` names. Both at once are a mistake.
pub(crate) fn value_or_file(value: Option<&str>, variable: &str) -> anyhow::Result<Option<String>> {
    let file = std::env::var_os(format!("{variable}_FILE"));
    match (value, file) {
        (Some(_), Some(_)) => bail!("both {variable} and {variable}_FILE are set; unset one of them"),
        (Some(value), None) => Ok(Some(value.to_owned())),
        (None, Some(path)) => read_secret(Path::new(&path)).map(Some),
        (None, None) => Ok(None),
    }
}

/// What `env:NAME` or `file:PATH` names.
pub(crate) fn secret(source: &str) -> Result<String, String> {
    match source.split_once(':') {
        Some(("env", name)) => std::env::var(name).map_err(|_| format!("the environment variable {name} is not set")),
        Some(("file", path)) => read_secret(Path::new(path)).map_err(|error| format!("{error:#}")),
        _ => Err("a secret is given as env:NAME or file:PATH, never in clear".to_owned()),
    }
}

pub(crate) fn read_secret(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
