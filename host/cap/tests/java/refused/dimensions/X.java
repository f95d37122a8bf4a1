package refused.dimensions;

class X {
    byte[][] field; //! arrays have one dimension in Java Card (field)

    static void parameter(short[][] a) { //! @X.parameter([[S)V arrays have one dimension in Java Card (parameter)
    }

    static Object made() {
        return new byte[2][3]; //! arrays have one dimension in Java Card (expression)
    }

    static Object half() {
        return new byte[2][]; //! arrays have one dimension in Java Card (expression)
    }
}
