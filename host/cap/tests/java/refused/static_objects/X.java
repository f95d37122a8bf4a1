package refused.static_objects;

class X {
    static Object made = new Object(); //! static initialiser: new java.lang.Object cannot be done before the card runs
}
