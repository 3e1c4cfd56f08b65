//! The files that are shipped for `keywright apply` (X14).

use std::path::Path;

use crate::process::Installation;

#[test]
fn every_sample_applies_and_twice_changes_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let mut samples: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.sort();
    assert!(samples.len() >= 3, "{samples:?}");
    for sample in samples {
        let secrets = [
            ("STRIPE_WEBHOOK_SECRET", "whsec_1"),
            ("STRIPE_SECRET_KEY", "rk_test_1"),
            ("PADDLE_WEBHOOK_SECRET", "pdl_ntfset_1"),
            ("PADDLE_API_KEY", "pdl_sdbx_apikey_1"),
        ];
        let secrets = secrets.map(|(name, value)| (name, value.to_owned()));
        let installation = Installation::with(secrets.into());
        let file = sample.to_str().unwrap();
        let first = installation.run(&["apply", file]);
        assert!(first.status.success() && first.text().contains("created"), "{file}: {first:?}");
        let again = installation.run(&["apply", file]);
        let is_unchanged = !again.text().contains("created") && !again.text().contains("changed ");
        assert!(again.status.success() && is_unchanged, "{file}: {again:?}");
    }
}
