//! Before a load: what on this card will make it fail, and what replacing a load file takes with it.

use jpkise_cap::model::Cap;
use jpkise_wire::{Aid, AidError};

use super::{delete, Exchange};
use crate::error::{GpError, Refusal};
use crate::identity::ExtendedResources;
use crate::registry::Registry;

/// Packages of the platform itself: Java Card API, GlobalPlatform API, ETSI and 3GPP APIs.
const PLATFORM_RIDS: [[u8; 5]; 4] = [
    [0xA0, 0x00, 0x00, 0x00, 0x62],
    [0xA0, 0x00, 0x00, 0x01, 0x51],
    [0xA0, 0x00, 0x00, 0x00, 0x09],
    [0xA0, 0x00, 0x00, 0x00, 0x87],
];

/// What a load needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadNeeds {
    /// AID of the load file.
    pub load_file: Aid,
    /// Packages it imports, with major and minor version.
    pub imports: Vec<(Aid, (u8, u8))>,
    /// Instances about to be made.
    pub instances: Vec<Aid>,
    /// Bytes of non-volatile memory for the code.
    pub code_size: u32,
}

impl LoadNeeds {
    /// From a CAP; `instances` are those about to be made, `code_size` the length of its load file data block.
    pub fn of(cap: &Cap, instances: Vec<Aid>, code_size: u32) -> Result<Self, AidError> {
        let imports = cap.import.packages.iter().map(|package| {
            let version = (package.version.major, package.version.minor);
            Ok((Aid::new(package.aid.as_bytes())?, version))
        });
        Ok(Self {
            load_file: Aid::new(cap.header.package.aid.as_bytes())?,
            imports: imports.collect::<Result<_, AidError>>()?,
            instances,
            code_size,
        })
    }
}

/// Something that will, or may, make the load fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// A load file of this AID is there.
    LoadFileExists(Aid),
    /// Something of this AID is there that is not the load file's own.
    InstanceExists(Aid),
    /// An imported package is not there.
    ImportMissing {
        /// The package.
        package: Aid,
        /// Version wanted.
        wanted: (u8, u8),
    },
    /// An imported package is there in a version that does not serve (JCVM specification section 4.5.2).
    ImportVersion {
        /// The package.
        package: Aid,
        /// Version wanted.
        wanted: (u8, u8),
        /// Version there.
        there: (u8, u8),
    },
    /// A platform package is not listed. Many cards do not list theirs, so this tells little.
    ImportNotListed {
        /// The package.
        package: Aid,
        /// Version wanted.
        wanted: (u8, u8),
    },
    /// The free memory the card tells is less than the code alone takes.
    Memory {
        /// Bytes needed.
        needed: u32,
        /// Bytes free.
        free: u32,
    },
}

impl Obstacle {
    /// Whether the load will surely fail.
    pub const fn is_certain(self) -> bool {
        !matches!(self, Self::ImportNotListed { .. })
    }
}

/// Compares a load's needs with what the card told. Nothing is sent.
pub fn preflight(
    needs: &LoadNeeds,
    registry: &Registry,
    resources: Option<&ExtendedResources>,
) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    if registry.find(&needs.load_file).is_some() {
        obstacles.push(Obstacle::LoadFileExists(needs.load_file));
    }
    for instance in &needs.instances {
        if registry.find(instance).is_some() {
            obstacles.push(Obstacle::InstanceExists(*instance));
        }
    }
    obstacles
        .extend(needs.imports.iter().filter_map(|(package, wanted)| import(registry, *package, *wanted)));
    if let Some(resources) = resources.filter(|r| r.free_non_volatile < needs.code_size) {
        obstacles.push(Obstacle::Memory { needed: needs.code_size, free: resources.free_non_volatile });
    }
    obstacles
}

fn import(registry: &Registry, package: Aid, wanted: (u8, u8)) -> Option<Obstacle> {
    let Some(entry) = registry.load_files.iter().find(|e| e.aid == package) else {
        let platform = PLATFORM_RIDS.iter().any(|rid| package.rid() == rid);
        return Some(if platform || registry.partial {
            Obstacle::ImportNotListed { package, wanted }
        } else {
            Obstacle::ImportMissing { package, wanted }
        });
    };
    // Same major version, and a minor version not below the one built against.
    let there = entry.version?;
    let serves = there.0 == wanted.0 && there.1 >= wanted.1;
    (!serves).then_some(Obstacle::ImportVersion { package, wanted, there })
}

/// What goes with a load file that is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The load file.
    pub load_file: Aid,
    /// Its instances, which go first or with it.
    pub instances: Vec<Aid>,
}

/// What deleting a load file takes with it; `None` when it is not on the card.
pub fn plan_removal(registry: &Registry, load_file: Aid) -> Option<Removal> {
    registry.load_files.iter().find(|e| e.aid == load_file)?;
    let instances = registry.instances_of(&load_file).map(|e| e.aid).collect();
    Some(Removal { load_file, instances })
}

/// Carries a removal out: with related objects in one command, else one by one on cards that do not know that.
pub fn remove(channel: &mut impl Exchange, removal: &Removal) -> Result<(), GpError> {
    if removal.instances.is_empty() {
        return delete(channel, removal.load_file, false);
    }
    match delete(channel, removal.load_file, true) {
        // 6A86, 6A81: P2 = 80 is not known. 6985: the card wants instances gone first.
        Err(GpError::Refused(Refusal { sw, .. })) if matches!(sw.0, 0x6A86 | 0x6A81 | 0x6985) => {
            for instance in &removal.instances {
                delete(channel, *instance, false)?;
            }
            delete(channel, removal.load_file, false)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Entry, Kind, LifeCycle};
    use crate::workflow::script::Script;

    const FILE: Aid = Aid::literal([0xD3, 0x92, 0xF0, 0, 0x26, 1]);
    const INSTANCE: Aid = Aid::literal([0xD3, 0x92, 0xF0, 0, 0x26, 2]);
    const LIBRARY: Aid = Aid::literal([0xD3, 0x92, 0xF0, 0, 0x26, 3]);
    const FRAMEWORK: Aid = Aid::literal([0xA0, 0, 0, 0, 0x62, 1, 1]);

    fn entry(aid: Aid, kind: Kind) -> Entry {
        Entry {
            aid,
            life_cycle: LifeCycle { kind, value: 1 },
            contactless: None,
            privileges: None,
            load_file: (kind == Kind::Application).then_some(FILE),
            version: (kind == Kind::LoadFile).then_some((1, 3)),
            modules: Vec::new(),
            domain: None,
            implicit_selection: Vec::new(),
        }
    }

    fn card(load_files: &[Aid], applications: &[Aid]) -> Registry {
        Registry {
            issuer: None,
            load_files: load_files.iter().map(|a| entry(*a, Kind::LoadFile)).collect(),
            applications: applications.iter().map(|a| entry(*a, Kind::Application)).collect(),
            partial: false,
        }
    }

    fn needs(imports: &[(Aid, (u8, u8))]) -> LoadNeeds {
        LoadNeeds { load_file: FILE, imports: imports.to_vec(), instances: vec![INSTANCE], code_size: 10_000 }
    }

    #[test]
    fn obstacles_are_found_before_anything_is_sent() {
        let free = |bytes| ExtendedResources { applications: 0, free_non_volatile: bytes, free_volatile: 0 };
        for (imports, registry, memory, expected) in [
            (vec![], card(&[], &[]), Some(20_000), vec![]),
            (vec![], card(&[FILE], &[]), None, vec![Obstacle::LoadFileExists(FILE)]),
            (vec![], card(&[], &[INSTANCE]), None, vec![Obstacle::InstanceExists(INSTANCE)]),
            (vec![], card(&[], &[]), Some(9_999), vec![Obstacle::Memory { needed: 10_000, free: 9_999 }]),
            (vec![(LIBRARY, (1, 3))], card(&[LIBRARY], &[]), None, vec![]),
            (vec![(LIBRARY, (1, 0))], card(&[LIBRARY], &[]), None, vec![]),
            (
                vec![(LIBRARY, (1, 4))],
                card(&[LIBRARY], &[]),
                None,
                vec![Obstacle::ImportVersion { package: LIBRARY, wanted: (1, 4), there: (1, 3) }],
            ),
            (
                vec![(LIBRARY, (2, 0))],
                card(&[LIBRARY], &[]),
                None,
                vec![Obstacle::ImportVersion { package: LIBRARY, wanted: (2, 0), there: (1, 3) }],
            ),
            (
                vec![(LIBRARY, (1, 0)), (FRAMEWORK, (1, 6))],
                card(&[], &[]),
                None,
                vec![
                    Obstacle::ImportMissing { package: LIBRARY, wanted: (1, 0) },
                    Obstacle::ImportNotListed { package: FRAMEWORK, wanted: (1, 6) },
                ],
            ),
        ] {
            let found = preflight(&needs(&imports), &registry, memory.map(free).as_ref());
            assert_eq!(found, expected, "{imports:?}");
        }
    }

    #[test]
    fn a_removal_takes_the_instances_and_falls_back_to_one_by_one() {
        let registry = card(&[FILE], &[INSTANCE]);
        let plan = plan_removal(&registry, FILE).unwrap();
        assert_eq!(plan.instances, [INSTANCE]);
        assert_eq!(plan_removal(&registry, LIBRARY), None);
        let together = "80e40080084f06d392f000260100";
        remove(&mut Script::new(&[(together, "009000")]), &plan).unwrap();
        let one_by_one = [
            (together, "6a86"),
            ("80e40000084f06d392f000260200", "009000"),
            ("80e40000084f06d392f000260100", "009000"),
        ];
        remove(&mut Script::new(&one_by_one), &plan).unwrap();
        let error = remove(&mut Script::new(&[(together, "6982")]), &plan).unwrap_err();
        assert_eq!(error.refusal().unwrap().1 .0, 0x6982);
        let bare = Removal { instances: Vec::new(), ..plan };
        remove(&mut Script::new(&[("80e40000084f06d392f000260100", "009000")]), &bare).unwrap();
    }
}
