package refused.asserts;

class X {
    static void check(short a) {
        assert a > 0; //! assert is not part of Java Card
    }
}
