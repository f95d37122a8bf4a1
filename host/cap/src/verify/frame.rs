//! What interpretation knows of locals and operand stack at one point of a method, and how two such states join.

use std::collections::HashMap;

use super::types::{Elem, Ty};
use super::world::{ClassId, World};

/// One 16-bit cell of a local variable or of the operand stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cell {
    /// Not set on every path, or set to things that have nothing in common.
    Unusable,
    /// boolean, byte or short.
    Short,
    /// First cell of an int, in locals and on the stack the one with the lower index.
    IntHigh,
    IntLow,
    Null,
    /// An initialised object or an array.
    Ref(RefId),
    /// What the `new` at this instruction made, before its constructor has run.
    New(u16),
    /// `this` in a constructor, before it has called another one.
    NewThis,
    /// Return address of this subroutine call.
    Return(u16),
}

/// Index of a reference type in [`RefTypes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RefId(u16);

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum RefType {
    /// An instance of the class (never an interface) that also implements the interfaces; those the class has
    /// anyway are not among them. Joining two classes keeps the interfaces both have, which is what makes calls
    /// through interfaces safe to check where the Java verifier lets them pass.
    Object { class: ClassId, interfaces: Vec<ClassId> },
    /// An array of primitives.
    Array(Elem),
    /// An array of references.
    ArrayOf(RefId),
}

/// The reference types met so far.
pub(super) struct RefTypes {
    types: Vec<RefType>,
    ids: HashMap<RefType, RefId>,
    joins: HashMap<(RefId, RefId), RefId>,
    pub(super) object: RefId,
}

impl RefTypes {
    pub(super) fn new(world: &World<'_>) -> Self {
        let object = RefType::Object { class: world.object, interfaces: Vec::new() };
        let ids = HashMap::from([(object.clone(), RefId(0))]);
        Self { types: vec![object], ids, joins: HashMap::new(), object: RefId(0) }
    }

    pub(super) fn get(&self, id: RefId) -> &RefType {
        &self.types[usize::from(id.0)]
    }

    fn intern(&mut self, ty: RefType) -> RefId {
        if let Some(id) = self.ids.get(&ty) {
            return *id;
        }
        // Object is a supertype of whatever does not fit any more.
        let Ok(id) = u16::try_from(self.types.len()) else { return self.object };
        let id = RefId(id);
        self.types.push(ty.clone());
        self.ids.insert(ty, id);
        id
    }

    /// An instance of a class or interface.
    pub(super) fn class(&mut self, world: &World<'_>, class: ClassId) -> RefId {
        let ty = if world.get(class).is_interface {
            RefType::Object { class: world.object, interfaces: vec![class] }
        } else {
            RefType::Object { class, interfaces: Vec::new() }
        };
        self.intern(ty)
    }

    pub(super) fn array(&mut self, world: &World<'_>, element: Elem) -> RefId {
        let ty = match element {
            Elem::Class(class) => RefType::ArrayOf(self.class(world, class)),
            primitive => RefType::Array(primitive),
        };
        self.intern(ty)
    }

    /// The value of a field or a method's result; `None` for void.
    pub(super) fn cells(&mut self, world: &World<'_>, ty: Ty) -> Vec<Cell> {
        match ty {
            Ty::Void => Vec::new(),
            Ty::Boolean | Ty::Byte | Ty::Short => vec![Cell::Short],
            Ty::Int => vec![Cell::IntHigh, Cell::IntLow],
            Ty::Class(class) => vec![Cell::Ref(self.class(world, class))],
            Ty::Array(element) => vec![Cell::Ref(self.array(world, element))],
        }
    }

    /// Whether a reference may be used as an instance of a class or interface.
    pub(super) fn is_instance(&self, world: &World<'_>, id: RefId, class: ClassId) -> bool {
        class == world.object
            || match self.get(id) {
                RefType::Object { class: own, interfaces } => {
                    world.is_subtype(*own, class) || interfaces.iter().any(|&i| world.is_subtype(i, class))
                }
                RefType::Array(_) | RefType::ArrayOf(_) => false,
            }
    }

    /// Whether a cell holds a value of a one-cell type.
    pub(super) fn is_a(&self, world: &World<'_>, cell: Cell, ty: Ty) -> bool {
        match (cell, ty) {
            (Cell::Short, Ty::Boolean | Ty::Byte | Ty::Short) => true,
            (Cell::Null, ty) => ty.is_reference(),
            (Cell::Ref(id), Ty::Class(class)) => self.is_instance(world, id, class),
            (Cell::Ref(id), Ty::Array(element)) => match (self.get(id), element) {
                (RefType::Array(own), element) => *own == element,
                (RefType::ArrayOf(own), Elem::Class(class)) => self.is_instance(world, *own, class),
                _ => false,
            },
            _ => false,
        }
    }

    fn join(&mut self, world: &World<'_>, a: RefId, b: RefId) -> RefId {
        if a == b {
            return a;
        }
        let key = (a.min(b), a.max(b));
        if let Some(id) = self.joins.get(&key) {
            return *id;
        }
        let joined = match (self.get(a).clone(), self.get(b).clone()) {
            (RefType::ArrayOf(a), RefType::ArrayOf(b)) => RefType::ArrayOf(self.join(world, a, b)),
            (
                RefType::Object { class: class_a, interfaces: a },
                RefType::Object { class: class_b, interfaces: b },
            ) => {
                let class = world.common_superclass(class_a, class_b);
                let of_b = all_interfaces(world, class_b, &b);
                let mut both = all_interfaces(world, class_a, &a);
                both.retain(|i| of_b.contains(i) && !world.is_subtype(class, *i));
                let implied =
                    |i: &ClassId| both.iter().any(|other| other != i && world.is_subtype(*other, *i));
                let mut interfaces: Vec<ClassId> = both.iter().copied().filter(|i| !implied(i)).collect();
                interfaces.sort_unstable();
                interfaces.dedup();
                RefType::Object { class, interfaces }
            }
            _ => RefType::Object { class: world.object, interfaces: Vec::new() },
        };
        let id = self.intern(joined);
        self.joins.insert(key, id);
        id
    }

    /// What two cells have in common; `None` when that is nothing.
    fn join_cells(&mut self, world: &World<'_>, a: Cell, b: Cell) -> Option<Cell> {
        match (a, b) {
            _ if a == b => Some(a),
            (Cell::Null, Cell::Ref(id)) | (Cell::Ref(id), Cell::Null) => Some(Cell::Ref(id)),
            (Cell::Ref(a), Cell::Ref(b)) => Some(Cell::Ref(self.join(world, a, b))),
            _ => None,
        }
    }

    /// For messages.
    pub(super) fn describe(&self, world: &World<'_>, cell: Cell) -> String {
        match cell {
            Cell::Unusable => "nothing".into(),
            Cell::Short => "short".into(),
            Cell::IntHigh | Cell::IntLow => "int".into(),
            Cell::Null => "null".into(),
            Cell::New(_) => "an object not initialised".into(),
            Cell::NewThis => "this, not initialised".into(),
            Cell::Return(_) => "a return address".into(),
            Cell::Ref(id) => self.describe_type(world, id),
        }
    }

    fn describe_type(&self, world: &World<'_>, id: RefId) -> String {
        match self.get(id) {
            RefType::Object { class, interfaces } if interfaces.is_empty() => world.name(*class).into(),
            RefType::Object { interfaces, .. } => {
                interfaces.iter().map(|i| world.name(*i)).collect::<Vec<_>>().join(" & ")
            }
            RefType::Array(Elem::Boolean) => "boolean[]".into(),
            RefType::Array(Elem::Byte) => "byte[]".into(),
            RefType::Array(Elem::Short) => "short[]".into(),
            RefType::Array(_) => "int[]".into(),
            RefType::ArrayOf(element) => format!("{}[]", self.describe_type(world, *element)),
        }
    }
}

fn all_interfaces(world: &World<'_>, class: ClassId, more: &[ClassId]) -> Vec<ClassId> {
    let mut all = world.get(class).interfaces.clone();
    for interface in more {
        all.push(*interface);
        all.extend(&world.get(*interface).interfaces);
    }
    all
}

/// Locals and stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) locals: Vec<Cell>,
    pub(super) stack: Vec<Cell>,
    /// In a constructor: another one has been called on `this`.
    pub(super) constructed: bool,
}

/// Stacks that do not fit together.
pub(super) enum Mismatch {
    Depth(usize, usize),
    Types(usize, Cell, Cell),
}

impl State {
    pub(super) fn size(&self) -> usize {
        self.locals.len() + self.stack.len()
    }

    /// Takes in another state that leads to the same place; true when that changed anything.
    pub(super) fn join(
        &mut self,
        world: &World<'_>,
        types: &mut RefTypes,
        other: &Self,
    ) -> Result<bool, Mismatch> {
        if self.stack.len() != other.stack.len() {
            return Err(Mismatch::Depth(self.stack.len(), other.stack.len()));
        }
        let mut changed = self.constructed && !other.constructed;
        self.constructed &= other.constructed;
        for (index, (cell, &with)) in self.stack.iter_mut().zip(&other.stack).enumerate() {
            let Some(joined) = types.join_cells(world, *cell, with) else {
                return Err(Mismatch::Types(index, *cell, with));
            };
            changed |= joined != *cell;
            *cell = joined;
        }
        for (cell, &with) in self.locals.iter_mut().zip(&other.locals) {
            let joined = types.join_cells(world, *cell, with).unwrap_or(Cell::Unusable);
            changed |= joined != *cell;
            *cell = joined;
        }
        Ok(changed)
    }

    /// Replaces an object that was not initialised, wherever it is.
    pub(super) fn replace(&mut self, old: Cell, new: Cell) {
        for cell in self.locals.iter_mut().chain(&mut self.stack) {
            if *cell == old {
                *cell = new;
            }
        }
    }
}
