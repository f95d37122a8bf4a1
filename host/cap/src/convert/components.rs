//! Stage "components": from translated methods to the components of the CAP file.

use std::collections::HashMap;

use super::diagnostics::{ConvertRule, Diagnostic, Limit};
use super::imports::Imported;
use super::package::{Class, FieldSlot, Found, Package, Role, TypeName, VirtualEntry};
use super::resolve::{ClassKey, CpId, CpKey, CpTable, MemberKey};
use super::statics::Image;
use super::translate::{header, Translated};
use crate::code::{Instruction, Operands};
use crate::model::{
    Aid, Applet, AppletEntry, Cap, ClassComponent, ClassExport, ClassInfo, ClassRef, ComponentTag,
    ConstantPool, CpInfo, Directory, ExceptionHandler, Export, FormatVersion, Header, ImplementedInterface,
    Import, InterfaceInfo, MethodComponent, PackageInfo, ReferenceLocation, StaticFieldSize, StaticRef,
    CLASS_ACC_INTERFACE, CLASS_ACC_SHAREABLE, FLAG_APPLET, FLAG_EXPORT, FLAG_INT, METHOD_ACC_ABSTRACT,
    NO_TOKEN, TABLE_ENTRY_INHERITED,
};

const MAX_IMPORTS: usize = 128;
const MAX_INTERFACES: usize = 15;
const MAX_SUPERINTERFACES: usize = 14;
const MAX_HANDLERS: usize = 255;
const MAX_COMPONENT: usize = 0xFFFF;

/// By class and method: what was translated.
pub(super) type Bodies = HashMap<(usize, usize), Translated>;

/// What the components are made from.
pub(super) struct Input<'a> {
    pub(super) package: &'a Package<'a>,
    pub(super) cp: &'a CpTable,
    pub(super) bodies: &'a Bodies,
    pub(super) image: &'a Image,
    pub(super) aid: PackageInfo,
    /// AID, class and method of `install`.
    pub(super) applets: &'a [(Aid, usize, usize)],
    pub(super) int: bool,
    pub(super) format: FormatVersion,
}

/// The CAP and what Debug needs.
pub(super) struct Built {
    pub(super) cap: Cap,
    /// By class and method: offset in the info of Method, and length of the header.
    pub(super) methods: HashMap<(usize, usize), (u16, usize)>,
}

pub(super) fn limit(limit: Limit, count: usize, max: usize) -> Result<(), Diagnostic> {
    if count > max {
        return Err(Diagnostic::package(ConvertRule::Limit { limit, count, max }));
    }
    Ok(())
}

fn small(n: usize) -> u8 {
    u8::try_from(n).unwrap_or(u8::MAX)
}

pub(super) fn short(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

/// Builds all components but Debug.
pub(super) fn build(input: &Input<'_>) -> Result<Built, Diagnostic> {
    let mut b = Builder {
        input,
        import_token: HashMap::new(),
        imports: Vec::new(),
        pool_index: HashMap::new(),
        pool: Vec::new(),
        class_offset: Vec::new(),
        method_offset: HashMap::new(),
    };
    b.use_supertypes();
    b.number_pool();
    b.place_methods()?;
    b.place_classes()?;
    let class = b.class_component()?;
    let (method, reference_location) = b.method_component()?;
    let constant_pool = b.constant_pool()?;
    let export = b.export();
    let applet = b.applet();
    let descriptor = b.descriptor()?;
    limit(Limit::Imports, b.imports.len(), MAX_IMPORTS)?;
    let package = input.package;
    let import = Import {
        packages: b
            .imports
            .iter()
            .map(|i| package.imports.package(*i))
            .map(|p| PackageInfo { aid: p.aid, version: p.version })
            .collect(),
    };
    let flag = |on: bool, flag: u8| if on { flag } else { 0 };
    let header = Header {
        format: input.format,
        flags: flag(input.int, FLAG_INT)
            | flag(export.is_some(), FLAG_EXPORT)
            | flag(applet.is_some(), FLAG_APPLET),
        package: input.aid,
        package_name: (input.format == FormatVersion::V2_2).then(|| package.name.clone().into_bytes()),
    };
    let static_field = input.image.component.clone();
    let directory = Directory {
        static_field_size: StaticFieldSize {
            image_size: static_field.image_size,
            array_init_count: short(static_field.array_inits.len()),
            array_init_size: short(static_field.array_inits.iter().map(|a| a.values.len()).sum()),
        },
        import_count: small(import.packages.len()),
        applet_count: small(input.applets.len()),
        debug_size: (input.format >= FormatVersion::V2_2).then_some(0),
        ..Directory::default()
    };
    let mut cap = Cap {
        folder: format!("{}/javacard", package.name),
        header,
        directory,
        applet,
        import,
        constant_pool,
        class,
        method,
        static_field,
        reference_location,
        export,
        descriptor: Some(descriptor),
        debug: None,
        raw: Vec::new(),
        others: Vec::new(),
    };
    set_sizes(&mut cap)?;
    Ok(Built { cap, methods: b.method_offset })
}

/// Enters the sizes of all components into Directory.
pub(super) fn set_sizes(cap: &mut Cap) -> Result<(), Diagnostic> {
    for tag in ComponentTag::ALL {
        let size = cap.component_info(tag).map_or(0, |info| info.len());
        limit(Limit::ComponentBytes, size, MAX_COMPONENT)?;
        if let Some(slot) = cap.directory.sizes.get_mut(tag as usize - 1) {
            *slot = short(size);
        } else if tag == ComponentTag::Debug {
            cap.directory.debug_size = cap.directory.debug_size.map(|_| short(size));
        }
    }
    Ok(())
}

pub(super) struct Builder<'a> {
    pub(super) input: &'a Input<'a>,
    /// Package index in the tables to package token.
    pub(super) import_token: HashMap<usize, u8>,
    pub(super) imports: Vec<usize>,
    /// Number in the table to index in the pool.
    pub(super) pool_index: HashMap<CpId, u16>,
    pub(super) pool: Vec<CpId>,
    /// Offset of each class in the info of Class.
    pub(super) class_offset: Vec<u16>,
    pub(super) method_offset: HashMap<(usize, usize), (u16, usize)>,
}

impl<'a> Builder<'a> {
    pub(super) fn package(&self) -> &'a Package<'a> {
        self.input.package
    }

    pub(super) fn classes(&self) -> &'a [Class] {
        &self.input.package.classes
    }

    /// The package token; packages are listed in the order in which they are first asked for.
    fn import(&mut self, package: usize) -> u8 {
        let next = small(self.imports.len());
        let imports = &mut self.imports;
        *self.import_token.entry(package).or_insert_with(|| {
            imports.push(package);
            next
        })
    }

    fn imported_ref(&mut self, i: Imported<'_>) -> ClassRef {
        ClassRef::External { package: self.import(i.package), class: i.class.token }
    }

    pub(super) fn type_ref(&mut self, ty: &TypeName) -> ClassRef {
        match ty {
            TypeName::Own(index) => self.own_ref(*index),
            TypeName::Imported(name) => self.named_ref(name),
        }
    }

    pub(super) fn own_ref(&self, class: usize) -> ClassRef {
        ClassRef::Internal(self.class_offset.get(class).copied().unwrap_or(0))
    }

    /// A class that earlier stages have found.
    pub(super) fn named_ref(&mut self, name: &str) -> ClassRef {
        match self.package().find(name) {
            Ok(Found::Own(index)) => self.own_ref(index),
            Ok(Found::Imported(i)) => self.imported_ref(i),
            Err(_) => ClassRef::Internal(0),
        }
    }

    fn key_ref(&mut self, key: ClassKey) -> ClassRef {
        match key {
            ClassKey::Own(index) => self.own_ref(index),
            ClassKey::Imported { package, token } => {
                ClassRef::External { package: self.import(package), class: token }
            }
        }
    }

    fn use_supertypes(&mut self) {
        for class in self.classes() {
            for ty in class.superclass.iter().chain(&class.interfaces) {
                if let TypeName::Imported(name) = ty {
                    if let Some(i) = self.package().imports.class(name) {
                        self.import(i.package);
                    }
                }
            }
        }
        // The root of all classes is used even where no class names it.
        if let Some(package) = self.package().imports.java_lang() {
            self.import(package);
        }
    }

    /// Methods in the order of the component.
    pub(super) fn methods(&self) -> impl Iterator<Item = (usize, usize)> + 'a {
        let classes = self.classes();
        let classes = classes.iter().enumerate().filter(|(_, c)| !c.file.is_interface());
        classes.flat_map(|(index, class)| {
            let methods = class.methods.iter().enumerate();
            methods.filter(|(_, m)| m.role != Role::StaticInitializer).map(move |(method, _)| (index, method))
        })
    }

    /// Pool indices: instance fields first, the rest in the order of use; only what is used.
    fn number_pool(&mut self) {
        let mut used: Vec<CpId> = Vec::new();
        let mut seen = vec![false; self.input.cp.len()];
        let mut add = |id: CpId| {
            if !std::mem::replace(&mut seen[id], true) {
                used.push(id);
            }
        };
        let bodies: Vec<&Translated> = self.methods().filter_map(|m| self.input.bodies.get(&m)).collect();
        for body in &bodies {
            body.code.iter().filter_map(|(_, _, cp)| *cp).for_each(&mut add);
            body.handlers.iter().filter_map(|h| h.catch).for_each(&mut add);
        }
        let is_field = |id: &CpId| matches!(self.input.cp.get(*id).0, CpKey::InstanceField { .. });
        let (mut fields, mut rest): (Vec<_>, Vec<_>) = used.into_iter().partition(is_field);
        fields.sort_unstable();
        // Index 0 in a handler means "catches everything", so a caught class cannot have it.
        let caught = |id: &CpId| bodies.iter().any(|b| b.handlers.iter().any(|h| h.catch == Some(*id)));
        if fields.is_empty() && rest.first().is_some_and(caught) {
            if let Some(other) = rest.iter().position(|id| !caught(id)) {
                rest.swap(0, other);
            }
        }
        self.pool = fields.into_iter().chain(rest).collect();
        self.pool_index = self.pool.iter().enumerate().map(|(index, id)| (*id, short(index))).collect();
    }

    fn handler_count(&self) -> usize {
        self.methods().filter_map(|m| self.input.bodies.get(&m)).map(|b| b.handlers.len()).sum()
    }

    fn place_methods(&mut self) -> Result<(), Diagnostic> {
        let handlers = self.handler_count();
        limit(Limit::ExceptionHandlers, handlers, MAX_HANDLERS)?;
        let mut offset = 1 + 8 * handlers;
        for method in self.methods() {
            let head = self.header(method).size();
            self.method_offset.insert(method, (short(offset), head));
            offset += head + self.input.bodies.get(&method).map_or(0, |b| b.len);
        }
        limit(Limit::MethodComponentBytes, offset, MAX_COMPONENT)
    }

    fn header(&self, method: (usize, usize)) -> crate::model::MethodHeader {
        if let Some(body) = self.input.bodies.get(&method) {
            body.header
        } else {
            let nargs = 1 + self.classes()[method.0].methods[method.1].ty.parameter_cells();
            header(METHOD_ACC_ABSTRACT, 0, small(nargs), 0)
        }
    }

    fn place_classes(&mut self) -> Result<(), Diagnostic> {
        let mut offset = if self.input.format >= FormatVersion::V2_2 { 2 } else { 0 };
        for index in 0..self.classes().len() {
            self.class_offset.push(short(offset));
            let mut w = crate::bytes::Writer::default();
            if self.classes()[index].file.is_interface() {
                self.interface_info(index)?.write(&mut w);
            } else {
                self.class_info(index)?.write(&mut w);
            }
            offset += w.0.len();
        }
        // Internal class references have 15 bits (JCVM 6.7.1).
        limit(Limit::ComponentBytes, offset, 0x7FFF)
    }

    fn class_component(&mut self) -> Result<ClassComponent, Diagnostic> {
        let mut component = ClassComponent::default();
        if self.input.format >= FormatVersion::V2_2 {
            component.signature_pool = Some(Vec::new());
        }
        for (index, class) in self.classes().iter().enumerate() {
            if class.file.is_interface() {
                component.interfaces.push(self.interface_info(index)?);
            } else {
                component.classes.push(self.class_info(index)?);
            }
        }
        Ok(component)
    }

    fn interface_info(&mut self, index: usize) -> Result<InterfaceInfo, Diagnostic> {
        let class = &self.classes()[index];
        let shareable = self.package().is_shareable_interface(&TypeName::Own(index));
        let count = class.interfaces.len();
        if count > MAX_SUPERINTERFACES {
            let limit = Limit::Superinterfaces;
            return Err(class.diagnostic(ConvertRule::Limit { limit, count, max: MAX_SUPERINTERFACES }));
        }
        Ok(InterfaceInfo {
            offset: self.class_offset[index],
            flags: CLASS_ACC_INTERFACE | if shareable { CLASS_ACC_SHAREABLE } else { 0 },
            superinterfaces: class.interfaces.iter().map(|i| self.type_ref(i)).collect(),
            name: None,
        })
    }

    fn class_info(&mut self, index: usize) -> Result<ClassInfo, Diagnostic> {
        let class = &self.classes()[index];
        let count = class.interfaces.len();
        if count > MAX_INTERFACES {
            let limit = Limit::Interfaces;
            return Err(class.diagnostic(ConvertRule::Limit { limit, count, max: MAX_INTERFACES }));
        }
        let shareable =
            self.package().all_interfaces(index).iter().any(|i| self.package().is_shareable_interface(i));
        let references = class.fields.iter().zip(&class.file.fields).filter_map(|(slot, field)| match slot {
            FieldSlot::Instance(token) if field.descriptor.starts_with(['L', '[']) => Some(*token),
            _ => None,
        });
        let references: Vec<u8> = references.collect();
        let cells = class.fields.iter().zip(&class.file.fields).map(|(slot, field)| match slot {
            FieldSlot::Instance(_) if field.descriptor == "I" => 2,
            FieldSlot::Instance(_) => 1,
            _ => 0,
        });
        let (public_base, public) = self.table(index, &class.public_table, false);
        let (package_base, package) = self.table(index, &class.package_table, true);
        let superclass = class.superclass.as_ref().map(|s| self.type_ref(s));
        let mut interfaces = Vec::new();
        for interface in &class.interfaces {
            let methods = self.package().interface_methods(interface);
            let tokens = methods.iter().map(|(name, descriptor)| {
                let at =
                    class.public_table.iter().position(|e| e.name == *name && e.descriptor == *descriptor);
                small(at.unwrap_or(usize::from(NO_TOKEN)))
            });
            let tokens = tokens.collect();
            interfaces.push(ImplementedInterface { interface: self.type_ref(interface), tokens });
        }
        Ok(ClassInfo {
            offset: self.class_offset[index],
            flags: if shareable { CLASS_ACC_SHAREABLE } else { 0 },
            superclass,
            declared_instance_size: small(cells.sum()),
            first_reference_token: references.iter().min().copied().unwrap_or(NO_TOKEN),
            reference_count: small(references.len()),
            public_method_table_base: public_base,
            public_virtual_method_table: public,
            package_method_table_base: package_base,
            package_virtual_method_table: package,
            interfaces,
            remote: None,
            token_mapping: None,
        })
    }

    /// Base and entries of a method table: from the lowest token overridden or introduced here to the last one there
    /// is; a runtime that finds a token at or above the base looks no further (JCVM 6.8.2).
    fn table(&self, class: usize, entries: &[VirtualEntry], package_visible: bool) -> (u8, Vec<u16>) {
        let here = |e: &VirtualEntry| e.own.is_some_and(|(owner, _)| owner == class);
        // The package table of a class below an imported one begins at 0 (JCVM 6.8.2).
        let imported = matches!(self.classes()[class].superclass, Some(TypeName::Imported(_)) | None);
        let first = entries.iter().position(here);
        let base = if package_visible && imported { Some(0) } else { first };
        let base = base.unwrap_or(entries.len());
        let offset = |e: &VirtualEntry| match e.own {
            Some(method) => self.method_offset.get(&method).map_or(0, |(offset, _)| *offset),
            None => TABLE_ENTRY_INHERITED,
        };
        (small(base), entries[base..].iter().map(offset).collect())
    }

    fn method_component(&self) -> Result<(MethodComponent, ReferenceLocation), Diagnostic> {
        let mut component = MethodComponent::default();
        let (mut byte, mut byte2) = (Vec::new(), Vec::new());
        for method in self.methods() {
            let Some(body) = self.input.bodies.get(&method) else { continue };
            let (offset, head) = self.method_offset[&method];
            let code = usize::from(offset) + head;
            for (index, handler) in body.handlers.iter().enumerate() {
                let later = &body.handlers[index + 1..];
                let catch = handler.catch.and_then(|id| self.pool_index.get(&id)).copied();
                if handler.catch.is_some() {
                    byte2.push(short(1 + 8 * component.handlers.len() + 6));
                }
                component.handlers.push(ExceptionHandler {
                    start_offset: short(code + handler.start),
                    stop: !later.iter().any(|l| l.start < handler.end && handler.start < l.end),
                    active_length: short(handler.end - handler.start),
                    handler_offset: short(code + handler.handler),
                    catch_type_index: catch.unwrap_or(0),
                });
            }
        }
        let first = 1 + 8 * component.handlers.len();
        for method in self.methods() {
            component.methods.extend(self.header(method).write());
            let Some(body) = self.input.bodies.get(&method) else { continue };
            for (instruction, _, cp) in &body.code {
                let at = first + component.methods.len();
                let index = cp.and_then(|id| self.pool_index.get(&id)).copied().unwrap_or(0);
                let placed = with_index(instruction, index);
                if let Some((operand, one_byte)) = placed.pool_operand() {
                    let position = short(at + operand - placed.offset);
                    if one_byte {
                        byte.push(position);
                    } else {
                        byte2.push(position);
                    }
                }
                placed.encode(&mut component.methods);
            }
        }
        limit(Limit::MethodComponentBytes, component.info_len(), MAX_COMPONENT)?;
        Ok((component, ReferenceLocation::from_positions(&byte, &byte2)))
    }

    fn static_ref(&mut self, key: MemberKey, offset: impl Fn(&Self, (usize, usize)) -> u16) -> StaticRef {
        match key {
            MemberKey::Own { class, member } => StaticRef::internal(offset(self, (class, member))),
            MemberKey::Imported { package, class, token } => {
                StaticRef::External { package: self.import(package), class, token }
            }
        }
    }

    pub(super) fn method_at(&self, method: (usize, usize)) -> u16 {
        self.method_offset.get(&method).map_or(0, |(offset, _)| *offset)
    }

    pub(super) fn field_at(&self, field: (usize, usize)) -> u16 {
        self.input.image.offsets.get(&field).copied().unwrap_or(0)
    }

    fn constant_pool(&mut self) -> Result<ConstantPool, Diagnostic> {
        limit(Limit::ConstantPoolEntries, self.pool.len(), MAX_COMPONENT / 4)?;
        let mut entries = Vec::new();
        for id in self.pool.clone() {
            entries.push(match self.input.cp.get(id).0 {
                CpKey::Class(class) => CpInfo::class(self.key_ref(class)),
                CpKey::InstanceField { class, token } => {
                    CpInfo::InstanceField { class: self.key_ref(class), token }
                }
                CpKey::VirtualMethod { class, token } => {
                    CpInfo::VirtualMethod { class: self.key_ref(class), token }
                }
                CpKey::SuperMethod { class, token } => {
                    CpInfo::SuperMethod { class: self.own_ref(class), token }
                }
                CpKey::StaticField(key) => CpInfo::StaticField(self.static_ref(key, Self::field_at)),
                CpKey::StaticMethod(key) => CpInfo::StaticMethod(self.static_ref(key, Self::method_at)),
            });
        }
        Ok(ConstantPool { entries })
    }

    /// Exported classes by token.
    fn export(&self) -> Option<Export> {
        let package = self.package();
        let mut exported: Vec<usize> =
            (0..self.classes().len()).filter(|c| package.is_exported(*c)).collect();
        exported.sort_by_key(|c| self.classes()[*c].token);
        let classes: Vec<ClassExport> = exported
            .into_iter()
            .map(|index| {
                let class = &self.classes()[index];
                let mut fields: Vec<(u8, u16)> = Vec::new();
                let mut methods: Vec<(u8, u16)> = Vec::new();
                if !package.has_applets && !class.file.is_interface() {
                    for (field, slot) in class.fields.iter().enumerate() {
                        if let FieldSlot::Static(Some(token)) = slot {
                            fields.push((*token, self.field_at((index, field))));
                        }
                    }
                    for (method, slot) in class.methods.iter().enumerate() {
                        if let Role::Static(Some(token)) = slot.role {
                            methods.push((token, self.method_at((index, method))));
                        }
                    }
                }
                fields.sort_unstable();
                methods.sort_unstable();
                ClassExport {
                    class_offset: self.class_offset[index],
                    static_field_offsets: fields.into_iter().map(|(_, offset)| offset).collect(),
                    static_method_offsets: methods.into_iter().map(|(_, offset)| offset).collect(),
                }
            })
            .collect();
        (!classes.is_empty()).then_some(Export { classes })
    }

    fn applet(&self) -> Option<Applet> {
        let entry = |(aid, class, install): &(Aid, usize, usize)| AppletEntry {
            aid: *aid,
            install_method_offset: self.method_at((*class, *install)),
        };
        let applets: Vec<AppletEntry> = self.input.applets.iter().map(entry).collect();
        (!applets.is_empty()).then_some(Applet { applets })
    }
}

fn with_index(instruction: &Instruction, index: u16) -> Instruction {
    let mut instruction = instruction.clone();
    match &mut instruction.operands {
        Operands::Pool(at) | Operands::InvokeInterface { index: at, .. } => *at = index,
        Operands::TypeCheck { atype, index: at } if *atype == 0 || *atype == 14 => *at = index,
        _ => {}
    }
    instruction
}
