//! The components, from what is known of classes and code.

use jpkise_cap::exports::ExportPackage;
use jpkise_cap::model::*;

use super::{is_reference, Assembler, Class, Field, Slot, PACKAGE};

impl Assembler {
    fn class_component(&self) -> ClassComponent {
        let mut out = ClassComponent::default();
        for class in &self.classes {
            let offset = self.class_offsets[&class.name];
            let closure = self.interface_closure(&class.interfaces);
            let shareable = if Self::is_shareable(&closure) { CLASS_ACC_SHAREABLE } else { 0 };
            if class.interface {
                out.interfaces.push(InterfaceInfo {
                    offset,
                    flags: CLASS_ACC_INTERFACE | shareable,
                    superinterfaces: closure.iter().map(|n| self.class_ref(n)).collect(),
                    name: None,
                });
                continue;
            }
            let entry = |(key, slot): &((String, String), Slot)| match slot {
                Slot::Imported => TABLE_ENTRY_INHERITED,
                Slot::Own(owner, index) => {
                    let method = &self.own(owner).unwrap().methods[*index];
                    assert_eq!(method.key(), *key);
                    match method.flags & access::METHOD_ABSTRACT {
                        0 => self.method_offsets[&(owner.clone(), *index)],
                        _ => 0,
                    }
                }
            };
            let (public_base, public) = self.table(class, false);
            let (package_base, package) = self.table(class, true);
            let instance = class.fields.iter().filter(|f| f.flags & access::STATIC == 0);
            let references = instance.clone().filter(|f| is_reference(&f.desc));
            let token = |f: &Field| self.field_places[&(class.name.clone(), f.name.clone())] as u8;
            out.classes.push(ClassInfo {
                offset,
                flags: shareable,
                superclass: Some(self.class_ref(&class.superclass)),
                declared_instance_size: instance.map(|f| if f.desc == "I" { 2 } else { 1 }).sum(),
                first_reference_token: references.clone().map(token).min().unwrap_or(NO_TOKEN),
                reference_count: references.count() as u8,
                public_method_table_base: public_base,
                public_virtual_method_table: public.iter().map(entry).collect(),
                package_method_table_base: package_base,
                package_virtual_method_table: package.iter().map(entry).collect(),
                interfaces: self
                    .mapping(class)
                    .into_iter()
                    .map(|(name, tokens)| ImplementedInterface { interface: self.class_ref(&name), tokens })
                    .collect(),
                remote: None,
                token_mapping: None,
            });
        }
        out
    }

    fn descriptor(&self, method: &MethodComponent, signatures: &mut TypePool) -> Vec<ClassDescriptor> {
        let mut public_classes = 0;
        let mut next_handler = 0;
        let mut out = Vec::new();
        for class in &self.classes {
            let mut token = NO_TOKEN;
            if class.flags & access::PUBLIC != 0 {
                token = public_classes;
                public_classes += 1;
            }
            let mut static_token = 0;
            let fields = class.fields.iter().map(|field| {
                let place = self.field_places[&(class.name.clone(), field.name.clone())];
                let visible = field.flags & (access::PUBLIC | access::PROTECTED) != 0;
                let (token, field_ref) = if field.flags & access::STATIC == 0 {
                    let class = self.class_ref(&class.name);
                    (place as u8, FieldRef::Instance { class, token: place as u8 })
                } else if visible {
                    static_token += 1;
                    (static_token - 1, FieldRef::Static(StaticRef::internal(place)))
                } else {
                    (NO_TOKEN, FieldRef::Static(StaticRef::internal(place)))
                };
                let ty = match field.desc.as_str() {
                    "Z" => FieldType::Primitive(2),
                    "B" => FieldType::Primitive(3),
                    "S" => FieldType::Primitive(4),
                    "I" => FieldType::Primitive(5),
                    desc => FieldType::Reference(signatures.offset(self.types(desc))),
                };
                FieldDescriptor { token, access_flags: field.flags, field_ref, ty }
            });
            let fields = fields.collect();
            let tokens = Self::static_tokens(class);
            let mut methods = Vec::new();
            for (index, m) in class.methods.iter().enumerate() {
                let place = (class.name.clone(), index);
                let offset = self.method_offsets.get(&place).copied().unwrap_or(0);
                let handlers = m.lines.iter().filter(|l| l.starts_with("catch ")).count() as u16;
                let code = m.lines.iter().filter(|l| !l.starts_with("catch ") && !l.ends_with(':'));
                let mut count = 0;
                if code.count() > 0 {
                    count = self.code_len(method, &place);
                }
                methods.push(MethodDescriptor {
                    token: match m.is_static_kind() {
                        true => tokens.get(&index).copied().unwrap_or(NO_TOKEN),
                        false => self.virtual_token(&class.name, &m.key()),
                    },
                    access_flags: m.flags,
                    method_offset: if class.interface { 0 } else { offset },
                    type_offset: signatures.offset(self.types(&m.desc)),
                    bytecode_count: count,
                    exception_handler_count: handlers,
                    exception_handler_index: if handlers > 0 { next_handler } else { 0 },
                });
                next_handler += handlers;
            }
            if class.interface {
                methods = self.interface_methods(class, signatures);
            }
            out.push(ClassDescriptor {
                token,
                access_flags: class.flags,
                this_class: self.class_ref(&class.name),
                interfaces: match class.interface {
                    true => Vec::new(),
                    false => self.mapping(class).iter().map(|m| self.class_ref(&m.0)).collect(),
                },
                fields,
                methods,
            });
        }
        out
    }

    fn interface_methods(&self, class: &Class, signatures: &mut TypePool) -> Vec<MethodDescriptor> {
        let slots = self.slots(&class.name, false);
        let method = |(token, slot): (usize, &((String, String), Slot))| MethodDescriptor {
            token: token as u8,
            access_flags: access::PUBLIC | access::METHOD_ABSTRACT,
            method_offset: 0,
            type_offset: signatures.offset(self.types(&slot.0 .1)),
            bytecode_count: 0,
            exception_handler_count: 0,
            exception_handler_index: 0,
        };
        slots.iter().enumerate().map(method).collect()
    }

    /// Up to the next method, or the end.
    fn code_len(&self, method: &MethodComponent, place: &(String, usize)) -> u16 {
        let offset = self.method_offsets[place];
        let end = self.method_offsets.values().filter(|o| **o > offset).min().copied();
        let end = end.unwrap_or(method.info_len() as u16);
        end - offset - method.header_at(offset).unwrap().size() as u16
    }

    fn static_field(&self) -> StaticField {
        let fields: Vec<&Field> = self.classes.iter().flat_map(|c| &c.fields).collect();
        let part = |part| {
            let wanted = move |f: &&&Field| f.flags & access::STATIC != 0 && static_part(f) == part;
            fields.iter().filter(wanted)
        };
        let bytes = |desc: &str, values: &[i32]| -> Vec<u8> {
            let len = match desc {
                "Z" | "B" => 1,
                "S" => 2,
                _ => 4,
            };
            values.iter().flat_map(|v| v.to_be_bytes()[4 - len..].to_vec()).collect()
        };
        let array_inits: Vec<ArrayInit> = part(0)
            .map(|f| ArrayInit {
                element_type: 2 + "ZBSI".find(&f.desc[1..]).unwrap() as u8,
                values: bytes(&f.desc[1..], f.value.as_ref().unwrap()),
            })
            .collect();
        let non_default_values: Vec<u8> =
            part(3).flat_map(|f| bytes(&f.desc, f.value.as_ref().unwrap())).collect();
        let default_value_count = part(2).map(|f| static_size(&f.desc)).sum();
        let reference_count = (part(0).count() + part(1).count()) as u16;
        StaticField {
            image_size: 2 * reference_count + default_value_count + non_default_values.len() as u16,
            reference_count,
            array_inits,
            default_value_count,
            non_default_values,
        }
    }

    fn export(&self, classes: &[ClassDescriptor]) -> Option<Export> {
        let mut export = Export::default();
        for (class, described) in self.classes.iter().zip(classes) {
            let shareable = class.interface && Self::is_shareable(&self.interface_closure(&class.interfaces));
            let wanted = if self.applets.is_empty() { true } else { shareable };
            if !wanted || class.flags & access::PUBLIC == 0 {
                continue;
            }
            let tokens = Self::static_tokens(class);
            let mut methods: Vec<(u8, u16)> =
                tokens.iter().map(|(i, token)| (*token, described.methods[*i].method_offset)).collect();
            methods.sort_unstable();
            let fields = class.fields.iter().zip(&described.fields);
            export.classes.push(ClassExport {
                class_offset: self.class_offsets[&class.name],
                static_field_offsets: fields
                    .filter(|(f, d)| f.flags & access::STATIC != 0 && d.token != NO_TOKEN)
                    .map(|(f, _)| self.field_places[&(class.name.clone(), f.name.clone())])
                    .collect(),
                static_method_offsets: methods.into_iter().map(|m| m.1).collect(),
            });
        }
        (!export.classes.is_empty()).then_some(export)
    }

    pub(super) fn finish(mut self, method: MethodComponent) -> Cap {
        let mut signatures = TypePool::new(self.pool.len());
        let pool_types: Vec<u16> = std::mem::take(&mut self.pool)
            .into_iter()
            .map(|(entry, types)| {
                signatures.pool.push(entry);
                types.map_or(0xFFFF, |types| signatures.offset(types))
            })
            .collect();
        let classes = self.descriptor(&method, &mut signatures);
        let applets = self.applets.iter().enumerate().map(|(number, name)| {
            let class = self.own(name).unwrap();
            let index = class.methods.iter().position(|m| m.name == "install").unwrap();
            AppletEntry {
                aid: format!("{PACKAGE}{:02X}", number + 1).parse().unwrap(),
                install_method_offset: self.method_offsets[&(name.clone(), index)],
            }
        });
        let applet = (!self.applets.is_empty()).then(|| Applet { applets: applets.collect() });
        let export = self.export(&classes);
        let flags = u8::from(self.int) * FLAG_INT
            | if export.is_some() { FLAG_EXPORT } else { 0 }
            | if applet.is_some() { FLAG_APPLET } else { 0 };
        let package = |p: &&ExportPackage| PackageInfo { aid: p.aid, version: p.version };
        let mut cap = Cap {
            folder: "test/javacard".into(),
            header: Header {
                format: FormatVersion::V2_1,
                flags,
                package: PackageInfo { aid: PACKAGE.parse().unwrap(), version: PackageVersion::new(1, 0) },
                package_name: None,
            },
            directory: Directory::default(),
            applet,
            import: Import { packages: self.imports.iter().map(package).collect() },
            constant_pool: ConstantPool { entries: signatures.pool.clone() },
            class: self.class_component(),
            method,
            static_field: self.static_field(),
            reference_location: ReferenceLocation::from_positions(&self.byte, &self.byte2),
            export,
            descriptor: Some(Descriptor {
                classes,
                types: TypeTable { constant_pool_types: pool_types, entries: signatures.entries },
            }),
            debug: None,
            raw: Vec::new(),
            others: Vec::new(),
        };
        fill_directory(&mut cap);
        cap
    }
}

/// Makes Directory say what the other components are.
pub fn fill_directory(cap: &mut Cap) {
    for tag in ComponentTag::ALL.into_iter().take(11) {
        let len = cap.component_info(tag).map_or(0, |info| info.len());
        cap.directory.sizes[tag as usize - 1] = len as u16;
    }
    cap.directory.static_field_size = StaticFieldSize {
        image_size: cap.static_field.image_size,
        array_init_count: cap.static_field.array_inits.len() as u16,
        array_init_size: cap.static_field.array_inits.iter().map(|i| i.values.len() as u16).sum(),
    };
    cap.directory.import_count = cap.import.packages.len() as u8;
    cap.directory.applet_count = cap.applet.as_ref().map_or(0, |a| a.applets.len() as u8);
}

/// Type descriptors under construction.
struct TypePool {
    entries: Vec<TypeEntry>,
    next: u16,
    pool: Vec<CpInfo>,
}

impl TypePool {
    fn new(pool_len: usize) -> Self {
        Self { entries: Vec::new(), next: 2 + 2 * pool_len as u16, pool: Vec::new() }
    }

    fn offset(&mut self, types: Vec<Type>) -> u16 {
        let descriptor = TypeDescriptor::encode(&types).unwrap();
        if let Some(known) = self.entries.iter().find(|e| e.descriptor == descriptor) {
            return known.offset;
        }
        let offset = self.next;
        self.next += descriptor.size() as u16;
        self.entries.push(TypeEntry { offset, descriptor });
        offset
    }
}

pub(super) fn static_size(desc: &str) -> u16 {
    match desc {
        "Z" | "B" => 1,
        "I" => 4,
        _ => 2,
    }
}

/// Which part of the image a static field lies in.
pub(super) fn static_part(field: &Field) -> usize {
    match (is_reference(&field.desc), &field.value) {
        (true, Some(_)) => 0,
        (true, None) => 1,
        (false, None) => 2,
        (false, Some(_)) => 3,
    }
}
