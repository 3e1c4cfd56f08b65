//! The Python environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use super::made_once;
use crate::step::Step;
use crate::{debian, process, workspace};

/// Where tests find the interpreter of that environment.
pub(super) const VARIABLE: &str = "KEYWRIGHT_TEST_PYTHON";

const REQUIREMENTS: &str = "xtask/oracles/requirements.txt";
/// Says whether an interpreter can make environments.
const CAN_MAKE: &str = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))";
/// Says whether an environment is complete.
const IS_COMPLETE: &str =
    "import aiosmtpd, botocore, cryptography, dkim, jwt, localstripe, nacl, paddle_billing, standardwebhooks, stripe";

/// The interpreter that the tests are to use: the one that was asked for, or our own environment's.
pub(super) fn ensure() -> anyhow::Result<PathBuf> {
    let step = Step::begin("python packages");
    if let Some(python) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        ensure!(
            python_runs(&python, IS_COMPLETE),
            "{VARIABLE} is {}, which does not import the packages of {REQUIREMENTS}: install them there, or unset it",
            python.display()
        );
        step.done(format_args!("given by {VARIABLE}"));
        return Ok(python);
    }
    let environment = workspace::target().join("oracles");
    let wanted = fs::read_to_string(workspace::root().join(REQUIREMENTS)).context(REQUIREMENTS)?;
    let is_complete = || python_runs(&interpreter(&environment), IS_COMPLETE);
    let how = made_once(&environment, &wanted, is_complete, || make(&environment))?;
    step.done(format_args!("{how} in {}", environment.display()));
    Ok(interpreter(&environment))
}

fn make(environment: &Path) -> anyhow::Result<()> {
    let python = python_with_environments()?;
    process::output(Command::new(python).args(["-m", "venv", "--clear"]).arg(environment))?;
    let mut pip = Command::new(interpreter(environment));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", REQUIREMENTS]);
    process::run(pip.current_dir(workspace::root()).stdin(Stdio::null())).with_context(|| {
        format!("cannot install the packages of {REQUIREMENTS}; they come from PyPI, as pip is set up on this machine")
    })
}

fn python_with_environments() -> anyhow::Result<PathBuf> {
    if let Some(python) = find_python() {
        return Ok(python);
    }
    if debian::can_install() {
        debian::install(&["python3-venv"])?;
    }
    find_python().map_or_else(|| bail!(
        "no Python 3.10 or later with its modules venv and ensurepip was found as python3. Install them (Debian: \
         apt-get install python3-venv; as root on Debian this command does it), or set {VARIABLE} to an \
         interpreter that has the packages of {REQUIREMENTS}"
    ), Ok)
}

fn find_python() -> Option<PathBuf> {
    let candidates = process::on_path("python3").into_iter().chain([PathBuf::from("/usr/bin/python3")]);
    candidates.into_iter().find(|python| python_runs(python, CAN_MAKE))
}

fn python_runs(python: &Path, code: &str) -> bool {
    process::output(Command::new(python).args(["-c", code])).is_ok()
}

fn interpreter(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}
