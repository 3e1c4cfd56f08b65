//! What a mail program makes of an HTML: whether something in it runs, and what of it is there to be read.
//!
//! It is taken apart as a browser takes it apart. Only elements are let through that neither run anything nor change how
//! the rest is read, so the parts are those that a browser sees.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

/// The elements that a mail may have.
const ELEMENTS: &str = "a abbr address article aside b big blockquote body br caption center cite code col colgroup dd \
    del div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 head header hr html i img ins kbd li main mark meta nav ol p pre \
    q s samp section small span strike strong style sub sup table tbody td tfoot th thead time title tr tt u ul var \
    wbr";
/// Elements without an end.
const VOID: [&str; 6] = ["br", "col", "hr", "img", "meta", "wbr"];
/// Elements whose text is not for reading.
const UNREAD: [&str; 2] = ["style", "title"];
/// Attributes that are addresses.
const ADDRESSES: [&str; 5] = ["background", "cite", "href", "longdesc", "src"];
/// Where addresses may lead. Those without a scheme lead nowhere in a mail, and do nothing.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];

/// The text that is there to be read: none of comments, titles, styles and elements that are hidden by what they are or by
/// their own style. What a style sheet hides is not known here.
///
/// # Errors
/// What in it runs, or could: in words for whoever wrote it.
pub(super) fn text_shown(html: &str) -> Result<String, String> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let (mut shown, mut hidden) = (Vec::with_capacity(html.len()), None::<Hidden>);
    for token in Tokenizer::new_with_emitter(html, emitter) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                check(&name, &tag)?;
                match &mut hidden {
                    Some(hidden) if hidden.name == name => hidden.depth += 1,
                    None if is_hidden(&name, &tag) => hidden = Some(Hidden { name, depth: 1 }),
                    _ => {}
                }
            }
            Token::EndTag(tag) => {
                if let Some(open) = hidden.as_mut().filter(|hidden| hidden.name.as_bytes() == tag.name.as_slice()) {
                    open.depth -= 1;
                }
                hidden = hidden.filter(|hidden| hidden.depth > 0);
            }
            Token::String(text) if hidden.is_none() => shown.extend_from_slice(&text),
            _ => {}
        }
    }
    Ok(String::from_utf8_lossy(&shown).into_owned())
}

/// An element that is not shown, and how many of its name are open.
struct Hidden {
    name: String,
    depth: usize,
}

fn check(name: &str, tag: &StartTag<()>) -> Result<(), String> {
    if !ELEMENTS.split_whitespace().any(|known| known == name) {
        let element = told(name).map_or_else(|| "an element".to_owned(), |name| format!("a `<{name}>`"));
        return Err(format!("has {element} that mail programs do not show or filters distrust; take it out"));
    }
    for (attribute, value) in &tag.attributes {
        let attribute = String::from_utf8_lossy(attribute);
        if attribute.starts_with("on") || attribute == "http-equiv" {
            let attribute = told(&attribute).map_or_else(|| "an attribute".to_owned(), |name| format!("an `{name}`"));
            return Err(format!("has {attribute} that could run something; take it out"));
        }
        if ADDRESSES.contains(&attribute.as_ref()) && scheme(value).is_some_and(|it| !SCHEMES.contains(&it.as_str())) {
            return Err(format!("has an address that starts with none of {}; take it out", SCHEMES.join(", ")));
        }
    }
    Ok(())
}

/// A name, unless it could be a value of the mail: one of them is the key.
fn told(name: &str) -> Option<&str> {
    name.bytes().all(|byte| byte.is_ascii_lowercase()).then_some(name)
}

/// What stands before the colon of an address. Blanks and control characters are not seen by browsers.
fn scheme(address: &[u8]) -> Option<String> {
    let address = String::from_utf8_lossy(address);
    let seen: String = address.chars().filter(|symbol| !symbol.is_whitespace() && !symbol.is_control()).collect();
    let (scheme, _) = seen.split_once(':')?;
    (!scheme.contains(['/', '?', '#'])).then(|| scheme.to_ascii_lowercase())
}

fn is_hidden(name: &str, tag: &StartTag<()>) -> bool {
    let attribute = |name: &str| tag.attributes.get(name.as_bytes()).map(|value| String::from_utf8_lossy(value));
    let by_style = || attribute("style").is_some_and(|style| style.to_ascii_lowercase().split(';').any(shows_nothing));
    !VOID.contains(&name) && (UNREAD.contains(&name) || attribute("hidden").is_some() || by_style())
}

/// Whether a declaration of a style hides.
fn shows_nothing(declaration: &str) -> bool {
    let Some((property, value)) = declaration.split_once(':') else { return false };
    let value = value.trim().trim_end_matches("!important").trim_end();
    let number = value.trim_end_matches(|symbol: char| symbol.is_ascii_alphabetic() || symbol == '%');
    match property.trim() {
        "display" => value == "none",
        "visibility" => value == "hidden" || value == "collapse",
        "font-size" | "max-height" | "max-width" | "opacity" => number.parse::<f64>().is_ok_and(|number| number == 0.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_to_be_read_is_read() {
        for (html, shown) in [
            ("<!doctype html><html><body><p class=x>A<br>B &amp; C</p></body></html>", "AB & C"),
            ("<!-- A --><title>A</title><STYLE>A</STYLE><b title='A' hidden>A</b>B", "B"),
            ("<div style='color: red; DISPLAY : none !important'>A<div>A</div>A</div>B", "B"),
            ("<p style='font-size:0px'>A</p><p style='opacity:0'>A</p><p style='max-height:0'>A</p>B", "B"),
            ("<p style='font-size:0.9em; opacity:0.5; max-height:10px; display:block'>B</p>", "B"),
            ("<img style='display:none'>B<i style='visibility:hidden'>A</i>", "B"),
            ("<title></style>A</title><style></title>A</style>B", "B"),
        ] {
            assert_eq!(text_shown(html).as_deref(), Ok(shown), "{html}");
        }
    }

    #[test]
    fn nothing_runs() {
        for (html, problem) in [
            ("<SCRIPT>alert(1)</SCRIPT>", "has a `<script>`"),
            ("<img/onerror=alert(1) src=x>", "has an `onerror`"),
            ("<svg/onload=alert(1)>", "has a `<svg>`"),
            ("<b onclick = \"x\">", "has an `onclick`"),
            ("<b\nOnClick\n=\nx>", "has an `onclick`"),
            ("<a href=\"java&#115;cript:alert(1)\">", "has an address"),
            ("<a href=' java\tscript&colon;alert(1)'>", "has an address"),
            ("<a href='data:text/html,x'>", "has an address"),
            ("<td background='vbscript:x'>", "has an address"),
            ("<meta http-equiv=refresh content='0;url=x'>", "has an attribute"),
            ("<iframe srcdoc='x'>", "has a `<iframe>`"),
            ("<form action=x>", "has a `<form>`"),
            ("<base href=x>", "has a `<base>`"),
            ("<math><style><img src=x onerror=x></style></math>", "has a `<math>`"),
            ("<title><b></title><u onfocus=x>", "has an `onfocus`"),
            ("<style><!-- </style><u onfocus=x> -->", "has an `onfocus`"),
            ("<!--><u onfocus=x>-->", "has an `onfocus`"),
            ("<acme-7f3k-9xym>", "has an element that"),
        ] {
            let told = text_shown(html).unwrap_err();
            assert!(told.starts_with(problem), "{html}: {told}");
        }
        for fine in [
            "<a href='https://acme.test/a:b'>A</a><a href='mailto:help@acme.test'>A</a><a href='tel:+49'>A</a>",
            "<a href='/path:a'>A</a><a href='#a:b'>A</a><img src='http://acme.test/logo.png' alt='on'>",
            "<p>onclick = javascript: &lt;script&gt;</p>",
        ] {
            assert!(text_shown(fine).is_ok(), "{fine}");
        }
    }
}
