//! What a vendor's template may be made of.
//!
//! The engine counts the instructions that a template runs, not the bytes that one of them makes, and it reads nested
//! expressions by recursion. So the words of a template are looked at before the engine reads them: what could multiply a
//! text or nest without end is not among them. What is left makes nothing longer than what it is given, so that the length
//! of what is written is all that has to be limited.

use minijinja::{
    machinery::{Span, Token, tokenize},
    syntax::SyntaxConfig,
};

use super::templates::BODY_BYTES_MAX;

/// The longest `{{ … }}` or `{% … %}`, in bytes. That limits how deep an expression nests, and what it spells out itself.
const TAG_BYTES_MAX: u32 = 500;
/// How deep `if`, `elif` and `for` nest.
const NESTING_MAX: usize = 20;
/// The filters there are. None of them makes much more of a text than it was.
const FILTERS: [&str; 9] = ["capitalize", "default", "first", "last", "length", "lower", "title", "trim", "upper"];

/// Looks at the words of a template. What the engine cannot read is left to the engine to tell.
///
/// # Errors
/// What it may not be made of, and what to do.
pub(super) fn check(source: &str, syntax: &SyntaxConfig) -> Result<(), String> {
    if source.len() > BODY_BYTES_MAX {
        return Err(format!("has {} bytes; {BODY_BYTES_MAX} is the most", source.len()));
    }
    let mut reading = Reading::default();
    for token in tokenize(source, false, syntax.clone()) {
        let Ok((token, span)) = token else { return Ok(()) };
        reading.word(&token, span).map_err(|problem| format!("in line {} {problem}", span.start_line))?;
    }
    Ok(())
}

/// The line in which a name stands first, from 1. None: it stands nowhere.
pub(super) fn line_of(source: &str, syntax: &SyntaxConfig, name: &str) -> Option<u32> {
    let mut words = tokenize(source, false, syntax.clone()).map_while(Result::ok);
    let (_, span) = words.find(|(token, _)| matches!(token, Token::Ident(word) if *word == name))?;
    Some(u32::from(span.start_line))
}

/// What the next word is.
#[derive(Default)]
enum Expected {
    /// Part of an expression.
    #[default]
    Expression,
    /// What a `{% … %}` does.
    Statement,
    /// The name behind a `|`.
    Filter,
}

#[derive(Default)]
struct Reading {
    /// Where the tag began.
    tag: u32,
    expected: Expected,
    /// What is open: an `if` with the number of its branches, or a `for`.
    open: Vec<usize>,
}

impl Reading {
    fn word(&mut self, token: &Token<'_>, span: Span) -> Result<(), String> {
        match token {
            Token::TemplateData(_) => return Ok(()),
            Token::VariableStart | Token::BlockStart => self.tag = span.start_offset,
            _ => {}
        }
        if span.end_offset.saturating_sub(self.tag) > TAG_BYTES_MAX {
            return Err(format!("has an expression of more than {TAG_BYTES_MAX} bytes; write texts outside of it"));
        }
        match (std::mem::take(&mut self.expected), token) {
            (Expected::Statement, Token::Ident(word)) => self.statement(word)?,
            (Expected::Filter, Token::Ident(name)) if !FILTERS.contains(name) => {
                return Err(format!("uses the filter `{name}`; there are: {}", FILTERS.join(", ")));
            }
            (_, Token::Ident("recursive")) => {
                return Err("has a loop that calls itself; write out its levels".to_owned());
            }
            (_, token) if !is_plain(token) => {
                return Err(format!("uses {token}; expressions name values, compare them and apply filters"));
            }
            _ => {}
        }
        self.expected = match token {
            Token::BlockStart => Expected::Statement,
            Token::Pipe => Expected::Filter,
            _ => Expected::Expression,
        };
        Ok(())
    }

    fn statement(&mut self, word: &str) -> Result<(), String> {
        match word {
            "if" | "for" => self.open.push(1),
            "elif" => self.open.iter_mut().last().into_iter().for_each(|branches| *branches += 1),
            "endif" | "endfor" => drop(self.open.pop()),
            "else" => {}
            other => return Err(format!("uses the statement `{other}`; there are: if, elif, else, for")),
        }
        if self.open.iter().sum::<usize>() > NESTING_MAX {
            return Err(format!("nests `if`, `elif` and `for` more than {NESTING_MAX} deep; write it flatter"));
        }
        Ok(())
    }
}

/// What neither calculates nor puts texts, lists or maps together.
const fn is_plain(token: &Token<'_>) -> bool {
    matches!(
        token,
        Token::VariableStart
            | Token::VariableEnd
            | Token::BlockStart
            | Token::BlockEnd
            | Token::Ident(_)
            | Token::Str(_)
            | Token::String(_)
            | Token::Int(_)
            | Token::Int128(_)
            | Token::Float(_)
            | Token::Dot
            | Token::Comma
            | Token::Pipe
            | Token::Eq
            | Token::Ne
            | Token::Gt
            | Token::Gte
            | Token::Lt
            | Token::Lte
            | Token::BracketOpen
            | Token::BracketClose
            | Token::ParenOpen
            | Token::ParenClose
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(source: &str) -> String {
        check(source, &SyntaxConfig::default()).map_or_else(|problem| problem, |()| "fine".to_owned())
    }

    #[test]
    fn what_mails_need_is_there() {
        for source in [
            "{{ key }} {{ name | default('there', true) | title }}",
            "{% if name and not is_test %}{{ name }}{% elif language == \"de\" %}x{% else %}y{% endif %}",
            "{% for link in links %}{{ loop.index }} {{ links[0].url }}{% else %}none{% endfor %}",
            "{{ 'a' if (name | length) >= 20 else \"b\" }} {{ day is startingwith '1' }}",
            "{% raw %}{{ a ~ b }}{% endraw %}{# {{ a ~ b }} #} 1 + 1 ~ *",
            // The engine tells what it cannot read.
            "{{ 'a",
            "{{ name.upper(",
        ] {
            assert_eq!(refused(source), "fine", "{source}");
        }
        for name in FILTERS {
            assert!(minijinja::Environment::new().compile_expression(&format!("'a' | {name}")).is_ok(), "{name}");
        }
    }

    #[test]
    fn nothing_multiplies_what_it_is_given() {
        for source in [
            "{{ 'a' * 1000000 }}",
            "{{ key ~ key }}",
            "{{ key + key }}",
            "{{ 9 ** 9 }}",
            "{{ 7 // 2 }}",
            "{{ {'a': key} }}",
            "{{ key[1:] }}",
            "{{ key | indent(2000000000, true) | length }}",
            "{{ key | replace('', key) }}",
            "{{ key | join(key) }}",
            "{{ links | batch(1000000, key) }}",
            "{{ '%1000000d' | format(1) }}",
            "{{ links | map('indent', 9999) }}",
            "{{ key | safe }}",
            "{% set a = 'a' %}{% set a = a %}",
            "{% set a %}x{% endset %}",
            "{% filter upper %}x{% endfilter %}",
            "{% with a = key %}{{ a }}{% endwith %}",
            "{% autoescape false %}{{ name }}{% endautoescape %}",
            "{% do key %}",
            "{% for link in links recursive %}{{ loop(links) }}{{ loop(links) }}{% endfor %}",
        ] {
            let problem = refused(source);
            assert!(problem.starts_with("in line 1 uses ") || problem.contains("has a loop"), "{source}: {problem}");
        }
    }

    #[test]
    fn nothing_nests_without_end() {
        let deep = |before: &str, middle: &str, behind: &str, times: usize| {
            format!("{}{middle}{}", before.repeat(times), behind.repeat(times))
        };
        for (source, problem) in [
            (format!("{{{{ {} key }}}}", "not ".repeat(20_000)), "has an expression of more than 500 bytes"),
            (format!("{{{{ {}key }}}}", "-".repeat(50_000)), "uses `-`"),
            (format!("{{{{ key{} }}}}", ".a".repeat(40_000)), "has an expression of more than 500 bytes"),
            (format!("{{{{ {} }}}}", deep("(", "key", ")", 40_000)), "has an expression of more than 500 bytes"),
            (deep("{% if key %}", "x", "{% endif %}", 21), "nests `if`, `elif` and `for` more than 20 deep"),
            (format!("{{% if a %}}{}{{% endif %}}", "{% elif a %}".repeat(5_000)), "nests `if`, `elif`"),
            ("x".repeat(BODY_BYTES_MAX + 1), "has 100001 bytes; 100000 is the most"),
        ] {
            assert!(refused(&source).contains(problem), "{}: {}", &source[..40], refused(&source));
        }
        assert_eq!(refused(&deep("{% if key %}", "x", "{% endif %}", 20)), "fine");
    }
}
