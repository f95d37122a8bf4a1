//! The second opinion: the `openssl` program looks at files we wrote.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a check by openssl came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// It accepts.
    Accepted,
    /// It refuses, with its own words.
    Refused(String),
    /// There is no such program here; nothing was checked.
    NotInstalled,
}

/// Runs `openssl` in `directory`; exit 0 is acceptance.
pub fn check(directory: &Path, arguments: &[&str]) -> io::Result<Opinion> {
    let output = Command::new("openssl").args(arguments).current_dir(directory).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(Opinion::Accepted),
        Ok(output) => Ok(Opinion::Refused(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Opinion::NotInstalled),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_openssl_s_words() {
        let directory = std::env::temp_dir();
        match check(&directory, &["x509", "-in", "no-such-file-here"]).unwrap() {
            Opinion::Refused(words) => assert!(words.contains("no-such-file-here"), "{words}"),
            Opinion::NotInstalled => eprintln!("SKIP: the openssl program is not installed"),
            Opinion::Accepted => panic!("openssl accepts a file that is not there"),
        }
    }
}
