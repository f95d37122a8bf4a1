//! From a CAP to a package that can run: imports, classes, constants, methods.
//!
//! What is checked here is what the interpreter relies on to find its way: every token and offset leads where it
//! says. What it does with values it checks itself, instruction by instruction, because nobody promises that a CAP has
//! seen a verifier.

mod builtin;
mod error;
mod scan;

pub(crate) use builtin::Builtins;
pub use error::{LinkError, LinkRule};

use std::collections::HashMap;
use std::sync::Arc;

use jpkise_cap::model::{ClassInfo, ClassRef, CpInfo, StaticRef, CLASS_ACC_SHAREABLE, TABLE_ENTRY_INHERITED};
use jpkise_cap::{Aid, Cap, ComponentTag, LoadOptions};

use crate::class::{
    Class, ClassId, Constant, Exported, Handler, Method, Package, StaticImage, Target, FIRST_BUILT_IN,
};
use crate::heap::kind;
use error::refuse;

/// The packages a new one is linked against.
pub(crate) struct Environment<'a> {
    pub(crate) builtins: &'a Builtins,
    /// Loaded packages by slot.
    pub(crate) loaded: &'a [Option<Arc<Package>>],
    pub(crate) int_supported: bool,
}

impl Environment<'_> {
    fn by_aid(&self, aid: Aid) -> Option<&Arc<Package>> {
        self.loaded.iter().flatten().chain(&self.builtins.packages).find(|p| p.aid == aid)
    }

    fn package(&self, slot: u8) -> Option<&Arc<Package>> {
        match slot.checked_sub(FIRST_BUILT_IN) {
            Some(index) => self.builtins.packages.iter().find(|p| p.slot == index + FIRST_BUILT_IN),
            None => self.loaded.get(usize::from(slot))?.as_ref(),
        }
    }
}

/// Links a CAP into a free slot.
pub(crate) fn link(cap: &Cap, slot: u8, environment: &Environment<'_>) -> Result<Package, LinkError> {
    if cap.header.uses_int() && !environment.int_supported {
        return refuse(ComponentTag::Header, 6, LinkRule::IntNotSupported);
    }
    let mut linker = Linker {
        cap,
        slot,
        environment,
        imports: Vec::new(),
        classes: Vec::new(),
        class_at: HashMap::new(),
        methods: Vec::new(),
        method_at: HashMap::new(),
        code: cap.method.write(),
    };
    linker.resolve_imports()?;
    linker.read_interfaces()?;
    linker.read_classes()?;
    let statics = linker.static_image()?;
    let applets = linker.applets()?;
    let exports = linker.exports(&statics)?;
    let constants = linker.constants(&statics)?;
    let handlers = linker.handlers(&constants)?;
    let imports = linker.imports.iter().map(|p| p.slot).filter(|slot| *slot < FIRST_BUILT_IN).collect();
    let mut package = Package {
        slot,
        aid: cap.header.package.aid,
        version: cap.header.package.version,
        classes: linker.classes.into_iter().map(|c| Some(Box::new(c))).collect(),
        exports,
        code: linker.code,
        methods: linker.methods,
        constants,
        handlers,
        applets,
        statics,
        imports,
        natives: HashMap::new(),
        load_file: cap.load_file_data_block(LoadOptions::default()),
    };
    scan::scan(cap, &package, environment)?;
    package.methods.shrink_to_fit();
    Ok(package)
}

struct Linker<'a> {
    cap: &'a Cap,
    slot: u8,
    environment: &'a Environment<'a>,
    imports: Vec<Arc<Package>>,
    classes: Vec<Class>,
    /// Offset in Class's info to index.
    class_at: HashMap<u16, u16>,
    methods: Vec<Method>,
    /// Offset in Method's info to index.
    method_at: HashMap<u16, u16>,
    code: Vec<u8>,
}

impl Linker<'_> {
    fn resolve_imports(&mut self) -> Result<(), LinkError> {
        for (index, wanted) in self.cap.import.packages.iter().enumerate() {
            let Some(package) = self.environment.by_aid(wanted.aid) else {
                return refuse(ComponentTag::Import, index, LinkRule::ImportMissing { aid: wanted.aid });
            };
            if !package.version.satisfies(wanted.version) {
                let rule = LinkRule::ImportVersion {
                    aid: wanted.aid,
                    wanted: wanted.version,
                    present: package.version,
                };
                return refuse(ComponentTag::Import, index, rule);
            }
            self.imports.push(package.clone());
        }
        Ok(())
    }

    fn imported(&self, component: ComponentTag, at: usize, token: u8) -> Result<&Arc<Package>, LinkError> {
        match self.imports.get(usize::from(token)) {
            Some(package) => Ok(package),
            None => refuse(component, at, LinkRule::PackageToken(token)),
        }
    }

    /// The class or interface a reference names; own ones must have been read already.
    fn class_id(&self, component: ComponentTag, at: usize, class: ClassRef) -> Result<ClassId, LinkError> {
        match class {
            ClassRef::Internal(offset) => match self.class_at.get(&offset) {
                Some(index) => Ok(ClassId { package: self.slot, index: *index }),
                None => refuse(component, at, LinkRule::NoClass(format!("{offset:#06x}"))),
            },
            ClassRef::External { package, class } => {
                let package = self.imported(component, at, package)?;
                let index = if package.slot >= FIRST_BUILT_IN {
                    u16::from(class)
                } else {
                    match package.exports.get(usize::from(class)) {
                        Some(exported) => exported.class,
                        None => u16::MAX,
                    }
                };
                if package.class(index).is_none() {
                    let rule =
                        LinkRule::NoToken { package: package.aid, what: format!("class token {class}") };
                    return refuse(component, at, rule);
                }
                Ok(ClassId { package: package.slot, index })
            }
        }
    }

    fn class(&self, id: ClassId) -> Option<&Class> {
        if id.package == self.slot {
            self.classes.get(usize::from(id.index))
        } else {
            self.environment.package(id.package)?.class(id.index)
        }
    }

    fn own(&self, component: ComponentTag, at: usize, class: ClassRef) -> Result<&Class, LinkError> {
        let id = self.class_id(component, at, class)?;
        match self.class(id) {
            Some(class) => Ok(class),
            None => refuse(component, at, LinkRule::NoClass(format!("{class:?}"))),
        }
    }

    fn add_class(&mut self, offset: u16, class: Class) {
        self.class_at.insert(offset, class.id.index);
        self.classes.push(class);
    }

    fn next_id(&self) -> ClassId {
        ClassId { package: self.slot, index: u16::try_from(self.classes.len()).unwrap_or(u16::MAX) }
    }

    fn read_interfaces(&mut self) -> Result<(), LinkError> {
        const HERE: ComponentTag = ComponentTag::Class;
        for info in &self.cap.class.interfaces {
            let at = usize::from(info.offset);
            let mut all = Vec::new();
            for superinterface in &info.superinterfaces {
                let parent = self.own(HERE, at, *superinterface)?;
                if !parent.is_interface {
                    return refuse(HERE, at, LinkRule::NotAnInterface);
                }
                all.push(parent.id);
                all.extend(&parent.all_interfaces);
            }
            all.sort_unstable();
            all.dedup();
            let id = self.next_id();
            let class = Class {
                id,
                name: None,
                is_interface: true,
                is_abstract: true,
                shareable: info.flags & CLASS_ACC_SHAREABLE != 0,
                superclass: None,
                ancestors: vec![id],
                first_cell: 0,
                cells: 0,
                references: Vec::new(),
                methods: Vec::new(),
                package_methods: Vec::new(),
                interfaces: Vec::new(),
                all_interfaces: all,
            };
            self.add_class(info.offset, class);
        }
        Ok(())
    }

    fn read_classes(&mut self) -> Result<(), LinkError> {
        for info in &self.cap.class.classes {
            let class = self.read_class(info)?;
            self.add_class(info.offset, class);
        }
        Ok(())
    }

    fn read_class(&mut self, info: &ClassInfo) -> Result<Class, LinkError> {
        const HERE: ComponentTag = ComponentTag::Class;
        let at = usize::from(info.offset);
        let Some(superclass) = info.superclass else { return refuse(HERE, at, LinkRule::Superclass) };
        let parent = self.own(HERE, at, superclass)?;
        if parent.is_interface {
            return refuse(HERE, at, LinkRule::Superclass);
        }
        let internal = parent.id.package == self.slot;
        let (parent_id, first_cell) = (parent.id, parent.cells);
        let mut methods = parent.methods.clone();
        let mut package_methods = if internal { parent.package_methods.clone() } else { Vec::new() };
        let mut references = parent.references.clone();
        let mut ancestors = parent.ancestors.clone();
        let mut all_interfaces = parent.all_interfaces.clone();
        let id = self.next_id();
        ancestors.push(id);

        let declared = u16::from(info.declared_instance_size);
        let cells = first_cell.checked_add(declared).filter(|cells| *cells <= 0x7FFF);
        let Some(cells) = cells else { return refuse(HERE, at, LinkRule::Fields("too many fields")) };
        if info.reference_count > 0 {
            let first = u16::from(info.first_reference_token);
            let count = u16::from(info.reference_count);
            if first + count > declared {
                return refuse(HERE, at, LinkRule::Fields("reference fields beyond the instance size"));
            }
            references.push((first_cell + first, count));
        }

        self.table(at, &mut methods, info.public_method_table_base, &info.public_virtual_method_table)?;
        if !internal && info.package_method_table_base != 0 {
            return refuse(HERE, at, LinkRule::MethodTable("package methods inherited from another package"));
        }
        self.table(
            at,
            &mut package_methods,
            info.package_method_table_base,
            &info.package_virtual_method_table,
        )?;

        let mut interfaces = Vec::new();
        for implemented in &info.interfaces {
            let interface = self.own(HERE, at, implemented.interface)?;
            if !interface.is_interface {
                return refuse(HERE, at, LinkRule::NotAnInterface);
            }
            all_interfaces.push(interface.id);
            all_interfaces.extend(&interface.all_interfaces);
            let interface = interface.id;
            if implemented.tokens.iter().any(|token| usize::from(*token) >= methods.len()) {
                return refuse(HERE, at, LinkRule::MethodTable("interface method without a virtual method"));
            }
            interfaces.push((interface, implemented.tokens.clone()));
        }
        all_interfaces.sort_unstable();
        all_interfaces.dedup();
        let shareable = info.flags & CLASS_ACC_SHAREABLE != 0;
        Ok(Class {
            id,
            name: None,
            is_interface: false,
            is_abstract: false,
            shareable: shareable || self.class(parent_id).is_some_and(|p| p.shareable),
            superclass: Some(parent_id),
            ancestors,
            first_cell,
            cells,
            references,
            methods,
            package_methods,
            interfaces,
            all_interfaces,
        })
    }

    /// Lays the entries of one method table over the inherited ones.
    fn table(
        &mut self,
        at: usize,
        table: &mut Vec<Target>,
        base: u8,
        entries: &[u16],
    ) -> Result<(), LinkError> {
        const HERE: ComponentTag = ComponentTag::Class;
        if usize::from(base) > table.len() && !entries.is_empty() {
            return refuse(HERE, at, LinkRule::MethodTable("hole before the first entry"));
        }
        for (token, entry) in (usize::from(base)..).zip(entries) {
            if token > 127 {
                return refuse(HERE, at, LinkRule::MethodTable("more than 128 methods"));
            }
            let inherited = table.get(token).copied();
            let target = match *entry {
                TABLE_ENTRY_INHERITED => match inherited {
                    Some(inherited) => inherited,
                    None => return refuse(HERE, at, LinkRule::MethodTable("inherits what is not there")),
                },
                0 => Target::Abstract { nargs: inherited.map_or(0, |t| self.nargs(t)) },
                offset => self.method(HERE, at, offset)?,
            };
            if token < table.len() {
                table[token] = target;
            } else {
                table.push(target);
            }
        }
        Ok(())
    }

    fn nargs(&self, target: Target) -> u8 {
        match target {
            Target::Abstract { nargs } | Target::Native { nargs, .. } => nargs,
            Target::Code { package, method } if package == self.slot => {
                self.methods.get(usize::from(method)).map_or(0, |m| m.nargs)
            }
            Target::Code { package, method } => {
                let package = self.environment.package(package);
                package.and_then(|p| p.method(method)).map_or(0, |m| m.nargs)
            }
            Target::Missing => 0,
        }
    }

    /// The method whose header stands at an offset of Method's info.
    fn method(&mut self, component: ComponentTag, at: usize, offset: u16) -> Result<Target, LinkError> {
        if let Some(index) = self.method_at.get(&offset) {
            let method = self.methods[usize::from(*index)];
            return Ok(self.target(*index, method));
        }
        let Ok(header) = self.cap.method.header_at(offset) else {
            return refuse(component, at, LinkRule::NoMethod(offset));
        };
        let Some(code) = u16::try_from(header.size()).ok().and_then(|size| offset.checked_add(size)) else {
            return refuse(component, at, LinkRule::NoMethod(offset));
        };
        let method = Method {
            offset,
            code,
            nargs: header.nargs,
            locals: header.max_locals,
            stack: header.max_stack,
            is_abstract: header.is_abstract(),
        };
        let index = u16::try_from(self.methods.len()).unwrap_or(u16::MAX);
        self.methods.push(method);
        self.method_at.insert(offset, index);
        Ok(self.target(index, method))
    }

    fn target(&self, index: u16, method: Method) -> Target {
        if method.is_abstract {
            Target::Abstract { nargs: method.nargs }
        } else {
            Target::Code { package: self.slot, method: index }
        }
    }

    fn static_image(&self) -> Result<StaticImage, LinkError> {
        const HERE: ComponentTag = ComponentTag::StaticField;
        let info = &self.cap.static_field;
        let fail = |text| refuse(HERE, 0, LinkRule::StaticImage(text));
        let mut arrays = Vec::new();
        for init in &info.array_inits {
            let (kind, size) = match init.element_type {
                2 => (kind::BOOLEANS, 1),
                3 => (kind::BYTES, 1),
                4 => (kind::SHORTS, 2),
                5 => (kind::INTS, 4),
                _ => return fail("an initialised array of an unknown type"),
            };
            if init.values.len() % size != 0 || init.values.len() / size > 0x7FFF {
                return fail("an initialised array of a broken length");
            }
            arrays.push((kind, init.values.clone()));
        }
        if arrays.len() > usize::from(info.reference_count) {
            return fail("more initialised arrays than references");
        }
        let references = usize::from(info.reference_count) * 2;
        let zeros = usize::from(info.default_value_count);
        if references + zeros + info.non_default_values.len() != usize::from(info.image_size) {
            return fail("the image size is not the sum of its parts");
        }
        let mut primitives = vec![0; zeros];
        primitives.extend(&info.non_default_values);
        Ok(StaticImage { references: info.reference_count, size: info.image_size, arrays, primitives })
    }

    fn applets(&mut self) -> Result<Vec<(Aid, u16)>, LinkError> {
        const HERE: ComponentTag = ComponentTag::Applet;
        let mut applets = Vec::new();
        for (index, entry) in self.cap.applet.iter().flat_map(|a| &a.applets).enumerate() {
            match self.method(HERE, index, entry.install_method_offset)? {
                // install(byte[], short, byte)
                Target::Code { method, .. } if self.methods[usize::from(method)].nargs == 3 => {
                    applets.push((entry.aid, method));
                }
                _ => return refuse(HERE, index, LinkRule::Install),
            }
        }
        Ok(applets)
    }

    fn exports(&mut self, statics: &StaticImage) -> Result<Vec<Exported>, LinkError> {
        const HERE: ComponentTag = ComponentTag::Export;
        let mut exports = Vec::new();
        for (token, class) in self.cap.export.iter().flat_map(|e| &e.classes).enumerate() {
            let Some(index) = self.class_at.get(&class.class_offset).copied() else {
                return refuse(HERE, token, LinkRule::NoClass(format!("{:#06x}", class.class_offset)));
            };
            if let Some(offset) = class.static_field_offsets.iter().find(|offset| **offset >= statics.size) {
                return refuse(HERE, token, LinkRule::NoStaticField(*offset));
            }
            let mut methods = Vec::new();
            for offset in &class.static_method_offsets {
                methods.push(self.method(HERE, token, *offset)?);
            }
            exports.push(Exported { class: index, fields: class.static_field_offsets.clone(), methods });
        }
        Ok(exports)
    }

    fn constants(&mut self, statics: &StaticImage) -> Result<Vec<Constant>, LinkError> {
        let entries = self.cap.constant_pool.entries.iter().enumerate();
        entries.map(|(at, entry)| self.constant(at, *entry, statics)).collect()
    }

    fn constant(&mut self, at: usize, entry: CpInfo, statics: &StaticImage) -> Result<Constant, LinkError> {
        const HERE: ComponentTag = ComponentTag::ConstantPool;
        Ok(match entry {
            CpInfo::Class { class, .. } => Constant::Class(self.class_id(HERE, at, class)?),
            CpInfo::InstanceField { class, token } => {
                let class = self.own(HERE, at, class)?;
                let cell = class.first_cell + u16::from(token);
                if cell >= class.cells {
                    return refuse(HERE, at, LinkRule::Fields("no field with this token"));
                }
                // Fields of API classes are this runtime's own affair.
                if class.id.package >= FIRST_BUILT_IN {
                    return refuse(HERE, at, LinkRule::Fields("API classes have no fields to link to"));
                }
                Constant::Field { class: class.id, cell }
            }
            CpInfo::VirtualMethod { class, token } => {
                let class = self.own(HERE, at, class)?;
                let package_visible = token & 0x80 != 0;
                if package_visible && class.id.package != self.slot {
                    let rule = LinkRule::MethodTable("a package-visible method of another package");
                    return refuse(HERE, at, rule);
                }
                let token = token & 0x7F;
                let table = if package_visible { &class.package_methods } else { &class.methods };
                match table.get(usize::from(token)) {
                    None => return self.no_token(at, class, format!("virtual method {token}")),
                    Some(Target::Missing) => Constant::Unusable,
                    Some(target) => {
                        let nargs = match self.nargs(*target) {
                            0 => self.nargs_below(class.id, token, package_visible),
                            nargs => nargs,
                        };
                        Constant::Virtual { class: class.id, token, package_visible, nargs }
                    }
                }
            }
            CpInfo::SuperMethod { class, token } => {
                let class = self.own(HERE, at, class)?;
                let Some(parent) = class.superclass.and_then(|id| self.class(id)) else {
                    return refuse(HERE, at, LinkRule::Superclass);
                };
                let (package_visible, token) = (token & 0x80 != 0, token & 0x7F);
                let table = if package_visible { &parent.package_methods } else { &parent.methods };
                match table.get(usize::from(token)) {
                    None => return self.no_token(at, parent, format!("virtual method {token}")),
                    Some(Target::Missing) => Constant::Unusable,
                    Some(target) => Constant::Super(*target),
                }
            }
            CpInfo::StaticField(StaticRef::Internal { offset, .. }) => {
                if offset >= statics.size {
                    return refuse(HERE, at, LinkRule::NoStaticField(offset));
                }
                Constant::Static { package: self.slot, offset }
            }
            CpInfo::StaticField(StaticRef::External { package, class, token }) => {
                let package = self.imported(HERE, at, package)?;
                let exported = package.exports.get(usize::from(class));
                let Some(offset) = exported.and_then(|e| e.fields.get(usize::from(token))) else {
                    let what = format!("static field {token} of class {class}");
                    return refuse(HERE, at, LinkRule::NoToken { package: package.aid, what });
                };
                Constant::Static { package: package.slot, offset: *offset }
            }
            CpInfo::StaticMethod(StaticRef::Internal { offset, .. }) => {
                Constant::Method(self.method(HERE, at, offset)?)
            }
            CpInfo::StaticMethod(StaticRef::External { package, class, token }) => {
                let package = self.imported(HERE, at, package)?;
                let target = if package.slot >= FIRST_BUILT_IN {
                    package.natives.get(&(class, token)).copied()
                } else {
                    let exported = package.exports.get(usize::from(class));
                    exported.and_then(|e| e.methods.get(usize::from(token))).copied()
                };
                match target {
                    Some(Target::Missing) => Constant::Unusable,
                    Some(target) => Constant::Method(target),
                    None => {
                        let what = format!("static method {token} of class {class}");
                        return refuse(HERE, at, LinkRule::NoToken { package: package.aid, what });
                    }
                }
            }
        })
    }

    fn no_token<T>(&self, at: usize, class: &Class, what: String) -> Result<T, LinkError> {
        let own = self.cap.header.package.aid;
        let package = self.environment.package(class.id.package).map_or(own, |p| p.aid);
        refuse(ComponentTag::ConstantPool, at, LinkRule::NoToken { package, what })
    }

    /// Argument cells of an abstract method, from whoever implements it here.
    fn nargs_below(&self, class: ClassId, token: u8, package_visible: bool) -> u8 {
        let below = self.classes.iter().filter(|c| c.ancestors.contains(&class));
        let targets = below.filter_map(|c| {
            let table = if package_visible { &c.package_methods } else { &c.methods };
            table.get(usize::from(token)).copied()
        });
        targets.map(|t| self.nargs(t)).find(|n| *n != 0).unwrap_or(0)
    }

    fn handlers(&self, constants: &[Constant]) -> Result<Vec<Handler>, LinkError> {
        const HERE: ComponentTag = ComponentTag::Method;
        let mut handlers = Vec::new();
        for (index, info) in self.cap.method.handlers.iter().enumerate() {
            let at = 1 + 8 * index;
            let catches = match info.catch_type_index {
                0 => None,
                index => {
                    let Some(Constant::Class(id)) = constants.get(usize::from(index)) else {
                        let what = "not a class";
                        let rule = LinkRule::Constant { mnemonic: "exception handler", index, what };
                        return refuse(HERE, at, rule);
                    };
                    Some(*id)
                }
            };
            if usize::from(info.handler_offset) >= self.code.len()
                || usize::from(info.handler_offset) < self.cap.method.first_method_offset()
            {
                return refuse(HERE, at, LinkRule::BranchOutside(info.handler_offset.into()));
            }
            let end = u32::from(info.start_offset) + u32::from(info.active_length);
            handlers.push(Handler { start: info.start_offset, end, target: info.handler_offset, catches });
        }
        Ok(handlers)
    }
}
