//! What commands print.

use std::{fmt, io::Write};

/// Prints a line, as `println!` does. Nobody may be reading any more (`keywright serve | head`); then the work goes on.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::output::line(format_args!($($text)*))
    };
}

pub(crate) use say;

/// So many of something.
pub(crate) fn counted<Count: fmt::Display + PartialEq + From<u8>>(count: Count, noun: &str) -> String {
    if count == Count::from(1) { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// What [`say!`] does.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    // Whoever closed the output does not want to hear of it.
    let _ = writeln!(std::io::stdout(), "{text}");
}
