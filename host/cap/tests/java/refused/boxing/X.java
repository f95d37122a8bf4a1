package refused.boxing;

class X {
    static Object box(short a) {
        return a; //! boxing (java.lang.Short) is not part of Java Card
    }
}
