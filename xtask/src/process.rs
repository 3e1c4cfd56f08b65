//! Running other programs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::interrupt;

/// How long a child may take to end by itself after this process was asked to stop.
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// Runs a program with our own output and waits; an exit code other than zero is an error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    interrupt::check()?;
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", shown(command)))?;
    let status = wait(&mut child).with_context(|| format!("waiting for `{}`", shown(command)))?;
    interrupt::check()?;
    ensure!(status.success(), "`{}` failed ({status}); what it printed is above", shown(command));
    Ok(())
}

/// Runs a short program and gives what it printed; its complaint becomes the error.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    interrupt::check()?;
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({}): {}", shown(command), output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The first program of that name on PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    folders_on_path().into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The folders of PATH, in its order.
pub(crate) fn folders_on_path() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

/// Asks a child of ours to end and, if it does not, ends it.
pub(crate) fn stop(child: &mut Child, gentle: Signal) -> anyhow::Result<ExitStatus> {
    signal(child, gentle)?;
    if let Some(status) = wait_until(child, Instant::now() + PATIENCE)? {
        return Ok(status);
    }
    child.kill()?;
    Ok(child.wait()?)
}

fn signal(child: &Child, signal: Signal) -> anyhow::Result<()> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id is positive")?;
    kill_process(id, signal).with_context(|| format!("cannot signal process {}", child.id()))
}

/// A terminal's Ctrl-C reaches the child as well, so it is given time to end by itself before it is asked to.
fn wait(child: &mut Child) -> anyhow::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        match interrupt::received() {
            None => sleep(POLL),
            Some(by) if i32::from(by) == signal_hook::consts::SIGINT => {
                return match wait_until(child, Instant::now() + PATIENCE)? {
                    Some(status) => Ok(status),
                    None => stop(child, Signal::TERM),
                };
            }
            Some(_) => return stop(child, Signal::TERM),
        }
    }
}

fn wait_until(child: &mut Child, deadline: Instant) -> anyhow::Result<Option<ExitStatus>> {
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status);
        }
        sleep(POLL);
    }
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
