//! Versions of what a vendor wrote for a mail: how they differ, having one count again, and going back to the built-in mail.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use delivery::mail::OwnTemplate;
use domain::member::Ability;
use engine::mail_templates::TemplateChange;
use similar::{ChangeTag, TextDiff};

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    entries::People,
    letters::{name, tabs},
    place::{
        Place,
        to::{Configure, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
    tabs::Tab,
    templates::{Which, Whose},
    words::When,
};
use crate::Web;

/// Lines that are the same and stand around what differs.
const CONTEXT_LINES: usize = 3;

#[derive(Template)]
#[template(path = "console/mail_template_version.html")]
struct VersionPage {
    shell: Shell,
    tabs: Vec<Tab>,
    name: String,
    of_whom: String,
    number: i32,
    who: String,
    when: When,
    is_active: bool,
    /// What it is compared with.
    beside: String,
    parts: Vec<Part>,
    back: String,
    /// Where it is made to count again; none: it counts, or the member may not.
    restore: Option<String>,
}

/// A part that differs.
struct Part {
    name: &'static str,
    /// `gone`, `new`, `same` or `skipped`, and the text.
    lines: Vec<(&'static str, String)>,
}

/// What differs between two texts, line by line, with some of what is the same around it.
fn difference(before: &str, after: &str) -> Vec<(&'static str, String)> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(CONTEXT_LINES) {
        if !lines.is_empty() {
            lines.push(("skipped", "⋯".to_owned()));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let kind = match change.tag() {
                ChangeTag::Delete => "gone",
                ChangeTag::Insert => "new",
                ChangeTag::Equal => "same",
            };
            lines.push((kind, change.value().trim_end_matches('\n').to_owned()));
        }
    }
    lines
}

fn part_name(part: &str) -> &'static str {
    match part {
        "subject" => "Subject",
        "intro" => "First sentences",
        "text" => "Text",
        _ => "HTML",
    }
}

/// `GET …/mails/templates/{kind}/versions/{number}`: beside the one that counts, or, if it counts, beside the one before it.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, kind, number)): Path<(String, String, String, String)>,
    Query(whose): Query<Whose>,
) -> Result<Response, Refusal> {
    let which = Which::read(&web, &place, &kind, &whose).await?;
    let row = which.version(&number)?;
    let earlier = || which.versions.iter().find(|other| other.version < row.version);
    let (other, beside) = match which.active().filter(|active| active.version != row.version) {
        Some(active) => (Some(active), format!("beside version {}, which is used", active.version)),
        None => match earlier() {
            Some(before) => (Some(before), format!("beside version {}", before.version)),
            None => (None, "beside nothing: it is the first one".to_owned()),
        },
    };
    let (own, other) = (OwnTemplate::from(row), other.map(OwnTemplate::from).unwrap_or_default());
    let parts =
        own.parts().into_iter().zip(other.parts()).filter(|((_, one), (_, two))| one.is_some() || two.is_some());
    let parts = parts.map(|((part, new), (_, old))| Part {
        name: part_name(part),
        lines: difference(old.unwrap_or_default(), new.unwrap_or_default()),
    });
    let name = name(which.of.kind.as_str());
    let may_restore = place.role.may(Ability::Configure) && !row.active;
    page(&VersionPage {
        shell: Shell::new(&web, &place, "mails/templates", format!("Version {number} · {name}")).await?,
        tabs: tabs(&place, "mails/templates"),
        of_whom: which.of_whom(),
        number: row.version,
        who: People::of(&web, &place).await?.name(&row.actor),
        when: When::stored(row.created_at, web.engine.now()),
        is_active: row.active,
        beside,
        parts: parts.filter(|part| !part.lines.is_empty()).collect(),
        back: which.at(&place, ""),
        restore: may_restore.then(|| which.at(&place, &format!("/versions/{number}/restore"))),
        name,
    })
}

fn restoring<A>(which: &Which, place: &Place<A>, number: &str) -> Question {
    Question::new(format!("Have version {number} used again"), "Use it again", which.at(place, ""))
        .says(format!("From now on this mail says what version {number} says, {}.", which.of_whom()))
        .says("The other versions stay. Mails that went out are not changed.")
        .asks(Field::reason())
}

/// `GET …/mails/templates/{kind}/versions/{number}/restore`.
pub(crate) async fn restore_form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, kind, number)): Path<(String, String, String, String)>,
    Query(whose): Query<Whose>,
) -> Result<Response, Refusal> {
    let which = Which::read(&web, &place, &kind, &whose).await?;
    which.version(&number)?;
    restoring(&which, &place, &number).page(&web, &place, "mails/templates", None).await
}

/// `POST …/mails/templates/{kind}/versions/{number}/restore`.
pub(crate) async fn restore(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, kind, number)): Path<(String, String, String, String)>,
    Query(whose): Query<Whose>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let which = Which::read(&web, &place, &kind, &whose).await?;
    let change = TemplateChange::Restore(which.version(&number)?.version);
    changed(&web, &place, &which, &change, sent.get("note"), "template_saved").await
}

/// `GET …/mails/templates/{kind}/remove`.
pub(crate) async fn remove_form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, kind)): Path<(String, String, String)>,
    Query(whose): Query<Whose>,
) -> Result<Response, Refusal> {
    let which = Which::read(&web, &place, &kind, &whose).await?;
    which.active().ok_or(Refusal::NotFound)?;
    let instead = match which.stand_in {
        Some(version) => format!("this mail says what version {version} of all products says"),
        None => "this mail is as it is built in".to_owned(),
    };
    Question::new("Go back", "Go back", which.at(&place, ""))
        .says(format!("From now on {instead}, {}.", which.of_whom()))
        .says("Your versions stay, and each can be used again.")
        .asks(Field::reason())
        .page(&web, &place, "mails/templates", None)
        .await
}

/// `POST …/mails/templates/{kind}/remove`.
pub(crate) async fn remove(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, kind)): Path<(String, String, String)>,
    Query(whose): Query<Whose>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let which = Which::read(&web, &place, &kind, &whose).await?;
    changed(&web, &place, &which, &TemplateChange::Remove, sent.get("note"), "template_removed").await
}

async fn changed(
    web: &Web,
    place: &Place<Configure>,
    which: &Which,
    change: &TemplateChange,
    note: &str,
    said: &str,
) -> Result<Response, Refusal> {
    let by = place.by(note);
    let row = web.engine.change_mail_template(place.whose().tenant, &which.of, change, &by).await?;
    row.ok_or(Refusal::NotFound)?;
    Ok(see_other(&format!("{}&said={said}", which.at(place, ""))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_with_what_stands_around_it() {
        let shown = |before, after| -> Vec<String> {
            difference(before, after).into_iter().map(|(kind, text)| format!("{kind} {text}")).collect()
        };
        assert_eq!(shown("a\nb\n", "a\nb\n"), [] as [String; 0]);
        assert_eq!(shown("", "a"), ["new a"]);
        assert_eq!(shown("a\nb\nc", "a\nB\nc"), ["same a", "gone b", "new B", "same c"]);
        let (before, after) = ("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "one\n2\n3\n4\n5\n6\n7\n8\nnine\n");
        let lines = shown(before, after);
        assert_eq!(lines.iter().filter(|line| line.starts_with("skipped")).count(), 1, "{lines:#?}");
    }
}
