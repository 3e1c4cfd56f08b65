//! Commands whose output nobody reads (`keywright doctor | head -0`).

use std::process::Stdio;

use crate::process::keywright;

#[test]
fn a_command_whose_output_is_closed_does_its_work_all_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = keywright();
    command.args(["doctor", "--verify", "--data-dir"]).arg(folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}
