//! What a deletion takes with it, and in which order it has to go.

use jpkise_wire::Aid;

use super::{delete, remove, Exchange, Removal};
use crate::error::GpError;
use crate::registry::{Kind, Registry};

/// One DELETE of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletionStep {
    /// What goes.
    pub object: Aid,
    /// What it is; `None` for an object the registry does not show.
    pub kind: Option<Kind>,
    /// Instances that go with a load file.
    pub instances: Vec<Aid>,
}

/// A deletion, in the order the card accepts: what depends on something goes before it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deletion {
    /// The commands.
    pub steps: Vec<DeletionStep>,
}

/// Why an object is not deleted; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeletionError {
    /// The registry is whole and does not have it.
    #[error("{0} is not on the card")]
    NotOnCard(Aid),
    /// The issuer security domain stays.
    #[error("{0} is the issuer security domain, which no card deletes")]
    Issuer(Aid),
    /// Others depend on it, and related objects were not asked for.
    #[error("{object} is needed by {} others", dependents.len())]
    Needed {
        /// The object.
        object: Aid,
        /// What depends on it.
        dependents: Vec<Aid>,
    },
}

/// The plan for `object`; `related` takes along what depends on it.
pub fn plan_deletion(registry: &Registry, object: Aid, related: bool) -> Result<Deletion, DeletionError> {
    if registry.issuer.as_ref().is_some_and(|e| e.aid == object) {
        return Err(DeletionError::Issuer(object));
    }
    let mut deletion = Deletion::default();
    deletion.take(registry, object, &mut Vec::new())?;
    let dependents: Vec<Aid> = deletion.objects().filter(|aid| *aid != object).collect();
    if dependents.is_empty() || related {
        Ok(deletion)
    } else {
        Err(DeletionError::Needed { object, dependents })
    }
}

impl Deletion {
    /// Everything that goes, in order.
    pub fn objects(&self) -> impl Iterator<Item = Aid> + '_ {
        self.steps.iter().flat_map(|s| s.instances.iter().copied().chain([s.object]))
    }

    /// Carries it out; `done` hears each object that is gone.
    pub fn run(&self, channel: &mut impl Exchange, done: &mut dyn FnMut(Aid)) -> Result<(), GpError> {
        for step in &self.steps {
            if step.instances.is_empty() {
                delete(channel, step.object, false)?;
            } else {
                remove(channel, &Removal { load_file: step.object, instances: step.instances.clone() })?;
            }
            step.instances.iter().copied().chain([step.object]).for_each(&mut *done);
        }
        Ok(())
    }

    /// Adds `object` behind everything that depends on it. `path` is what is being taken already: a registry may name a
    /// domain as its own member, by way of others too.
    fn take(&mut self, registry: &Registry, object: Aid, path: &mut Vec<Aid>) -> Result<(), DeletionError> {
        if path.contains(&object) || self.objects().any(|aid| aid == object) {
            return Ok(());
        }
        let Some(entry) = registry.find(&object) else {
            if !registry.partial {
                return Err(DeletionError::NotOnCard(object));
            }
            self.steps.push(DeletionStep { object, kind: None, instances: Vec::new() });
            return Ok(());
        };
        let kind = entry.life_cycle.kind;
        let mut instances = Vec::new();
        path.push(object);
        if kind == Kind::Domain {
            let (files, applications): (Vec<_>, Vec<_>) =
                registry.members_of(&object).partition(|e| e.life_cycle.kind == Kind::LoadFile);
            for member in applications.into_iter().chain(files) {
                self.take(registry, member.aid, path)?;
            }
        }
        if kind == Kind::LoadFile {
            for instance in registry.instances_of(&object) {
                // A domain made from this file has content of its own, which one command does not take along.
                if instance.life_cycle.kind == Kind::Domain {
                    self.take(registry, instance.aid, path)?;
                } else if !path.contains(&instance.aid) && !self.objects().any(|aid| aid == instance.aid) {
                    instances.push(instance.aid);
                }
            }
        }
        path.pop();
        self.steps.push(DeletionStep { object, kind: Some(kind), instances });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Entry, LifeCycle};
    use crate::workflow::script::Script;

    fn aid(n: u8) -> Aid {
        Aid::literal([0xD3, 0x92, 0xF0, 0, n])
    }

    fn entry(n: u8, kind: Kind, load_file: Option<u8>, domain: Option<u8>) -> Entry {
        Entry {
            aid: aid(n),
            life_cycle: LifeCycle { kind, value: 7 },
            contactless: None,
            privileges: None,
            load_file: load_file.map(aid),
            version: None,
            modules: Vec::new(),
            domain: domain.map(aid),
            implicit_selection: Vec::new(),
        }
    }

    /// Issuer 1; domain 2 in it with load file 10, whose instances are 11 (in 2) and 12 (in 1); domain 3 in 2 with
    /// application 13 of load file 20; domain 4 names itself as its domain.
    fn card(partial: bool) -> Registry {
        Registry {
            issuer: Some(entry(1, Kind::IssuerDomain, None, None)),
            applications: vec![
                entry(2, Kind::Domain, Some(30), Some(1)),
                entry(3, Kind::Domain, Some(30), Some(2)),
                entry(4, Kind::Domain, Some(30), Some(4)),
                entry(11, Kind::Application, Some(10), Some(2)),
                entry(12, Kind::Application, Some(10), Some(1)),
                entry(13, Kind::Application, Some(20), Some(3)),
            ],
            load_files: vec![
                entry(10, Kind::LoadFile, None, Some(2)),
                entry(20, Kind::LoadFile, None, Some(1)),
                entry(30, Kind::LoadFile, None, Some(1)),
            ],
            partial,
        }
    }

    #[test]
    fn what_depends_on_an_object_goes_before_it_and_only_when_asked() {
        for (object, order) in [
            (11, vec![11]),
            (4, vec![4]),
            (20, vec![13, 20]),
            (3, vec![13, 3]),
            (2, vec![13, 3, 11, 12, 10, 2]),
            (30, vec![13, 3, 11, 12, 10, 2, 4, 30]),
        ] {
            let plan = plan_deletion(&card(false), aid(object), true).unwrap();
            assert_eq!(plan.objects().collect::<Vec<_>>(), order.iter().map(|n| aid(*n)).collect::<Vec<_>>());
            let alone = plan_deletion(&card(false), aid(object), false);
            assert_eq!(alone.is_ok(), order.len() == 1, "{object}: {alone:?}");
        }
    }

    #[test]
    fn what_is_not_there_and_what_must_stay_is_said_before_anything_is_sent() {
        assert_eq!(plan_deletion(&card(false), aid(99), true), Err(DeletionError::NotOnCard(aid(99))));
        assert_eq!(plan_deletion(&card(false), aid(1), true), Err(DeletionError::Issuer(aid(1))));
        // A list that broke off proves nothing: the card decides.
        assert_eq!(plan_deletion(&card(true), aid(99), false).unwrap().steps[0].kind, None);
    }

    #[test]
    fn a_plan_is_carried_out_in_its_order() {
        let plan = plan_deletion(&card(false), aid(2), true).unwrap();
        let delete = |p2: &str, n: u8| format!("80e400{p2}074f05d392f000{n:02x}00");
        let steps = [delete("00", 13), delete("00", 3), delete("00", 11), delete("80", 10), delete("00", 2)];
        let script: Vec<_> = steps.iter().map(|s| (s.as_str(), "009000")).collect();
        let mut gone = Vec::new();
        plan.run(&mut Script::new(&script), &mut |aid| gone.push(aid)).unwrap();
        assert_eq!(gone, plan.objects().collect::<Vec<_>>());
    }
}
