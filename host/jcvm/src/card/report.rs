//! What is in a card's memory: objects by owner and type, their sizes, and what has come and gone between two points.

use std::collections::BTreeMap;

use jpkise_cap::Aid;

use super::{Card, FreeMemory};
use crate::class::{ClassId, FIRST_BUILT_IN};
use crate::heap::{kind, Clear, Object, OWNER_PACKAGE, OWNER_SYSTEM};

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeapOwner {
    /// The runtime's own.
    Runtime,
    /// A package's: load file, static fields and the arrays they begin with.
    Package(Aid),
    /// An applet instance's.
    Instance(Aid),
}

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeapKind {
    /// An instance of a class of the API, with slashes.
    ApiClass(String),
    /// An instance of a class of a loaded package: its place among the package's interfaces and classes, in the order of
    /// the Class component.
    Class {
        /// The package.
        package: Aid,
        /// Which.
        index: u16,
    },
    /// An array, by the name of its element type.
    Array(&'static str),
    /// An array of references.
    References,
    /// A load file.
    LoadFile,
    /// The static fields of a package.
    StaticFields,
    /// What the runtime remembers of an instance, or of itself.
    Record,
}

/// Objects of one type that belong to one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapEntry {
    /// Whose.
    pub owner: HeapOwner,
    /// What.
    pub kind: HeapKind,
    /// How many.
    pub count: u32,
    /// Bytes of persistent memory, headers included.
    pub persistent: u32,
    /// Bytes of memory cleared on reset.
    pub on_reset: u32,
    /// Bytes of memory cleared on deselect.
    pub on_deselect: u32,
}

/// How an entry of a report differs from that of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapChange {
    /// Whose.
    pub owner: HeapOwner,
    /// What.
    pub kind: HeapKind,
    /// Objects more (or fewer).
    pub count: i64,
    /// Bytes of persistent memory more.
    pub persistent: i64,
    /// Bytes of transient memory more, of both kinds.
    pub transient: i64,
}

/// All objects of a card at one point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapReport {
    /// By owner and type.
    pub entries: Vec<HeapEntry>,
    /// What is left.
    pub free: FreeMemory,
}

impl HeapReport {
    /// What has come and gone since an earlier report of the same card; nothing for what is as it was.
    pub fn since(&self, before: &Self) -> Vec<HeapChange> {
        let mut changes: BTreeMap<(HeapOwner, HeapKind), HeapChange> = BTreeMap::new();
        for (entries, sign) in [(&before.entries, -1), (&self.entries, 1)] {
            for entry in entries {
                let HeapEntry { owner, count, persistent, on_reset, on_deselect, .. } = *entry;
                let kind = || entry.kind.clone();
                let change = changes.entry((owner, kind())).or_insert_with(|| HeapChange {
                    owner,
                    kind: kind(),
                    count: 0,
                    persistent: 0,
                    transient: 0,
                });
                change.count += sign * i64::from(count);
                change.persistent += sign * i64::from(persistent);
                change.transient += sign * (i64::from(on_reset) + i64::from(on_deselect));
            }
        }
        let differs = |c: &HeapChange| (c.count, c.persistent, c.transient) != (0, 0, 0);
        changes.into_values().filter(differs).collect()
    }
}

impl Card {
    /// Every object in memory, counted. Unreachable ones are among them until they are collected.
    pub fn heap_report(&self) -> HeapReport {
        let mut entries: BTreeMap<(HeapOwner, HeapKind), HeapEntry> = BTreeMap::new();
        for object in self.state.heap.objects() {
            let (owner, kind) = (self.owner_of(&object), self.kind_of(&object));
            let entry = entries.entry((owner, kind.clone())).or_insert_with(|| HeapEntry {
                owner,
                kind,
                count: 0,
                persistent: 0,
                on_reset: 0,
                on_deselect: 0,
            });
            entry.count += 1;
            entry.persistent += u32::from(object.header.size) * 8;
            match self.state.heap.transient_size(&object) {
                Some((Clear::Reset, size)) => entry.on_reset += size,
                Some((Clear::Deselect, size)) => entry.on_deselect += size,
                None => {}
            }
        }
        HeapReport { entries: entries.into_values().collect(), free: self.free_memory() }
    }

    fn owner_of(&self, object: &Object) -> HeapOwner {
        let package = |slot| self.state.package(slot).map(|p| p.aid);
        let header = &object.header;
        let owned = match (header.kind, header.owner) {
            (kind::PACKAGE | kind::STATICS, _) | (_, OWNER_PACKAGE) => {
                package(header.package).map(HeapOwner::Package)
            }
            (_, OWNER_SYSTEM) => None,
            (_, slot) => self.state.applet(slot).map(|applet| HeapOwner::Instance(applet.aid)),
        };
        owned.unwrap_or(HeapOwner::Runtime)
    }

    fn kind_of(&self, object: &Object) -> HeapKind {
        match object.header.kind {
            kind::INSTANCE => self.class_of(ClassId::of(object)),
            kind::BOOLEANS => HeapKind::Array("boolean"),
            kind::BYTES => HeapKind::Array("byte"),
            kind::SHORTS => HeapKind::Array("short"),
            kind::INTS => HeapKind::Array("int"),
            kind::REFERENCES => HeapKind::References,
            kind::PACKAGE => HeapKind::LoadFile,
            kind::STATICS => HeapKind::StaticFields,
            _ => HeapKind::Record,
        }
    }

    fn class_of(&self, id: ClassId) -> HeapKind {
        if id.package >= FIRST_BUILT_IN {
            let name = self.state.class(id).and_then(|class| class.name.clone());
            return name.map_or(HeapKind::Record, HeapKind::ApiClass);
        }
        match self.state.package(id.package) {
            Some(package) => HeapKind::Class { package: package.aid, index: id.index },
            None => HeapKind::Record,
        }
    }
}
