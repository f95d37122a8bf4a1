//! release 17
package refused.concatenation_indy;

class X {
    static Object join(short a) {
        return "a" + a; //! string concatenation is not part of Java Card
    }
}
