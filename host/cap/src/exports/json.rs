//! The built-in tables, parsed on first use.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::embedded::{PLATFORMS, TABLES};
use super::{ExportClass, ExportField, ExportMethod, ExportPackage};
use crate::model::{Aid, PackageVersion};

/// A Java Card release, as the sum of its package versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Platform {
    /// The API of 3.0.1, which the 3.0.3 kits carry.
    V3_0_1,
    V3_0_4,
    V3_0_5,
    V3_1_0,
    V3_2_0,
}

impl Platform {
    /// All known releases, oldest first.
    pub const ALL: [Self; 5] = [Self::V3_0_1, Self::V3_0_4, Self::V3_0_5, Self::V3_1_0, Self::V3_2_0];

    /// The release's number, for instance `3.0.4`.
    pub fn name(self) -> &'static str {
        match self {
            Self::V3_0_1 => "3.0.1",
            Self::V3_0_4 => "3.0.4",
            Self::V3_0_5 => "3.0.5",
            Self::V3_1_0 => "3.1.0",
            Self::V3_2_0 => "3.2.0",
        }
    }

    /// The version this release has of a package (name with slashes).
    pub fn version_of(self, package: &str) -> Option<PackageVersion> {
        static PARSED: OnceLock<BTreeMap<String, BTreeMap<String, PackageVersion>>> = OnceLock::new();
        let all = PARSED.get_or_init(|| serde_json::from_str(PLATFORMS).unwrap_or_default());
        all.get(self.name())?.get(&package.replace('/', ".")).copied()
    }

    /// The oldest release whose package satisfies an import.
    pub fn oldest_with(package: &str, wanted: PackageVersion) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.version_of(package).is_some_and(|version| version.satisfies(wanted)))
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The built-in table of a package (name with slashes) in exactly this version.
pub fn embedded(package: &str, version: PackageVersion) -> Option<&'static ExportPackage> {
    let index = TABLES.iter().position(|(name, major, minor, _)| {
        same_name(name, package) && PackageVersion::new(*major, *minor) == version
    })?;
    parsed(index)
}

/// The versions of a package (name with slashes) that are built in, ascending.
pub fn embedded_versions(package: &str) -> impl Iterator<Item = PackageVersion> + '_ {
    let rows = TABLES.iter().filter(move |(name, ..)| same_name(name, package));
    rows.map(|(_, major, minor, _)| PackageVersion::new(*major, *minor))
}

/// The built-in table of the package with this AID that serves an import of `wanted`: the same version, else the
/// next higher minor.
pub fn embedded_by_aid(aid: Aid, wanted: PackageVersion) -> Option<&'static ExportPackage> {
    let key = format!("\"aid\":\"{aid}\"");
    let rows = TABLES.iter().enumerate().filter(|(_, (_, major, minor, json))| {
        let head = json.lines().next().unwrap_or_default();
        PackageVersion::new(*major, *minor).satisfies(wanted) && head.contains(&key)
    });
    let (index, _) = rows.min_by_key(|(_, (_, _, minor, _))| *minor)?;
    parsed(index)
}

fn same_name(dotted: &str, slashed: &str) -> bool {
    dotted.len() == slashed.len()
        && dotted.bytes().zip(slashed.bytes()).all(|(a, b)| a == b || a == b'.' && b == b'/')
}

fn parsed(index: usize) -> Option<&'static ExportPackage> {
    static PARSED: [OnceLock<Option<ExportPackage>>; TABLES.len()] =
        [const { OnceLock::new() }; TABLES.len()];
    PARSED[index]
        .get_or_init(|| serde_json::from_str::<Package>(TABLES[index].3).ok().map(Into::into))
        .as_ref()
}

#[derive(serde::Deserialize)]
struct Package {
    #[serde(rename = "package")]
    name: String,
    aid: Aid,
    version: PackageVersion,
    library: bool,
    classes: Vec<Class>,
}

#[derive(serde::Deserialize)]
struct Class {
    name: String,
    token: u8,
    access: u16,
    superclass: Option<String>,
    supers: Vec<String>,
    interfaces: Vec<String>,
    fields: Vec<Field>,
    methods: Vec<Method>,
}

/// name, descriptor, access, token, constant
#[derive(serde::Deserialize)]
struct Field(String, String, u16, Option<u8>, Option<i32>);

/// name, descriptor, access, token
#[derive(serde::Deserialize)]
struct Method(String, String, u16, u8);

impl From<Package> for ExportPackage {
    fn from(p: Package) -> Self {
        Self {
            name: p.name.replace('.', "/"),
            aid: p.aid,
            version: p.version,
            library: p.library,
            classes: p.classes.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Class> for ExportClass {
    fn from(c: Class) -> Self {
        let field = |Field(name, descriptor, access, token, constant)| ExportField {
            name,
            descriptor,
            access,
            token,
            constant,
        };
        let method =
            |Method(name, descriptor, access, token)| ExportMethod { name, descriptor, access, token };
        Self {
            name: c.name,
            token: c.token,
            access: c.access,
            superclass: c.superclass,
            supers: c.supers,
            interfaces: c.interfaces,
            fields: c.fields.into_iter().map(field).collect(),
            methods: c.methods.into_iter().map(method).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_parses_and_is_what_its_name_says() {
        for (index, (name, major, minor, _)) in TABLES.iter().enumerate() {
            let package = parsed(index).unwrap_or_else(|| panic!("{name} {major}.{minor}"));
            assert_eq!(package.name, name.replace('.', "/"));
            assert_eq!(package.version, PackageVersion::new(*major, *minor));
            assert_eq!(embedded_by_aid(package.aid, package.version), Some(package));
        }
    }

    #[test]
    fn every_package_of_every_release_has_its_table() {
        let platforms: BTreeMap<String, BTreeMap<String, PackageVersion>> =
            serde_json::from_str(PLATFORMS).unwrap();
        assert_eq!(platforms.len(), Platform::ALL.len());
        for (release, packages) in platforms {
            for (package, version) in packages {
                assert!(
                    embedded(&package.replace('.', "/"), version).is_some(),
                    "{release} {package} {version}"
                );
            }
        }
        assert_eq!(Platform::V3_0_4.version_of("javacard/framework"), Some(PackageVersion::new(1, 5)));
    }

    #[test]
    fn every_file_under_data_is_built_in() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/data/exports");
        let mut files = 0;
        for folder in std::fs::read_dir(root).unwrap().map(Result::unwrap).filter(|e| e.path().is_dir()) {
            files += std::fs::read_dir(folder.path()).unwrap().count();
        }
        assert_eq!(files, TABLES.len());
    }
}
