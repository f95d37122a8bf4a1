package refused.ints;

class X {
    int field; //! type int (field) needs int support

    static void parameter(int a) { //! @X.parameter(I)V type int (parameter) needs int support
    }

    static int result() { //! @X.result()I type int (result) needs int support
        return 1;
    }

    static Object array() {
        return new int[2]; //! type int (expression) needs int support
    }

    static boolean test(Object o) {
        return o instanceof int[]; //! type int (cast) needs int support
    }
}
