package refused.static_arrays;

class X {
    static Object[] made = new Object[2]; //! static initialiser: an array of objects cannot be done
}
