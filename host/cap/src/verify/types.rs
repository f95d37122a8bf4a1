//! Types as the verifier compares them: the same value whether they come from nibbles of the Descriptor component or
//! from a descriptor string of an export file.

use super::world::{ClassId, World};
use crate::model::{ArrayElement, Type, TypeDescriptor};

/// The type of a field, parameter or result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ty {
    Void,
    Boolean,
    Byte,
    Short,
    Int,
    Class(ClassId),
    Array(Elem),
}

/// What an array holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Elem {
    Boolean,
    Byte,
    Short,
    Int,
    Class(ClassId),
}

impl Ty {
    pub(super) fn cells(self) -> usize {
        match self {
            Self::Void => 0,
            Self::Int => 2,
            _ => 1,
        }
    }

    pub(super) fn is_reference(self) -> bool {
        matches!(self, Self::Class(_) | Self::Array(_))
    }
}

/// A method's parameters, `this` not among them, and its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) params: Vec<Ty>,
    pub(super) result: Ty,
}

impl Signature {
    /// Cells of the parameters without `this`.
    pub(super) fn cells(&self) -> usize {
        self.params.iter().map(|ty| ty.cells()).sum()
    }

    /// The last type is the result, the others are parameters and not void.
    fn from_types(mut types: Vec<Ty>) -> Option<Self> {
        let result = types.pop()?;
        (!types.contains(&Ty::Void)).then_some(Self { params: types, result })
    }
}

impl World<'_> {
    /// A type of the CAP file; `None` when its class does not resolve.
    pub(super) fn ty(&mut self, ty: Type) -> Option<Ty> {
        Some(match ty {
            Type::Void => Ty::Void,
            Type::Boolean => Ty::Boolean,
            Type::Byte => Ty::Byte,
            Type::Short => Ty::Short,
            Type::Int => Ty::Int,
            Type::Reference(class) => Ty::Class(self.class(class)?),
            Type::Array(element) => Ty::Array(match element {
                ArrayElement::Boolean => Elem::Boolean,
                ArrayElement::Byte => Elem::Byte,
                ArrayElement::Short => Elem::Short,
                ArrayElement::Int => Elem::Int,
                ArrayElement::Reference(class) => Elem::Class(self.class(class)?),
            }),
        })
    }

    /// The types of a type descriptor; `None` when it is malformed or a class does not resolve.
    pub(super) fn tys(&mut self, descriptor: &TypeDescriptor) -> Option<Vec<Ty>> {
        descriptor.decode()?.into_iter().map(|ty| self.ty(ty)).collect()
    }

    /// The one type that begins at an offset of the type table, void excluded.
    pub(super) fn field_type_at(&mut self, offset: u16) -> Option<Ty> {
        let descriptor = self.descriptor;
        match self.tys(descriptor.types.at(offset)?)?.as_slice() {
            [Ty::Void] => None,
            [ty] => Some(*ty),
            _ => None,
        }
    }

    /// The signature that begins at an offset of the type table.
    pub(super) fn signature_at(&mut self, offset: u16) -> Option<Signature> {
        let descriptor = self.descriptor;
        Signature::from_types(self.tys(descriptor.types.at(offset)?)?)
    }

    /// The type of a field in an export file, for instance `[B`.
    pub(super) fn exported_type(&mut self, text: &str) -> Option<Ty> {
        let (ty, rest) = self.parse_type(text)?;
        rest.is_empty().then_some(ty)
    }

    /// The signature of a method in an export file, for instance `([BSS)V`.
    pub(super) fn exported_signature(&mut self, text: &str) -> Option<Signature> {
        let (mut params, result) = text.strip_prefix('(')?.split_once(')')?;
        let mut types = Vec::new();
        while !params.is_empty() {
            let (ty, rest) = self.parse_type(params)?;
            types.push(ty);
            params = rest;
        }
        types.push(if result == "V" { Ty::Void } else { self.exported_type(result)? });
        Signature::from_types(types)
    }

    fn parse_type<'t>(&mut self, text: &'t str) -> Option<(Ty, &'t str)> {
        let (first, rest) = text.split_at_checked(1)?;
        Some(match first {
            "Z" => (Ty::Boolean, rest),
            "B" => (Ty::Byte, rest),
            "S" => (Ty::Short, rest),
            "I" => (Ty::Int, rest),
            "L" => {
                let (name, rest) = rest.split_once(';')?;
                (Ty::Class(self.class_by_name(name)), rest)
            }
            // Java Card has no arrays of arrays.
            "[" => {
                let (element, rest) = self.parse_element(rest)?;
                (Ty::Array(element), rest)
            }
            _ => return None,
        })
    }

    fn parse_element<'t>(&mut self, text: &'t str) -> Option<(Elem, &'t str)> {
        if text.starts_with('[') {
            return None;
        }
        let (ty, rest) = self.parse_type(text)?;
        let element = match ty {
            Ty::Boolean => Elem::Boolean,
            Ty::Byte => Elem::Byte,
            Ty::Short => Elem::Short,
            Ty::Int => Elem::Int,
            Ty::Class(class) => Elem::Class(class),
            Ty::Void | Ty::Array(_) => return None,
        };
        Some((element, rest))
    }
}
