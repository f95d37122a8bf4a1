package refused.static_index;

class X {
    static byte[] one = new byte[2];

    static {
        one[2] = 1; //! static initialiser: array index 2 is outside the array
    }
}
