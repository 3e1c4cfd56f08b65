//! The book in `docs` is held against the program: its pages, links, files, commands, routes and words.

mod markdown;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use delivery::Brand;
use domain::{activation::VerdictCode, mail::MailKind, policy::Policy};
use engine::{api_keys::Scope, configuration::ConfigurationFile};
use serde_json::Value;

use self::markdown::{Block, Page};
use crate::process::{Ran, keywright, run};

/// The documents of the repository that are not in the book.
const BESIDE: [&str; 4] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];
/// The pages that are written from the providers' own modules.
const OF_PROVIDERS: &str = "providers";
/// The page that speaks of Stripe's routes.
const OF_STRIPE: &str = "unverified.md";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn docs() -> PathBuf {
    repository().join("docs")
}

fn page(name: &str) -> Page {
    Page::read(&docs().join(name))
}

/// The files below a folder that end like this.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path, ending)),
            false if path.extension().is_some_and(|known| known == ending) => found.push(path),
            false => {}
        }
    }
    found.sort();
    found
}

/// All pages, the list of them included.
fn book() -> Vec<Page> {
    files(&docs(), "md").iter().map(|path| Page::read(path)).collect()
}

/// The block of a page that is marked with all these words.
pub(crate) fn docs_block(name: &str, words: &[&str]) -> String {
    let found = page(name).blocks().into_iter().find(|block| words.iter().all(|word| block.is(word)));
    found.unwrap_or_else(|| panic!("docs/{name} has no block {words:?}")).text
}

fn is_of_provider(page: &Page) -> bool {
    page.path.parent().is_some_and(|folder| folder.ends_with(OF_PROVIDERS))
}

/// Where a link on a page leads, and which part of that file it names. None: out of the repository.
fn target(page: &Page, link: &str) -> Option<(PathBuf, Option<String>)> {
    if ["https://", "http://", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
        return None;
    }
    let (file, part) = link.split_once('#').map_or((link, None), |(file, part)| (file, Some(part.to_owned())));
    let path = if file.is_empty() { page.path.clone() } else { page.path.parent().unwrap().join(file) };
    Some((path, part))
}

#[test]
fn every_page_is_in_the_list_of_pages() {
    let summary = page("SUMMARY.md");
    let listed: BTreeSet<PathBuf> =
        summary.links().into_iter().filter(|(_, link)| !link.is_empty()).map(|(_, link)| docs().join(link)).collect();
    let there: BTreeSet<PathBuf> = files(&docs(), "md").into_iter().filter(|path| *path != summary.path).collect();
    assert_eq!(there, listed, "docs/SUMMARY.md lists the pages of docs");
}

#[test]
fn every_link_leads_somewhere() {
    let beside = BESIDE.map(|name| Page::read(&repository().join(name)));
    for page in book().iter().chain(&beside) {
        let is_list = page.path.ends_with("SUMMARY.md");
        // A chapter without a page of its own is a headline in the list.
        for (line, link) in page.links().into_iter().filter(|(_, link)| !(is_list && link.is_empty())) {
            let place = format!("{}:{line}: {link}", page.path.display());
            let Some((path, part)) = target(page, link) else { continue };
            assert!(path.exists(), "{place}: there is no such file");
            if let Some(part) = part {
                assert!(Page::read(&path).has_anchor(&part), "{place}: the page has no such heading");
            }
        }
    }
}

/// Every secret that a file names, with something that will do.
fn secrets(file: &str) -> BTreeMap<String, String> {
    let named = file.split("\"env:").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
    let secret = |name: &str| match name.ends_with("_URL") {
        true => "https://example.com/secret".to_owned(),
        false => format!("secret of {name}"),
    };
    let mut secrets: BTreeMap<String, String> = named.map(|name| (name.clone(), secret(&name))).collect();
    let document: toml::Table = file.parse().unwrap();
    for key in document.get("api_key").and_then(toml::Value::as_array).into_iter().flatten() {
        let field = |name: &str| key[name].as_str().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let mut command = keywright();
        command.args(["api-key", "create", "--name", "a", "--scope", "admin", "--kind", field("kind")]);
        let made = run(command.arg("--data-dir").arg(elsewhere.path()));
        secrets.insert(field("key").replace("env:", ""), made.stdout.trim().to_owned());
    }
    secrets
}

fn apply(block: &Block, folder: &Path) -> Ran {
    let file = folder.join("file.toml");
    fs::write(&file, &block.text).unwrap();
    run(keywright().envs(secrets(&block.text)).arg("apply").arg(file).arg("--data-dir").arg(folder.join("data")))
}

/// A block that says `apply` is a whole file for an empty installation. One that says `same` changes nothing of what the one
/// before it made.
#[test]
fn every_whole_file_is_accepted() {
    let mut count = 0;
    for page in book() {
        let blocks = page.blocks();
        let toml: Vec<&Block> = blocks.iter().filter(|block| block.is("toml")).collect();
        let mut folder = tempfile::tempdir().unwrap();
        for (number, block) in toml.into_iter().enumerate() {
            // A provider's page begins with the file that its other blocks add to.
            let is_whole = block.is("apply") || is_of_provider(&page) && number == 0;
            if !is_whole {
                continue;
            }
            let is_same = block.is("same");
            if !is_same {
                folder = tempfile::tempdir().unwrap();
            }
            let applied = apply(block, folder.path());
            let place = format!("{}:{}", page.path.display(), block.line);
            assert!(applied.status.success(), "{place}: {}", applied.stderr);
            let has_changed = applied.stdout.contains("created") || applied.stdout.contains("changed ");
            assert_eq!(has_changed, !is_same, "{place}: {}", applied.stdout);
            count += 1;
        }
    }
    assert!(count >= 6, "{count} files");
}

/// A table of a configuration file: the heading that it has in the reference, and what stands around one of its fields.
struct Section {
    heading: String,
    before: String,
    behind: String,
}

impl Section {
    fn mistake(&self, field: &str) -> String {
        mistake(&format!("{}{field}{}", self.before, self.behind))
    }

    /// The fields, as the mistake about one that is not known tells them.
    fn fields(&self) -> BTreeSet<String> {
        expected("field", &self.mistake("nonsense = 1")).into_iter().map(str::to_owned).collect()
    }

    /// The tables within it.
    fn sections(&self) -> Vec<Self> {
        let is_root = self.before.is_empty();
        let mut found = Vec::new();
        for field in self.fields() {
            for (open, close, in_file) in [("{ ", " }", format!("[{field}]")), ("[{ ", " }]", format!("[[{field}]]"))] {
                let heading = if is_root { format!("`{in_file}`") } else { format!("`{field}`") };
                let before = format!("{}{field} = {open}", self.before);
                let section = Self { heading, before, behind: format!("{close}{}", self.behind) };
                found.extend(Some(section).filter(|section| !section.fields().is_empty()));
            }
        }
        found
    }
}

/// What the program says is wrong with a file.
fn mistake(file: &str) -> String {
    ConfigurationFile::parse(file).err().map(|error| error.to_string()).unwrap_or_default()
}

/// Which fields, or variants of a word, there are in place of `nonsense`, as a mistake tells it.
fn expected<'a>(what: &str, mistake: &'a str) -> BTreeSet<&'a str> {
    let told = mistake.split_once(&format!("unknown {what} `nonsense`, expected")).map_or("", |(_, told)| told);
    told.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_reference_has_every_field_of_the_file_and_every_word_that_a_field_takes() {
    let reference = page("configuration.md");
    let root = Section { heading: "The sections".to_owned(), before: String::new(), behind: String::new() };
    let mut sections = vec![root];
    let mut count = 0;
    while let Some(section) = sections.pop() {
        let heading = &section.heading;
        let rows = reference.rows(heading);
        let told: BTreeSet<String> = rows.iter().map(|(field, _)| (*field).to_owned()).collect();
        assert_eq!(told, section.fields(), "{heading}: docs/configuration.md, and the file");
        for (field, row) in rows {
            for word in expected("variant", &section.mistake(&format!("{field} = \"nonsense\""))) {
                assert!(row.contains(&format!("`{word}`")), "{heading}, {field}: the row does not name `{word}`");
            }
        }
        sections.extend(section.sections());
        count += 1;
    }
    assert!(count >= 11, "{count} sections");
}

#[test]
fn the_reference_has_every_field_of_a_brand() {
    let text = || Some("x".to_owned());
    let brand = Brand {
        sender_name: text(),
        sender_address: text(),
        reply_to: text(),
        support_url: text(),
        download_url: text(),
        docs_url: text(),
        portal_url: text(),
        logo_url: text(),
        colour: text(),
        language: text(),
        footer: text(),
        unknown: BTreeMap::new(),
    };
    let brand = serde_json::to_value(brand).unwrap();
    let fields: BTreeSet<&str> = brand.as_object().unwrap().keys().map(String::as_str).collect();
    let reference = page("configuration.md");
    assert_eq!(reference.rows("`brand`").into_iter().map(|(field, _)| field).collect::<BTreeSet<_>>(), fields);
}

#[test]
fn each_preset_differs_from_the_default_as_told() {
    let fields = |policy: Policy| serde_json::to_value(policy).unwrap().as_object().unwrap().clone();
    let default = fields(Policy::default());
    let selling = page("selling.md");
    let rows: BTreeMap<&str, &str> = selling.rows("Presets").into_iter().collect();
    assert_eq!(rows.len(), Policy::PRESETS.len());
    for name in Policy::PRESETS {
        let differing =
            fields(Policy::preset(name).unwrap()).into_iter().filter(|(field, value)| default[field] != *value);
        let differing: BTreeSet<String> = differing.map(|(field, value)| format!("{field} = {value}")).collect();
        let told = rows[name].split('`').skip(1).step_by(2).filter(|text| text.contains(" = "));
        assert_eq!(told.map(str::to_owned).collect::<BTreeSet<_>>(), differing, "{name}");
    }
}

/// The help of a command, and whether it has commands of its own.
fn help(command: &[&str]) -> Option<(String, bool)> {
    let ran = run(keywright().args(command).arg("--help"));
    let has_commands = ran.stdout.lines().any(|line| line == "Commands:");
    ran.status.success().then_some((ran.stdout, has_commands))
}

/// Whether there is such a command, with such options.
fn is_known(line: &str) -> bool {
    let words = line.split_whitespace().take_while(|word| !["#", "|", ">", "…", "&&", "\\"].contains(word));
    let words: Vec<&str> = words.skip(1).collect();
    let mut command = 0;
    let Some((mut text, mut has_commands)) = help(&[]) else { return false };
    while has_commands && words.get(command).is_some_and(|word| !word.starts_with('-')) {
        command += 1;
        let Some(found) = help(&words[..command]) else { return false };
        (text, has_commands) = found;
    }
    let options = words.iter().filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap_or(word));
    options.into_iter().all(|option| text.split([' ', ',', '\n', '[']).any(|word| word == option))
}

/// Providers' pages are left out: they speak of simulating each of them, which there is for Stripe alone so far.
#[test]
fn every_command_and_option_is_there() {
    let mut commands: BTreeMap<String, String> = BTreeMap::new();
    for page in book().into_iter().filter(|page| !is_of_provider(page)) {
        for (line, text) in page.spans().into_iter().chain(page.typed()) {
            let text = text.trim().trim_start_matches("$ ");
            if text.starts_with("keywright ") && !text.starts_with("keywright 0.") {
                commands.insert(text.to_owned(), format!("{}:{line}", page.path.display()));
            }
        }
    }
    assert!(commands.len() >= 20, "{commands:?}");
    for (command, place) in commands {
        assert!(is_known(&command), "{place}: `{command}` is not as `--help` has it");
    }
}

/// The API's own document.
fn document() -> Value {
    serde_json::from_str(api::document()).unwrap()
}

#[test]
fn every_route_is_there() {
    let document = document();
    let is_there = |method: &str, path: &str| {
        // What needs an API key is below `/api` as well.
        let paths = [path, path.strip_prefix("/api").unwrap_or(path)];
        paths.iter().any(|path| document["paths"][*path][method.to_lowercase()].is_object())
    };
    let speaks_of_ours = |page: &Page| !page.path.ends_with(OF_STRIPE) && !is_of_provider(page);
    let mut count = 0;
    for page in book().into_iter().filter(speaks_of_ours) {
        for (line, span) in page.spans() {
            let Some((method, path)) = span.split_once(" /") else { continue };
            if !["GET", "POST", "PATCH", "PUT", "DELETE"].contains(&method) {
                continue;
            }
            let path = format!("/{}", path.split('?').next().unwrap_or(path));
            assert!(is_there(method, &path), "{}:{line}: there is no route `{span}`", page.path.display());
            count += 1;
        }
    }
    assert!(count >= 30, "{count} routes");
}

#[test]
fn the_words_of_the_api_and_the_variables_of_the_server_are_told() {
    let document = document();
    let problems = document["components"]["schemas"]["Code"]["enum"].as_array().unwrap();
    let problems = problems.iter().map(|code| code.as_str().unwrap());
    let scopes = Scope::ALL.iter().map(|scope| scope.as_str());
    let verdicts = VerdictCode::ALL.iter().map(|code| code.as_str());
    let (serve, _) = help(&["serve"]).unwrap();
    let variables = serve.split("[env: ").skip(1).map(|rest| rest.split(['=', ']']).next().unwrap_or_default());
    let names = delivery::mail::names();
    for (name, words) in [
        ("api.md", problems.chain(scopes).collect::<Vec<_>>()),
        ("apps.md", verdicts.collect()),
        ("connecting.md", domain::alert::ITEM_KINDS.iter().map(|(kind, _)| *kind).collect()),
        ("running.md", variables.collect()),
        ("mail.md", MailKind::ALL.iter().map(|kind| kind.as_str()).chain(names.iter().map(String::as_str)).collect()),
    ] {
        let page = page(name);
        let told: BTreeSet<&str> = page.spans().into_iter().map(|(_, text)| text).collect();
        let missing: Vec<&str> = words.into_iter().filter(|word| !told.contains(word)).collect();
        assert!(missing.is_empty(), "docs/{name} does not tell {missing:?}");
    }
}
