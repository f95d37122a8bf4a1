//! int
package refused.int_index;

class X {
    static short index(byte[] a, int i) {
        return a[i]; //! index of array access may be
    }
}
