package refused.chars;

class X {
    char c; //! type char (field) is not part of Java Card

    static short cast(short a) {
        return (short) (char) a; //! type char (expression) is not part of Java Card
    }

    static Object array() {
        return new char[3]; //! type char[] (expression) is not part of Java Card
    }
}
