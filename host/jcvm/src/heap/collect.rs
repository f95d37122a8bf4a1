//! Which objects are still needed.

use std::collections::HashSet;

use super::{kind, Heap, Object, Owner, Place, Ref, OWNER_PACKAGE};
use crate::store::StoreError;

/// Body offset of the applet and AID references in an applet record.
pub(crate) const APPLET_REFERENCES: [u32; 2] = [20, 22];

/// Which cells of a class's instances are references: `(first, count)` ranges, by package slot and class index.
pub(crate) type RefMap<'a> = &'a dyn Fn(u8, u16) -> Vec<(u16, u16)>;

impl Heap {
    /// Every reference an object holds, and where.
    fn references(&self, object: &Object, map: RefMap<'_>) -> Vec<(Place, Ref)> {
        let mut out = Vec::new();
        let mut add = |place: Place| {
            let value = match place {
                Place::Persistent(address) => self.store.u16(address),
                Place::Transient(offset) => match *self.ram.slice(offset, 2) {
                    [high, low] => u16::from_be_bytes([high, low]),
                    _ => 0,
                },
            };
            if value != 0 {
                out.push((place, Ref(value)));
            }
        };
        match object.header.kind {
            kind::INSTANCE => {
                let cells = self.cells(object);
                for (first, count) in map(object.header.package, object.header.aux) {
                    for cell in first..first.saturating_add(count).min(cells) {
                        add(self.cell_place_of(object, cell));
                    }
                }
            }
            kind::REFERENCES => {
                if let Some(array) = self.array(*object) {
                    for index in 0..u32::from(array.len) {
                        add(match array.place {
                            Place::Persistent(at) => Place::Persistent(at + 2 * index),
                            Place::Transient(at) => Place::Transient(at + 2 * index),
                        });
                    }
                }
            }
            kind::STATICS => {
                let count = u32::from(self.store.u16(object.body()));
                (0..count).for_each(|i| add(Place::Persistent(object.body() + 2 + 2 * i)));
            }
            kind::SYSTEM => {
                (0..u32::from(object.header.aux)).for_each(|i| add(Place::Persistent(object.body() + 2 * i)));
            }
            kind::APPLET => {
                for at in APPLET_REFERENCES {
                    add(Place::Persistent(object.body() + at));
                }
            }
            _ => {}
        }
        out
    }

    fn cell_place_of(&self, object: &Object, cell: u16) -> Place {
        if object.is_transient() {
            Place::Transient(self.store.u32(object.body() + 2) + 2 * u32::from(cell))
        } else {
            Place::Persistent(object.body() + 2 * u32::from(cell))
        }
    }

    /// Frees every object that cannot be reached from static fields, applet records and the runtime's own table.
    /// Returns what was freed.
    pub(crate) fn collect(&mut self, map: RefMap<'_>) -> Result<Vec<Ref>, StoreError> {
        let mut reached: HashSet<Ref> = HashSet::new();
        let mut work: Vec<Object> = self.objects().filter(|o| o.header.kind >= kind::PACKAGE).collect();
        while let Some(object) = work.pop() {
            for (_, target) in self.references(&object, map) {
                if reached.insert(target) {
                    work.extend(self.object(target));
                }
            }
        }
        let garbage: Vec<Ref> = self
            .objects()
            .filter(|o| o.header.kind < kind::PACKAGE && !reached.contains(&o.at))
            .map(|o| o.at)
            .collect();
        for at in &garbage {
            self.release(*at)?;
        }
        Ok(garbage)
    }

    /// Whether anything that stays refers to an object of these owners (JCRE 11.3.4.2, 11.3.4.3).
    pub(crate) fn is_referenced_from_outside(&self, owners: &[Owner], map: RefMap<'_>) -> bool {
        let theirs = |o: &Object| o.header.kind < kind::PACKAGE && owners.contains(&o.header.owner);
        self.objects().filter(|o| !theirs(o) && !matches!(o.header.kind, kind::APPLET | kind::SYSTEM)).any(
            |o| self.references(&o, map).iter().any(|(_, r)| self.object(*r).is_some_and(|t| theirs(&t))),
        )
    }

    /// Frees all objects of these owners and of these packages' static fields; what still refers to them becomes
    /// null. Records go first, so that a power cut in between leaves objects without an owner, which the next start
    /// finds.
    pub(crate) fn purge(
        &mut self,
        owners: impl Fn(Owner) -> bool,
        packages: impl Fn(u8) -> bool,
        map: RefMap<'_>,
    ) -> Result<Vec<Ref>, StoreError> {
        let is_victim = |o: &Object| match (o.header.kind, o.header.owner) {
            (kind::SYSTEM | kind::APPLET, _) => false,
            (kind::PACKAGE | kind::STATICS, _) | (_, OWNER_PACKAGE) => packages(o.header.package),
            (_, owner) => owners(owner),
        };
        let victims: Vec<Object> = self.objects().filter(|o| is_victim(o)).collect();
        if victims.is_empty() {
            return Ok(Vec::new());
        }
        let dead: HashSet<Ref> = victims.iter().map(|o| o.at).collect();
        let holders: Vec<Object> = self.objects().filter(|o| !dead.contains(&o.at)).collect();
        self.forget(&holders, &dead, map)?;
        for object in &victims {
            self.release(object.at)?;
        }
        Ok(victims.into_iter().map(|o| o.at).collect())
    }

    /// Sets every reference to these objects to null, wherever it is.
    pub(crate) fn forget_everywhere(&mut self, dead: &[Ref], map: RefMap<'_>) -> Result<(), StoreError> {
        let holders: Vec<Object> = self.objects().collect();
        self.forget(&holders, &dead.iter().copied().collect(), map)
    }

    fn forget(&mut self, holders: &[Object], dead: &HashSet<Ref>, map: RefMap<'_>) -> Result<(), StoreError> {
        for object in holders {
            for (place, target) in self.references(object, map) {
                if !dead.contains(&target) {
                    continue;
                }
                match place {
                    Place::Persistent(address) => self.store.put(address, &[0, 0])?,
                    Place::Transient(offset) => self.ram.slice_mut(offset, 2).fill(0),
                }
            }
        }
        Ok(())
    }
}
