//! Export files (JCVM chapter 5): reading 2.1 to 2.3, writing 2.1.
//!
//! ```text
//! u4 00FACADE  u1 minor  u1 major  u2 cp_count  cp_info[]  u2 this_package  { 2.3: u1 count  u2[] }  u1 classes  class[]
//! class   u1 token  u2 flags  u2 name  u2 supers  u2[]  u1 interfaces  u2[]  u2 fields  field[]  u2 methods  method[]
//!         { 2.3: u1 inheritable_public_count }
//! field   u1 token  u2 flags  u2 name  u2 descriptor  u2 attributes  { u2 name  u4 length  bytes }[]
//! method  u1 token  u2 flags  u2 name  u2 descriptor
//! ```

use std::collections::HashMap;

use super::{acc, ExportClass, ExportField, ExportMethod, ExportPackage};
use crate::bytes::{FileReader, Truncation, Writer};
use crate::model::{Aid, PackageVersion};

const MAGIC: u32 = 0x00FA_CADE;
const CONSTANT_UTF8: u8 = 1;
const CONSTANT_INTEGER: u8 = 3;
const CONSTANT_CLASSREF: u8 = 7;
const CONSTANT_PACKAGE: u8 = 13;
/// ACC_LIBRARY of a package entry.
const ACC_LIBRARY: u8 = 1;
/// Token of a compile-time constant.
const NO_TOKEN: u8 = 0xFF;

/// An export file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("export file, offset {offset:#06x}: {rule}")]
pub struct ExpError {
    /// Offset in the file.
    pub offset: usize,
    /// What is wrong.
    pub rule: ExpRule,
}

/// A rule on export files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpRule {
    /// An item runs past the end.
    #[error("the file ends inside an item")]
    Truncated,
    /// Bytes follow the last item.
    #[error("{0} bytes behind the last item")]
    TrailingBytes(usize),
    /// The file does not begin with 00FACADE.
    #[error("magic is {0:08X}, not 00FACADE")]
    Magic(u32),
    /// Formats 2.1 to 2.3 are known.
    #[error("export file format {major}.{minor} is not supported (2.1 to 2.3 are)")]
    FormatVersion {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// A constant pool tag that is not 1, 3, 7 or 13.
    #[error("constant pool tag {0} is not defined")]
    ConstantTag(u8),
    /// A constant pool index of the wrong kind, or outside the pool.
    #[error("constant pool entry {index} is not {wanted}")]
    Constant {
        /// Index.
        index: u16,
        /// What was expected there.
        wanted: &'static str,
    },
    /// An AID has 5 to 16 bytes.
    #[error("AID of {0} bytes (5 to 16 are allowed)")]
    AidLength(u8),
    /// Names are UTF-8.
    #[error("a name is not UTF-8")]
    Utf8,
}

enum Constant {
    Utf8(String),
    Integer(i32),
    Classref(u16),
    Package { flags: u8, name: u16, version: PackageVersion, aid: Aid },
}

impl Truncation for ExpError {
    fn truncated(offset: usize) -> Self {
        Self { offset, rule: ExpRule::Truncated }
    }
}

struct Input<'a> {
    file: FileReader<'a, ExpError>,
    pool: Vec<Constant>,
}

impl Input<'_> {
    fn error(&self, rule: ExpRule) -> ExpError {
        ExpError { offset: self.file.at(), rule }
    }

    fn u1(&mut self) -> Result<u8, ExpError> {
        self.file.u1()
    }

    fn u2(&mut self) -> Result<u16, ExpError> {
        self.file.u2()
    }

    fn many<T>(
        &mut self,
        n: u16,
        mut item: impl FnMut(&mut Self) -> Result<T, ExpError>,
    ) -> Result<Vec<T>, ExpError> {
        (0..n).map(|_| item(self)).collect()
    }

    fn wrong(&self, index: u16, wanted: &'static str) -> ExpError {
        self.error(ExpRule::Constant { index, wanted })
    }

    fn utf8(&self, index: u16) -> Result<String, ExpError> {
        match self.pool.get(usize::from(index)) {
            Some(Constant::Utf8(text)) => Ok(text.clone()),
            _ => Err(self.wrong(index, "a string")),
        }
    }

    fn class_name(&self, index: u16) -> Result<String, ExpError> {
        match self.pool.get(usize::from(index)) {
            Some(Constant::Classref(name)) => self.utf8(*name),
            _ => Err(self.wrong(index, "a class")),
        }
    }

    fn constant(&mut self) -> Result<Constant, ExpError> {
        Ok(match self.u1()? {
            CONSTANT_UTF8 => {
                let len = self.u2()?;
                let bytes = self.file.take(len.into())?.to_vec();
                Constant::Utf8(String::from_utf8(bytes).map_err(|_| self.error(ExpRule::Utf8))?)
            }
            CONSTANT_INTEGER => Constant::Integer(i32::from_be_bytes(self.file.u4()?.to_be_bytes())),
            CONSTANT_CLASSREF => Constant::Classref(self.u2()?),
            CONSTANT_PACKAGE => {
                let (flags, name, minor, major, len) =
                    (self.u1()?, self.u2()?, self.u1()?, self.u1()?, self.u1()?);
                let aid =
                    Aid::new(self.file.take(len.into())?).map_err(|_| self.error(ExpRule::AidLength(len)))?;
                Constant::Package { flags, name, version: PackageVersion { major, minor }, aid }
            }
            tag => return Err(self.error(ExpRule::ConstantTag(tag))),
        })
    }

    fn class(&mut self, minor: u8) -> Result<ExportClass, ExpError> {
        let (token, access, name) = (self.u1()?, self.u2()?, self.u2()?);
        let name = self.class_name(name)?;
        let count = self.u2()?;
        let supers = self.many(count, |i| i.u2().and_then(|index| i.class_name(index)))?;
        let count = self.u1()?;
        let interfaces = self.many(count.into(), |i| i.u2().and_then(|index| i.class_name(index)))?;
        let count = self.u2()?;
        let fields = self.many(count, Self::field)?;
        let count = self.u2()?;
        let methods = self.many(count, |i| {
            let (token, access, name, descriptor) = (i.u1()?, i.u2()?, i.u2()?, i.u2()?);
            Ok(ExportMethod { name: i.utf8(name)?, descriptor: i.utf8(descriptor)?, access, token })
        })?;
        if minor >= 3 {
            self.u1()?;
        }
        Ok(ExportClass { name, token, access, superclass: None, supers, interfaces, fields, methods })
    }

    fn field(&mut self) -> Result<ExportField, ExpError> {
        let (token, access, name, descriptor) = (self.u1()?, self.u2()?, self.u2()?, self.u2()?);
        let count = self.u2()?;
        let mut constant = None;
        for _ in 0..count {
            let (name, len) = (self.u2()?, self.file.u4()?);
            let is_value = self.utf8(name)? == "ConstantValue" && len == 2;
            if is_value {
                let index = self.u2()?;
                constant = match self.pool.get(usize::from(index)) {
                    Some(Constant::Integer(value)) => Some(*value),
                    _ => return Err(self.wrong(index, "an integer")),
                };
            } else {
                self.file.take(usize::try_from(len).unwrap_or(usize::MAX))?;
            }
        }
        let token = (token != NO_TOKEN).then_some(token);
        Ok(ExportField {
            name: self.utf8(name)?,
            descriptor: self.utf8(descriptor)?,
            access,
            token,
            constant,
        })
    }
}

impl ExportPackage {
    /// Reads an export file of format 2.1, 2.2 or 2.3.
    pub fn read_exp(bytes: &[u8]) -> Result<Self, ExpError> {
        let mut i = Input { file: FileReader::new(bytes), pool: Vec::new() };
        let magic = i.file.u4()?;
        if magic != MAGIC {
            return Err(ExpError { offset: 0, rule: ExpRule::Magic(magic) });
        }
        let (minor, major) = (i.u1()?, i.u1()?);
        if major != 2 || !(1..=3).contains(&minor) {
            return Err(ExpError { offset: 4, rule: ExpRule::FormatVersion { major, minor } });
        }
        let count = i.u2()?;
        for _ in 0..count {
            let constant = i.constant()?;
            i.pool.push(constant);
        }
        let this = i.u2()?;
        if minor >= 3 {
            let count = i.u1()?;
            i.file.take(2 * usize::from(count))?;
        }
        let (library, name, version, aid) = match i.pool.get(usize::from(this)) {
            Some(Constant::Package { flags, name, version, aid }) => {
                (flags & ACC_LIBRARY != 0, i.utf8(*name)?, *version, *aid)
            }
            _ => return Err(i.wrong(this, "a package")),
        };
        let count = i.u1()?;
        let mut classes = i.many(count.into(), |i| i.class(minor))?;
        let left = i.file.left();
        if left != 0 {
            return Err(i.error(ExpRule::TrailingBytes(left)));
        }
        set_superclasses(&mut classes);
        Ok(Self { name, aid, version, library, classes })
    }

    /// Writes an export file of format 2.1, which every kit reads.
    pub fn write_exp(&self) -> Vec<u8> {
        let mut pool = Pool::default();
        let mut body = Writer::default();
        let name = pool.utf8(&self.name);
        let mut entry = vec![CONSTANT_PACKAGE, u8::from(self.library)];
        entry.extend(name.to_be_bytes());
        entry.extend([self.version.minor, self.version.major]);
        entry.push(u8::try_from(self.aid.as_bytes().len()).unwrap_or(16));
        entry.extend(self.aid.as_bytes());
        let this = pool.add(entry);
        body.u2(this);
        body.count1(self.classes.len());
        for class in &self.classes {
            write_class(&mut pool, &mut body, class);
        }
        let mut w = Writer::default();
        w.u4(MAGIC);
        w.u1(1);
        w.u1(2);
        w.count2(pool.entries.len());
        for entry in &pool.entries {
            w.bytes(entry);
        }
        w.bytes(&body.0);
        w.0
    }
}

fn write_class(pool: &mut Pool, w: &mut Writer, class: &ExportClass) {
    w.u1(class.token);
    w.u2(class.access);
    w.u2(pool.class(&class.name));
    w.count2(class.supers.len());
    for name in &class.supers {
        w.u2(pool.class(name));
    }
    w.count1(class.interfaces.len());
    for name in &class.interfaces {
        w.u2(pool.class(name));
    }
    w.count2(class.fields.len());
    for field in &class.fields {
        w.u1(field.token.unwrap_or(NO_TOKEN));
        w.u2(field.access);
        w.u2(pool.utf8(&field.name));
        w.u2(pool.utf8(&field.descriptor));
        match field.constant {
            None => w.u2(0),
            Some(value) => {
                w.u2(1);
                w.u2(pool.utf8("ConstantValue"));
                w.u4(2);
                let mut entry = vec![CONSTANT_INTEGER];
                entry.extend(value.to_be_bytes());
                w.u2(pool.add(entry));
            }
        }
    }
    w.count2(class.methods.len());
    for method in &class.methods {
        w.u1(method.token);
        w.u2(method.access);
        w.u2(pool.utf8(&method.name));
        w.u2(pool.utf8(&method.descriptor));
    }
}

/// Constant pool under construction; equal entries are shared.
#[derive(Default)]
struct Pool {
    entries: Vec<Vec<u8>>,
    index: HashMap<Vec<u8>, u16>,
}

impl Pool {
    fn add(&mut self, entry: Vec<u8>) -> u16 {
        if let Some(index) = self.index.get(&entry) {
            return *index;
        }
        let index = u16::try_from(self.entries.len()).unwrap_or(u16::MAX);
        self.index.insert(entry.clone(), index);
        self.entries.push(entry);
        index
    }

    fn utf8(&mut self, text: &str) -> u16 {
        let mut entry = vec![CONSTANT_UTF8];
        entry.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
        entry.extend(text.as_bytes());
        self.add(entry)
    }

    fn class(&mut self, name: &str) -> u16 {
        let name = self.utf8(name);
        let mut entry = vec![CONSTANT_CLASSREF];
        entry.extend(name.to_be_bytes());
        self.add(entry)
    }
}

/// The file lists all superclasses without saying which is the direct one. It is the one that has the others above
/// it: where the package knows it, by the length of its own list; else kits write root first.
fn set_superclasses(classes: &mut [ExportClass]) {
    let depth: HashMap<String, usize> = classes.iter().map(|c| (c.name.clone(), c.supers.len())).collect();
    for class in classes.iter_mut().filter(|c| c.access & acc::INTERFACE == 0) {
        let direct = class.supers.len().saturating_sub(1);
        let known = class.supers.iter().find(|s| depth.get(*s) == Some(&direct));
        class.superclass = known.or(class.supers.last()).cloned();
    }
}
