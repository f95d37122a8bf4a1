//! Private members that other classes use.
//!
//! From release 11 on javac lets classes of a nest use each other's private members without access methods. The Java
//! Card virtual machine knows no nests: such members become package-visible in the CAP, which is what they are in
//! fact. A private method becomes final as well, and stays private where a method of the same name in a super- or
//! subclass would then be overridden.

use std::collections::{BTreeSet, HashMap};

use crate::classfile::{acc, ClassFile, Constant};

/// A private member by class, and whether it is a field, name, descriptor.
type Member = (usize, bool, String, String);

/// Opens what is used across classes.
pub(super) fn open_members(files: &mut [ClassFile]) {
    let index: HashMap<String, usize> = files.iter().enumerate().map(|(i, f)| (f.name.clone(), i)).collect();
    let mut used: BTreeSet<Member> = BTreeSet::new();
    for (user, file) in files.iter().enumerate() {
        for (at, constant) in file.pool.entries().iter().enumerate() {
            let is_field = matches!(constant, Constant::Field { .. });
            let Ok(member) = file.pool.member(u16::try_from(at).unwrap_or(0)) else { continue };
            match index.get(member.class) {
                Some(owner) if *owner != user => {
                    used.insert((*owner, is_field, member.name.to_owned(), member.descriptor.to_owned()));
                }
                _ => {}
            }
        }
    }
    for (owner, is_field, name, descriptor) in used {
        if is_field {
            let mut fields = files[owner].fields.iter_mut();
            if let Some(field) = fields.find(|f| f.name == name && f.descriptor == descriptor) {
                field.access &= !acc::PRIVATE;
            }
            continue;
        }
        let Some(at) = files[owner].methods.iter().position(|m| m.name == name && m.descriptor == descriptor)
        else {
            continue;
        };
        let access = files[owner].methods[at].access;
        if access & acc::PRIVATE == 0 {
            continue;
        }
        let is_virtual = access & acc::STATIC == 0 && name != "<init>";
        if is_virtual && is_declared_around(files, &index, owner, &name, &descriptor) {
            continue;
        }
        let method = &mut files[owner].methods[at];
        method.access &= !acc::PRIVATE;
        if is_virtual {
            method.access |= acc::FINAL;
        }
    }
}

/// Whether a class of the package above or below the owner declares the same method.
fn is_declared_around(
    files: &[ClassFile],
    index: &HashMap<String, usize>,
    owner: usize,
    name: &str,
    descriptor: &str,
) -> bool {
    let above = |class: usize| files[class].superclass.as_ref().and_then(|name| index.get(name)).copied();
    // A class that is its own superclass is refused later; the walk only has to end.
    let chain = |class: usize| std::iter::successors(Some(class), move |c| above(*c)).take(files.len());
    let declares =
        |class: usize| files[class].methods.iter().any(|m| m.name == name && m.descriptor == descriptor);
    chain(owner).skip(1).any(declares)
        || (0..files.len()).any(|class| class != owner && declares(class) && chain(class).any(|c| c == owner))
}
