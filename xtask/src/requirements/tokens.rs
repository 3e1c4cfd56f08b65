//! Finds tests in one Rust source file. It is read as tokens, so that neither a comment nor a text is taken for a test.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What an attribute that makes a function a test is called, whatever crate it comes from.
const TEST_ATTRIBUTES: [&str; 2] = ["test", "rstest"];

/// A function that runs as a test.
#[derive(Debug, PartialEq)]
pub(super) struct Test {
    /// The modules inside the file, then the function's name.
    pub(super) path: Vec<String>,
    pub(super) ignored: bool,
}

/// A macro call that makes tests. What they are called is somewhere among the words of the call and of its macros.
#[derive(Debug, PartialEq)]
pub(super) struct MadeTests {
    /// The modules inside the file.
    pub(super) path: Vec<String>,
    pub(super) words: BTreeSet<String>,
}

/// A module in a file of its own.
#[derive(Debug, PartialEq)]
pub(super) struct Module {
    /// The modules inside this file, then the module's name.
    pub(super) path: Vec<String>,
    /// The file that `#[path = "..."]` names.
    pub(super) file: Option<String>,
}

/// What a file has.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) tests: Vec<Test>,
    pub(super) made: Vec<MadeTests>,
    pub(super) modules: Vec<Module>,
}

/// The macros of the workspace by name.
#[derive(Debug, Default)]
pub(super) struct Macros(BTreeMap<String, Macro>);

#[derive(Debug, Default)]
struct Macro {
    /// Whether it puts a test attribute on something.
    makes_tests: bool,
    words: BTreeSet<String>,
}

impl Macros {
    /// Adds the macros that a file defines.
    pub(super) fn add(&mut self, file: TokenStream) {
        let tokens: Vec<TokenTree> = file.into_iter().collect();
        for (index, token) in tokens.iter().enumerate() {
            match (token, &tokens[index + 1..]) {
                (TokenTree::Ident(word), [_, TokenTree::Ident(name), TokenTree::Group(body), ..])
                    if word == "macro_rules" =>
                {
                    let known = self.0.entry(name.to_string()).or_default();
                    known.makes_tests |= has_test_attribute(body.stream());
                    known.words.extend(words(body.stream()));
                }
                (TokenTree::Group(group), _) => self.add(group.stream()),
                _ => {}
            }
        }
    }

    /// The words of a call, if it makes tests: `both!(refund_first)`, or by handing names on, `every_life!(in_order)`.
    fn call(&self, name: &str, arguments: TokenStream) -> Option<BTreeSet<String>> {
        let mut all = words(arguments);
        let involved: Vec<&Macro> =
            all.iter().map(String::as_str).chain([name]).filter_map(|word| self.0.get(word)).collect();
        if !involved.iter().any(|known| known.makes_tests) {
            return None;
        }
        all.extend(involved.iter().flat_map(|known| known.words.iter().cloned()));
        Some(all)
    }
}

fn has_test_attribute(stream: TokenStream) -> bool {
    stream.into_iter().any(|token| match token {
        TokenTree::Group(group) => Attribute::read(&group).is_test || has_test_attribute(group.stream()),
        _ => false,
    })
}

fn words(stream: TokenStream) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for token in stream {
        match token {
            TokenTree::Ident(word) => drop(found.insert(word.to_string())),
            TokenTree::Group(group) => found.extend(words(group.stream())),
            _ => {}
        }
    }
    found
}

/// Looks through a file.
pub(super) fn find(file: TokenStream, macros: &Macros) -> Found {
    let mut walk = Walk { macros, found: Found::default() };
    walk.visit(file, &mut Vec::new());
    walk.found
}

#[derive(Default)]
struct Attribute {
    is_test: bool,
    is_ignore: bool,
    file: Option<String>,
}

impl Attribute {
    /// Reads `[test]`, `[tokio::test(...)]`, `[ignore = "..."]`, `[path = "..."]`; others are nothing to us.
    fn read(group: &Group) -> Self {
        if group.delimiter() != Delimiter::Bracket {
            return Self::default();
        }
        let mut name = String::new();
        let mut value = None;
        for token in group.stream() {
            match token {
                TokenTree::Ident(word) => name = word.to_string(),
                TokenTree::Punct(sign) if matches!(sign.as_char(), ':' | '=') => {}
                TokenTree::Literal(literal) => value = Some(literal.to_string().trim_matches('"').to_owned()),
                _ => break,
            }
        }
        Self {
            is_test: TEST_ATTRIBUTES.contains(&name.as_str()),
            is_ignore: name == "ignore",
            file: value.filter(|_| name == "path"),
        }
    }

    fn add(&mut self, other: Self) {
        self.is_test |= other.is_test;
        self.is_ignore |= other.is_ignore;
        self.file = other.file.or(self.file.take());
    }
}

struct Walk<'a> {
    macros: &'a Macros,
    found: Found,
}

impl Walk<'_> {
    fn visit(&mut self, stream: TokenStream, path: &mut Vec<String>) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut attributes = Attribute::default();
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            let rest = &tokens[index + 1..];
            index += 1;
            match (token, rest) {
                (TokenTree::Punct(hash), [TokenTree::Group(group), ..]) if hash.as_char() == '#' => {
                    attributes.add(Attribute::read(group));
                    index += 1;
                }
                (TokenTree::Ident(word), [TokenTree::Ident(name), ..]) if word == "fn" => {
                    self.function(&name.to_string(), &std::mem::take(&mut attributes), path);
                }
                (TokenTree::Ident(word), [TokenTree::Ident(name), after, ..]) if word == "mod" => {
                    index += 2;
                    self.module(&name.to_string(), after, &std::mem::take(&mut attributes), path);
                }
                (TokenTree::Ident(word), [TokenTree::Punct(bang), after @ ..]) if bang.as_char() == '!' => {
                    index += self.macro_call(&word.to_string(), after, path);
                    attributes = Attribute::default();
                }
                (TokenTree::Group(group), _) => self.visit(group.stream(), path),
                _ => {}
            }
        }
    }

    fn function(&mut self, name: &str, attributes: &Attribute, path: &[String]) {
        if attributes.is_test {
            self.found.tests.push(Test { path: below(path, name), ignored: attributes.is_ignore });
        }
    }

    fn module(&mut self, name: &str, after: &TokenTree, attributes: &Attribute, path: &mut Vec<String>) {
        match after {
            TokenTree::Group(body) => {
                path.push(name.to_owned());
                self.visit(body.stream(), path);
                path.pop();
            }
            _ => self.found.modules.push(Module { path: below(path, name), file: attributes.file.clone() }),
        }
    }

    /// Gives the number of tokens that need no other look.
    fn macro_call(&mut self, name: &str, after: &[TokenTree], path: &[String]) -> usize {
        if name == "macro_rules" {
            return 3;
        }
        let Some(TokenTree::Group(arguments)) = after.first() else { return 1 };
        let Some(words) = self.macros.call(name, arguments.stream()) else { return 1 };
        self.found.made.push(MadeTests { path: path.to_vec(), words });
        2
    }
}

fn below(path: &[String], name: &str) -> Vec<String> {
    path.iter().cloned().chain([name.to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::{Found, Macros, Module, find};

    fn read(source: &str) -> Found {
        let mut macros = Macros::default();
        macros.add(source.parse().unwrap());
        find(source.parse().unwrap(), &macros)
    }

    fn tests(source: &str) -> Vec<String> {
        read(source).tests.iter().map(|test| test.path.join("::")).collect()
    }

    #[test]
    fn tests_are_found_by_their_attribute() {
        let source = r#"
            #[test] fn plain() {}
            #[tokio::test(flavor = "current_thread")] #[should_panic] async fn waiting() {}
            #[cfg(test)] fn support() {}
            fn other() {}
            mod tests { mod deeper { #[test] fn nested() {} } fn helper() {} }
        "#;
        assert_eq!(tests(source), ["plain", "waiting", "tests::deeper::nested"]);
    }

    #[test]
    fn comments_and_texts_are_not_tests() {
        let source = "// #[test] fn a() {}\n/* #[test] fn b() {} */\nconst T: &str = r#\"\n}\n#[test] fn c() {}\"#;\n";
        assert!(tests(source).is_empty());
    }

    #[test]
    fn an_ignored_test_is_known_as_such() {
        let found = read("#[test] #[ignore = \"slow\"] fn a() {} #[test] fn b() {}");
        assert_eq!(found.tests.iter().map(|test| test.ignored).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn properties_are_tests() {
        assert_eq!(
            tests("proptest! { #![config(x)] #[test] fn any_order(n in 0..9u8) { assert!(n < 9); } }"),
            ["any_order"]
        );
    }

    /// Whether all of these are among the words of the one call that makes tests, which stands in module `tests`.
    fn made(source: &str, names: &[&str]) -> bool {
        let found = read(source);
        assert_eq!(found.made.len(), 1, "{source}");
        assert_eq!(found.made[0].path, ["tests"]);
        names.iter().all(|name| found.made[0].words.contains(*name))
    }

    const BOTH: &str = "macro_rules! both { ($name:ident) => { mod $name { #[tokio::test] async fn sqlite() {} } } }";

    #[test]
    fn tests_made_by_a_macro_are_named_by_its_call() {
        assert!(made(
            &format!("{BOTH} mod tests {{ both!(refund_first); vec![other]; }}"),
            &["refund_first", "sqlite"]
        ));
        assert!(made(&format!("{BOTH} mod tests {{ both! {{ async fn renewal(d: D) {{}} }} }}"), &["renewal"]));
        assert!(!made(&format!("{BOTH} mod tests {{ both!(refund_first); vec![other]; }}"), &["other"]));
    }

    #[test]
    fn tests_made_by_a_macro_may_be_named_in_another_one() {
        let every = "macro_rules! every_life { ($then:ident) => { $then! { renewal upgrade } } }";
        assert!(made(&format!("{BOTH} {every} mod tests {{ every_life!(both); }}"), &["renewal", "upgrade"]));
    }

    #[test]
    fn modules_in_other_files_are_told() {
        let found = read("mod a; #[path = \"else/where.rs\"] pub(crate) mod b; mod c { mod d; }");
        let module = |path: &[&str], file: Option<&str>| Module {
            path: path.iter().map(ToString::to_string).collect(),
            file: file.map(str::to_owned),
        };
        assert_eq!(
            found.modules,
            [module(&["a"], None), module(&["b"], Some("else/where.rs")), module(&["c", "d"], None)]
        );
    }
}
