//! The suites that travel with the program.

use crate::coded::{self, Coded};
use crate::run::runner::Item;
use crate::suite::{self, SchemaErrors};

/// The files of a suite of data; several files make one suite.
const DATA: [(&str, &[(&str, &str)]); 4] = [
    ("gp", &[("gp.toml", include_str!("../suites/gp.toml"))]),
    ("scp03", &[("scp03.toml", include_str!("../suites/scp03.toml"))]),
    ("ara", &[("ara.toml", include_str!("../suites/ara.toml"))]),
    (
        "jpki",
        &[
            ("jpki-states.toml", include_str!("../suites/jpki-states.toml")),
            ("jpki-edge.toml", include_str!("../suites/jpki-edge.toml")),
            ("jpki-channel.toml", include_str!("../suites/jpki-channel.toml")),
            ("jpki-secrets.toml", include_str!("../suites/jpki-secrets.toml")),
        ],
    ),
];

/// Names of all suites, in the order in which they run.
pub const NAMES: [&str; 10] = ["gp", "scp03", "ara", "jpki", "omapi", "pcsc", "perf", "tear", "soak", "fuzz"];

/// What runs when no suite is named: everything that ends by itself and takes little time.
pub const DEFAULT: [&str; 8] = ["gp", "scp03", "ara", "jpki", "omapi", "pcsc", "perf", "tear"];

/// The suite of that name, or one of its files by its own (`jpki-edge`); several items where data and code make it up.
pub fn find(name: &str) -> Option<Result<Vec<Item>, SchemaErrors>> {
    let mut items = Vec::new();
    for (id, files) in DATA {
        for (file, text) in
            files.iter().filter(|(file, _)| id == name || file.strip_suffix(".toml") == Some(name))
        {
            match suite::read(file, text) {
                Ok(suite) => items.push(Item::Data(suite)),
                Err(errors) => return Some(Err(errors)),
            }
        }
    }
    items.extend(coded::ALL.iter().filter(|c: &&Coded| c.id == name).map(|c| Item::Code(*c)));
    (!items.is_empty()).then_some(Ok(items))
}
