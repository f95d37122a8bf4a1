//! Names for what a CAP file only numbers: from its Debug component, its own export file, and those of its imports;
//! where none tells, a name made from the number.

use std::collections::HashMap;

use crate::exports::{acc, ExportClass, ExportSet};
use crate::model::{ArrayElement, NO_TOKEN};
use crate::model::{Cap, ClassRef, CpInfo, Descriptor, FieldRef, StaticRef, Type};

/// Names of one CAP file's parts.
#[derive(Debug)]
pub struct Names<'a> {
    cap: &'a Cap,
    exports: &'a ExportSet,
    /// By offset in Class.
    classes: HashMap<u16, String>,
    /// By offset in Method.
    methods: HashMap<u16, String>,
    /// By offset in the static field image.
    static_fields: HashMap<u16, String>,
    /// By offset of the class and token.
    instance_fields: HashMap<(u16, u8), String>,
    /// By offset of the interface and token.
    interface_methods: HashMap<(u16, u8), String>,
}

const ACC_STATIC: u16 = 8;

impl<'a> Names<'a> {
    /// Collects all names.
    pub fn new(cap: &'a Cap, exports: &'a ExportSet) -> Self {
        let mut names = Self {
            cap,
            exports,
            classes: HashMap::new(),
            methods: HashMap::new(),
            static_fields: HashMap::new(),
            instance_fields: HashMap::new(),
            interface_methods: HashMap::new(),
        };
        names.take_debug();
        names.take_own_export();
        names.take_descriptor();
        names
    }

    fn take_debug(&mut self) {
        let Some(debug) = &self.cap.debug else { return };
        let text = |index| debug.string(index).unwrap_or_default();
        for class in &debug.classes {
            let name = text(class.name_index).replace('/', ".");
            let short = name.rsplit('.').next().unwrap_or_default().to_owned();
            for method in class.methods.iter().filter(|m| m.location != 0) {
                let signature =
                    format!("{short}.{}{}", text(method.name_index), text(method.descriptor_index));
                self.methods.insert(method.location, signature);
            }
            for field in &class.fields {
                let field_name = format!("{short}.{}", text(field.name_index));
                let Ok(low) = u16::try_from(field.contents & 0xFFFF) else { continue };
                let primitive_constant = field.access_flags & (ACC_STATIC | acc::FINAL)
                    == ACC_STATIC | acc::FINAL
                    && !text(field.descriptor_index).starts_with(['L', '[']);
                if primitive_constant {
                    continue;
                }
                if field.access_flags & ACC_STATIC != 0 {
                    self.static_fields.insert(low, field_name);
                } else {
                    self.instance_fields.insert((class.location, low.to_be_bytes()[1]), field_name);
                }
            }
            // Interface methods have no place in Method; Descriptor lists the same ones in the same order.
            let descriptor =
                self.cap.descriptor.as_ref().and_then(|d| d.class(ClassRef::Internal(class.location)));
            if let Some(descriptor) = descriptor.filter(|d| d.methods.len() == class.methods.len()) {
                for (debug, described) in class.methods.iter().zip(&descriptor.methods) {
                    if described.method_offset == 0 {
                        let name =
                            format!("{short}.{}{}", text(debug.name_index), text(debug.descriptor_index));
                        self.interface_methods.insert((class.location, described.token), name);
                    }
                }
            }
            self.classes.insert(class.location, name);
        }
    }

    fn take_own_export(&mut self) {
        let package = self.cap.header.package;
        let Some(table) =
            self.exports.given().iter().find(|p| p.aid == package.aid && p.version == package.version)
        else {
            return;
        };
        let Some(export) = &self.cap.export else { return };
        for (token, entry) in (0..).zip(&export.classes) {
            let Some(class) = table.class_by_token(token) else { continue };
            let short = short_name(&class.name);
            self.classes.entry(entry.class_offset).or_insert_with(|| class.name.replace('/', "."));
            for (token, offset) in (0..).zip(&entry.static_method_offsets) {
                if let Some(method) = class.static_method(token) {
                    let name = format!("{short}.{}{}", method.name, method.descriptor);
                    self.methods.entry(*offset).or_insert(name);
                }
            }
            for (token, offset) in (0..).zip(&entry.static_field_offsets) {
                if let Some(field) = class.static_field(token) {
                    self.static_fields.entry(*offset).or_insert_with(|| format!("{short}.{}", field.name));
                }
            }
            for method in class.methods.iter().filter(|m| class.is_interface() && !m.is_static_kind()) {
                let name = format!("{short}.{}{}", method.name, method.descriptor);
                self.interface_methods.entry((entry.class_offset, method.token)).or_insert(name);
            }
            self.virtual_names(entry.class_offset, class);
        }
    }

    /// Names the methods of a class by its table.
    fn virtual_names(&mut self, offset: u16, class: &ExportClass) {
        let Some(info) = self.cap.class.class_at(offset) else { return };
        for (token, method_offset) in (info.public_method_table_base..).zip(&info.public_virtual_method_table)
        {
            if let Some(method) =
                class.virtual_method(token).filter(|_| *method_offset != 0xFFFF && *method_offset != 0)
            {
                let name = format!("{}.{}{}", short_name(&class.name), method.name, method.descriptor);
                self.methods.entry(*method_offset).or_insert(name);
            }
        }
        for field in class.fields.iter().filter(|f| f.access & acc::STATIC == 0) {
            if let Some(token) = field.token {
                let name = format!("{}.{}", short_name(&class.name), field.name);
                self.instance_fields.entry((offset, token)).or_insert(name);
            }
        }
    }

    /// What Descriptor tells: which class a member belongs to, its token and signature; overridden methods have the
    /// name they have in the imported superclass.
    fn take_descriptor(&mut self) {
        let offsets = self.cap.class.interfaces.iter().map(|i| i.offset);
        for (number, offset) in offsets.chain(self.cap.class.classes.iter().map(|c| c.offset)).enumerate() {
            self.classes.entry(offset).or_insert_with(|| format!("class#{number}"));
        }
        let install = self.cap.applet.iter().flat_map(|a| &a.applets);
        let installs: Vec<u16> = install.map(|a| a.install_method_offset).collect();
        let Some(descriptor) = &self.cap.descriptor else { return };
        for class in &descriptor.classes {
            let ClassRef::Internal(class_offset) = class.this_class else { continue };
            let short =
                short_name(self.classes.get(&class_offset).map_or("class", String::as_str)).to_owned();
            for method in class.methods.iter().filter(|m| m.method_offset != 0) {
                let signature = self.signature(descriptor, method.type_offset);
                let is = |flag| method.access_flags & flag != 0;
                let name = if is(crate::model::access::METHOD_INIT) {
                    "<init>".to_owned()
                } else if installs.contains(&method.method_offset) {
                    "install".to_owned()
                } else if is(crate::model::access::STATIC) || method.token == NO_TOKEN {
                    format!("method_{:04x}", method.method_offset)
                } else {
                    let inherited = self.inherited_method(class_offset, method.token);
                    inherited.unwrap_or_else(|| format!("virtual_{:02x}", method.token))
                };
                let name = format!("{short}.{name}{signature}");
                self.methods.entry(method.method_offset).or_insert(name);
            }
            for field in &class.fields {
                match field.field_ref {
                    FieldRef::Static(StaticRef::Internal { offset, .. }) => {
                        self.static_fields
                            .entry(offset)
                            .or_insert_with(|| format!("{short}.static_{offset:04x}"));
                    }
                    FieldRef::Instance { token, .. } => {
                        let name = format!("{short}.field_{token:02x}");
                        self.instance_fields.entry((class_offset, token)).or_insert(name);
                    }
                    FieldRef::Static(_) => {}
                }
            }
        }
    }

    fn signature(&self, descriptor: &Descriptor, type_offset: u16) -> String {
        let Some(types) = descriptor.types.at(type_offset).and_then(crate::model::TypeDescriptor::decode)
        else {
            return String::new();
        };
        let Some((result, parameters)) = types.split_last() else { return String::new() };
        let parameters: Vec<String> = parameters.iter().map(|ty| self.type_name(*ty)).collect();
        format!("({}){}", parameters.concat(), self.type_name(*result))
    }

    /// A type in the form of class files.
    pub fn type_name(&self, ty: Type) -> String {
        match ty {
            Type::Void => "V".into(),
            Type::Boolean => "Z".into(),
            Type::Byte => "B".into(),
            Type::Short => "S".into(),
            Type::Int => "I".into(),
            Type::Reference(class) => format!("L{};", self.class(class).replace('.', "/")),
            Type::Array(ArrayElement::Boolean) => "[Z".into(),
            Type::Array(ArrayElement::Byte) => "[B".into(),
            Type::Array(ArrayElement::Short) => "[S".into(),
            Type::Array(ArrayElement::Int) => "[I".into(),
            Type::Array(ArrayElement::Reference(class)) => {
                format!("[L{};", self.class(class).replace('.', "/"))
            }
        }
    }

    /// The name a public virtual method has in the imported class above.
    fn inherited_method(&self, class: u16, token: u8) -> Option<String> {
        let mut at = self.cap.class.class_at(class)?;
        for _ in 0..=self.cap.class.classes.len() {
            match at.superclass? {
                ClassRef::Internal(above) => at = self.cap.class.class_at(above)?,
                ClassRef::External { package, class } => {
                    let class = self.imported(package, class)?;
                    return class.virtual_method(token).map(|m| m.name.clone());
                }
            }
        }
        None
    }

    fn imported(&self, package: u8, class: u8) -> Option<&ExportClass> {
        let import = self.cap.imported(package)?;
        self.exports.by_import(import.aid, import.version)?.class_by_token(class)
    }

    /// Name of a class, with dots.
    pub fn class(&self, class: ClassRef) -> String {
        match class {
            ClassRef::Internal(offset) => {
                self.classes.get(&offset).cloned().unwrap_or_else(|| format!("class@{offset:04x}"))
            }
            ClassRef::External { package, class } => match self.imported(package, class) {
                Some(class) => class.name.replace('/', "."),
                None => format!("package{package}.class{class}"),
            },
        }
    }

    /// Name of the method at an offset in Method.
    pub fn method(&self, offset: u16) -> String {
        self.methods.get(&offset).cloned().unwrap_or_else(|| format!("method_{offset:04x}"))
    }

    /// Name of an interface or virtual method.
    pub fn virtual_method(&self, class: ClassRef, token: u8) -> String {
        let short = |name: &str| short_name(name).to_owned();
        match class {
            ClassRef::Internal(offset) => {
                if let Some(name) = self.interface_methods.get(&(offset, token)) {
                    return name.clone();
                }
                let mut at = self.cap.class.class_at(offset);
                let mut hops = 0;
                while let (Some(info), true) = (at, hops <= self.cap.class.classes.len()) {
                    let (base, table) = if token & 0x80 == 0 {
                        (info.public_method_table_base, &info.public_virtual_method_table)
                    } else {
                        (info.package_method_table_base, &info.package_virtual_method_table)
                    };
                    let entry = (token & 0x7F).checked_sub(base).and_then(|i| table.get(usize::from(i)));
                    if let Some(name) = entry.and_then(|offset| self.methods.get(offset)) {
                        return name.clone();
                    }
                    at = match info.superclass {
                        Some(ClassRef::Internal(above)) => self.cap.class.class_at(above),
                        _ => None,
                    };
                    hops += 1;
                }
                let name =
                    self.inherited_method(offset, token).unwrap_or_else(|| format!("virtual_{token:02x}"));
                format!("{}.{name}", short(&self.class(class)))
            }
            ClassRef::External { package, class: class_token } => {
                let class_name = self.class(class);
                match self.imported(package, class_token).and_then(|c| c.virtual_method(token)) {
                    Some(method) => format!("{}.{}{}", short(&class_name), method.name, method.descriptor),
                    None => format!("{}.virtual_{token:02x}", short(&class_name)),
                }
            }
        }
    }

    /// Name of what a constant pool entry refers to.
    pub fn constant(&self, entry: CpInfo) -> String {
        match entry {
            CpInfo::Class { class, .. } => self.class(class),
            CpInfo::InstanceField { class: ClassRef::Internal(offset), token } => {
                let name = self.instance_fields.get(&(offset, token)).cloned();
                name.unwrap_or_else(|| format!("field_{token:02x}"))
            }
            CpInfo::InstanceField { class: ClassRef::External { package, class }, token } => {
                let class = self.imported(package, class);
                match class.and_then(|c| Some((c, c.instance_field(token)?))) {
                    Some((class, field)) => format!("{}.{}", short_name(&class.name), field.name),
                    None => format!("field_{token:02x}"),
                }
            }
            CpInfo::VirtualMethod { class, token } => self.virtual_method(class, token),
            CpInfo::SuperMethod { class, token } => {
                let above = match class {
                    ClassRef::Internal(offset) => self.cap.class.class_at(offset).and_then(|c| c.superclass),
                    ClassRef::External { .. } => None,
                };
                above.map_or_else(
                    || format!("super.virtual_{token:02x}"),
                    |above| self.virtual_method(above, token),
                )
            }
            CpInfo::StaticField(StaticRef::Internal { offset, .. }) => {
                self.static_fields.get(&offset).cloned().unwrap_or_else(|| format!("static_{offset:04x}"))
            }
            CpInfo::StaticMethod(StaticRef::Internal { offset, .. }) => self.method(offset),
            CpInfo::StaticField(StaticRef::External { package, class, token }) => {
                match self.imported(package, class).and_then(|c| Some((c, c.static_field(token)?))) {
                    Some((class, field)) => format!("{}.{}", short_name(&class.name), field.name),
                    None => format!("package{package}.class{class}.static{token}"),
                }
            }
            CpInfo::StaticMethod(StaticRef::External { package, class, token }) => {
                match self.imported(package, class).and_then(|c| Some((c, c.static_method(token)?))) {
                    Some((class, method)) => {
                        format!("{}.{}{}", short_name(&class.name), method.name, method.descriptor)
                    }
                    None => format!("package{package}.class{class}.static{token}"),
                }
            }
        }
    }
}

fn short_name(name: &str) -> &str {
    name.rsplit(['.', '/']).next().unwrap_or(name)
}
