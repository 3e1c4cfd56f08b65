//! Styles, scripts and icons: in the binary, under names that change with their content.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const STYLES: &str = concat!(
    include_str!("../../assets/tokens.css"),
    include_str!("../../assets/base.css"),
    include_str!("../../assets/components.css"),
    include_str!("../../assets/pages.css"),
    include_str!("../../assets/mail.css"),
    include_str!("../../assets/charts.css"),
    include_str!("../../assets/developers.css"),
    include_str!("../../assets/simulator.css"),
);
const ICONS: &str = include_str!("../../assets/icons.svg");

/// A file, its address, and its type.
struct Asset {
    path: String,
    kind: &'static str,
    text: &'static str,
}

/// Each file: what gives its address, and its name there, its type, and what is in it.
macro_rules! assets {
    ($($(#[doc = $doc:literal])* $name:ident = $file:literal, $kind:expr, $text:expr;)*) => {
        struct Assets { $($name: Asset,)* }

        static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets { $($name: asset($file, $kind, $text),)* });

        $($(#[doc = $doc])* pub(crate) fn $name() -> &'static str {
            &ASSETS.$name.path
        })*

        fn at(path: &str) -> Option<&'static Asset> {
            [$(&ASSETS.$name,)*].into_iter().find(|asset| asset.path == path)
        }
    };
}

assets! {
    /// The address of all styles.
    styles = "console.css", CSS, STYLES;
    /// The address of the script of all pages.
    script = "console.js", JAVASCRIPT, include_str!("../../assets/console.js");
    /// The address of all icons, each a symbol in one picture.
    icons = "icons.svg", SVG, ICONS;
    /// The address of the picture in the tab.
    favicon = "favicon.svg", SVG, include_str!("../../assets/favicon.svg");
    /// The address of the script that shows what is being written.
    preview = "preview.js", JAVASCRIPT, include_str!("../../assets/preview.js");
    /// The address of the script that keeps pages as things are, and shows how far something is.
    live = "live.js", JAVASCRIPT, include_str!("../../assets/live.js");
    /// The address of the script of pages with passkeys.
    passkeys = "passkeys.js", JAVASCRIPT, include_str!("../../assets/passkeys.js");
}

fn asset(file: &str, kind: &'static str, text: &'static str) -> Asset {
    let digest = URL_SAFE_NO_PAD.encode(&Sha256::digest(text)[..9]);
    let (name, extension) = file.split_once('.').unwrap_or((file, ""));
    Asset { path: format!("/assets/{name}-{digest}.{extension}"), kind, text }
}

/// The names of all icons.
pub(crate) fn icon_names() -> Vec<&'static str> {
    ICONS.split("<symbol id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// `GET /assets/{name}`.
pub(crate) async fn get(Path(name): Path<String>) -> Response {
    let Some(asset) = at(&format!("/assets/{name}")) else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        // Another content has another name.
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, asset.text).into_response()
}
