package refused.overflow;

class X {
    static boolean sum(short a, short b) {
        return (a + b) > 5; //! left operand of comparison may be -65536 to 65534
    }

    static boolean equalToZero(short a, short b) {
        return a + b == 0; //! operand of comparison may be -65536 to 65534
    }

    static boolean or(short a, short b) {
        return ((a + b) | 1) > 5; //! left operand of comparison may be
    }

    static boolean xor(short a, short b) {
        return ((a + b) ^ 1) > 5; //! left operand of comparison may be
    }

    static short shift(short a) {
        return (short) ((a << 8) >> 8); //! left operand of right shift may be -8388608 to 8388352
    }

    static short unsigned(short a, short b) {
        return (short) ((a + b) >>> 1); //! left operand of right shift may be
    }

    static short divide(short a, short b) {
        return (short) (a * b / 3); //! left operand of division may be
    }

    static short remainder(short a) {
        return (short) ((a + 1) % 7); //! left operand of remainder may be -32767 to 32768
    }

    static short index(byte[] a, short i) {
        return a[i + 1]; //! index of array access may be -32767 to 32768
    }

    static Object length(short n) {
        return new byte[n + 1]; //! length of array creation may be -32767 to 32768
    }

    static short select(short a) {
        switch (a + a) { //! selector of switch may be -65536 to 65534
            case 0:
                return 1;
            default:
                return 2;
        }
    }

    static boolean constant(short a) {
        return a == 0x8000 + a; //! right operand of comparison may be 0 to 65535
    }

    static boolean negated(short a) {
        return -a > 3; //! left operand of comparison may be -32767 to 32768
    }

    static boolean quotient(short a, short b) {
        return a / b > 3; //! left operand of comparison may be -32768 to 32768
    }

    static short local(short a, short b) {
        int sum = a + b;
        return sum < 0 ? (short) 0 : (short) 1; //! operand of comparison may be -65536 to 65534
    }
}
