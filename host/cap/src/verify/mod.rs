//! The off-card verifier: does a CAP file keep the rules on which a card's safety rests?
//!
//! [`verify`] holds a CAP file against itself and against the export files of what it imports. Structure comes first
//! (Header to Export); only when Descriptor, ConstantPool and Class agree are methods interpreted, with types in
//! place of values, one after the other. Each stage relies on what those before it established, so a breach is
//! reported where it lies and not as a dozen breaches of what follows from it.
//!
//! Nothing here panics or loops on any [`Cap`] the reader accepts; the work is bounded, see [`Rule::CodeComplexity`].

mod class;
mod code;
mod descriptor;
mod export;
mod fields;
mod flow;
mod frame;
mod invoke;
mod layout;
mod location;
mod member;
mod package;
mod pool;
mod rules;
mod statics;
mod step;
mod types;
mod world;

use std::fmt;

use crate::exports::ExportSet;
use crate::model::{Cap, ComponentTag};

pub use rules::{Rule, Severity};

/// What the verifier collects at most of each severity: a file with more faults is beyond reading them all. Counted
/// apart, so that warnings never crowd out an error.
const MAX_FINDINGS: usize = 500;

/// A breach of a rule.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Which rule.
    #[serde(serialize_with = "as_text")]
    pub rule: Rule,
    /// How grave; [`Rule::severity`] of the rule.
    #[serde(serialize_with = "as_text")]
    pub severity: Severity,
    /// The component in which the fault lies.
    #[serde(serialize_with = "as_text")]
    pub component: ComponentTag,
    /// Offset in the info of the component (behind tag and size).
    pub offset: usize,
    /// The method concerned.
    pub method: Option<MethodSite>,
    /// The particulars, in English for developers.
    pub message: String,
}

/// Names a method in a finding.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct MethodSite {
    /// Offset of the method header in the info of the Method component.
    pub offset: u16,
    /// Class and method name where Debug or an export file tells them, else the class's offset in Class.
    pub name: String,
}

fn as_text<T: fmt::Display, S: serde::Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}] {} {:#06x}", self.severity, self.rule, self.component, self.offset)?;
        if let Some(method) = &self.method {
            write!(f, " in {} at {:#06x}", method.name, method.offset)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Checks a CAP file. No findings of [`Severity::Error`] means that it is accepted.
///
/// `exports` must have the export files of all imported packages. If it was given one of the package itself, in the
/// same version, that is held against the CAP file too.
pub fn verify(cap: &Cap, exports: &ExportSet) -> Vec<Finding> {
    let mut findings = Findings::default();
    run(cap, exports, &mut findings);
    findings.list
}

/// Whether [`verify`] accepts a CAP file.
pub fn is_accepted(cap: &Cap, exports: &ExportSet) -> bool {
    verify(cap, exports).iter().all(|finding| finding.severity < Severity::Error)
}

fn run(cap: &Cap, exports: &ExportSet, findings: &mut Findings) {
    package::check(cap, findings);
    let Some(descriptor) = &cap.descriptor else {
        findings.add(Rule::DescriptorMissing, ComponentTag::Descriptor, 0, "there is none".into());
        return;
    };
    package::check_imports(cap, exports, findings);
    if findings.has_errors_in(ComponentTag::Import) {
        return;
    }
    let Some(mut world) = world::World::build(cap, descriptor, exports, findings) else { return };
    descriptor::check(&mut world, findings);
    if findings.has_errors_in(ComponentTag::Descriptor) || findings.has_errors_in(ComponentTag::Class) {
        return;
    }
    class::check(&mut world, findings);
    statics::check(&mut world, findings);
    let pool = pool::resolve(&mut world, findings);
    let bodies = layout::check(&mut world, findings);
    package::check_applets(&world, findings);
    export::check(&mut world, findings);
    if [ComponentTag::Class, ComponentTag::ConstantPool, ComponentTag::Method]
        .into_iter()
        .any(|component| findings.has_errors_in(component))
    {
        return;
    }
    let methods = code::scan(&world, &pool, bodies, findings);
    package::check_int_flag(&world, &methods, findings);
    location::check(&world, &methods, findings);
    flow::check(&mut world, &pool, &methods, findings);
}

/// Findings on their way out.
#[derive(Default)]
struct Findings {
    list: Vec<Finding>,
    warnings: usize,
    errors: usize,
}

impl Findings {
    fn add(&mut self, rule: Rule, component: ComponentTag, offset: usize, message: String) {
        self.add_in(rule, component, offset, None, message);
    }

    fn add_in(
        &mut self,
        rule: Rule,
        component: ComponentTag,
        offset: usize,
        method: Option<MethodSite>,
        message: String,
    ) {
        let severity = rule.severity();
        let count = match severity {
            Severity::Warning => &mut self.warnings,
            Severity::Error => &mut self.errors,
        };
        *count += 1;
        if *count <= MAX_FINDINGS {
            self.list.push(Finding { rule, severity, component, offset, method, message });
        }
    }

    fn has_errors_in(&self, component: ComponentTag) -> bool {
        self.list.iter().any(|f| f.component == component && f.severity == Severity::Error)
    }
}
