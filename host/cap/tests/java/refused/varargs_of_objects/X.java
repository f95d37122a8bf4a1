package refused.varargs_of_objects;

class X {
    static short count(Object... all) {
        return (short) all.length;
    }

    static short use() {
        return count(X.class, null); //! class constants are not part of Java Card
    }
}
