//! Whether a load file is what the class files on the class path give.
//!
//! jCardSim cannot execute a CAP. So that a card on it runs what was loaded and nothing else, the class files that the
//! child's class loader has are converted and compared with the load file, component by component. This says more than
//! a digest written down at build time could, which nobody renews when a class changes.

use jpkise_cap::convert::{convert_set, AppletOption, ClassBytes, ConvertOptions, Diagnostic};
use jpkise_cap::exports::Platform;
use jpkise_cap::{Cap, CapError, ComponentTag};

use super::frame::Fields;
use crate::runtime::Package;

/// Why a load file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// It cannot be read.
    #[error(transparent)]
    Cap(#[from] CapError),
    /// The child names something that is no AID, no class or no text.
    #[error("the class files of {0} cannot be told")]
    Classes(String),
    /// The class files cannot be converted, so no load file is made of them.
    #[error("the classes of {package} do not convert: {}", .reasons.first().map(ToString::to_string).unwrap_or_default())]
    NotConvertible {
        /// Package name with dots.
        package: String,
        /// Why.
        reasons: Vec<Diagnostic>,
    },
    /// The classes give another load file: it was made of other sources, or by another converter.
    #[error("the classes of {package} on the class path give another {component}")]
    Differs {
        /// Package name with dots.
        package: String,
        /// First component that is another.
        component: ComponentTag,
    },
}

/// A package's class files.
pub(super) struct Classes {
    options: ConvertOptions,
    files: Vec<ClassBytes>,
}

impl Classes {
    /// From what the child answers to CLASSES.
    pub fn read(package: &Package, answer: &[u8]) -> Result<Self, Mismatch> {
        Self::parse(package, answer).ok_or_else(|| Mismatch::Classes(package.aid.to_string()))
    }

    fn parse(package: &Package, answer: &[u8]) -> Option<Self> {
        let mut fields = Fields::of_string(answer);
        let name = fields.text()?;
        let aid = |aid: &jpkise_wire::Aid| jpkise_cap::Aid::new(aid.as_bytes()).ok();
        let version = jpkise_cap::PackageVersion::new(package.version.0, package.version.1);
        let mut options = ConvertOptions::new(name, aid(&package.aid)?, version);
        let count = fields.octet()?;
        if usize::from(count) != package.modules.len() {
            return None;
        }
        for module in &package.modules {
            options.applets.push(AppletOption { class: fields.text()?.to_owned(), aid: Some(aid(module)?) });
        }
        let files = (0..fields.word()?).map(|_| {
            let name = fields.text()?.to_owned();
            Some(ClassBytes { name, bytes: fields.string()?.to_vec() })
        });
        let files = files.collect::<Option<_>>()?;
        Some(Self { options, files })
    }
}

/// Compares a load file with what the first of `classes` gives; the others are the packages that it imports.
pub(super) fn compare(load_file: &[u8], classes: &[Classes]) -> Result<(), Mismatch> {
    let loaded = Cap::read_load_file(load_file)?;
    let package = classes.first().map(|first| first.options.package.clone()).unwrap_or_default();
    let mut nearest: Option<Mismatch> = None;
    // For which release it was converted shows in the versions it imports.
    for target in Platform::ALL {
        let mismatch = match converted(&loaded, classes, target) {
            Err(reasons) => Mismatch::NotConvertible { package: package.clone(), reasons },
            Ok(cap) => match first_difference(&loaded, &cap) {
                None => return Ok(()),
                Some(component) => Mismatch::Differs { package: package.clone(), component },
            },
        };
        // The release that is meant shows a difference of substance, the others one of imports.
        let other_imports = Mismatch::is_of_imports;
        if nearest.as_ref().is_none_or(|nearest| other_imports(nearest) && !other_imports(&mismatch)) {
            nearest = Some(mismatch);
        }
    }
    Err(nearest.unwrap_or(Mismatch::Classes(package)))
}

impl Mismatch {
    fn is_of_imports(&self) -> bool {
        !matches!(self, Self::Differs { component, .. } if *component != ComponentTag::Import)
    }
}

fn converted(loaded: &Cap, classes: &[Classes], target: Platform) -> Result<Cap, Vec<Diagnostic>> {
    let sets: Vec<Vec<ClassBytes>> = classes.iter().map(|c| c.files.clone()).collect();
    let options: Vec<ConvertOptions> = classes
        .iter()
        .map(|c| ConvertOptions {
            target,
            int: loaded.header.uses_int(),
            debug: loaded.directory.debug_size.is_some(),
            ..c.options.clone()
        })
        .collect();
    let all = convert_set(&sets, &options)?;
    let own = all.into_iter().find(|c| c.cap.header.package.aid == loaded.header.package.aid);
    own.map(|c| c.cap).ok_or_else(Vec::new)
}

/// Imports first: with another release everything else may differ, too.
fn first_difference(loaded: &Cap, converted: &Cap) -> Option<ComponentTag> {
    let imports = std::iter::once(ComponentTag::Import);
    imports.chain(ComponentTag::LOAD_ORDER).find(|tag| {
        let was_sent = |cap: &Cap| cap.component_bytes(*tag);
        match tag {
            // Optional on the way to a card.
            ComponentTag::Descriptor | ComponentTag::Debug => false,
            _ => was_sent(loaded) != was_sent(converted),
        }
    })
}
