package refused.static_aliases;

class X {
    static byte[] one = {1};
    static byte[] two = one; //! static initialiser: two fields hold the same array
}
