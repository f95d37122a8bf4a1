package refused.static_others;

class X {
    static class Y {
        static byte[] table;
    }

    static {
        Y.table = new byte[2]; //! static initialiser: field refused.static_others.X$Y.table belongs to another class
    }
}
