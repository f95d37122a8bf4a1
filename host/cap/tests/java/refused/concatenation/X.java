package refused.concatenation;

class X {
    static Object join(short a) {
        return "a" + a; //! string concatenation is not part of Java Card
    }
}
