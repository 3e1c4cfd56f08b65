//! Pages of the book, read here as they stand there, so that nothing is written twice: paragraphs, examples and tables of a
//! section.

/// A piece of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) is_code: bool,
}

/// A piece of a section.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// A paragraph.
    Text(Vec<Piece>),
    /// An example, and the language that it is in.
    Code {
        /// As behind the three marks: `sh`, `json`, `rust`.
        language: String,
        /// What stands in it.
        text: String,
    },
}

impl Block {
    /// The same with other names in it.
    pub(crate) fn with(self, change: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Code { language, text } => Self::Code { text: change(&text), language },
            Self::Text(pieces) => {
                let changed = |piece: Piece| Piece { text: change(&piece.text), ..piece };
                Self::Text(pieces.into_iter().map(changed).collect())
            }
        }
    }
}

/// The lines below a heading, up to the next heading of whatever level.
fn lines<'p>(page: &'p str, heading: &str) -> impl Iterator<Item = &'p str> {
    let below = page.lines().skip_while(move |line| *line != heading).skip(1);
    let mut is_code = false;
    below.take_while(move |line| {
        is_code ^= line.starts_with("```");
        is_code || !line.starts_with('#')
    })
}

/// A section of a page, by its whole heading: `## Activate`. Tables and lists are left out.
pub(crate) fn section(page: &str, heading: &str) -> Vec<Block> {
    let (mut blocks, mut words, mut code) = (Vec::new(), String::new(), None::<(String, Vec<&str>)>);
    for line in lines(page, heading).chain([""]) {
        match (&mut code, line.strip_prefix("```")) {
            (None, Some(marks)) => {
                let language = marks.split(',').next().unwrap_or_default().to_owned();
                code = Some((language, Vec::new()));
            }
            (Some(_), Some(_)) => {
                if let Some((language, lines)) = code.take() {
                    blocks.push(Block::Code { language, text: lines.join("\n") });
                }
            }
            (Some((_, lines)), None) => lines.push(line),
            (None, None) if line.is_empty() => {
                if !words.is_empty() && !words.starts_with(['|', '*']) {
                    blocks.push(Block::Text(pieces(&words)));
                }
                words.clear();
            }
            (None, None) => {
                if !words.is_empty() {
                    words.push(' ');
                }
                words.push_str(line.trim());
            }
        }
    }
    blocks
}

/// The rows of the table in a section, without its head: the cells of each.
pub(crate) fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let rows = lines(page, heading).filter(|line| line.starts_with('|')).skip(2);
    let cell = |cell: &str| cell.trim().replace('`', "");
    rows.map(|line| line.trim_matches('|').split('|').map(cell).collect()).collect()
}

/// A line with its code set apart. Of links and emphasis the words stay.
pub(crate) fn pieces(line: &str) -> Vec<Piece> {
    let pieces = line.split('`').enumerate().filter(|(_, text)| !text.is_empty());
    let piece = |(index, text): (usize, &str)| match index % 2 {
        1 => Piece { text: text.to_owned(), is_code: true },
        _ => Piece { text: without_links(text).replace("**", "").replace('*', ""), is_code: false },
    };
    pieces.map(piece).collect()
}

fn without_links(text: &str) -> String {
    let Some((before, rest)) = text.split_once('[') else { return text.to_owned() };
    let link = rest.split_once("](").and_then(|(words, rest)| Some((words, rest.split_once(')')?.1)));
    match link {
        Some((words, rest)) => format!("{before}{words}{}", without_links(rest)),
        None => format!("{before}[{}", without_links(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Page\n\n## One\n\nA `code` and\na [link](x.md#y).\n\n```sh,run\n# no heading\ncurl\n```\n\n\
        | a | b |\n|---|---|\n| `x` | 1 |\n\n## Two\n\nB.\n";

    #[test]
    fn a_section_is_read_as_it_stands() {
        let piece = |text: &str, is_code| Piece { text: text.to_owned(), is_code };
        let code = Block::Code { language: "sh".to_owned(), text: "# no heading\ncurl".to_owned() };
        let words = Block::Text(vec![piece("A ", false), piece("code", true), piece(" and a link.", false)]);
        assert_eq!(section(PAGE, "## One"), [words, code]);
        assert_eq!(section(PAGE, "## Two"), [Block::Text(vec![piece("B.", false)])]);
        assert_eq!(section(PAGE, "## Three"), []);
        assert_eq!(table(PAGE, "## One"), [["x", "1"]]);
    }
}
