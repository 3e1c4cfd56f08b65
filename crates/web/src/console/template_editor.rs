//! Writing a mail: its parts, what they may ask for, what comes of them, and what is wrong with them.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use delivery::{
    Transport,
    mail::{Language, LintError, Look as Preview, OwnTemplate, SOMEBODY, Sample, Variable, look_over},
};
use domain::{
    id::{LicenseId, MailId},
    member::Ability,
};
use engine::mail_templates::{OwnParts, TemplateChange};
use serde::Deserialize;

use super::{
    action::Sent,
    browser::see_other,
    entries::People,
    letters::{self, Finding, View, occasion, preview, tabs},
    place::{
        Place,
        to::{Configure, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
    tabs::Tab,
    templates::{Which, Whose, language_name},
    words::{When, capitalised, sentence},
};
use crate::Web;

/// What the editor begins with, and what is looked at.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(flatten)]
    whose: Whose,
    /// `built-in`: the bodies of the built-in mail.
    #[serde(default)]
    begin: String,
    #[serde(default)]
    license: String,
    #[serde(default)]
    view: String,
}

#[derive(Template)]
#[template(path = "console/mail_template.html")]
struct TemplatePage {
    shell: Shell,
    tabs: Vec<Tab>,
    name: String,
    occasion: &'static str,
    of_whom: String,
    /// Which version is used, in a sentence.
    used: String,
    /// The languages: address, name, whether it is this one.
    languages: Vec<(String, &'static str, bool)>,
    may_configure: bool,
    draft: Draft,
    /// What buyers read where a part is left empty.
    built_in: (String, String),
    findings: Vec<Finding>,
    /// What became of a test: whether it was taken, and the answer.
    answer: Option<(bool, String)>,
    variables: Vec<Variable>,
    versions: Vec<VersionRow>,
    paths: Paths,
    /// The address that a test goes to; none: there is no relay yet.
    test_to: Option<String>,
    license: String,
    view: View,
}

/// Where the editor's buttons and links lead.
struct Paths {
    preview: String,
    save: String,
    test: String,
    begin: String,
    remove: Option<String>,
    sender: String,
}

/// The parts as they stand in the form.
#[derive(Default)]
struct Draft {
    subject: String,
    intro: String,
    text: String,
    html: String,
}

impl From<OwnTemplate> for Draft {
    fn from(own: OwnTemplate) -> Self {
        let OwnTemplate { subject, intro, text, html } = own;
        let part = Option::unwrap_or_default;
        Self { subject: part(subject), intro: part(intro), text: part(text), html: part(html) }
    }
}

struct VersionRow {
    number: i32,
    path: String,
    restore: String,
    is_active: bool,
    who: String,
    when: When,
    /// Which parts it has.
    parts: String,
}

/// The parts that a form sent. Browsers end lines as mails do on the wire, and templates are kept as they are written.
fn sent_parts(sent: &Sent) -> OwnTemplate {
    let part = |name| sent.some(name).map(|text| text.replace("\r\n", "\n"));
    OwnTemplate { subject: part("subject"), intro: part("intro"), text: part("text"), html: part("html") }
}

/// `GET …/mails/templates/{kind}`.
pub(crate) async fn show(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, kind)): Path<(String, String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let which = Which::read(&web, &place, &kind, &asked.whose).await?;
    let saved = which.active().map(OwnTemplate::from).unwrap_or_default();
    let draft = if asked.begin == "built-in" {
        let OwnTemplate { subject, intro, .. } = saved;
        OwnTemplate { subject, intro, ..OwnTemplate::built_in() }
    } else {
        saved
    };
    Editor { which, draft, license: asked.license, view: View::of(&asked.view), findings: Vec::new(), answer: None }
        .page(&web, &place)
        .await
}

/// The editor with what is in it.
struct Editor {
    which: Which,
    draft: OwnTemplate,
    license: String,
    view: View,
    findings: Vec<LintError>,
    answer: Option<(bool, String)>,
}

impl Editor {
    /// What a form sent.
    fn sent(which: Which, sent: &Sent) -> Self {
        let (license, view) = (sent.get("license").to_owned(), View::of(sent.get("view")));
        Self { which, draft: sent_parts(sent), license, view, findings: Vec::new(), answer: None }
    }

    async fn page<A>(self, web: &Web, place: &Place<A>) -> Result<Response, Refusal> {
        let Self { which, draft, license, view, findings, answer } = self;
        let (kind, name) = (which.of.kind, letters::name(which.of.kind.as_str()));
        let product = which.product.as_ref().map(|row| row.code.as_str());
        let sample = Sample::new(kind, Some(which.language), SOMEBODY, web.engine.now());
        let sample = sample.of(&web.engine.store, place.whose().tenant, product).await?.ok_or(Refusal::NotFound)?;
        let variables = sample.variables().map_err(|error| Refusal::Failed(error.to_string()))?;
        let example = |name: &str| variables.iter().find(|it| it.name == name).map(|it| it.example.clone());
        let built_in = (example("subject").unwrap_or_default(), example("intro").unwrap_or_default());
        let people = People::of(web, place).await?;
        let extra = |begin: &str| format!("{}&{begin}", which.at(place, ""));
        let language = |language: Language| {
            let product = product.map(|code| format!("product={}&", super::refusal::encoded(code)));
            let query = format!("{}language={}", product.unwrap_or_default(), language.code());
            let path = place.at(&format!("mails/templates/{}?{query}", kind.as_str()));
            (path, language_name(language), language == which.language)
        };
        page(&TemplatePage {
            shell: Shell::new(web, place, "mails/templates", format!("{name} · Templates")).await?,
            tabs: tabs(place, "mails/templates"),
            occasion: occasion(kind),
            of_whom: capitalised(&which.of_whom()),
            used: used(&which, &people, web),
            languages: Language::ALL.map(language).to_vec(),
            may_configure: place.role.may(Ability::Configure),
            draft: draft.into(),
            built_in,
            findings: findings.iter().map(Finding::from).collect(),
            answer,
            versions: versions(&which, &people, web, place),
            paths: Paths {
                preview: which.at(place, "/preview"),
                save: which.at(place, "/save"),
                test: which.at(place, "/test"),
                begin: extra("begin=built-in"),
                remove: which.active().map(|_| which.at(place, "/remove")),
                sender: place.at("mails/sender"),
            },
            test_to: web.sender.as_ref().map(|_| place.who.member.email.clone()),
            variables,
            name,
            license,
            view,
        })
    }
}

fn used(which: &Which, people: &People, web: &Web) -> String {
    match (which.active(), which.stand_in) {
        (Some(row), _) => {
            let when = When::stored(row.created_at, web.engine.now());
            format!("Version {} is used; {} saved it {when}.", row.version, people.name(&row.actor))
        }
        (None, Some(version)) => format!("Version {version} of all products is used until this product has its own."),
        (None, None) => "The built-in mail is used.".to_owned(),
    }
}

fn versions<A>(which: &Which, people: &People, web: &Web, place: &Place<A>) -> Vec<VersionRow> {
    let row = |row: &store::rows::MailTemplate| {
        let own = OwnTemplate::from(row);
        let parts = own.parts().into_iter().filter(|(_, source)| source.is_some());
        let names: Vec<&str> = parts.map(|(part, _)| if part == "intro" { "first sentences" } else { part }).collect();
        VersionRow {
            number: row.version,
            path: which.at(place, &format!("/versions/{}", row.version)),
            restore: which.at(place, &format!("/versions/{}/restore", row.version)),
            is_active: row.active,
            who: people.name(&row.actor),
            when: When::stored(row.created_at, web.engine.now()),
            parts: names.join(", "),
        }
    };
    which.versions.iter().map(row).collect()
}

/// `GET …/mails/templates/{kind}/preview`: what is saved, in a frame.
pub(crate) async fn preview_saved(
    State(web): State<Web>,
    place: Place<Look>,
    Path((_, _, kind)): Path<(String, String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let which = Which::read(&web, &place, &kind, &asked.whose).await?;
    let rendered = rendered(&web, &place, &which, None, &asked.license).await?;
    preview(rendered, &[], View::of(&asked.view))
}

/// `POST …/mails/templates/{kind}/preview`: what is being written, in a frame. What does not work is shown as it is built in.
pub(crate) async fn preview_draft(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, kind)): Path<(String, String, String)>,
    Query(whose): Query<Whose>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let which = Which::read(&web, &place, &kind, &whose).await?;
    let mut draft = sent_parts(&sent);
    let is_empty = draft == OwnTemplate::default();
    let findings = if is_empty { Vec::new() } else { look_over(which.of.kind, draft.clone()).await };
    for finding in &findings {
        match finding.part {
            "subject" => draft.subject = None,
            "intro" => draft.intro = None,
            "html" => draft.html = None,
            _ => draft.text = None,
        }
    }
    // Where nothing is written and nothing was saved, buyers read what stands in.
    let draft = Some(draft).filter(|_| !is_empty || which.active().is_some());
    let rendered = rendered(&web, &place, &which, draft, sent.get("license")).await?;
    preview(rendered, &findings, View::of(sent.get("view")))
}

async fn rendered<A>(
    web: &Web,
    place: &Place<A>,
    which: &Which,
    own: Option<OwnTemplate>,
    license: &str,
) -> Result<Result<delivery::Rendered, String>, Refusal> {
    let license: Option<LicenseId> = match license.trim() {
        "" => None,
        text => match text.parse() {
            Ok(license) => Some(license),
            Err(_) => {
                return Ok(Err("A license is named by its id, such as lic_01k…; it stands on its page.".to_owned()));
            }
        },
    };
    let product = which.product.as_ref().map(|row| row.code.as_str());
    // The key is masked for everybody here: whoever may see it sees it on the page of the license.
    let look = Preview { kind: which.of.kind, language: Some(which.language), product, own, license, ring: None };
    match look.render(&web.engine.store, place.whose(), web.mail_from(), web.engine.now()).await {
        Ok(mail) => Ok(Ok(mail)),
        Err(error) => letters::unseen(error).map(Err),
    }
}

/// `POST …/mails/templates/{kind}/save`.
pub(crate) async fn save(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, kind)): Path<(String, String, String)>,
    Query(whose): Query<Whose>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let which = Which::read(&web, &place, &kind, &whose).await?;
    let mut editor = Editor::sent(which, &sent);
    editor.findings = look_over(editor.which.of.kind, editor.draft.clone()).await;
    if !editor.findings.is_empty() {
        return editor.page(&web, &place).await;
    }
    let OwnTemplate { subject, intro, text, html } = editor.draft;
    let change = TemplateChange::Save(OwnParts { subject, intro, text, html });
    let by = place.by(sent.get("note"));
    web.engine.change_mail_template(place.whose().tenant, &editor.which.of, &change, &by).await?;
    Ok(see_other(&format!("{}&said=template_saved", editor.which.at(&place, ""))))
}

/// `POST …/mails/templates/{kind}/test`: what is being written goes to whoever writes it, with an example.
pub(crate) async fn test(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, kind)): Path<(String, String, String)>,
    Query(whose): Query<Whose>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let which = Which::read(&web, &place, &kind, &whose).await?;
    let way = web.sender.as_ref().ok_or(Refusal::NotFound)?;
    let mut editor = Editor::sent(which, &sent);
    if editor.draft != OwnTemplate::default() {
        editor.findings = look_over(editor.which.of.kind, editor.draft.clone()).await;
    }
    if editor.findings.is_empty() {
        editor.answer = Some(tried(&web, &place, way, &editor.which, Some(editor.draft.clone())).await?);
    }
    editor.page(&web, &place).await
}

/// Sends an example to the member who is signed in, and to nobody else: whether it was taken, and what was said.
pub(crate) async fn tried<A>(
    web: &Web,
    place: &Place<A>,
    way: &Transport,
    which: &Which,
    own: Option<OwnTemplate>,
) -> Result<(bool, String), Refusal> {
    let (now, to) = (web.engine.now(), place.who.member.email.as_str());
    let product = which.product.as_ref().map(|row| row.code.as_str());
    let sample = Sample::new(which.of.kind, Some(which.language), (to, SOMEBODY.1), now);
    let mut sample = sample.of(&web.engine.store, place.whose().tenant, product).await?.ok_or(Refusal::NotFound)?;
    sample.own = own.or(sample.own);
    let id = MailId::new(now, &mut *web.engine.entropy());
    Ok(match sample.send(id, way).await {
        Ok(outcome) => match outcome.sentence(&way.name(), to) {
            Ok(said) => (true, sentence(&said)),
            Err(said) => (false, sentence(&said)),
        },
        Err(error) => (false, sentence(&error)),
    })
}
