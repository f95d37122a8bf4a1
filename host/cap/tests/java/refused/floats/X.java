package refused.floats;

class X {
    static float f; //! type float (field) is not part of Java Card

    static double result() { //! @X.result()D type double (result) is not part of Java Card
        return 1.5; //! type double (expression) is not part of Java Card
    }
}
