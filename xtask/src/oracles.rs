//! Folders with other people's implementations that tests compare ours with: a Python environment, and modules for Node; and
//! a compiler for Go; and OpenSSL; and the browser in which pages are looked at.

mod chromium;
mod go;
mod node;
mod openssl;
mod python;

use std::{
    ffi::OsString,
    fs::{self, File},
    path::Path,
};

use anyhow::Context as _;

/// Finds or installs all of them, and gives the variables by which tests find them.
pub(crate) fn ensure() -> anyhow::Result<[(&'static str, OsString); 4]> {
    openssl::ensure()?;
    Ok([
        (python::VARIABLE, python::ensure()?.into()),
        (node::VARIABLE, node::ensure()?.into()),
        (go::VARIABLE, go::ensure()?.into()),
        (chromium::VARIABLE, chromium::ensure()?.into()),
    ])
}

/// Makes a folder, unless it was made from what is wanted already and still works. A lock keeps two test runs from making
/// it at once. Gives the word for what was done.
fn made_once(
    folder: &Path,
    wanted: &str,
    works: impl Fn() -> bool,
    make: impl Fn() -> anyhow::Result<()>,
) -> anyhow::Result<&'static str> {
    let problem = || format!("cannot write next to {}", folder.display());
    folder.parent().map_or(Ok(()), fs::create_dir_all).with_context(problem)?;
    let lock = File::create(folder.with_extension("lock")).with_context(problem)?;
    lock.lock().with_context(problem)?;
    let stamp = folder.join("installed.txt");
    let made_from = fs::read_to_string(&stamp).unwrap_or_default();
    if made_from == wanted && works() {
        return Ok("found");
    }
    make()?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok("installed")
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, fs};

    use super::made_once;

    #[test]
    fn a_folder_is_made_anew_when_something_else_is_wanted_or_it_is_broken() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("deeper/oracles");
        let made = Cell::new(0);
        let make = || {
            made.set(made.get() + 1);
            Ok(fs::create_dir_all(&folder)?)
        };
        for (wanted, works, what, times) in [
            ("one", true, "installed", 1),
            ("one", true, "found", 1),
            ("two", true, "installed", 2),
            ("two", false, "installed", 3),
            ("two", true, "found", 3),
        ] {
            assert_eq!(made_once(&folder, wanted, || works, make).unwrap(), what, "{wanted} {works}");
            assert_eq!(made.get(), times, "{wanted} {works}");
        }
    }
}
