//! Class component (JCVM 6.8): tag 6.
//!
//! ```text
//! { >= 2.2: u2 signature_pool_length  signature_pool[] }  interface_info[]  class_info[]
//! interface_info  u1 flags|count  class_ref superinterfaces[count]  { remote: u1 length  name[] }
//! class_info      u1 flags|count  class_ref super  u1 declared_instance_size  u1 first_reference_token
//!                 u1 reference_count  u1 public_base  u1 public_count  u1 package_base  u1 package_count
//!                 u2 public[]  u2 package[]  { class_ref  u1 count  u1 token[] }[count]  { remote: … }
//!                 { 2.3: u1 mapping[public_base + public_count]  u1 inheritable_public_count }
//! ```

use super::{ClassRef, ComponentTag, FormatVersion};
use crate::bytes::{Reader, Writer};
use crate::error::{CapError, FormatRule};

/// ACC_INTERFACE in the high nibble of the bitfield.
pub const CLASS_ACC_INTERFACE: u8 = 8;
/// ACC_SHAREABLE.
pub const CLASS_ACC_SHAREABLE: u8 = 4;
/// ACC_REMOTE.
pub const CLASS_ACC_REMOTE: u8 = 2;
/// Method table entry of a method inherited from an imported class.
pub const TABLE_ENTRY_INHERITED: u16 = 0xFFFF;

/// Class component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassComponent {
    /// From format 2.2 on: the bytes of the signature pool (remote methods only; mostly empty).
    pub signature_pool: Option<Vec<u8>>,
    /// Interfaces, in file order.
    pub interfaces: Vec<InterfaceInfo>,
    /// Classes, in file order.
    pub classes: Vec<ClassInfo>,
}

/// interface_info
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceInfo {
    /// Where it begins in the info; what class_refs name. Set by reading; not used by writing.
    pub offset: u16,
    /// Sum of `CLASS_ACC_…`.
    pub flags: u8,
    /// All superinterfaces, indirect ones too.
    pub superinterfaces: Vec<ClassRef>,
    /// Name, of remote interfaces only.
    pub name: Option<Vec<u8>>,
}

/// class_info
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassInfo {
    /// Where it begins in the info; what class_refs name. Set by reading; not used by writing.
    pub offset: u16,
    /// Sum of `CLASS_ACC_…`.
    pub flags: u8,
    /// Superclass; `None` (FFFF) in java.lang.Object alone.
    pub superclass: Option<ClassRef>,
    /// 16-bit cells of the instance fields declared here.
    pub declared_instance_size: u8,
    /// Token of the first reference field; FF when there is none.
    pub first_reference_token: u8,
    /// Number of reference fields declared here.
    pub reference_count: u8,
    /// Lowest token in the public table.
    pub public_method_table_base: u8,
    /// Public and protected virtual methods: offsets in the info of the Method component.
    pub public_virtual_method_table: Vec<u16>,
    /// Lowest token in the package table (bit 7 not counted).
    pub package_method_table_base: u8,
    /// Package-visible virtual methods.
    pub package_virtual_method_table: Vec<u16>,
    /// Implemented interfaces with their method mappings.
    pub interfaces: Vec<ImplementedInterface>,
    /// Remote method data, when `CLASS_ACC_REMOTE` is set.
    pub remote: Option<RemoteInfo>,
    /// From format 2.3 on.
    pub token_mapping: Option<TokenMapping>,
}

/// implemented_interface_info
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImplementedInterface {
    /// The interface.
    pub interface: ClassRef,
    /// Index = interface method token, value = public virtual method token in the class.
    pub tokens: Vec<u8>,
}

/// remote_interface_info (JCVM 6.8.3)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteInfo {
    /// Remote methods.
    pub methods: Vec<RemoteMethod>,
    /// String mixed into the method hashes.
    pub hash_modifier: Vec<u8>,
    /// Class name.
    pub class_name: Vec<u8>,
    /// Remote interfaces.
    pub interfaces: Vec<ClassRef>,
}

/// remote_method_info
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteMethod {
    /// Hash of name and signature.
    pub hash: u16,
    /// Offset in the info of the Class component.
    pub signature_offset: u16,
    /// Virtual method token.
    pub token: u8,
}

/// The last items of a class_info in format 2.3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenMapping {
    /// One byte per public token of the class.
    pub public_virtual_method_tokens: Vec<u8>,
    /// CAP22_inheritable_public_method_token_count.
    pub inheritable_public_count: u8,
}

impl ClassComponent {
    /// Reads the info of the component.
    pub fn read(info: &[u8], format: FormatVersion) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::Class, info);
        let mut out = Self::default();
        if format >= FormatVersion::V2_2 {
            let len = r.u2()?;
            out.signature_pool = Some(r.take(usize::from(len))?.to_vec());
        }
        while r.remaining() > 0 {
            let at = r.position();
            let offset = r.offset();
            let bitfield = r.u1()?;
            let (flags, count) = (bitfield >> 4, bitfield & 15);
            if flags & CLASS_ACC_INTERFACE == 0 {
                out.classes.push(read_class(&mut r, format, offset, flags, count)?);
                continue;
            }
            if !out.classes.is_empty() {
                return Err(r.error_at(at, FormatRule::InterfaceAfterClass));
            }
            let superinterfaces = r.many(count.into(), |r| Ok(ClassRef::from_u16(r.u2()?)))?;
            let name = (flags & CLASS_ACC_REMOTE != 0).then(|| read_name(&mut r)).transpose()?;
            out.interfaces.push(InterfaceInfo { offset, flags, superinterfaces, name });
        }
        Ok(out)
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        if let Some(pool) = &self.signature_pool {
            w.count2(pool.len());
            w.bytes(pool);
        }
        for interface in &self.interfaces {
            interface.write(&mut w);
        }
        for class in &self.classes {
            class.write(&mut w);
        }
        w.0
    }

    /// The interface that begins at this offset.
    pub fn interface_at(&self, offset: u16) -> Option<&InterfaceInfo> {
        self.interfaces.iter().find(|i| i.offset == offset)
    }

    /// The class that begins at this offset.
    pub fn class_at(&self, offset: u16) -> Option<&ClassInfo> {
        self.classes.iter().find(|c| c.offset == offset)
    }
}

impl InterfaceInfo {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.u1(bitfield(self.flags, self.superinterfaces.len()));
        for interface in &self.superinterfaces {
            w.u2(interface.to_u16());
        }
        if let Some(name) = &self.name {
            w.count1(name.len());
            w.bytes(name);
        }
    }
}

impl ClassInfo {
    pub(crate) fn write(&self, w: &mut Writer) {
        w.u1(bitfield(self.flags, self.interfaces.len()));
        w.u2(self.superclass.map_or(0xFFFF, ClassRef::to_u16));
        w.u1(self.declared_instance_size);
        w.u1(self.first_reference_token);
        w.u1(self.reference_count);
        w.u1(self.public_method_table_base);
        w.count1(self.public_virtual_method_table.len());
        w.u1(self.package_method_table_base);
        w.count1(self.package_virtual_method_table.len());
        for entry in self.public_virtual_method_table.iter().chain(&self.package_virtual_method_table) {
            w.u2(*entry);
        }
        for implemented in &self.interfaces {
            w.u2(implemented.interface.to_u16());
            w.count1(implemented.tokens.len());
            w.bytes(&implemented.tokens);
        }
        if let Some(remote) = &self.remote {
            remote.write(w);
        }
        if let Some(mapping) = &self.token_mapping {
            w.bytes(&mapping.public_virtual_method_tokens);
            w.u1(mapping.inheritable_public_count);
        }
    }
}

impl RemoteInfo {
    fn read(r: &mut Reader<'_>) -> Result<Self, CapError> {
        let count = r.u1()?;
        let methods = r.many(count.into(), |r| {
            Ok(RemoteMethod { hash: r.u2()?, signature_offset: r.u2()?, token: r.u1()? })
        })?;
        let hash_modifier = read_name(r)?;
        let class_name = read_name(r)?;
        let count = r.u1()?;
        let interfaces = r.many(count.into(), |r| Ok(ClassRef::from_u16(r.u2()?)))?;
        Ok(Self { methods, hash_modifier, class_name, interfaces })
    }

    fn write(&self, w: &mut Writer) {
        w.count1(self.methods.len());
        for method in &self.methods {
            w.u2(method.hash);
            w.u2(method.signature_offset);
            w.u1(method.token);
        }
        w.count1(self.hash_modifier.len());
        w.bytes(&self.hash_modifier);
        w.count1(self.class_name.len());
        w.bytes(&self.class_name);
        w.count1(self.interfaces.len());
        for interface in &self.interfaces {
            w.u2(interface.to_u16());
        }
    }
}

fn bitfield(flags: u8, count: usize) -> u8 {
    flags << 4 | u8::try_from(count).unwrap_or(15).min(15)
}

fn read_name(r: &mut Reader<'_>) -> Result<Vec<u8>, CapError> {
    let len = r.u1()?;
    Ok(r.take(len.into())?.to_vec())
}

fn read_class(
    r: &mut Reader<'_>,
    format: FormatVersion,
    offset: u16,
    flags: u8,
    interface_count: u8,
) -> Result<ClassInfo, CapError> {
    let superclass = match r.u2()? {
        0xFFFF => None,
        other => Some(ClassRef::from_u16(other)),
    };
    let (declared_instance_size, first_reference_token, reference_count) = (r.u1()?, r.u1()?, r.u1()?);
    let (public_base, public_count) = (r.u1()?, r.u1()?);
    let (package_base, package_count) = (r.u1()?, r.u1()?);
    let public_virtual_method_table = r.many(public_count.into(), Reader::u2)?;
    let package_virtual_method_table = r.many(package_count.into(), Reader::u2)?;
    let interfaces = r.many(interface_count.into(), |r| {
        let interface = ClassRef::from_u16(r.u2()?);
        Ok(ImplementedInterface { interface, tokens: read_name(r)? })
    })?;
    let remote = (flags & CLASS_ACC_REMOTE != 0).then(|| RemoteInfo::read(r)).transpose()?;
    let token_mapping = if format >= FormatVersion::V2_3 {
        let tokens = r.take(usize::from(public_base) + usize::from(public_count))?.to_vec();
        Some(TokenMapping { public_virtual_method_tokens: tokens, inheritable_public_count: r.u1()? })
    } else {
        None
    };
    Ok(ClassInfo {
        offset,
        flags,
        superclass,
        declared_instance_size,
        first_reference_token,
        reference_count,
        public_method_table_base: public_base,
        public_virtual_method_table,
        package_method_table_base: package_base,
        package_virtual_method_table,
        interfaces,
        remote,
        token_mapping,
    })
}
