package refused.library_arrays;

class X {
    static final byte[] TABLE = {1, 2}; //! @X a package without applets cannot have arrays with initial values (TABLE)
}
