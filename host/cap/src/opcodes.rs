//! The instruction set of the Java Card virtual machine (JCVM 3.0.4 chapter 7): 185 opcodes, 0x00 to 0xB8.

/// How the operands of an instruction lie behind its opcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// No operands.
    None,
    /// s1 value.
    Byte,
    /// s2 value.
    Short,
    /// s4 value.
    Int,
    /// u1 local variable.
    Local,
    /// u1: m in the high nibble, n in the low one (dup_x, swap_x), both in 16-bit cells.
    Nibbles,
    /// u1 local variable, s1 value.
    Increment,
    /// u1 local variable, s2 value.
    IncrementWide,
    /// s1 displacement from the opcode.
    Branch,
    /// s2 displacement from the opcode.
    BranchWide,
    /// u1 constant pool index.
    PoolByte,
    /// u2 constant pool index.
    PoolShort,
    /// u1 argument cells, u2 constant pool index, u1 method token.
    InvokeInterface,
    /// u1 type of the elements: 10 boolean, 11 byte, 12 short, 13 int.
    ArrayType,
    /// u1 type (0 class, 10 to 13 primitive array, 14 array of a class), u2 constant pool index.
    TypeCheck,
    /// s2 default, s2 low, s2 high, s2 displacements.
    TableSwitchShort,
    /// s2 default, s4 low, s4 high, s2 displacements.
    TableSwitchInt,
    /// s2 default, u2 count, { s2 match, s2 displacement }.
    LookupSwitchShort,
    /// s2 default, u2 count, { s4 match, s2 displacement }.
    LookupSwitchInt,
}

impl Layout {
    /// Length of the operands; `None` for the switches.
    pub const fn fixed_len(self) -> Option<usize> {
        Some(match self {
            Self::None => 0,
            Self::Byte | Self::Local | Self::Nibbles | Self::Branch | Self::PoolByte | Self::ArrayType => 1,
            Self::Short | Self::Increment | Self::BranchWide | Self::PoolShort => 2,
            Self::IncrementWide | Self::TypeCheck => 3,
            Self::Int | Self::InvokeInterface => 4,
            Self::TableSwitchShort
            | Self::TableSwitchInt
            | Self::LookupSwitchShort
            | Self::LookupSwitchInt => return None,
        })
    }
}

/// One row of the opcode table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpcodeInfo {
    /// The opcode.
    pub opcode: Opcode,
    /// Name in the specification.
    pub mnemonic: &'static str,
    /// Its operands.
    pub layout: Layout,
}

macro_rules! opcodes {
    ($($code:literal $name:ident $mnemonic:literal $layout:ident,)*) => {
        /// An opcode; the discriminant is its byte.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub enum Opcode { $($name = $code,)* }

        /// All opcodes; the index is the byte.
        pub const OPCODES: [OpcodeInfo; 185] = [
            $(OpcodeInfo { opcode: Opcode::$name, mnemonic: $mnemonic, layout: Layout::$layout },)*
        ];
    };
}

#[rustfmt::skip]
opcodes! {
    0x00 Nop "nop" None,
    0x01 AconstNull "aconst_null" None,
    0x02 SconstM1 "sconst_m1" None,
    0x03 Sconst0 "sconst_0" None,
    0x04 Sconst1 "sconst_1" None,
    0x05 Sconst2 "sconst_2" None,
    0x06 Sconst3 "sconst_3" None,
    0x07 Sconst4 "sconst_4" None,
    0x08 Sconst5 "sconst_5" None,
    0x09 IconstM1 "iconst_m1" None,
    0x0A Iconst0 "iconst_0" None,
    0x0B Iconst1 "iconst_1" None,
    0x0C Iconst2 "iconst_2" None,
    0x0D Iconst3 "iconst_3" None,
    0x0E Iconst4 "iconst_4" None,
    0x0F Iconst5 "iconst_5" None,
    0x10 Bspush "bspush" Byte,
    0x11 Sspush "sspush" Short,
    0x12 Bipush "bipush" Byte,
    0x13 Sipush "sipush" Short,
    0x14 Iipush "iipush" Int,
    0x15 Aload "aload" Local,
    0x16 Sload "sload" Local,
    0x17 Iload "iload" Local,
    0x18 Aload0 "aload_0" None,
    0x19 Aload1 "aload_1" None,
    0x1A Aload2 "aload_2" None,
    0x1B Aload3 "aload_3" None,
    0x1C Sload0 "sload_0" None,
    0x1D Sload1 "sload_1" None,
    0x1E Sload2 "sload_2" None,
    0x1F Sload3 "sload_3" None,
    0x20 Iload0 "iload_0" None,
    0x21 Iload1 "iload_1" None,
    0x22 Iload2 "iload_2" None,
    0x23 Iload3 "iload_3" None,
    0x24 Aaload "aaload" None,
    0x25 Baload "baload" None,
    0x26 Saload "saload" None,
    0x27 Iaload "iaload" None,
    0x28 Astore "astore" Local,
    0x29 Sstore "sstore" Local,
    0x2A Istore "istore" Local,
    0x2B Astore0 "astore_0" None,
    0x2C Astore1 "astore_1" None,
    0x2D Astore2 "astore_2" None,
    0x2E Astore3 "astore_3" None,
    0x2F Sstore0 "sstore_0" None,
    0x30 Sstore1 "sstore_1" None,
    0x31 Sstore2 "sstore_2" None,
    0x32 Sstore3 "sstore_3" None,
    0x33 Istore0 "istore_0" None,
    0x34 Istore1 "istore_1" None,
    0x35 Istore2 "istore_2" None,
    0x36 Istore3 "istore_3" None,
    0x37 Aastore "aastore" None,
    0x38 Bastore "bastore" None,
    0x39 Sastore "sastore" None,
    0x3A Iastore "iastore" None,
    0x3B Pop "pop" None,
    0x3C Pop2 "pop2" None,
    0x3D Dup "dup" None,
    0x3E Dup2 "dup2" None,
    0x3F DupX "dup_x" Nibbles,
    0x40 SwapX "swap_x" Nibbles,
    0x41 Sadd "sadd" None,
    0x42 Iadd "iadd" None,
    0x43 Ssub "ssub" None,
    0x44 Isub "isub" None,
    0x45 Smul "smul" None,
    0x46 Imul "imul" None,
    0x47 Sdiv "sdiv" None,
    0x48 Idiv "idiv" None,
    0x49 Srem "srem" None,
    0x4A Irem "irem" None,
    0x4B Sneg "sneg" None,
    0x4C Ineg "ineg" None,
    0x4D Sshl "sshl" None,
    0x4E Ishl "ishl" None,
    0x4F Sshr "sshr" None,
    0x50 Ishr "ishr" None,
    0x51 Sushr "sushr" None,
    0x52 Iushr "iushr" None,
    0x53 Sand "sand" None,
    0x54 Iand "iand" None,
    0x55 Sor "sor" None,
    0x56 Ior "ior" None,
    0x57 Sxor "sxor" None,
    0x58 Ixor "ixor" None,
    0x59 Sinc "sinc" Increment,
    0x5A Iinc "iinc" Increment,
    0x5B S2b "s2b" None,
    0x5C S2i "s2i" None,
    0x5D I2b "i2b" None,
    0x5E I2s "i2s" None,
    0x5F Icmp "icmp" None,
    0x60 Ifeq "ifeq" Branch,
    0x61 Ifne "ifne" Branch,
    0x62 Iflt "iflt" Branch,
    0x63 Ifge "ifge" Branch,
    0x64 Ifgt "ifgt" Branch,
    0x65 Ifle "ifle" Branch,
    0x66 Ifnull "ifnull" Branch,
    0x67 Ifnonnull "ifnonnull" Branch,
    0x68 IfAcmpeq "if_acmpeq" Branch,
    0x69 IfAcmpne "if_acmpne" Branch,
    0x6A IfScmpeq "if_scmpeq" Branch,
    0x6B IfScmpne "if_scmpne" Branch,
    0x6C IfScmplt "if_scmplt" Branch,
    0x6D IfScmpge "if_scmpge" Branch,
    0x6E IfScmpgt "if_scmpgt" Branch,
    0x6F IfScmple "if_scmple" Branch,
    0x70 Goto "goto" Branch,
    0x71 Jsr "jsr" BranchWide,
    0x72 Ret "ret" Local,
    0x73 Stableswitch "stableswitch" TableSwitchShort,
    0x74 Itableswitch "itableswitch" TableSwitchInt,
    0x75 Slookupswitch "slookupswitch" LookupSwitchShort,
    0x76 Ilookupswitch "ilookupswitch" LookupSwitchInt,
    0x77 Areturn "areturn" None,
    0x78 Sreturn "sreturn" None,
    0x79 Ireturn "ireturn" None,
    0x7A Return "return" None,
    0x7B GetstaticA "getstatic_a" PoolShort,
    0x7C GetstaticB "getstatic_b" PoolShort,
    0x7D GetstaticS "getstatic_s" PoolShort,
    0x7E GetstaticI "getstatic_i" PoolShort,
    0x7F PutstaticA "putstatic_a" PoolShort,
    0x80 PutstaticB "putstatic_b" PoolShort,
    0x81 PutstaticS "putstatic_s" PoolShort,
    0x82 PutstaticI "putstatic_i" PoolShort,
    0x83 GetfieldA "getfield_a" PoolByte,
    0x84 GetfieldB "getfield_b" PoolByte,
    0x85 GetfieldS "getfield_s" PoolByte,
    0x86 GetfieldI "getfield_i" PoolByte,
    0x87 PutfieldA "putfield_a" PoolByte,
    0x88 PutfieldB "putfield_b" PoolByte,
    0x89 PutfieldS "putfield_s" PoolByte,
    0x8A PutfieldI "putfield_i" PoolByte,
    0x8B Invokevirtual "invokevirtual" PoolShort,
    0x8C Invokespecial "invokespecial" PoolShort,
    0x8D Invokestatic "invokestatic" PoolShort,
    0x8E Invokeinterface "invokeinterface" InvokeInterface,
    0x8F New "new" PoolShort,
    0x90 Newarray "newarray" ArrayType,
    0x91 Anewarray "anewarray" PoolShort,
    0x92 Arraylength "arraylength" None,
    0x93 Athrow "athrow" None,
    0x94 Checkcast "checkcast" TypeCheck,
    0x95 Instanceof "instanceof" TypeCheck,
    0x96 SincW "sinc_w" IncrementWide,
    0x97 IincW "iinc_w" IncrementWide,
    0x98 IfeqW "ifeq_w" BranchWide,
    0x99 IfneW "ifne_w" BranchWide,
    0x9A IfltW "iflt_w" BranchWide,
    0x9B IfgeW "ifge_w" BranchWide,
    0x9C IfgtW "ifgt_w" BranchWide,
    0x9D IfleW "ifle_w" BranchWide,
    0x9E IfnullW "ifnull_w" BranchWide,
    0x9F IfnonnullW "ifnonnull_w" BranchWide,
    0xA0 IfAcmpeqW "if_acmpeq_w" BranchWide,
    0xA1 IfAcmpneW "if_acmpne_w" BranchWide,
    0xA2 IfScmpeqW "if_scmpeq_w" BranchWide,
    0xA3 IfScmpneW "if_scmpne_w" BranchWide,
    0xA4 IfScmpltW "if_scmplt_w" BranchWide,
    0xA5 IfScmpgeW "if_scmpge_w" BranchWide,
    0xA6 IfScmpgtW "if_scmpgt_w" BranchWide,
    0xA7 IfScmpleW "if_scmple_w" BranchWide,
    0xA8 GotoW "goto_w" BranchWide,
    0xA9 GetfieldAW "getfield_a_w" PoolShort,
    0xAA GetfieldBW "getfield_b_w" PoolShort,
    0xAB GetfieldSW "getfield_s_w" PoolShort,
    0xAC GetfieldIW "getfield_i_w" PoolShort,
    0xAD GetfieldAThis "getfield_a_this" PoolByte,
    0xAE GetfieldBThis "getfield_b_this" PoolByte,
    0xAF GetfieldSThis "getfield_s_this" PoolByte,
    0xB0 GetfieldIThis "getfield_i_this" PoolByte,
    0xB1 PutfieldAW "putfield_a_w" PoolShort,
    0xB2 PutfieldBW "putfield_b_w" PoolShort,
    0xB3 PutfieldSW "putfield_s_w" PoolShort,
    0xB4 PutfieldIW "putfield_i_w" PoolShort,
    0xB5 PutfieldAThis "putfield_a_this" PoolByte,
    0xB6 PutfieldBThis "putfield_b_this" PoolByte,
    0xB7 PutfieldSThis "putfield_s_this" PoolByte,
    0xB8 PutfieldIThis "putfield_i_this" PoolByte,
}

impl Opcode {
    /// The opcode with this byte; `None` for the undefined and the reserved ones (impdep1, impdep2).
    pub fn from_u8(byte: u8) -> Option<Self> {
        OPCODES.get(usize::from(byte)).map(|info| info.opcode)
    }

    /// Its row in the table.
    pub fn info(self) -> &'static OpcodeInfo {
        &OPCODES[self as usize]
    }

    /// Name in the specification.
    pub fn mnemonic(self) -> &'static str {
        self.info().mnemonic
    }

    /// Its operands.
    pub fn layout(self) -> Layout {
        self.info().layout
    }

    /// Whether execution never goes on behind the instruction (jsr, which returns, is not among them).
    pub fn ends_flow(self) -> bool {
        matches!(
            self,
            Self::Goto
                | Self::GotoW
                | Self::Ret
                | Self::Stableswitch
                | Self::Itableswitch
                | Self::Slookupswitch
                | Self::Ilookupswitch
                | Self::Areturn
                | Self::Sreturn
                | Self::Ireturn
                | Self::Return
                | Self::Athrow
        )
    }
}

impl std::fmt::Display for Opcode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.mnemonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_reference_list() {
        let list = include_str!("../tests/data/opcodes.json");
        let list: Vec<serde_json::Value> = serde_json::from_str(list).unwrap();
        assert_eq!(list.len(), OPCODES.len());
        for (index, row) in list.iter().enumerate() {
            let info = OPCODES[index];
            assert_eq!(row["opcode"], info.opcode as u8);
            assert_eq!(usize::from(info.opcode as u8), index);
            assert_eq!(row["mnemonic"], info.mnemonic);
            assert_eq!(
                row["length"].as_u64(),
                info.layout.fixed_len().map(|len| len as u64 + 1),
                "{}",
                info.mnemonic
            );
        }
    }
}
