//! Styles, scripts and icons: in the binary, under names that change with their content.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

const STYLES: &str = concat!(
    include_str!("../../assets/tokens.css"),
    include_str!("../../assets/base.css"),
    include_str!("../../assets/components.css"),
    include_str!("../../assets/pages.css"),
    include_str!("../../assets/simulator.css"),
);
const SCRIPT: &str = include_str!("../../assets/console.js");
const AGAIN: &str = include_str!("../../assets/again.js");
const FAVICON: &str = include_str!("../../assets/favicon.svg");
const ICONS: &str = include_str!("../../assets/icons.svg");

/// A file, its name in addresses, and its type.
struct Asset {
    path: String,
    kind: &'static str,
    text: &'static str,
}

static ASSETS: LazyLock<[Asset; 5]> = LazyLock::new(|| {
    [
        asset("console", "css", "text/css; charset=utf-8", STYLES),
        asset("console", "js", "text/javascript; charset=utf-8", SCRIPT),
        asset("icons", "svg", "image/svg+xml", ICONS),
        asset("favicon", "svg", "image/svg+xml", FAVICON),
        asset("again", "js", "text/javascript; charset=utf-8", AGAIN),
    ]
});

fn asset(name: &str, extension: &str, kind: &'static str, text: &'static str) -> Asset {
    let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..9]);
    Asset { path: format!("/assets/{name}-{digest}.{extension}"), kind, text }
}

/// The address of all styles.
pub(crate) fn styles() -> &'static str {
    &ASSETS[0].path
}

/// The address of the script.
pub(crate) fn script() -> &'static str {
    &ASSETS[1].path
}

/// The address of all icons, each a symbol in one picture.
pub(crate) fn icons() -> &'static str {
    &ASSETS[2].path
}

/// The names of all icons.
pub(crate) fn icon_names() -> Vec<&'static str> {
    ICONS.split("<symbol id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The address of the picture in the tab.
pub(crate) fn favicon() -> &'static str {
    &ASSETS[3].path
}

/// The address of the script of pages that show how far something is.
pub(crate) fn again() -> &'static str {
    &ASSETS[4].path
}

/// `GET /assets/{name}`.
pub(crate) async fn get(Path(name): Path<String>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.path.strip_prefix("/assets/") == Some(&name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        // Another content has another name.
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, asset.text).into_response()
}
