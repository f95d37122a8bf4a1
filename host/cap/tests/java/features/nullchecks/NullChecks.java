package nullchecks;

/** javac checks the outer object for null in its own way; no method of java.lang or java.util is needed. */
class NullChecks {
    short value;

    class Inner {
        short read() {
            return value;
        }
    }

    static short use(NullChecks outer) {
        Inner inner = outer.new Inner();
        return inner.read();
    }
}
