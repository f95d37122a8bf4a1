package refused.static_calls;

class X {
    static short value = compute(); //! static initialiser: the call of refused.static_calls.X.compute cannot be done

    static short compute() {
        return 3;
    }
}
