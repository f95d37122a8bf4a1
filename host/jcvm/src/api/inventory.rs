//! What of the API is there, as `docs/jcvm.md` lists it: made from the tables, so that the page cannot be wrong.
//! `UPDATE_DOCS=1` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jpkise_cap::exports::{
    acc, embedded, embedded_versions, ExportClass, ExportMethod, ExportPackage, Platform,
};

use super::key::Family;
use super::{absent, cipher, natives, signature, HIDDEN};
use crate::crypto::HashAlgorithm;

const PLATFORM: Platform = Platform::V3_2_0;
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/jcvm.md");
const START: &str =
    "<!-- made from the tables: UPDATE_DOCS=1 cargo test -p jpkise-jcvm --lib inventory -->\n";
const END: &str = "<!-- end -->\n";

/// The packages a card shows, in the versions of the newest release.
fn packages() -> Vec<&'static ExportPackage> {
    let names: BTreeSet<&str> =
        natives().keys().filter_map(|(class, _)| Some(class.rsplit_once('/')?.0)).collect();
    let version = |name: &str| PLATFORM.version_of(name).or_else(|| embedded_versions(name).last());
    names.into_iter().filter_map(|name| embedded(name, version(name)?)).collect()
}

/// Whether the runtime has objects of this interface or abstract class itself.
fn is_ours(class: &ExportClass) -> bool {
    HIDDEN.iter().any(|hidden| {
        hidden.superclass == class.name || hidden.interfaces.iter().any(|name| *name == class.name)
    })
}

fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn classes(text: &mut String) {
    text.push_str("| package | classes of which everything is there | in part (without) | types only, or nothing |\n|---|---|---|---|\n");
    let natives: BTreeSet<(&str, &str)> = natives().into_keys().collect();
    let absent: BTreeSet<(&str, &str)> = absent::METHODS.iter().map(|row| (row.0, row.1)).collect();
    let natives: BTreeSet<_> = natives.difference(&absent).copied().collect();
    for package in packages() {
        let (mut whole, mut part, mut none) = (Vec::new(), Vec::new(), Vec::new());
        for class in &package.classes {
            // The tables list what is inherited again.
            let owners = || [&class.name].into_iter().chain(&class.supers).chain(&class.interfaces);
            let has = |name: &str, descriptor: &str| {
                let signature = format!("{name}{descriptor}");
                owners().any(|owner| natives.contains(&(owner.as_str(), signature.as_str())))
            };
            let own = |m: &ExportMethod| {
                let signature = format!("{}{}", m.name, m.descriptor);
                natives.contains(&(class.name.as_str(), signature.as_str()))
            };
            // What is abstract and of no class of ours is for applets to write.
            let wanted = class.methods.iter().filter(|m| m.access & acc::ABSTRACT == 0 || is_ours(class));
            // The constructors of abstract classes that only we extend are called by nobody.
            let wanted: Vec<_> = wanted.filter(|m| !(m.name == "<init>" && is_ours(class))).collect();
            let called = |m: &ExportMethod| {
                let overloads = class.methods.iter().filter(|other| other.name == m.name).count();
                let parameters = m.descriptor.split(')').next().unwrap_or_default();
                match (m.name.as_str(), overloads) {
                    ("<init>", _) => "a constructor".to_owned(),
                    (name, 1) => name.to_owned(),
                    (name, _) => format!("{name}{parameters})"),
                }
            };
            let missing: BTreeSet<String> =
                wanted.iter().filter(|m| !has(&m.name, &m.descriptor)).map(|m| called(m)).collect();
            let name = short(&class.name);
            let exception = name.ends_with("Exception") || name == "Throwable";
            if !is_ours(class) && !exception && !wanted.iter().any(|m| own(m)) {
                none.push(name.to_owned());
            } else if missing.is_empty() {
                whole.push(name.to_owned());
            } else {
                let missing: Vec<String> = missing.into_iter().collect();
                part.push(format!("{name} ({})", missing.join(", ")));
            }
        }
        for list in [&mut whole, &mut part, &mut none] {
            list.sort();
        }
        let [whole, part, none] = [whole, part, none].map(|list| list.join(", "));
        let _ = writeln!(
            text,
            "| {} {} | {whole} | {part} | {none} |",
            package.name.replace('/', "."),
            package.version
        );
    }
}

/// Constants of a class with this prefix: name and value.
fn constants(class: &str, prefix: &str) -> Vec<(String, i32)> {
    let all = packages();
    let class = all.iter().find_map(|p| p.class(class)).unwrap();
    let field = |f: &jpkise_cap::exports::ExportField| Some((f.name.clone(), f.constant?));
    class.fields.iter().filter(|f| f.name.starts_with(prefix)).filter_map(field).collect()
}

/// Whether an algorithm is there.
type Rule = fn(i8) -> bool;

fn algorithms(text: &mut String) {
    text.push_str("\n| class | there | throws NO_SUCH_ALGORITHM |\n|---|---|---|\n");
    let rows: [(&str, &str, &str, Rule); 5] = [
        ("MessageDigest", "javacard/security/MessageDigest", "ALG_", |n| {
            HashAlgorithm::from_number(n).is_some()
        }),
        ("Signature", "javacard/security/Signature", "ALG_", |n| signature::SCHEMES.iter().any(|r| r.0 == n)),
        ("Cipher", "javacardx/crypto/Cipher", "ALG_", |n| cipher::SCHEMES.iter().any(|r| r.0 == n)),
        ("RandomData", "javacard/security/RandomData", "ALG_", |n| (1..=6).contains(&n)),
        ("KeyBuilder", "javacard/security/KeyBuilder", "TYPE_", |n| Family::of_type(n).is_some()),
    ];
    for (name, class, prefix, there) in rows {
        let (mut yes, mut no) = (Vec::new(), Vec::new());
        for (constant, value) in constants(class, prefix) {
            let constant = constant.trim_start_matches(prefix).to_owned();
            if i8::try_from(value).is_ok_and(there) {
                yes.push(constant);
            } else {
                no.push(constant);
            }
        }
        let _ = writeln!(text, "| {name}.{prefix}… | {} | {} |", yes.join(", "), no.join(", "));
    }
    text.push_str("\n| key | sizes in bits |\n|---|---|\n");
    for (name, number) in [("AES", 15), ("HMAC", 21), ("RSA", 4), ("EC over a prime field", 11), ("DES", 3)] {
        let Some((family, _)) = Family::of_type(number) else { continue };
        let sizes: Vec<u16> = (0..=5000).filter(|bits| family.takes_size(*bits)).collect();
        let sizes = match &sizes[..] {
            [first, second, .., last] if sizes.len() > 4 => {
                format!("{first} to {last} in steps of {}", second - first)
            }
            few => few.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let _ = writeln!(text, "| {name} | {sizes} |");
    }
}

#[test]
fn the_page_lists_what_is_there() {
    let mut made = String::new();
    classes(&mut made);
    algorithms(&mut made);
    let page = std::fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = page.split_once(START).expect("the page's start mark");
    let (listed, after) = rest.split_once(END).expect("the page's end mark");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(DOCUMENT, format!("{before}{START}{made}{END}{after}")).unwrap();
        return;
    }
    assert!(listed == made, "docs/jcvm.md is not what the tables say; UPDATE_DOCS=1 writes it anew:\n{made}");
}
