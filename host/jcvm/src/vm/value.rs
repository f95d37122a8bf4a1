//! Cells of the stack, results, and everything that ends a method early.

use jpkise_cap::Aid;

use crate::heap::{AllocError, Ref};
use crate::store::StoreError;

/// A cell of 16 bits with what it is. An int takes two cells, the high half below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cell(u32);

const TAG_REFERENCE: u32 = 1 << 16;
const TAG_ADDRESS: u32 = 2 << 16;
const TAG: u32 = 0xFFFF_0000;

impl Cell {
    #[inline]
    #[allow(clippy::cast_sign_loss)]
    pub(crate) fn short(value: i16) -> Self {
        Self(u32::from(value as u16))
    }

    #[inline]
    pub(crate) fn half(value: u16) -> Self {
        Self(value.into())
    }

    #[inline]
    pub(crate) fn reference(value: Ref) -> Self {
        Self(TAG_REFERENCE | u32::from(value.0))
    }

    /// What jsr pushes.
    #[inline]
    pub(crate) fn address(value: u16) -> Self {
        Self(TAG_ADDRESS | u32::from(value))
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn bits(self) -> u16 {
        self.0 as u16
    }

    #[inline]
    pub(crate) fn as_half(self) -> Option<u16> {
        (self.0 & TAG == 0).then(|| self.bits())
    }

    #[inline]
    #[allow(clippy::cast_possible_wrap)]
    pub(crate) fn as_short(self) -> Option<i16> {
        self.as_half().map(|bits| bits as i16)
    }

    #[inline]
    pub(crate) fn as_reference(self) -> Option<Ref> {
        (self.0 & TAG == TAG_REFERENCE).then(|| Ref(self.bits()))
    }

    #[inline]
    pub(crate) fn as_address(self) -> Option<u16> {
        (self.0 & TAG == TAG_ADDRESS).then(|| self.bits())
    }
}

/// What a method returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    Void,
    Short(i16),
    Int(i32),
    Reference(Ref),
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Void
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Short(value.into())
    }
}

impl From<i16> for Value {
    fn from(value: i16) -> Self {
        Self::Short(value)
    }
}

impl From<i8> for Value {
    fn from(value: i8) -> Self {
        Self::Short(value.into())
    }
}

impl From<Ref> for Value {
    fn from(value: Ref) -> Self {
        Self::Reference(value)
    }
}

macro_rules! exceptions {
    ($($name:ident $class:literal,)*) => {
        /// The exceptions of which the runtime has an instance of its own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub(crate) enum Exception { $($name,)* }

        impl Exception {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// Class name with slashes.
            pub(crate) fn class(self) -> &'static str {
                match self { $(Self::$name => $class,)* }
            }
        }
    };
}

exceptions! {
    NullPointer "java/lang/NullPointerException",
    ArrayIndex "java/lang/ArrayIndexOutOfBoundsException",
    NegativeArraySize "java/lang/NegativeArraySizeException",
    ClassCast "java/lang/ClassCastException",
    Arithmetic "java/lang/ArithmeticException",
    Security "java/lang/SecurityException",
    ArrayStore "java/lang/ArrayStoreException",
    Card "javacard/framework/CardException",
    CardRuntime "javacard/framework/CardRuntimeException",
    Iso "javacard/framework/ISOException",
    Pin "javacard/framework/PINException",
    Apdu "javacard/framework/APDUException",
    System "javacard/framework/SystemException",
    Transaction "javacard/framework/TransactionException",
    User "javacard/framework/UserException",
    Crypto "javacard/security/CryptoException",
}

/// Reason codes, by the names of the API.
pub(crate) mod reason {
    pub(crate) const SYSTEM_ILLEGAL_VALUE: i16 = 1;
    pub(crate) const NO_TRANSIENT_SPACE: i16 = 2;
    pub(crate) const ILLEGAL_TRANSIENT: i16 = 3;
    pub(crate) const ILLEGAL_AID: i16 = 4;
    pub(crate) const NO_RESOURCE: i16 = 5;
    pub(crate) const IN_PROGRESS: i16 = 1;
    pub(crate) const NOT_IN_PROGRESS: i16 = 2;
    pub(crate) const BUFFER_FULL: i16 = 3;
    pub(crate) const APDU_ILLEGAL_USE: i16 = 1;
    pub(crate) const BUFFER_BOUNDS: i16 = 2;
    pub(crate) const BAD_LENGTH: i16 = 3;
    pub(crate) const PIN_ILLEGAL_VALUE: i16 = 1;
    pub(crate) const CRYPTO_ILLEGAL_VALUE: i16 = 1;
    pub(crate) const UNINITIALIZED_KEY: i16 = 2;
    pub(crate) const NO_SUCH_ALGORITHM: i16 = 3;
    pub(crate) const INVALID_INIT: i16 = 4;
    pub(crate) const CRYPTO_ILLEGAL_USE: i16 = 5;
}

/// Where bytecode did what it must not: no exception, because no program that passed a verifier gets there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}{}", self.place())]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// Package and offset in the info of its Method component.
    pub at: Option<(Aid, u16)>,
}

impl Fault {
    fn place(&self) -> String {
        self.at.map(|(aid, offset)| format!(" in {aid} at {offset:#06x}")).unwrap_or_default()
    }
}

/// Kinds of faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// The command took more instructions than the profile allows: a card would stay mute.
    #[error("instruction budget used up")]
    InstructionBudget,
    /// Frames and operands exceed the stack.
    #[error("stack overflow")]
    StackOverflow,
    /// An instruction wants more operands than there are, or would push more than the method declares.
    #[error("operand stack out of bounds")]
    OperandStack,
    /// An operand, local or result of another type than the instruction takes.
    #[error("{0}")]
    Type(&'static str),
    /// Execution runs to where no instruction is.
    #[error("no instruction")]
    Instruction,
    /// A constant pool entry does not fit the instruction.
    #[error("constant does not fit")]
    Constant,
    /// A local variable the method does not have.
    #[error("no such local variable")]
    Local,
    /// A method without a body was called.
    #[error("abstract method called")]
    Abstract,
    /// An API method that this runtime does not have.
    #[error("API method not supported: {0}")]
    NotSupported(String),
    /// The memory image does not hold what it must.
    #[error("damaged memory")]
    Damaged,
}

/// Why a method did not return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trap {
    /// The runtime throws its own instance of an exception with a reason.
    Raise(Exception, i16),
    /// An exception object is under way.
    Throw(Ref),
    /// Boxed, so that what every instruction returns stays small.
    Fault(Box<Fault>),
    /// Power lost.
    Power,
}

pub(crate) type Outcome<T> = Result<T, Trap>;

impl From<FaultKind> for Trap {
    fn from(kind: FaultKind) -> Self {
        Self::Fault(Box::new(Fault { kind, at: None }))
    }
}

impl From<StoreError> for Trap {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::PowerLost => Self::Power,
            StoreError::CommitBufferFull => Self::Raise(Exception::Transaction, reason::BUFFER_FULL),
            _ => FaultKind::Damaged.into(),
        }
    }
}

impl From<AllocError> for Trap {
    fn from(error: AllocError) -> Self {
        match error {
            AllocError::Persistent => Self::Raise(Exception::System, reason::NO_RESOURCE),
            AllocError::Transient => Self::Raise(Exception::System, reason::NO_TRANSIENT_SPACE),
            AllocError::Store(error) => error.into(),
        }
    }
}

pub(crate) fn type_fault(what: &'static str) -> Trap {
    FaultKind::Type(what).into()
}

pub(crate) fn raise<T>(exception: Exception, reason: i16) -> Outcome<T> {
    Err(Trap::Raise(exception, reason))
}
