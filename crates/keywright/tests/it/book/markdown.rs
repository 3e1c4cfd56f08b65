//! As much of Markdown as the book uses.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A page of the book, or a document beside it.
pub(super) struct Page {
    pub(super) path: PathBuf,
    text: String,
}

/// What stands between two fences.
pub(super) struct Block {
    /// The words behind the opening fence.
    pub(super) words: Vec<String>,
    pub(super) text: String,
    /// The line of the opening fence.
    pub(super) line: usize,
}

impl Block {
    pub(super) fn is(&self, word: &str) -> bool {
        self.words.iter().any(|known| known == word)
    }
}

impl Page {
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path: path.to_owned(), text }
    }

    /// The lines with their numbers, and whether each stands in a block. Fences are in none.
    fn lines(&self) -> impl Iterator<Item = (usize, &str, bool)> {
        let mut is_open = false;
        (1..).zip(self.text.lines()).filter_map(move |(number, line)| {
            let is_fence = line.trim_start().starts_with("```");
            is_open ^= is_fence;
            (!is_fence).then_some((number, line, is_open))
        })
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut is_open = false;
        for (line, text) in (1..).zip(self.text.lines()) {
            match (text.trim_start().strip_prefix("```"), is_open) {
                (Some(words), false) => {
                    let words = words.trim().split(',').map(str::to_owned).collect();
                    blocks.push(Block { words, text: String::new(), line });
                }
                (None, true) => blocks.iter_mut().last().unwrap().text += &format!("{text}\n"),
                _ => {}
            }
            is_open ^= text.trim_start().starts_with("```");
        }
        assert!(!is_open, "{}: a block is not closed", self.path.display());
        blocks
    }

    /// The addresses that it links to, with their lines.
    pub(super) fn links(&self) -> Vec<(usize, &str)> {
        let prose = self.lines().filter(|(_, _, in_block)| !in_block);
        prose
            .flat_map(|(number, line, _)| {
                line.split("](").skip(1).filter_map(move |rest| Some((number, rest.split_once(')')?.0)))
            })
            .collect()
    }

    /// What stands in single back-ticks, with its line.
    pub(super) fn spans(&self) -> Vec<(usize, &str)> {
        let prose = self.lines().filter(|(_, _, in_block)| !in_block);
        prose.flat_map(|(number, line, _)| line.split('`').skip(1).step_by(2).map(move |text| (number, text))).collect()
    }

    /// The lines of blocks that somebody would type, with their numbers.
    pub(super) fn typed(&self) -> Vec<(usize, &str)> {
        self.lines().filter(|(_, _, in_block)| *in_block).map(|(number, line, _)| (number, line)).collect()
    }

    fn headings(&self) -> impl Iterator<Item = &str> {
        let prose = self.lines().filter(|(_, _, in_block)| !in_block);
        prose.filter(|(_, line, _)| line.starts_with('#')).map(|(_, line, _)| line.trim_start_matches('#').trim())
    }

    /// Whether an address may name that part of it.
    pub(super) fn has_anchor(&self, anchor: &str) -> bool {
        self.headings().any(|heading| slug(heading) == anchor)
    }

    /// The rows of the tables under a heading, by what stands in their first cell between back-ticks.
    pub(super) fn rows(&self, heading: &str) -> Vec<(&str, &str)> {
        let prose: Vec<&str> = self.lines().filter(|(_, _, in_block)| !in_block).map(|(_, line, _)| line).collect();
        let mut under =
            prose.iter().skip_while(|line| line.trim_start_matches('#').trim() != heading || !line.starts_with('#'));
        assert!(under.next().is_some(), "{} has no heading `{heading}`", self.path.display());
        let under = under.take_while(|line| !line.starts_with('#'));
        under.filter_map(|line| Some((line.strip_prefix("| `")?.split_once('`')?.0, *line))).collect()
    }
}

/// A heading as addresses name it.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.flat_map(char::to_lowercase).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}
