//! All tests of the workspace, found in its sources without building them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use proc_macro2::TokenStream;

use super::tokens::{self, Found, Macros};
use crate::workspace::{self, Package, Target};

/// The tests by name: `crate::module::test_name`, or `crate::file::test_name` for a file in a crate's `tests` folder.
#[derive(Default)]
pub(super) struct Tests {
    ignored: BTreeMap<String, bool>,
    /// Modules in which macros make tests, and the words that can be their names.
    made: BTreeMap<String, BTreeSet<String>>,
}

impl Tests {
    fn add(&mut self, file: &str, found: Found) {
        for test in found.tests {
            self.ignored.insert(below(file, &test.path), test.ignored);
        }
        for made in found.made {
            self.made.entry(below(file, &made.path)).or_default().extend(made.words);
        }
    }

    /// Why a name cannot be in the table.
    pub(super) fn problem(&self, name: &str) -> Option<String> {
        match self.ignored.get(name) {
            Some(false) => None,
            Some(true) => Some(format!("the test `{name}` is marked #[ignore], so it shows nothing")),
            None if self.is_made(name) => None,
            None => Some(format!("there is no test `{name}`{}", self.suggestion(name))),
        }
    }

    fn is_made(&self, name: &str) -> bool {
        name.match_indices("::").any(|(end, separator)| {
            let mut inside = name[end + separator.len()..].split("::");
            self.made.get(&name[..end]).is_some_and(|words| inside.all(|word| words.contains(word)))
        })
    }

    fn suggestion(&self, name: &str) -> String {
        let last = name.rsplit("::").next().unwrap_or(name);
        let alike = self.ignored.keys().find(|known| known.rsplit("::").next() == Some(last));
        alike.map(|known| format!("; there is `{known}`")).unwrap_or_default()
    }
}

fn below(module: &str, path: &[String]) -> String {
    path.iter().fold(module.to_owned(), |name, part| format!("{name}::{part}"))
}

/// Reads every source file of the workspace that is built.
pub(super) fn tests_of_workspace() -> anyhow::Result<Tests> {
    let mut files = Vec::new();
    for package in &workspace::packages()? {
        for target in package.targets.iter().filter(|target| has_tests(target)) {
            collect(File::root(package, target), &mut files)?;
        }
    }
    let mut macros = Macros::default();
    for (_, source) in &files {
        macros.add(source.clone());
    }
    let mut tests = Tests::default();
    for (file, source) in files {
        tests.add(&file.name, tokens::find(source, &macros));
    }
    Ok(tests)
}

fn has_tests(target: &Target) -> bool {
    ["lib", "bin", "test"].into_iter().any(|kind| is(target, kind))
}

fn is(target: &Target, kind: &str) -> bool {
    target.kind.iter().any(|known| known == kind)
}

/// A source file, the path of its module, and the folder of its modules' files.
struct File {
    path: PathBuf,
    name: String,
    modules: PathBuf,
}

impl File {
    fn root(package: &Package, target: &Target) -> Self {
        let name = match is(target, "test") {
            true => format!("{}::{}", package.name, target.name),
            false => package.name.clone(),
        };
        Self { path: target.src_path.clone(), name, modules: parent(&target.src_path) }
    }

    /// The file of a module that this file declares, if there is one.
    fn module(&self, module: &tokens::Module) -> Option<Self> {
        let name = below(&self.name, &module.path);
        let folder: PathBuf = self.modules.join(module.path.iter().collect::<PathBuf>());
        let plain = folder.with_extension("rs");
        let (path, modules) = match &module.file {
            Some(file) => (parent(&self.path).join(file), parent(&parent(&self.path).join(file))),
            None if plain.is_file() => (plain, folder),
            None => (folder.join("mod.rs"), folder),
        };
        path.is_file().then_some(Self { path, name, modules })
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

fn collect(file: File, files: &mut Vec<(File, TokenStream)>) -> anyhow::Result<()> {
    let text = fs::read_to_string(&file.path).with_context(|| format!("cannot read {}", file.path.display()))?;
    let source: TokenStream = text.parse().map_err(|error| anyhow!("{} is not Rust: {error}", file.path.display()))?;
    let modules = tokens::find(source.clone(), &Macros::default()).modules;
    for module in modules.iter().filter_map(|module| file.module(module)) {
        collect(module, files)?;
    }
    files.push((file, source));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Tests, tests_of_workspace};

    #[test]
    fn this_test_finds_itself() {
        let tests = tests_of_workspace().unwrap();
        assert_eq!(tests.problem("xtask::requirements::sources::tests::this_test_finds_itself"), None);
    }

    #[test]
    fn a_wrong_path_is_told_with_the_right_one() {
        let tests =
            Tests { ignored: BTreeMap::from([("store::inbox::tests::once".to_owned(), false)]), ..Tests::default() };
        let problem = tests.problem("store::inbox::once");
        assert_eq!(problem.unwrap(), "there is no test `store::inbox::once`; there is `store::inbox::tests::once`");
    }

    #[test]
    fn an_ignored_test_shows_nothing() {
        let tests = Tests { ignored: BTreeMap::from([("store::once".to_owned(), true)]), ..Tests::default() };
        assert!(tests.problem("store::once").unwrap().contains("#[ignore]"));
    }

    #[test]
    fn tests_made_by_macros_are_known_with_what_is_below_them() {
        let words = ["renewal", "sqlite"].map(str::to_owned);
        let made = BTreeMap::from([("engine::it::pipeline".to_owned(), BTreeSet::from(words))]);
        let tests = Tests { made, ..Tests::default() };
        assert_eq!(tests.problem("engine::it::pipeline::renewal"), None);
        assert_eq!(tests.problem("engine::it::pipeline::renewal::sqlite"), None);
        assert!(tests.problem("engine::it::pipeline::upgrade").is_some());
        assert!(tests.problem("engine::it::renewal").is_some());
    }
}
