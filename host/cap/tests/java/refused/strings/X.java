package refused.strings;

class X {
    static String name; //! type java.lang.String (field) is not part of Java Card

    static Object constant() {
        return "text"; //! String constants are not part of Java Card
    }

    static Object type() {
        return X.class; //! class constants are not part of Java Card
    }
}
