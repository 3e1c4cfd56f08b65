//! Pages and lists that stand beside each other.

use super::place::Place;

/// One of them.
pub(crate) struct Tab {
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) is_here: bool,
}

/// The pages of a section, each by its path and name, seen from one of them.
pub(crate) fn tabs<A>(place: &Place<A>, pages: &[(&str, &str)], here: &str) -> Vec<Tab> {
    let tab = |&(path, name): &(&str, &str)| Tab { path: place.at(path), name: name.to_owned(), is_here: path == here };
    pages.iter().map(tab).collect()
}
