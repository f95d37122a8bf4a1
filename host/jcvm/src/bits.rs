//! The same bits, signed or not.

/// Reads the bits of a number the other way.
pub(crate) trait Bits {
    /// The type of the same size.
    type Other;
    /// Two's complement.
    fn signed(self) -> Self::Other;
}

/// Reads the bits of a number the other way.
pub(crate) trait UnsignedBits {
    /// The type of the same size.
    type Other;
    /// Two's complement.
    fn unsigned(self) -> Self::Other;
}

macro_rules! bits {
    ($($unsigned:ty, $signed:ty;)*) => {
        $(
            impl Bits for $unsigned {
                type Other = $signed;
                #[inline]
                #[allow(clippy::cast_possible_wrap)]
                fn signed(self) -> $signed {
                    self as $signed
                }
            }
            impl UnsignedBits for $signed {
                type Other = $unsigned;
                #[inline]
                #[allow(clippy::cast_sign_loss)]
                fn unsigned(self) -> $unsigned {
                    self as $unsigned
                }
            }
        )*
    };
}

bits! {
    u8, i8;
    u16, i16;
    u32, i32;
}
