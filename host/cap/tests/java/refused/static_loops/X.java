package refused.static_loops;

class X {
    static byte[] table = new byte[4];

    static {
        for (short i = 0; i < 4; i++) { //! static initialiser: a local variable cannot be done
            table[i] = (byte) i;
        }
    }
}
