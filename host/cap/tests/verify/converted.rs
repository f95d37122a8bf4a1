//! What the converter makes of the feature packages keeps all the rules, the package's own export file included.

use std::collections::BTreeSet;

use jpkise_cap::convert::{convert_all, ConvertOptions};
use jpkise_cap::exports::{ExportSet, Platform};
use jpkise_cap::model::Cap;
use jpkise_cap::verify::{verify, Rule};

use crate::support;

fn options(package: &str, number: usize, target: Platform) -> ConvertOptions {
    let mut options = support::options(package);
    options.aid = format!("D276000177AA{number:02X}").parse().unwrap();
    options.int = package == "integers";
    options.debug = number % 2 == 0;
    options.target = target;
    options
}

#[test]
fn what_the_converter_makes_is_accepted() {
    if !support::has_javac() {
        return;
    }
    let sources: Vec<(String, String)> = support::sources("features").into_iter().collect();
    let packages: BTreeSet<&str> = sources.iter().map(|(path, _)| path.split('/').next().unwrap()).collect();
    for (release, target) in [(8, Platform::V3_0_4), (11, Platform::V3_0_5), (17, Platform::V3_0_4)] {
        let classes = support::javac(&format!("verified-{release}"), release, &sources).unwrap();
        let all: Vec<ConvertOptions> =
            packages.iter().enumerate().map(|(number, package)| options(package, number, target)).collect();
        let converted = convert_all(&classes, &all).unwrap_or_else(|e| panic!("{}", support::lines(&e)));
        let mut exports = ExportSet::any_platform();
        for made in converted {
            exports.add(made.exp.clone());
            let cap = Cap::read(&made.cap.to_jar().unwrap()).unwrap();
            // Nest mates use each other's private members from release 11 on; that is all there may be to say.
            let mut found = verify(&cap, &exports);
            found.retain(|f| release < 11 || f.rule != Rule::AccessPrivate);
            assert!(found.is_empty(), "release {release}, {}: {found:#?}", made.exp.name);
        }
    }
}
