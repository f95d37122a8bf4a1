package refused.java_api;

class X {
    static Object list() {
        return new java.util.ArrayList<Object>(); //! class java.util.ArrayList does not exist in Java Card
    }

    static short hash(Object o) {
        return (short) o.hashCode(); //! method java.lang.Object.hashCode()I does not exist in java.lang 1.0
    }

    static Object copy(byte[] a) {
        return a.clone(); //! method [B.clone()Ljava/lang/Object; does not exist in java.lang 1.0
    }

    static Object type(Object o) {
        return o.getClass(); //! method java.lang.Object.getClass()Ljava/lang/Class; does not exist in java.lang 1.0
    }

    static Object o() {
        return null;
    }

    static Object math() {
        return Math.abs(1) == 1 ? null : o(); //! class java.lang.Math does not exist in Java Card
    }
}
