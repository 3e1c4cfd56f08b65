//! The user a private server runs as: PostgreSQL refuses to run as root.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

/// Tried in this order.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// Another existing user without rights.
#[derive(Debug, PartialEq)]
pub(super) struct Account {
    name: String,
    user: u32,
    group: u32,
}

impl Account {
    /// Whom to run as: nobody else, unless we are root.
    pub(super) fn choose() -> anyhow::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let account = CANDIDATES.iter().find_map(|name| parse(&users, name));
        let problem = || {
            format!("PostgreSQL does not run as root, and /etc/passwd has none of the users {CANDIDATES:?}: add one")
        };
        account.with_context(problem).map(Some)
    }

    /// Lets a command run as this user.
    pub(super) fn apply(&self, command: &mut Command) {
        command.uid(self.user).gid(self.group).env("HOME", "/").env("USER", &self.name).env("LOGNAME", &self.name);
    }

    /// Makes this user the owner of a file or folder.
    pub(super) fn own(&self, path: &Path) -> anyhow::Result<()> {
        std::os::unix::fs::chown(path, Some(self.user), Some(self.group))
            .with_context(|| format!("cannot give {} to the user {}", path.display(), self.name))
    }
}

fn parse(users: &str, name: &str) -> Option<Account> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2).map(str::parse);
    let (user, group) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    (user != 0).then(|| Account { name: name.to_owned(), user, group })
}

#[cfg(test)]
mod tests {
    use super::{Account, parse};

    const USERS: &str =
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:nobody:/:/bin/false\npostgresql:x:7:8::/:\n";

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        assert_eq!(parse(USERS, "postgres"), None);
        assert_eq!(parse(USERS, "nobody"), Some(Account { name: "nobody".to_owned(), user: 65534, group: 65533 }));
    }

    #[test]
    fn root_by_another_name_is_not_taken() {
        assert_eq!(parse("nobody:x:0:0::/:", "nobody"), None);
    }
}
