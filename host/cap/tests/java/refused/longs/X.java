package refused.longs;

class X {
    long field; //! type long (field) is not part of Java Card

    static void parameter(long a) { //! @X.parameter(J)V type long (parameter) is not part of Java Card
    }

    static short local(short a) {
        long b = a; //! type long (expression) is not part of Java Card
        return (short) (b >> 1); //! type long (expression) is not part of Java Card
    }
}
