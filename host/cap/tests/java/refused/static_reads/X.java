package refused.static_reads;

class X {
    static byte one = 1;
    static byte two = one; //! static initialiser: reading field one cannot be done
}
